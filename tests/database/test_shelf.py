"""Proofs, media, the list of backups, thinning them out, and the way back after a restore."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import pytest

from cms.database.backup import plan_backup
from cms.database.backup_checks import check_backup_key, check_client_defects, check_client_tools, check_other_disk
from cms.database.engines import engine_for
from cms.database.errors import BackupFailed
from cms.database.keys import load_key
from cms.database.manifest import MANIFEST_NAME, SIGNATURE_NAME, verify_backup
from cms.database.shelf import verify
from config import load_config
from tests.database.backups import take_backup
from tests.database.rows import connected

ROOT = Path(__file__).resolve().parents[2]


def test_a_backup_that_is_whole_is_said_to_be(filled):
    folder = take_backup(filled).folder
    assert "is whole" in str(verify(filled, folder))


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
        return {problem["id"] for problem in json.loads(done.stdout)["problems"]} - {"backups.I006", "backups.W009"}

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


@pytest.mark.parametrize(
    ("version", "is_safe"),
    [
        ("15.18", False),
        ("15.20", True),
        ("18.5", False),
        ("18.6 (Debian 18.6-1)", True),
        ("19.0", True),
        ("99.1", True),
    ],
)
def test_client_programs_with_a_known_defect_are_named(postgres_target, tmp_path, version, is_safe):
    for name in ("pg_dump", "pg_restore"):
        (tmp_path / name).write_text(f"#!/bin/sh\necho '{name} (PostgreSQL) {version}'\n")
        (tmp_path / name).chmod(0o700)
    fake = replace(postgres_target, pg_bin_dir=tmp_path)
    with connected(postgres_target) as connection:
        if engine_for(fake).describe_server(connection).major > int(version.partition(".")[0]):
            assert [problem.id for problem in check_client_tools(fake, connection)] == ["backups.E005"]
            return
        found = check_client_defects(fake, connection)
    assert [problem.id for problem in found] == ([] if is_safe else ["backups.W009"])


def test_a_manifest_that_is_nested_too_deep_stops_no_backup(filled):
    (filled.backup_dir / "deep").mkdir(parents=True)
    (filled.backup_dir / "deep" / MANIFEST_NAME).write_text("[" * 200_000)
    assert take_backup(filled).proven


def test_backups_on_the_disk_of_what_they_are_backups_of_are_told(filled):
    def told(target):
        return [(each.id, each.text) for each in check_other_disk(target, load_config({"MEDIA_DIR": str(media)}))]

    folder, media = filled.backup_dir, filled.media_dir
    assert told(filled) == []  # nothing is there yet
    folder.mkdir(mode=0o700)
    media.mkdir()
    assert told(filled) == [("backups.I006", f"{folder} is on the same disk as {media}")]
    with tempfile.TemporaryDirectory(dir="/dev/shm") as elsewhere:
        assert told(replace(filled, backup_dir=Path(elsewhere))) == []
    media.rmdir()
    shared = f"{folder} is on the same disk as {filled.url.database}"
    assert told(filled) == ([("backups.I006", shared)] if filled.engine_name == "sqlite" else [])


def test_backups_whose_key_is_gone_are_told(filled, tmp_path):
    keyless = replace(filled, backup_key=None, backup_key_file=tmp_path / "gone")
    assert check_backup_key(keyless) == []  # the first backup makes one
    take_backup(filled, proof=False)
    assert [problem.id for problem in check_backup_key(keyless)] == ["backups.E007"]
    assert check_backup_key(filled) == []
