"""Restores are complete or did not happen, and can be taken back."""

from __future__ import annotations

import itertools
import os
import sqlite3
import threading
from contextlib import closing, suppress
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy.exc import DBAPIError

from cms.database.engines import engine_for
from cms.database.engines.base import kept_prefix
from cms.database.errors import (
    BackupDamaged,
    DatabaseBusy,
    DatabaseUnreachable,
    DatabaseUnsupported,
    RestoreFailed,
    RestoreRefused,
)
from cms.database.maintenance import find_maintenance
from cms.database.manifest import MANIFEST_NAME, SIGNATURE_NAME
from cms.database.restore import apply_restore, plan_restore
from cms.database.undo import apply_undo, choose_target, plan_undo
from tests.database.backups import restore, take_backup
from tests.database.rows import SECOND, connected, count, digests, fill, quiet, upgrade


def test_a_restored_backup_has_every_row_and_hash_of_the_source(filled, elsewhere):
    before = digests(filled)
    result = take_backup(filled)
    restored = restore(elsewhere, result.folder)
    assert digests(elsewhere) == before
    assert restored.rows == sum(rows for rows, _ in before.values())
    assert restored.kept is None
    assert "all equal to the manifest" in str(restored)
    assert "is kept as" not in str(restored)


def test_a_database_that_is_not_empty_is_refused_unless_told(filled):
    folder = take_backup(filled).folder
    with pytest.raises(RestoreRefused, match="is not empty"):
        plan_restore(filled, folder)


def test_replacing_brings_the_backup_back_and_keeps_what_was_there(filled):
    folder, before = take_backup(filled).folder, digests(filled)
    with connected(filled) as connection:
        connection.exec_driver_sql("DELETE FROM blogs")
    changed = digests(filled)
    assert "replaces the" in str(plan_restore(filled, folder, replacing=True))
    result = restore(filled, folder, replace_it=True)
    assert f"kept as {result.kept}; `restore --undo` brings it back" in str(result)
    assert digests(filled) == before
    assert digests(replace(filled, url=filled.url.set(database=result.kept))) == changed


def test_an_open_connection_sees_the_restored_rows(sqlite_target):
    upgrade(sqlite_target)
    fill(sqlite_target)
    folder = take_backup(sqlite_target).folder
    reader = sqlite3.connect(sqlite_target.url.database)
    with connected(sqlite_target) as connection:
        connection.exec_driver_sql("DELETE FROM blogs")
    assert reader.execute("SELECT count(*) FROM blogs").fetchone() == (0,)
    restore(sqlite_target, folder, replace_it=True)
    assert reader.execute("SELECT count(*) FROM blogs").fetchone() == (3,)
    reader.close()


def test_a_site_whose_file_was_removed_goes_on_with_the_restored_one(sqlite_target):
    upgrade(sqlite_target)
    fill(sqlite_target)
    folder = take_backup(sqlite_target).folder
    site = engine_for(sqlite_target).open_pool(sqlite_target)
    with site.connect() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM blogs").scalar_one() == 3
    for path in Path(sqlite_target.url.database).parent.glob("cms.db*"):
        path.unlink()
    restore(sqlite_target, folder)
    with connected(sqlite_target) as connection:
        connection.exec_driver_sql("DELETE FROM blogs")
    with site.connect() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM blogs").scalar_one() == 0
    site.dispose()


def test_a_file_with_other_pages_can_be_restored_over_nothing_and_over_a_newer_file(sqlite_target):
    path = Path(sqlite_target.url.database)
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA page_size=8192")
        connection.execute("VACUUM")
    upgrade(sqlite_target)
    fill(sqlite_target)
    before = digests(sqlite_target)
    folder = take_backup(sqlite_target).folder
    path.unlink()
    restore(sqlite_target, folder)
    assert digests(sqlite_target) == before
    path.unlink()
    upgrade(sqlite_target)
    restore(sqlite_target, folder, replace_it=True)
    assert digests(sqlite_target) == before


def test_settings_that_others_gave_the_database_survive_a_restore(postgres_target, postgres):
    upgrade(postgres_target)
    fill(postgres_target)
    folder = take_backup(postgres_target).folder
    name = postgres_target.url.database
    with connected(postgres_target) as connection:
        connection.exec_driver_sql(f"ALTER DATABASE {name} SET statement_timeout = '123s'")
        connection.exec_driver_sql(f"REVOKE CONNECT ON DATABASE {name} FROM PUBLIC")
        connection.exec_driver_sql(f"GRANT CONNECT ON DATABASE {name} TO cms")
        connection.exec_driver_sql(f"COMMENT ON DATABASE {name} IS 'the site''s own'")
        before = database_facts(connection)
    result = restore(postgres_target, folder, replace_it=True)
    with connected(postgres_target) as connection:
        assert database_facts(connection) == before
    postgres.drop_database(str(postgres_target.url.set(database=result.kept)))


def database_facts(connection):
    query = """
        SELECT datdba::regrole::text, (SELECT array_agg(a::text ORDER BY a::text) FROM unnest(datacl) a),
               (SELECT array_agg(setconfig::text) FROM pg_db_role_setting WHERE setdatabase = d.oid),
               shobj_description(oid, 'pg_database')
        FROM pg_database d WHERE datname = current_database()"""
    return tuple(connection.exec_driver_sql(query).one())


@pytest.mark.parametrize("damage", ["flip", "cut", "grow", "remove", "link"])
@pytest.mark.parametrize("which", ["dump", "manifest", "signature"])
def test_a_damaged_backup_is_refused_and_nothing_changes(filled, elsewhere, damage, which):
    folder = take_backup(filled).folder
    names = {"dump": engine_for(filled).dump_name, "manifest": MANIFEST_NAME, "signature": SIGNATURE_NAME}
    path = folder / names[which]
    content = path.read_bytes()
    path.unlink()
    if damage == "flip":
        middle = len(content) // 2
        path.write_bytes(content[:middle] + bytes([content[middle] ^ 0x15]) + content[middle + 1 :])
    elif damage == "cut":
        path.write_bytes(content[: len(content) // 2])
    elif damage == "grow":
        path.write_bytes(content + b"x")
    elif damage == "link":
        victim = filled.backup_dir.parent / "victim"
        victim.write_bytes(content[:-7] + b"changed")
        path.symlink_to(victim)
    with pytest.raises((BackupDamaged, RestoreFailed)):
        restore(elsewhere, folder)
    with pytest.raises((BackupDamaged, RestoreFailed)):
        restore(filled, folder, replace_it=True)
    assert count(filled, "blogs") == 3


def test_the_backup_of_a_site_with_another_key_is_refused(filled, elsewhere):
    folder = take_backup(filled).folder
    with pytest.raises(BackupDamaged, match="signature"):
        plan_restore(replace(elsewhere, backup_key="another"), folder)


def test_a_backup_of_another_kind_of_database_is_refused(sqlite_target, postgres_target):
    upgrade(sqlite_target)
    folder = take_backup(sqlite_target).folder
    with pytest.raises(RestoreRefused, match="sqlite"):
        plan_restore(postgres_target, folder)


def test_a_backup_from_newer_code_is_refused(filled, elsewhere):
    with connected(filled) as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = 'feedfacecafe'")
    folder = take_backup(filled).folder
    with pytest.raises(RestoreRefused, match="feedfacecafe"):
        plan_restore(filled, folder, replacing=True)
    restore(elsewhere, folder)
    assert count(elsewhere, "blogs") == 3


def test_the_backup_of_another_database_is_refused_unless_the_target_is_typed(filled, elsewhere):
    folder = take_backup(filled).folder
    with pytest.raises(RestoreRefused, match="is of another database") as refused:
        plan_restore(elsewhere, folder)
    assert f"--into {elsewhere.database_name}" in str(refused.value.hint)
    with pytest.raises(RestoreRefused, match="--into names some_other"):
        plan_restore(elsewhere, folder, into="some_other")
    assert plan_restore(elsewhere, folder, into=elsewhere.database_name).rows


def test_an_older_backup_can_be_restored_and_upgraded(target, request, tmp_path):
    upgrade(target, SECOND)
    fill(target)
    folder = take_backup(target).folder
    upgrade(target)
    result = restore(target, folder, replace_it=True)
    upgrade(target)
    assert count(target, "blogs") == 3
    if target.engine_name == "postgresql":
        request.getfixturevalue("postgres").drop_database(str(target.url.set(database=result.kept)))


def test_a_server_that_was_set_up_without_a_locale_is_backed_up_and_restored(postgres_target, monkeypatch):
    monkeypatch.setenv("PGCLIENTENCODING", "SQL_ASCII")  # what such a server answers in if nobody asks for another
    upgrade(postgres_target)
    fill(postgres_target)
    before = digests(postgres_target)
    backup = take_backup(postgres_target)
    assert backup.proven
    restore(postgres_target, backup.folder, replace_it=True)
    assert digests(postgres_target) == before


def test_an_undo_brings_back_what_a_restore_replaced_and_can_be_undone(filled):
    folder, before = take_backup(filled, proof=False).folder, digests(filled)
    with connected(filled) as connection:
        connection.exec_driver_sql("DELETE FROM blogs")
    changed = digests(filled)
    apply_restore(filled, plan_restore(filled, folder, replacing=True), say=quiet)
    assert digests(filled) == before
    plan = plan_undo(filled)
    assert f"bring back {plan.former} as" in str(plan)
    undone = apply_undo(filled, plan, say=quiet)
    assert f"holds again what was {plan.former}" in str(undone)
    assert f"kept as {undone.kept}" in str(undone)
    assert digests(filled) == changed
    apply_undo(filled, plan_undo(filled), say=quiet)
    assert digests(filled) == before


def test_two_databases_with_long_names_do_not_share_what_was_kept(target):
    long = [replace(target, url=target.url.set(database=f"{'a' * 50}_{end}")) for end in ("one", "two")]
    assert kept_prefix(long[0]) != kept_prefix(long[1])
    assert all(len(f"{kept_prefix(each)}20261123000000_abcd") <= 63 for each in long)


def test_an_undo_works_when_the_live_database_is_gone(filled):
    folder, before = take_backup(filled, proof=False).folder, digests(filled)
    apply_restore(filled, plan_restore(filled, folder, replacing=True), say=quiet)
    if filled.engine_name == "sqlite":
        Path(filled.url.database).unlink()
    else:
        engine_for(filled).discard(filled, filled.url.database)
    assert apply_undo(filled, plan_undo(filled), say=quiet).kept is None
    assert digests(filled) == before


@pytest.mark.parametrize("name", ["", "a/b", "../x", "x" * 64, "-rf", "a\nb"])
def test_a_name_that_a_server_would_change_is_refused(target, name):
    with pytest.raises(RestoreRefused, match="cannot be the name"):
        choose_target(target, name)


def test_numbers_that_sqlite_gave_out_are_not_given_out_again_after_a_restore(sqlite_target):
    upgrade(sqlite_target)
    with connected(sqlite_target) as connection:
        connection.exec_driver_sql("CREATE TABLE tickets (id INTEGER PRIMARY KEY AUTOINCREMENT)")
        connection.exec_driver_sql("INSERT INTO tickets VALUES (41), (42)")
        connection.exec_driver_sql("DELETE FROM tickets")
    restore(sqlite_target, take_backup(sqlite_target).folder, replace_it=True)
    with connected(sqlite_target) as connection:
        connection.exec_driver_sql("INSERT INTO tickets DEFAULT VALUES")
        assert connection.exec_driver_sql("SELECT id FROM tickets").scalar_one() == 43


@pytest.mark.parametrize("odd", ["folder", "other file", "read-only", "no folder", "memory"])
def test_what_cannot_be_a_sqlite_database_is_refused_with_the_reason(sqlite_target, tmp_path, odd):
    path, why = tmp_path / "odd", {"folder": "it is a folder", "other file": "not a SQLite database"}.get(odd, "")
    if odd == "folder":
        path.mkdir()
    elif odd == "memory":
        path, why = ":memory:", "gone with the process"
    elif odd == "no folder":
        (tmp_path / "file").touch()
        path, why = tmp_path / "file" / "cms.db", "file: File exists"
    elif odd == "read-only":
        path.touch(mode=0o400)
        why = "the file is read-only"
        if os.access(path, os.W_OK):
            pytest.skip("root may write every file")
    else:
        path.write_text("a letter to my bank, or anything else that is no database")
    there = replace(sqlite_target, url=sqlite_target.url.set(database=str(path)))
    with (
        pytest.raises((DatabaseUnreachable, DatabaseUnsupported)) as refused,
        engine_for(there).deploy_lock(there, quiet),
    ):
        pass
    assert why in str(refused.value.why)


def test_the_names_that_sqlite_keeps_for_itself_are_refused(sqlite_target):
    for name in ("cms.db-wal", "cms.db-journal", "cms.db.lock"):
        with pytest.raises(RestoreRefused, match="belongs to"):
            choose_target(sqlite_target, name)


def test_a_restore_succeeds_while_others_keep_writing(filled):
    folder = take_backup(filled, proof=False).folder
    stop = threading.Event()
    writer = threading.Thread(target=keep_writing, args=(filled, stop))
    writer.start()
    try:
        for _ in range(3):
            result = apply_restore(filled, plan_restore(filled, folder, replacing=True), say=quiet)
            assert result.kept
    finally:
        stop.set()
        writer.join()
    assert count(filled, "blogs") == 3


def keep_writing(target, stop):
    """Count views as a site would, and connect again whenever the restore has ended the session."""
    while not stop.is_set():
        with suppress(DBAPIError), engine_for(target).open_tool(target).connect() as connection:
            while not stop.is_set():
                connection.exec_driver_sql("UPDATE blogs SET view_count = view_count + 1")
                connection.commit()


@pytest.mark.parametrize("mode", ["WAL", "DELETE"])
def test_no_write_that_was_acknowledged_is_lost_between_the_copy_aside_and_the_swap(sqlite_target, mode):
    """Each write is in what was put aside, or in what took over."""
    upgrade(sqlite_target)
    with connected(sqlite_target) as connection:
        connection.exec_driver_sql("CREATE TABLE written (number INTEGER PRIMARY KEY)")
    folder = take_backup(sqlite_target, proof=False).folder
    with closing(sqlite3.connect(sqlite_target.url.database)) as connection:
        connection.execute(f"PRAGMA journal_mode={mode}")
    stop, acknowledged = threading.Event(), []
    writer = threading.Thread(target=write_numbers, args=(sqlite_target.url.database, stop, acknowledged))
    writer.start()
    try:
        for _ in range(3):
            restore(sqlite_target, folder, replace_it=True)
    finally:
        stop.set()
        writer.join()
    kept = engine_for(sqlite_target).list_kept(sqlite_target)
    there = [written(Path(sqlite_target.url.database).with_name(name)) for name in (*kept, "cms.db")]
    assert sorted(number for numbers in there for number in numbers) == acknowledged
    assert len(acknowledged) > 5


def write_numbers(path, stop, acknowledged):
    with closing(sqlite3.connect(path, isolation_level=None, timeout=20)) as connection:
        for number in itertools.takewhile(lambda _: not stop.wait(0.001), itertools.count()):
            with suppress(sqlite3.OperationalError):  # told that it is locked, and so nothing was written
                connection.execute("INSERT INTO written VALUES (?)", (number,))
                acknowledged.append(number)


def written(path):
    with closing(sqlite3.connect(path)) as connection:
        return [number for (number,) in connection.execute("SELECT number FROM written")]


@pytest.mark.parametrize("mode", ["WAL", "DELETE"])
def test_an_empty_backup_is_restored_with_the_former_rows_aside(sqlite_target, mode):
    engine_for(sqlite_target).prepare(sqlite_target)
    folder = take_backup(sqlite_target).folder
    upgrade(sqlite_target)
    fill(sqlite_target)
    with closing(sqlite3.connect(sqlite_target.url.database)) as connection:
        connection.execute(f"PRAGMA journal_mode={mode}")
    before = digests(sqlite_target)
    restore(sqlite_target, folder, replace_it=True)
    assert digests(sqlite_target) == {}
    with closing(sqlite3.connect(sqlite_target.url.database)) as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    apply_undo(sqlite_target, plan_undo(sqlite_target), say=quiet)
    assert digests(sqlite_target) == before


def test_a_restore_that_cannot_take_over_leaves_nothing_to_undo(sqlite_target, monkeypatch):
    from cms.database.engines import sqlitefiles

    monkeypatch.setattr(sqlitefiles, "TAKE_OVER_S", 0)  # the clock, as it were
    monkeypatch.setattr(sqlitefiles, "BUSY_TIMEOUT_S", 0)
    upgrade(sqlite_target)
    fill(sqlite_target)
    folder, before = take_backup(sqlite_target, proof=False).folder, digests(sqlite_target)
    with closing(sqlite3.connect(sqlite_target.url.database, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(DatabaseBusy, match="could not be replaced") as busy:
            restore(sqlite_target, folder, replace_it=True)
    assert "another connection kept it locked for 0 s" in str(busy.value.why)
    assert engine_for(sqlite_target).list_kept(sqlite_target) == []
    assert digests(sqlite_target) == before


def test_without_a_restore_there_is_nothing_to_undo(filled):
    with pytest.raises(RestoreRefused, match="nothing to bring back"):
        plan_undo(filled)


def test_a_backup_can_go_into_a_new_database_and_leave_the_sites_alone(filled, request):
    folder, before = take_backup(filled, proof=False).folder, digests(filled)
    with connected(filled) as connection:
        connection.exec_driver_sql("DELETE FROM blogs")
    new = choose_target(filled, f"copy_{os.getpid()}")
    try:
        apply_restore(new, plan_restore(new, folder, into=new.database_name), say=quiet)
        assert digests(new) == before
        assert count(filled, "blogs") == 0
        with pytest.raises(RestoreRefused, match="exists already"):
            choose_target(filled, f"copy_{os.getpid()}")
    finally:
        engine_for(filled).discard(filled, f"copy_{os.getpid()}")


@pytest.fixture
def plain_role(postgres_target):
    """Return a site that belongs to a role that may not create databases."""
    role = f"plain_{postgres_target.database_name[-8:]}"
    name = postgres_target.database_name
    with connected(postgres_target) as connection:
        connection.exec_driver_sql(f"CREATE ROLE {role} LOGIN")
        connection.exec_driver_sql(f"ALTER DATABASE {name} OWNER TO {role}")
    plain = replace(postgres_target, url=postgres_target.url.set(username=role, password=None))
    upgrade(plain)
    fill(plain)
    yield plain
    with connected(postgres_target) as connection:
        connection.exec_driver_sql(f"ALTER DATABASE {name} OWNER TO CURRENT_USER")
        connection.exec_driver_sql(f"DROP OWNED BY {role}")
        connection.exec_driver_sql(f"DROP ROLE {role}")


def test_a_role_that_may_make_no_database_restores_in_place(plain_role):
    folder, before = take_backup(plain_role, proof=False).folder, digests(plain_role)
    with connected(plain_role) as connection:
        connection.exec_driver_sql("DELETE FROM blogs")
    changed = digests(plain_role)
    with pytest.raises(RestoreRefused, match="may not create") as refused:
        restore(plain_role, folder, replace_it=True)
    assert "--in-place" in str(refused.value.hint)
    plan = plan_restore(plain_role, folder, replacing=True, in_place=True)
    assert "empties it first, after an UNPROVEN backup of the" in str(plan)
    result = restore(plain_role, folder, replace_it=True, in_place=True)
    assert f"in the UNPROVEN backup {result.safety}" in str(result)
    assert digests(plain_role) == before
    restore(plain_role, result.safety, replace_it=True, in_place=True)
    assert digests(plain_role) == changed


def test_the_site_is_closed_during_a_restore_in_place(plain_role):
    folder, closed = take_backup(plain_role, proof=False).folder, []

    def look(_line):
        closed.append(find_maintenance(plain_role.maintenance_file))

    apply_restore(plain_role, plan_restore(plain_role, folder, replacing=True, in_place=True), say=look)
    assert "a restore in place" in [found.why for found in closed if found]
    assert find_maintenance(plain_role.maintenance_file) is None


def test_a_restore_in_place_that_fails_changes_nothing(plain_role):
    folder = take_backup(plain_role, proof=False).folder
    with connected(plain_role) as connection:
        connection.exec_driver_sql("DELETE FROM blogs")
    before = digests(plain_role)
    admin = replace(plain_role, url=plain_role.url.set(username="postgres"))
    with connected(admin) as connection:
        connection.exec_driver_sql("CREATE SCHEMA theirs CREATE TABLE rows (id int)")  # which our role may not drop
        connection.exec_driver_sql(f"GRANT USAGE ON SCHEMA theirs TO {plain_role.url.username}")
        connection.exec_driver_sql(f"GRANT SELECT ON theirs.rows TO {plain_role.url.username}")
    with pytest.raises(RestoreFailed, match="could not be emptied") as failed:
        restore(plain_role, folder, replace_it=True, in_place=True)
    assert "must be owner of schema theirs" in str(failed.value.why)
    after = digests(plain_role)
    assert {name: rows for name, rows in after.items() if name != "theirs.rows"} == before


def test_a_restore_in_place_waits_for_no_reader_for_ever(plain_role):
    folder, before = take_backup(plain_role, proof=False).folder, digests(plain_role)
    hurried = replace(plain_role, limits=replace(plain_role.limits, deploy_wait_s=1))
    with connected(plain_role) as reader:
        reader.exec_driver_sql("SELECT count(*) FROM blogs")
        with pytest.raises(DatabaseBusy, match="could not be emptied"):
            restore(hurried, folder, replace_it=True, in_place=True)
    assert digests(plain_role) == before


def test_on_sqlite_there_is_no_need_to_restore_in_place(sqlite_target):
    upgrade(sqlite_target)
    folder = take_backup(sqlite_target, proof=False).folder
    with pytest.raises(RestoreRefused, match="--in-place is for PostgreSQL"):
        restore(sqlite_target, folder, replace_it=True, in_place=True)


def test_a_setting_that_only_a_superuser_may_give_is_named(postgres_target):
    name, role = postgres_target.database_name, f"plain_{postgres_target.database_name[-8:]}"
    with connected(postgres_target) as connection:
        connection.exec_driver_sql(f"CREATE ROLE {role} LOGIN CREATEDB")
        connection.exec_driver_sql(f"ALTER DATABASE {name} OWNER TO {role}")
        connection.exec_driver_sql(f"ALTER DATABASE {name} SET log_statement = 'all'")
    plain = replace(postgres_target, url=postgres_target.url.set(username=role, password=None))
    try:
        upgrade(plain)
        fill(plain)
        folder, before = take_backup(plain, proof=False).folder, digests(plain)
        with pytest.raises(RestoreRefused, match="the setting log_statement") as refused:
            restore(plain, folder, replace_it=True)
        assert "RESET log_statement" in str(refused.value.hint)
        assert digests(plain) == before
    finally:
        with connected(postgres_target) as connection:
            connection.exec_driver_sql(f"ALTER DATABASE {name} OWNER TO CURRENT_USER")
            connection.exec_driver_sql(f"DROP OWNED BY {role}")
            connection.exec_driver_sql(f"DROP ROLE {role}")


def test_a_session_that_may_not_be_ended_is_named_and_nothing_changes(postgres_target, monkeypatch):
    """A superuser's session: the role that restores may not end it, and the server renames no database in use."""
    from cms.database.engines import pgdatabases

    monkeypatch.setattr(pgdatabases, "SWAP_S", 0)  # the clock, as it were: one try, for which the server waits 5 s
    name, role = postgres_target.database_name, f"plain_{postgres_target.database_name[-8:]}"
    with connected(postgres_target) as connection:
        connection.exec_driver_sql(f"CREATE ROLE {role} LOGIN CREATEDB")
        connection.exec_driver_sql(f"ALTER DATABASE {name} OWNER TO {role}")
    plain = replace(postgres_target, url=postgres_target.url.set(username=role, password=None))
    upgrade(plain)
    fill(plain)
    folder, before = take_backup(plain, proof=False).folder, digests(plain)
    with connected(postgres_target) as superuser:
        superuser.exec_driver_sql("SELECT 1")
        with pytest.raises(DatabaseBusy, match="could not be swapped") as busy:
            restore(plain, folder, replace_it=True)
        assert "1 session would not end: process" in str(busy.value.why)
        assert superuser.exec_driver_sql("SELECT count(*) FROM blogs").scalar_one() == 3
    assert digests(plain) == before
    with connected(postgres_target) as connection:
        connection.exec_driver_sql(f"ALTER DATABASE {name} OWNER TO CURRENT_USER")
        connection.exec_driver_sql(f"DROP OWNED BY {role}")
        connection.exec_driver_sql(f"DROP ROLE {role}")


def test_long_texts_are_compressed_with_lz4_unless_somebody_chose_otherwise(postgres_target, monkeypatch):
    upgrade(postgres_target)
    fill(postgres_target)
    with connected(postgres_target) as connection:
        known = "SELECT 'lz4' = ANY(enumvals) FROM pg_settings WHERE name = 'default_toast_compression'"
        if not connection.exec_driver_sql(known).scalar_one():
            pytest.skip("this server was built without lz4")
        connection.exec_driver_sql("UPDATE blogs SET content = repeat('many words ', 1000)")
    folder = take_backup(postgres_target, proof=False).folder
    used = "SELECT DISTINCT pg_column_compression(content) FROM blogs"
    restore(postgres_target, folder, replace_it=True)
    with connected(postgres_target) as connection:
        assert connection.exec_driver_sql(used).scalar_one() == "lz4"
    monkeypatch.setenv("PGOPTIONS", "-c default_toast_compression=pglz")
    restore(postgres_target, folder, replace_it=True)
    with connected(postgres_target) as connection:
        assert connection.exec_driver_sql(used).scalar_one() == "pglz"
