"""Backups are whole or not there; restores are complete or did not happen."""

from __future__ import annotations

import hashlib
import json
import os
import random
import shutil
import sqlite3
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cms.database.backup import PARTIAL, apply_backup, plan_backup
from cms.database.engines import engine_for
from cms.database.errors import BackupDamaged, BackupFailed, RestoreFailed, RestoreRefused, ToolMissing
from cms.database.keys import load_key, sign
from cms.database.manifest import MANIFEST_NAME, SIGNATURE_NAME, verify_backup
from cms.database.restore import apply_restore, plan_restore
from tests.database.rows import SECOND, connected, count, digests, fill, insert, post_row, quiet, upgrade

DAMAGES = int(os.environ.get("CMS_TEST_DAMAGES", "100"))
ROOT = Path(__file__).resolve().parents[2]


def take_backup(target):
    return apply_backup(target, plan_backup(target), why="a test", say=quiet)


def restore(target, folder, *, replace_it=False):
    return apply_restore(target, plan_restore(target, folder, replacing=replace_it), say=quiet)


@pytest.fixture
def filled(target):
    upgrade(target)
    fill(target)
    return target


@pytest.fixture
def elsewhere(filled, request, tmp_path):
    """Return a second, empty database of the same kind."""
    if filled.engine_name == "sqlite":
        yield replace(filled, url=filled.url.set(database=str(tmp_path / "other" / "cms.db")))
        return
    postgres = request.getfixturevalue("postgres")
    url = postgres.create_database()
    from cms.database.target import parse_url

    yield replace(filled, url=parse_url(url))
    postgres.drop_database(url)


def test_a_restored_backup_has_every_row_and_hash_of_the_source(filled, elsewhere):
    before = digests(filled)
    result = take_backup(filled)
    restored = restore(elsewhere, result.folder)
    assert digests(elsewhere) == before
    assert restored.rows == sum(rows for rows, _ in before.values())
    assert restored.kept is None


def test_a_backup_folder_holds_what_its_manifest_says_and_nobody_else_may_read_it(filled):
    old = os.umask(0)
    try:
        result = take_backup(filled)
    finally:
        os.umask(old)
    manifest = verify_backup(result.folder, load_key(filled))
    names = {MANIFEST_NAME, SIGNATURE_NAME, *(file.name for file in manifest.files)}
    assert {path.name for path in result.folder.iterdir()} == names
    assert {path.stat().st_mode & 0o777 for path in result.folder.iterdir()} == {0o600}
    assert result.folder.stat().st_mode & 0o777 == 0o700
    assert filled.backup_dir.stat().st_mode & 0o777 == 0o700
    assert manifest.contents.revision == result.revision
    assert {table.name.removeprefix("public."): table.rows for table in manifest.contents.tables}["blogs"] == 3


def test_a_backup_taken_while_others_write_is_of_one_moment(filled, elsewhere):
    stop = threading.Event()
    writer = threading.Thread(target=write_pairs, args=(filled, stop))
    writer.start()
    try:
        folders = [take_backup(filled).folder for _ in range(3)]
    finally:
        stop.set()
        writer.join()
    restore(elsewhere, folders[-1])
    # The writer adds a user and their post in one transaction, so the two always differ by what `fill` put there.
    assert count(elsewhere, "blogs") - count(elsewhere, "users") == 2


def write_pairs(target, stop):
    import uuid

    number = 100
    while not stop.is_set():
        number += 1
        with connected(target) as connection:
            user = {"uuid": uuid.uuid4(), "username": f"u{number}", "email": f"u{number}@example.org"}
            insert(connection, "users", user)
            insert(connection, "blogs", post_row(user["uuid"], number))


def test_a_database_that_is_not_empty_is_refused_unless_told(filled):
    folder = take_backup(filled).folder
    with pytest.raises(RestoreRefused, match="is not empty"):
        plan_restore(filled, folder)


def test_replacing_brings_the_backup_back_and_keeps_what_was_there(filled, request):
    folder, before = take_backup(filled).folder, digests(filled)
    with connected(filled) as connection:
        connection.exec_driver_sql("DELETE FROM blogs")
    changed = digests(filled)
    result = restore(filled, folder, replace_it=True)
    assert digests(filled) == before
    kept = replace(filled, url=filled.url.set(database=result.kept))
    assert digests(kept) == changed
    if filled.engine_name == "postgresql":
        request.getfixturevalue("postgres").drop_database(kept.url.render_as_string(hide_password=False))


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
        before = database_facts(connection)
    result = restore(postgres_target, folder, replace_it=True)
    with connected(postgres_target) as connection:
        assert database_facts(connection) == before
    postgres.drop_database(str(postgres_target.url.set(database=result.kept)))


def database_facts(connection):
    query = """
        SELECT datdba::regrole::text, (SELECT array_agg(a::text ORDER BY a::text) FROM unnest(datacl) a),
               (SELECT array_agg(setconfig::text) FROM pg_db_role_setting WHERE setdatabase = d.oid)
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


MANIFEST_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
FIELDS = ["format", "id", "engine", "contents", "files", "media", "proof", "created_at", "sequence", "more"]
GOOD = {
    "format": 1, "id": "x", "sequence": 1, "created_at": "2026-01-01T00:00:00Z", "why": "", "who": "", "tool": "t",
    "engine": "sqlite", "server_version": "3", "identity": "sqlite", "duration_ms": 1, "proof": None, "media": [],
    "files": [{"name": "database.sqlite3", "size_bytes": 1, "sha256": "0"}],
    "contents": {"revision": None, "fingerprint": "", "tables": [{"name": "users", "rows": 0, "digest": "0"}]},
}  # fmt: skip


@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(field=st.sampled_from(FIELDS), value=MANIFEST_VALUES)
def test_a_signed_manifest_with_any_other_value_is_refused_or_read_never_a_traceback(tmp_path, field, value):
    content = json.dumps({**GOOD, field: value}).encode()
    (tmp_path / MANIFEST_NAME).write_bytes(content)
    (tmp_path / SIGNATURE_NAME).write_bytes(sign(b"key", content))
    try:
        manifest = verify_backup(tmp_path, b"key")
    except BackupDamaged:
        return
    assert manifest.files == ()


@pytest.mark.parametrize("name", ["../outside", "/etc/hostname", ".hidden", "media/../../x", "a//b"])
def test_a_signed_manifest_cannot_name_a_file_outside_its_folder(tmp_path, name):
    content = json.dumps({**GOOD, "files": [{"name": name, "size_bytes": 1, "sha256": "0"}]}).encode()
    (tmp_path / MANIFEST_NAME).write_bytes(content)
    (tmp_path / SIGNATURE_NAME).write_bytes(sign(b"key", content))
    with pytest.raises(BackupDamaged, match="cannot be read"):
        verify_backup(tmp_path, b"key")


def test_every_one_of_many_damages_is_refused_and_every_intact_copy_accepted(filled, tmp_path):
    chance = random.Random(20261123)
    original = take_backup(filled).folder
    other = take_backup(filled).folder
    key = load_key(filled)
    names = [path.name for path in original.iterdir() if path.is_file()]
    for number in range(DAMAGES):
        copy = tmp_path / f"copy-{number}"
        shutil.copytree(original, copy)
        if number % 10 == 0:
            assert verify_backup(copy, key)
        damage(copy / chance.choice(names), other, chance)
        with pytest.raises(BackupDamaged):
            verify_backup(copy, key)
        shutil.rmtree(copy)


def damage(path, other, chance):
    """Change the file in one of the ways in which disks, people and transfers do."""
    content = bytearray(path.read_bytes())
    place = chance.randrange(len(content))
    kind = chance.choice(["flip", "cut", "add", "insert", "zero", "empty", "swap", "remove"])
    changed = {
        "flip": content[:place] + bytes([content[place] ^ (1 << chance.randrange(8))]) + content[place + 1 :],
        "cut": content[:place],
        "add": content + b"\0",
        "insert": content[:place] + b"x" + content[place:],
        "zero": content[:place] + bytes([0 if content[place] else 1]) + content[place + 1 :],
        "empty": b"",
        "swap": bytearray((other / path.name).read_bytes()),
    }.get(kind)
    path.unlink()
    if changed is not None:
        # Two dumps of the same rows can be equal to the byte; a file that did not change is no damage.
        path.write_bytes(changed if changed != content else content + b" changed")


def test_a_manifest_whose_digests_were_recomputed_is_refused_by_its_signature(filled, elsewhere):
    folder = take_backup(filled).folder
    dump = folder / engine_for(filled).dump_name
    dump.write_bytes(dump.read_bytes() + b"more")
    manifest = json.loads((folder / MANIFEST_NAME).read_text())
    manifest["files"][0] |= {"size_bytes": dump.stat().st_size, "sha256": hashlib.sha256(dump.read_bytes()).hexdigest()}
    (folder / MANIFEST_NAME).write_text(json.dumps(manifest, indent=2) + "\n")
    with pytest.raises(BackupDamaged, match="signature"):
        plan_restore(elsewhere, folder)


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
        plan_restore(elsewhere, folder)


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


def test_what_a_killed_backup_left_goes_and_what_another_is_writing_stays(filled):
    from cms.database.backup import partial_folder, remove_leftovers

    filled.backup_dir.mkdir(mode=0o700)
    dead = filled.backup_dir / f"{PARTIAL}dead"
    dead.mkdir()
    (dead / "database.dump").write_bytes(b"half")
    with partial_folder(filled.backup_dir, "alive") as alive:
        remove_leftovers(filled.backup_dir)
        assert not dead.exists()
        assert alive.exists()


def test_a_backup_that_fails_leaves_nothing_behind(postgres_target, tmp_path):
    upgrade(postgres_target)
    failing = tmp_path / "bin"
    failing.mkdir()
    for name, version in (("pg_dump", "99.1"), ("pg_restore", "99.1")):
        program = failing / name
        program.write_text(f'#!/bin/sh\n[ "$1" = --version ] && echo "{name} (PostgreSQL) {version}" && exit 0\n'
                           'echo half; echo "pg_dump: error: no luck" >&2; exit 1\n')  # fmt: skip
        program.chmod(0o755)
    with pytest.raises(BackupFailed) as failed:
        take_backup(replace(postgres_target, pg_bin_dir=failing))
    assert failed.value.why == "pg_dump: error: no luck"
    assert list(postgres_target.backup_dir.iterdir()) == []


def test_a_pg_dump_that_is_missing_or_too_old_is_refused_before_anything_is_written(postgres_target, tmp_path):
    upgrade(postgres_target)
    (tmp_path / "pg_dump").write_text('#!/bin/sh\necho "pg_dump (PostgreSQL) 9.6"\n')
    (tmp_path / "pg_dump").chmod(0o755)
    with pytest.raises(ToolMissing, match="no pg_dump fits the server"):
        take_backup(replace(postgres_target, pg_bin_dir=tmp_path))
    assert not postgres_target.backup_dir.exists()


@pytest.mark.parametrize(
    "setting", ["DateStyle = 'German, DMY'", "search_path = other, public", "bytea_output = escape"]
)
def test_a_database_with_settings_of_its_own_can_be_proven(postgres_target, setting):
    upgrade(postgres_target)
    fill(postgres_target)
    with connected(postgres_target) as connection:
        connection.exec_driver_sql("CREATE SCHEMA other")
        connection.exec_driver_sql("CREATE TABLE other.things (id INTEGER PRIMARY KEY, day DATE)")
        connection.exec_driver_sql("INSERT INTO other.things VALUES (1, '2026-11-23')")
        connection.exec_driver_sql(f"ALTER DATABASE {postgres_target.url.database} SET {setting}")
    assert take_backup(postgres_target).proven


def test_timeouts_that_protect_the_site_do_not_end_a_backup(postgres_target, tmp_path):
    upgrade(postgres_target)
    fill(postgres_target)
    slow = tmp_path / "bin"
    slow.mkdir()
    for name in ("pg_dump", "pg_restore"):
        real = postgres_target.pg_bin_dir / name
        (slow / name).write_text(f'#!/bin/sh\n[ "$1" = --version ] || sleep 0.5\nexec {real} "$@"\n')
        (slow / name).chmod(0o755)
    with connected(postgres_target) as connection:
        for setting in ("idle_in_transaction_session_timeout", "idle_session_timeout", "statement_timeout"):
            connection.exec_driver_sql(f"ALTER DATABASE {postgres_target.url.database} SET {setting} = '200ms'")
    assert take_backup(replace(postgres_target, pg_bin_dir=slow)).proven


@pytest.mark.parametrize("mode", [0o777, 0o720])
def test_a_folder_that_others_may_write_to_is_refused(filled, mode):
    filled.backup_dir.mkdir()
    filled.backup_dir.chmod(mode)
    with pytest.raises(BackupFailed, match="cannot hold backups"):
        take_backup(filled)


def test_a_file_in_the_place_of_the_folder_is_refused(filled):
    filled.backup_dir.write_text("not a folder")
    with pytest.raises(BackupFailed, match="cannot hold backups"):
        take_backup(filled)


def test_a_full_disk_leaves_nothing_under_a_final_name(filled, environment):
    # The limit on a file's size makes the kernel refuse the write as a full disk would.
    limit = 2048 if filled.engine_name == "postgresql" else 65_536  # SQLite's own shared memory needs 32 KiB
    limited = (
        "import resource, runpy, signal, sys; signal.signal(signal.SIGXFSZ, signal.SIG_IGN);"
        f"resource.setrlimit(resource.RLIMIT_FSIZE, ({limit}, {limit}));"
        "sys.argv = ['manage.py', 'backup']; runpy.run_path('manage.py', run_name='__main__')"
    )
    done = subprocess.run(
        [sys.executable, "-B", "-c", limited], env=environment, cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1, done.stderr
    assert "Traceback" not in done.stderr
    assert "the database was not touched" in done.stderr
    assert list(filled.backup_dir.iterdir()) == []
    assert count(filled, "blogs") == 3


def test_the_password_is_in_no_argument_output_or_manifest(postgres, tmp_path):
    from cms.database.target import Target, parse_url
    from tests.postgres import PASSWORD

    url = postgres.create_database(with_password=True)
    spy = tmp_path / "bin"
    spy.mkdir()
    for name in ("pg_dump", "pg_restore"):
        (spy / name).write_text(f'#!/bin/sh\necho "$@" >>{tmp_path}/arguments\nexec {postgres.bin_dir}/{name} "$@"\n')
        (spy / name).chmod(0o755)
    target = Target(parse_url(url), tmp_path / "backups", tmp_path / "media", backup_key="hush-hush", pg_bin_dir=spy)
    said = []
    try:
        upgrade(target)
        fill(target)
        result = apply_backup(target, plan_backup(target), why="", say=said.append)
        again = restore(target, result.folder, replace_it=True)
        shown = f"{said} {result} {again} {(result.folder / MANIFEST_NAME).read_text()}"
        shown += (tmp_path / "arguments").read_text()
        assert str(target.url.database) in shown
        for secret in (PASSWORD, "p%25ss", "p%ss", "w:or/d", "hush-hush"):
            assert secret not in shown
    finally:
        postgres.drop_database(url)
        postgres.drop_database(str(target.url.set(database=again.kept)))


def test_digest_reads_whole_rows_of_tables_with_odd_names(filled):
    if filled.engine_name == "sqlite":
        pytest.skip("its rows are read by the driver")
    with connected(filled) as connection:
        connection.execute(sa.text('CREATE TABLE "50%off" (t text, price int)'))
        connection.execute(sa.text("""INSERT INTO "50%off" VALUES ('a', 1)"""))
    before = digests(filled)
    with connected(filled) as connection:
        connection.execute(sa.text('UPDATE "50%off" SET price = 2'))
    assert digests(filled) != before


def test_an_address_with_options_can_be_backed_up(postgres_target):
    upgrade(postgres_target)
    url = postgres_target.url.update_query_dict({"connect_timeout": "5", "application_name": "blog"})
    assert take_backup(replace(postgres_target, url=url)).proven


def test_digest_tells_any_changed_value_and_not_the_order_of_rows(filled):
    before = digests(filled)
    key = "blogs" if filled.engine_name == "sqlite" else "public.blogs"
    with connected(filled) as connection:
        connection.exec_driver_sql("UPDATE blogs SET view_count = view_count + 1 WHERE slug = 'post-1'")
    assert digests(filled)[key] != before[key]
    with connected(filled) as connection:
        connection.exec_driver_sql("UPDATE blogs SET view_count = view_count - 1 WHERE slug = 'post-1'")
    assert digests(filled) == before


def test_a_server_that_was_set_up_without_a_locale_is_backed_up_and_restored(postgres_target, monkeypatch):
    monkeypatch.setenv("PGCLIENTENCODING", "SQL_ASCII")  # what such a server answers in if nobody asks for another
    upgrade(postgres_target)
    fill(postgres_target)
    before = digests(postgres_target)
    backup = take_backup(postgres_target)
    assert backup.proven
    restore(postgres_target, backup.folder, replace_it=True)
    assert digests(postgres_target) == before
