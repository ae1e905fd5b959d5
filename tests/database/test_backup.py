"""Backups are whole or not there."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path

import pytest
import sqlalchemy as sa

from cms.database.backup import PARTIAL, apply_backup, plan_backup
from cms.database.errors import BackupFailed, ToolMissing
from cms.database.keys import load_key
from cms.database.manifest import MANIFEST_NAME, SIGNATURE_NAME, verify_backup
from tests.database.backups import restore, take_backup
from tests.database.rows import connected, count, digests, fill, insert, post_row, upgrade

ROOT = Path(__file__).resolve().parents[2]


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


def test_what_a_killed_backup_left_goes_and_what_another_is_writing_stays(filled):
    from cms.database.backup import partial_folder, remove_partials

    filled.backup_dir.mkdir(mode=0o700)
    dead = filled.backup_dir / f"{PARTIAL}dead"
    dead.mkdir()
    (dead / "database.dump").write_bytes(b"half")
    with partial_folder(filled.backup_dir, "alive") as alive:
        remove_partials(filled.backup_dir)
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


def test_a_table_that_the_role_may_not_read_is_named(postgres_target):
    upgrade(postgres_target)
    with connected(postgres_target) as connection:
        connection.exec_driver_sql("CREATE ROLE poor LOGIN CREATEDB")
        connection.exec_driver_sql("GRANT SELECT ON users TO poor")
    poor = replace(postgres_target, url=postgres_target.url.set(username="poor", password=None))
    try:
        with pytest.raises(BackupFailed, match="may not read all of") as failed:
            take_backup(poor, proof=False)
        assert "permission denied for table" in str(failed.value.why)
        assert list(poor.backup_dir.iterdir()) == []
    finally:
        with connected(postgres_target) as connection:
            connection.exec_driver_sql("DROP OWNED BY poor")
            connection.exec_driver_sql("DROP ROLE poor")


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


def test_a_text_that_is_not_utf_8_stops_no_backup(sqlite_target):
    upgrade(sqlite_target)
    fill(sqlite_target)
    with connected(sqlite_target) as connection:
        connection.exec_driver_sql("UPDATE users SET bio = CAST(x'ff00fe' AS TEXT)")
    text = digests(sqlite_target)
    assert take_backup(sqlite_target).proven
    with connected(sqlite_target) as connection:
        connection.exec_driver_sql("UPDATE users SET bio = x'ff00fe'")
    assert digests(sqlite_target)["users"] != text["users"], "a blob is no text"


def test_digest_tells_any_changed_value_and_not_the_order_of_rows(filled):
    before = digests(filled)
    key = "blogs" if filled.engine_name == "sqlite" else "public.blogs"
    with connected(filled) as connection:
        connection.exec_driver_sql("UPDATE blogs SET view_count = view_count + 1 WHERE slug = 'post-1'")
    assert digests(filled)[key] != before[key]
    with connected(filled) as connection:
        connection.exec_driver_sql("UPDATE blogs SET view_count = view_count - 1 WHERE slug = 'post-1'")
    assert digests(filled) == before
