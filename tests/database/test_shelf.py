"""Proofs, media, the list of backups, thinning them out, and the way back after a restore."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import threading
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy.exc import DBAPIError

from cms.database.backup import apply_backup, plan_backup
from cms.database.engines import engine_for
from cms.database.engines.base import kept_prefix
from cms.database.errors import BackupFailed, RestoreFailed, RestoreRefused
from cms.database.keys import load_key
from cms.database.manifest import MANIFEST_NAME, SIGNATURE_NAME, verify_backup
from cms.database.proof import compare
from cms.database.restore import apply_restore, apply_undo, choose_target, plan_restore, plan_undo
from cms.database.shelf import BackupEntry, BackupList, apply_prune, list_backups, plan_prune, verify
from tests.database.rows import connected, count, digests, fill, quiet, upgrade

ROOT = Path(__file__).resolve().parents[2]


def take_backup(target, *, proof=True):
    return apply_backup(target, plan_backup(target, proof=proof), why="a test", say=quiet)


@pytest.fixture
def filled(target):
    upgrade(target)
    fill(target)
    yield target
    if target.engine_name == "postgresql":
        for name in engine_for(target).list_kept(target):
            engine_for(target).discard(target, name)


def test_a_backup_is_proven_unless_told_otherwise(filled):
    assert take_backup(filled).proven
    unproven = take_backup(filled, proof=False)
    assert not unproven.proven
    assert "UNPROVEN" in str(unproven)
    assert [bool(entry.proven_at) for entry in list_backups(filled).backups] == [True, False]


def test_a_proof_notices_one_changed_value(filled):
    contents = verify_backup(take_backup(filled).folder, b"key-of-the-tests-which-is-long-enough").contents
    compare(filled, contents)
    with connected(filled) as connection:
        connection.exec_driver_sql("UPDATE blogs SET view_count = 1 WHERE slug = 'post-2'")
    with pytest.raises(RestoreFailed, match="blogs"):
        compare(filled, contents)


def test_a_proof_leaves_no_scratch_database_behind(filled, request):
    take_backup(filled)
    assert scratches(filled, request) == []


def test_scratch_databases_of_killed_runs_go_with_the_next_backup(filled, request):
    code = (
        "import os, sys, signal; from pathlib import Path; from dataclasses import replace;"
        "from cms.database.engines import engine_for; from cms.database.target import Target, parse_url;"
        "target = Target(parse_url(sys.argv[1]), Path(sys.argv[2]), pg_bin_dir=Path(sys.argv[4]));"
        "scratch = engine_for(target).restore_into_scratch(target, Path(sys.argv[3])); scratch.__enter__();"
        "os.kill(os.getpid(), signal.SIGKILL)"
    )
    folder = take_backup(filled).folder
    url = filled.url.render_as_string(hide_password=False)
    dump = folder / engine_for(filled).dump_name
    arguments = [url, str(filled.backup_dir), str(dump), str(filled.pg_bin_dir)]
    subprocess.run([sys.executable, "-c", code, *arguments], cwd=ROOT, check=False)
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


def test_media_are_in_the_backup_linked_to_the_last_one_and_come_back(filled):
    picture = filled.media_dir / "ab" / "cdef.png"
    picture.parent.mkdir(parents=True)
    picture.write_bytes(b"a picture")
    first, second = take_backup(filled, proof=False), take_backup(filled, proof=False)
    copies = [result.folder / "media" / "ab" / "cdef.png" for result in (first, second)]
    assert copies[0].samefile(copies[1])
    assert not copies[0].samefile(picture)
    copies[1].write_bytes(b"A picture")  # damaged, and through the link in both
    third = take_backup(filled, proof=False).folder / "media" / "ab" / "cdef.png"
    assert third.read_bytes() == b"a picture"
    copies[1].write_bytes(b"a picture")
    picture.unlink()
    apply_restore(filled, plan_restore(filled, second.folder, replacing=True), say=quiet)
    assert picture.read_bytes() == b"a picture"


def test_media_are_backed_up_from_a_hidden_folder_too(sqlite_target):
    upgrade(sqlite_target)
    hidden = replace(sqlite_target, media_dir=sqlite_target.media_dir.with_name(".media"))
    hidden.media_dir.mkdir()
    (hidden.media_dir / "picture.png").write_bytes(b"a picture")
    (hidden.media_dir / ".half-written").write_bytes(b"half")
    folder = take_backup(hidden, proof=False).folder
    assert [path.name for path in (folder / "media").iterdir()] == ["picture.png"]


def test_an_undo_brings_back_what_a_restore_replaced_and_can_be_undone(filled):
    folder, before = take_backup(filled, proof=False).folder, digests(filled)
    with connected(filled) as connection:
        connection.exec_driver_sql("DELETE FROM blogs")
    changed = digests(filled)
    apply_restore(filled, plan_restore(filled, folder, replacing=True), say=quiet)
    assert digests(filled) == before
    apply_undo(filled, plan_undo(filled), say=quiet)
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


def test_without_a_restore_there_is_nothing_to_undo(filled):
    with pytest.raises(RestoreRefused, match="nothing to bring back"):
        plan_undo(filled)


def test_a_backup_can_go_into_a_new_database_and_leave_the_sites_alone(filled, request):
    folder, before = take_backup(filled, proof=False).folder, digests(filled)
    with connected(filled) as connection:
        connection.exec_driver_sql("DELETE FROM blogs")
    new = choose_target(filled, f"copy_{os.getpid()}")
    try:
        apply_restore(new, plan_restore(new, folder), say=quiet)
        assert digests(new) == before
        assert count(filled, "blogs") == 0
        with pytest.raises(RestoreRefused, match="exists already"):
            choose_target(filled, f"copy_{os.getpid()}")
    finally:
        engine_for(filled).discard(filled, f"copy_{os.getpid()}")


def test_a_backup_that_is_whole_is_said_to_be(filled):
    folder = take_backup(filled).folder
    assert "is whole" in str(verify(filled, folder))


def test_a_backup_that_cannot_be_trusted_is_listed_as_such_and_never_pruned(filled):
    for _ in range(4):
        folder = take_backup(filled, proof=False).folder
    manifest = folder / MANIFEST_NAME
    manifest.write_text(manifest.read_text().replace("a test", "a lie"))
    listed = list_backups(filled)
    assert [bool(entry.problem) for entry in listed.backups] == [False, False, False, True]
    plan = plan_prune(filled, daily=0, weekly=0, monthly=0)
    assert folder.name in plan.keep
    assert len(plan.remove) == 3


def test_pruning_keeps_the_two_newest_proven_whatever_is_asked(filled):
    names = [take_backup(filled, proof=proof).id for proof in (True, True, True, False)]
    plan = plan_prune(filled, daily=0, weekly=0, monthly=0)
    assert set(plan.keep) == {names[1], names[2]}
    result = apply_prune(filled, plan)
    assert set(result.removed) == {names[0], names[3]}
    assert {path.name for path in filled.backup_dir.iterdir()} == {names[1], names[2]}


@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    hours=st.lists(st.integers(0, 24 * 800), max_size=40),
    proven=st.lists(st.booleans(), min_size=40, max_size=40),
    counts=st.tuples(st.integers(0, 10), st.integers(0, 10), st.integers(0, 10)),
)
def test_pruning_keeps_the_newest_of_each_period_and_nothing_else(monkeypatch, tmp_path, hours, proven, counts):
    from cms.database import shelf

    start = datetime(2026, 11, 23, tzinfo=UTC)
    entries = tuple(
        entry(number, start - timedelta(hours=age), proven=proven[number]) for number, age in enumerate(hours)
    )
    monkeypatch.setattr(shelf, "list_backups", lambda _target: BackupList(tmp_path, entries))
    daily, weekly, monthly = counts
    plan = plan_prune(FakeTarget(tmp_path), daily=daily, weekly=weekly, monthly=monthly)
    assert set(plan.keep) | set(plan.remove) == {each.id for each in entries}
    assert not set(plan.keep) & set(plan.remove)
    assert len(plan.keep) <= daily + weekly + monthly + 2
    newest_proven = [each.id for each in entries[::-1] if each.proven_at][:2]
    assert set(newest_proven) <= set(plan.keep)
    if entries and daily:
        assert entries[-1].id in plan.keep


class FakeTarget:
    def __init__(self, folder):
        self.backup_dir = folder


def entry(number, moment, *, proven):
    proof = moment.isoformat() if proven else None
    return BackupEntry(f"b{number}", Path(), number, moment.isoformat(), None, 0, 0, proof, None, "", None)


def test_two_backups_at_once_get_two_numbers(filled, environment):
    command = [sys.executable, "manage.py", "backup", "--json", "--no-proof"]
    runs = [subprocess.Popen(command, env=environment, cwd=ROOT, stdout=subprocess.PIPE, text=True) for _ in range(4)]
    folders = [Path(json.loads(run.communicate()[0])["folder"]) for run in runs]
    assert sorted(json.loads((folder / MANIFEST_NAME).read_text())["sequence"] for folder in folders) == [1, 2, 3, 4]
    assert all((folder / SIGNATURE_NAME).exists() for folder in folders)


def test_a_site_without_a_key_makes_one_that_only_it_can_read(filled, tmp_path):
    keyless = replace(filled, backup_key=None, backup_key_file=tmp_path / "instance" / "backup_key")
    folder = take_backup(keyless, proof=False).folder
    assert keyless.backup_key_file.stat().st_mode & 0o777 == 0o600
    assert verify_backup(folder, load_key(keyless))
    assert load_key(keyless).decode() not in (folder / MANIFEST_NAME).read_text()
    keyless.backup_key_file.unlink()
    with pytest.raises(BackupFailed, match="key that signed the earlier backups is gone"):
        take_backup(keyless, proof=False)
    assert not keyless.backup_key_file.exists()


def test_a_key_that_cannot_be_written_is_told_with_the_setting_that_helps(filled, tmp_path):
    (tmp_path / "file").write_text("in the way")
    keyless = replace(filled, backup_key=None, backup_key_file=tmp_path / "file" / "backup_key")
    with pytest.raises(BackupFailed, match="no key could be made") as failed:
        take_backup(keyless, proof=False)
    assert "BACKUP_KEY" in str(failed.value.hint)
    assert list(filled.backup_dir.iterdir()) == []


def test_too_little_room_is_said_before_anything_is_written(filled, monkeypatch):
    import shutil

    monkeypatch.setattr(shutil, "disk_usage", lambda _path: shutil._ntuple_diskusage(1, 1, 0))  # the disk that fills up
    with pytest.raises(BackupFailed, match="too little room"):
        plan_backup(filled)
    assert not filled.backup_dir.exists()


def test_check_learns_about_backups(filled, environment):
    def ids(**more):
        command = [sys.executable, "manage.py", "check", "--tag", "backups", "--deploy", "--json"]
        done = subprocess.run(
            command, env={**environment, **more}, cwd=ROOT, capture_output=True, text=True, check=False
        )
        return {problem["id"] for problem in json.loads(done.stdout)["problems"]} - {"backups.I006"}

    assert ids() == {"backups.W001"}
    folder = take_backup(filled).folder
    assert ids() == set()
    manifest = json.loads((folder / MANIFEST_NAME).read_text())
    manifest["created_at"] = "2020-01-01T00:00:00Z"
    content = json.dumps(manifest).encode()
    (folder / MANIFEST_NAME).write_bytes(content)
    assert ids() == {"backups.E003", "backups.W001"}
    from cms.database.keys import sign

    (folder / SIGNATURE_NAME).write_bytes(sign(b"key-of-the-tests-which-is-long-enough", content))
    assert ids() == {"backups.W002"}
    filled.backup_dir.chmod(0o777)
    assert "backups.E004" in ids()
    filled.backup_dir.chmod(0o700)
    if filled.engine_name == "postgresql":
        assert "backups.E005" in ids(PG_BIN_DIR="/nowhere")


def test_a_backup_that_was_copied_and_renamed_is_pruned_under_its_own_name(filled):
    for _ in range(3):
        take_backup(filled)
    first = filled.backup_dir / list_backups(filled).backups[0].id
    shutil.copytree(first, filled.backup_dir / "copy")
    first.rename(filled.backup_dir / "renamed")
    plan = plan_prune(filled, daily=0, weekly=0, monthly=0)
    assert set(plan.remove) == {"copy", "renamed"}
    apply_prune(filled, plan)
    assert len(list_backups(filled).backups) == 2


def test_a_manifest_that_is_nested_too_deep_stops_no_backup(filled):
    (filled.backup_dir / "deep").mkdir(parents=True)
    (filled.backup_dir / "deep" / MANIFEST_NAME).write_text("[" * 200_000)
    assert take_backup(filled).proven
