"""Copies at another place are whole, read back, and enough to restore from; or the command says what is missing."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from cms.database.backup_checks import check_copies
from cms.database.errors import BackupDamaged, CopyFailed
from cms.database.manifest import MANIFEST_NAME
from cms.database.offsite import Place, apply_copy, find_backup, list_everywhere, plan_copy
from cms.errors import ConfigurationError
from config import load_config
from tests.database.backups import restore, take_backup
from tests.database.rows import connected, digests, quiet
from tests.database.s3 import serving

ROOT = Path(__file__).resolve().parents[2]
SECRET = "secret-access-key-of-the-store"


@pytest.fixture
def bucket(monkeypatch):
    """Return a bucket on a real server, with the variables by which the library finds it."""
    with serving() as made:
        for name, value in {
            "AWS_ENDPOINT": f"http://127.0.0.1:{made.port}", "AWS_ALLOW_HTTP": "true", "AWS_REGION": "us-east-1",
            "AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": SECRET, "AWS_VIRTUAL_HOSTED_STYLE_REQUEST": "false",
        }.items():  # fmt: skip
            monkeypatch.setenv(name, value)
        yield made


@pytest.fixture(params=["folder", "s3"])
def copied(filled, request, tmp_path):
    """Return a site with two pictures and a place for copies."""
    if request.param == "s3":
        request.getfixturevalue("bucket")
    url = "s3://bucket/site" if request.param == "s3" else f"file://{tmp_path}/other disk/copies"
    filled.media_dir.mkdir()
    for name in ("one.png", "two.png"):
        (filled.media_dir / name).write_bytes(name.encode() * 100)
    return replace(filled, copy_url=url)


def copy(target):
    place = Place(target.copy_url)
    return apply_copy(target, place, plan_copy(target, place), say=quiet)


def test_a_backup_that_is_lost_here_is_restored_from_its_copy(copied):
    before = digests(copied)
    result = take_backup(copied)
    assert copy(copied).copied == (result.id,)
    shutil.rmtree(copied.backup_dir)
    shutil.rmtree(copied.media_dir)
    with connected(copied) as connection:
        connection.exec_driver_sql("DELETE FROM blogs")
    folder = find_backup(copied, Path(result.id), say=quiet)
    restore(copied, folder, replace_it=True)
    assert digests(copied) == before
    assert (copied.media_dir / "two.png").read_bytes() == b"two.png" * 100
    assert folder.stat().st_mode & 0o777 == 0o700
    assert {path.stat().st_mode & 0o777 for path in folder.rglob("*") if path.is_file()} == {0o600}


def test_a_second_run_copies_nothing_and_the_next_backup_only_what_is_new(copied, request):
    take_backup(copied, proof=False)
    first = copy(copied)
    assert copy(copied).copied == ()
    (copied.media_dir / "three.png").write_bytes(b"3" * 50_000)
    second_id = take_backup(copied, proof=False).id
    second = copy(copied)
    assert second.copied == (second_id,)
    manifest = json.loads((copied.backup_dir / second_id / MANIFEST_NAME).read_text())
    own = sum(path.stat().st_size for path in (copied.backup_dir / second_id).iterdir() if path.is_file())
    assert len(manifest["media"]) == 3
    assert second.size_bytes == own + 50_000
    assert first.size_bytes


def test_the_list_tells_where_each_backup_is(copied):
    names = [take_backup(copied, proof=False).id for _ in range(3)]
    place = Place(copied.copy_url)
    plan = plan_copy(copied, place)
    assert plan.missing == tuple(names)
    apply_copy(copied, place, replace(plan, missing=plan.missing[:2]), say=quiet)
    shutil.rmtree(copied.backup_dir / names[0])
    listed = {entry.id: entry for entry in list_everywhere(copied, place).backups}
    assert [(listed[name].copied, listed[name].folder is None) for name in names] == [
        (True, True), (True, False), (False, False),
    ]  # fmt: skip
    text = str(list_everywhere(copied, place))
    assert [word in text for word in ("copy only", "copied", "NO COPY")] == [True] * 3


def test_a_copy_that_was_interrupted_is_not_there_and_is_finished_by_the_next_run(filled, bucket):
    filled.media_dir.mkdir()
    (filled.media_dir / "one.png").write_bytes(b"1" * 100)
    target = replace(filled, copy_url="s3://bucket/site")
    result = take_backup(target, proof=False)
    for taken in range(4):  # dump, picture, signature, manifest
        bucket.puts.clear()
        bucket.refuse_after = taken
        with pytest.raises(CopyFailed, match="did not take"):
            copy(target)
        assert len(bucket.puts) == taken
        assert Place(target.copy_url).list_ids() == []
    bucket.refuse_after = None
    assert copy(target).copied == (result.id,)


@pytest.mark.parametrize("spoiled", ["database.", "media/", "manifest.json", "manifest.hmac"])
def test_a_place_that_changes_one_byte_is_found_out_and_the_file_removed_there(filled, bucket, spoiled):
    filled.media_dir.mkdir()
    (filled.media_dir / "one.png").write_bytes(b"1" * 100)
    target = replace(filled, copy_url="s3://bucket/site")
    take_backup(target, proof=False)
    bucket.spoil = spoiled
    with pytest.raises(CopyFailed, match="is not what was sent"):
        copy(target)
    assert not any(spoiled in key for key in bucket.objects)
    assert Place(target.copy_url).list_ids() == []


@pytest.mark.parametrize("change", [lambda content: content[:-1] + b"?", lambda content: content[:-9]])
def test_a_copy_that_was_changed_there_is_refused_and_leaves_nothing_here(filled, bucket, change):
    target = replace(filled, copy_url="s3://bucket/site")
    name = take_backup(target, proof=False).id
    copy(target)
    shutil.rmtree(target.backup_dir)
    key = next(key for key in bucket.objects if "database." in key)
    bucket.objects[key] = change(bucket.objects[key])
    with pytest.raises((BackupDamaged, CopyFailed)):
        find_backup(target, Path(name), say=quiet)
    assert [path.name for path in target.backup_dir.iterdir()] == []


def test_a_manifest_that_was_changed_there_is_refused(filled, bucket):
    target = replace(filled, copy_url="s3://bucket/site")
    name = take_backup(target, proof=False).id
    copy(target)
    shutil.rmtree(target.backup_dir)
    key = next(key for key in bucket.objects if key.endswith(MANIFEST_NAME))
    bucket.objects[key] = bucket.objects[key].replace(b"a test", b"a lie!")
    assert "CANNOT BE TRUSTED" in str(list_everywhere(target, Place(target.copy_url)))
    with pytest.raises(BackupDamaged, match="signature"):
        find_backup(target, Path(name), say=quiet)
    assert [path.name for path in target.backup_dir.iterdir()] == []


def test_foreign_things_at_the_place_are_no_backups(filled, bucket):
    bucket.objects.update({
        "site/20261124T000000Z-00000000/database.sqlite3": b"without a manifest",
        "site/notes/manifest.json": b"{}",
        "site/..%2F..%2Fetc/manifest.json": b"{}",
        "site/file": b"",
    })  # fmt: skip
    assert Place("s3://bucket/site").list_ids() == []


def test_a_manifest_that_is_too_large_to_be_one_is_not_fetched(filled, bucket, monkeypatch):
    target = replace(filled, copy_url="s3://bucket/site")
    name = take_backup(target, proof=False).id
    copy(target)
    shutil.rmtree(target.backup_dir)
    monkeypatch.setattr("cms.database.offsite.LARGEST_BYTES", 100)
    with pytest.raises(BackupDamaged, match="not a whole backup"):
        find_backup(target, Path(name), say=quiet)


def test_check_warns_of_a_backup_without_a_copy(copied):
    assert check_copies(replace(copied, copy_url=None)) == []
    take_backup(copied)
    assert [problem.id for problem in check_copies(copied)] == ["backups.W008"]
    copy(copied)
    assert check_copies(copied) == []


def test_a_place_that_does_not_answer_is_told_and_the_list_of_what_is_here_stays(filled, environment, monkeypatch):
    result = take_backup(filled, proof=False)
    away = {
        **environment, "BACKUP_COPY_URL": "s3://bucket/site", "AWS_ENDPOINT": "http://127.0.0.1:9",
        "AWS_ALLOW_HTTP": "true", "AWS_REGION": "us-east-1", "AWS_ACCESS_KEY_ID": "key",
        "AWS_SECRET_ACCESS_KEY": SECRET,
    }  # fmt: skip
    listed = manage(away, "list-backups")
    assert listed.returncode == 3
    assert result.id in listed.stdout
    assert "s3://bucket/site" in listed.stdout
    made = manage(away, "backup", "--no-proof")
    assert made.returncode == 1
    assert "is whole in" in made.stderr
    assert len(list(filled.backup_dir.glob("2*"))) == 2
    for output in (listed, made):
        assert SECRET not in output.stdout + output.stderr
        assert "Traceback" not in output.stderr


def manage(environment, *arguments):
    command = [sys.executable, "manage.py", *arguments]
    return subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True, check=False, timeout=120)


def test_the_commands_copy_list_verify_and_restore(filled, environment, bucket):
    settings = {**environment, "BACKUP_COPY_URL": "s3://bucket/site"}
    settings |= {name: value for name, value in os.environ.items() if name.startswith("AWS_")}
    made = manage(settings, "backup", "--no-proof", "--json")
    assert made.returncode == 0, made.stderr
    folder = Path(json.loads(made.stdout)["folder"])
    assert "read back" in made.stderr
    shutil.rmtree(folder)
    assert "copy only" in manage(settings, "list-backups").stdout
    assert "is whole" in manage(settings, "verify-backup", folder.name).stdout
    assert manage(settings, "restore", folder.name, "--replace", "--yes").returncode == 0
    again = manage(settings, "copy-backups")
    assert "every backup is at" in again.stdout
    assert not any(SECRET in output.stdout + output.stderr for output in (made, again))
    assert not any(SECRET.encode() in content for content in bucket.objects.values())


def test_without_a_place_there_is_nothing_to_copy_to(filled, environment):
    done = manage(environment, "copy-backups")
    assert done.returncode == 1
    assert "BACKUP_COPY_URL is not set" in done.stderr


@pytest.mark.parametrize(
    "url",
    ["nonsense", "ftp://x/y", "s3://key:secret@bucket/x", "s3://bucket?x=secret", "file://host/x", "file:x", "s3://"],
)
def test_an_address_that_is_none_or_holds_a_password_is_refused(url):
    with pytest.raises(ConfigurationError, match="BACKUP_COPY_URL"):
        load_config({"BACKUP_COPY_URL": url})


def test_a_file_that_needs_many_pieces_comes_back_the_same(tmp_path, bucket):
    content = os.urandom((8 << 20) * 2 + 12345)
    (tmp_path / "large").write_bytes(content)
    place = Place("s3://bucket")
    place.send(tmp_path / "large", "x/large")
    assert place.size_of("x/large") == len(content)
    assert b"".join(place.read("x/large", len(content))) == content
    assert place.size_of("x/other") is None
