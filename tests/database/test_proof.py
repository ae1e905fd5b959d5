"""A backup is called proven only when a restored copy of it was equal in everything."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from cms.database.backup import plan_backup
from cms.database.errors import BackupFailed, RestoreFailed
from cms.database.manifest import verify_backup
from cms.database.proof import compare
from cms.database.shelf import list_backups
from tests.database.backups import take_backup
from tests.database.rows import connected, fill, quiet, upgrade

ROOT = Path(__file__).resolve().parents[2]
RESTORE_AND_DIE = """
import os, signal, sys
from pathlib import Path
from cms.database.envelope import Plain
from cms.database.manifest import read_manifest
from cms.database.proof import restored
from cms.database.target import Target, parse_url
url, folder, key, bin_dir = sys.argv[1:]
target = Target(parse_url(url), Path(folder).parent, pg_bin_dir=Path(bin_dir))
manifest = read_manifest(Path(folder), key.encode())
with restored(target, Path(folder) / manifest.dump.name, manifest.contents, envelope=Plain(), say=print):
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_backup_is_proven_unless_told_otherwise(filled):
    assert take_backup(filled).proven
    unproven = take_backup(filled, proof=False)
    assert not unproven.proven
    assert "UNPROVEN" in str(unproven)
    assert [bool(entry.proven_at) for entry in list_backups(filled).backups] == [True, False]


def test_a_proof_notices_one_changed_value(filled):
    contents = verify_backup(take_backup(filled).folder, b"key-of-the-tests-which-is-long-enough").contents
    compare(filled, contents, say=quiet)
    with connected(filled) as connection:
        connection.exec_driver_sql("UPDATE blogs SET view_count = 1 WHERE slug = 'post-2'")
    with pytest.raises(RestoreFailed, match="blogs"):
        compare(filled, contents, say=quiet)


def test_a_proof_leaves_no_scratch_database_behind(filled, request):
    take_backup(filled)
    assert scratches(filled, request) == []


def test_scratch_databases_of_killed_runs_go_with_the_next_backup(filled, request):
    folder = take_backup(filled).folder
    url = filled.url.render_as_string(hide_password=False)
    arguments = [url, str(folder), str(filled.backup_key), str(filled.pg_bin_dir)]
    subprocess.run([sys.executable, "-c", RESTORE_AND_DIE, *arguments], cwd=ROOT, check=False)
    assert len(scratches(filled, request)) == 1
    take_backup(filled)
    assert scratches(filled, request) == []


def scratches(target, request):
    if target.engine_name == "sqlite":
        return list(Path(target.url.database).parent.glob(".*restore-*"))
    import psycopg

    with psycopg.connect(request.getfixturevalue("postgres").url) as connection:
        names = connection.execute("SELECT datname FROM pg_database WHERE datname LIKE 'cms_restore_%'").fetchall()
        # Other workers of this run use the same server; a scratch database in use has its lock held.
        held = connection.execute("SELECT objid FROM pg_locks WHERE locktype = 'advisory' AND classid = 1668117298")
        taken = {row[0] for row in held}
        hashes = {name: connection.execute("SELECT hashtext(%s)::oid", [name]).fetchone()[0] for (name,) in names}
    return [name for name, number in hashes.items() if number not in taken]


def test_a_role_that_may_not_create_databases_is_told_before_anything_is_written(postgres_target):
    upgrade(postgres_target)
    with connected(postgres_target) as connection:
        connection.exec_driver_sql("CREATE ROLE plain LOGIN")
    plain = replace(postgres_target, url=postgres_target.url.set(username="plain"))
    try:
        with pytest.raises(BackupFailed, match="could not be proven") as refused:
            plan_backup(plain)
        assert "--no-proof" in str(refused.value.hint)
        assert plan_backup(plain, proof=False).tables
    finally:
        with connected(postgres_target) as connection:
            connection.exec_driver_sql("DROP ROLE plain")


def test_a_check_that_the_server_spells_otherwise_after_a_restore_is_no_difference(postgres_target):
    upgrade(postgres_target)
    fill(postgres_target)
    with connected(postgres_target) as connection:
        connection.exec_driver_sql("ALTER TABLE users ADD CHECK (role IN ('admin', 'it''s', 'user'))")
        connection.exec_driver_sql("CREATE VIEW editors AS SELECT * FROM users WHERE role IN ('admin', 'editor')")
        connection.exec_driver_sql("CREATE INDEX of_editors ON users (email) WHERE role IN ('admin', 'editor')")
    assert take_backup(postgres_target).proven
