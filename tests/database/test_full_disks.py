"""Disks that are really full and folders that really may not be written: a message, and everything as it was."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from cms.database.engines import engine_for
from cms.database.keys import load_key
from cms.database.manifest import verify_backup
from tests.database.backups import take_backup
from tests.database.rows import connected, digests, quiet

ROOT = Path(__file__).resolve().parents[2]
NAMESPACE = ["unshare", "--mount", "--map-root-user"]
# Root without its capabilities is asked for permissions as anybody else is.
UNPRIVILEGED = ["setpriv", "--bounding-set=-all", "--inh-caps=-all"] if os.geteuid() == 0 else []
MANAGE = f'"{sys.executable}" -B manage.py'
# What lies on the small disk is gone with the namespace, so it is listed, and copied away, before.
ON_SMALL_DISK = f"""
mount -t tmpfs -o size={{size}},mode=700 none "$SMALL" && cp -a "$ONTO"/. "$SMALL" || exit 90
{MANAGE} {{command}}
code=$?
cp -a "$SMALL"/. "$AFTER"
exit $code
"""


@pytest.fixture
def small_disk(tmp_path):
    """Return a function that runs a command where a folder is a disk of some size, with copies of files on it.

    The command finds the folder in $SMALL; what is there afterwards is copied into the folder that is returned.
    """
    small, onto, after = tmp_path / "small", tmp_path / "onto", tmp_path / "after"
    for folder in (small, onto):
        folder.mkdir(mode=0o700)
    tried = subprocess.run(
        [*NAMESPACE, "mount", "-t", "tmpfs", "none", small], capture_output=True, text=True, check=False
    )
    if tried.returncode:
        pytest.skip(f"NO DISK COULD BE MADE HERE ({tried.stderr.strip()}): nothing was tried on a full one")

    def run(environment, command, *, size):
        shutil.rmtree(after, ignore_errors=True)
        after.mkdir()
        there = {"SMALL": str(small), "ONTO": str(onto), "AFTER": str(after)}
        script = ON_SMALL_DISK.format(size=size, command=command)
        done = subprocess.run(
            [*NAMESPACE, "sh", "-c", script], env={**environment, **there}, cwd=ROOT, capture_output=True, text=True,
            check=False, timeout=60,
        )  # fmt: skip
        assert done.returncode != 90, done.stderr
        assert "Traceback" not in done.stderr
        return done

    return small, onto, after, run


def grow(target):
    """Add far more than was there, and what no compression makes small."""
    word = "md5(random()::text)" if target.engine_name == "postgresql" else "hex(randomblob(16))"
    numbers = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 50000)"
    with connected(target) as connection:
        connection.exec_driver_sql("CREATE TABLE noise (number integer, word text)")
        connection.exec_driver_sql(f"INSERT INTO noise {numbers} SELECT i, {word} FROM n")


def test_a_disk_that_fills_up_while_the_backup_is_written_gets_none(filled, environment, small_disk):
    """There is room for another backup like the last, but the database has grown."""
    small, onto, after, run = small_disk
    earlier = take_backup(filled).folder
    shutil.copytree(earlier, onto / earlier.name)
    room = sum(path.stat().st_size for path in earlier.iterdir())
    grow(filled)
    before = digests(filled)
    done = run({**environment, "BACKUP_DIR": str(small)}, "backup", size=room * 3)
    assert done.returncode == 1, done.stderr
    assert "the database was not touched" in done.stderr
    assert [path.name for path in after.iterdir()] == [earlier.name]
    assert verify_backup(after / earlier.name, load_key(filled))
    assert digests(filled) == before
    with engine_for(filled).deploy_lock(filled, quiet):
        pass


def test_a_disk_that_fills_up_while_pictures_are_copied_gets_no_backup(filled, environment, small_disk):
    small, _, after, run = small_disk
    filled.media_dir.mkdir()
    (filled.media_dir / "picture.png").write_bytes(os.urandom(30_000_000))
    done = run({**environment, "BACKUP_DIR": str(small)}, "backup", size=25_000_000)
    assert done.returncode == 1, done.stderr
    assert "No space left on device" in done.stderr
    assert "nothing stands under a final name" in done.stderr
    assert list(after.iterdir()) == []


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)  # a server's disk is the server's
@pytest.mark.parametrize("room", [0.3, 1.2, 1.7, 8])
def test_a_restore_onto_a_disk_that_fills_up_leaves_the_old_rows_or_the_new(filled, environment, small_disk, room):
    """It fills up while the dump is unpacked, while the former rows are put aside, or while the new ones come in."""
    small, onto, after, run = small_disk
    old = digests(filled)
    shutil.copy(filled.url.database, onto / "cms.db")
    grow(filled)
    new, folder = digests(filled), take_backup(filled, proof=False).folder
    sizes = [path.stat().st_size for path in (onto / "cms.db", folder / "database.sqlite3")]
    there = {**environment, "DATABASE_URL": f"sqlite:///{small}/cms.db"}
    done = run(there, f"restore {folder} --replace --into cms.db --yes", size=round(sizes[0] * 1.5 + sizes[1] * room))
    found = digests(replace(filled, url=filled.url.set(database=str(after / "cms.db"))))
    assert found == (new if done.returncode == 0 else old)
    assert done.returncode == (room != 8), "only a large disk has room for all"
    if done.returncode:
        assert "still holds what it held before" in done.stderr
        assert [path.name for path in after.glob(".cms.db.restore-*")] == []


def unprivileged(environment, *arguments):
    return subprocess.run(
        [*UNPRIVILEGED, sys.executable, "-B", "manage.py", *arguments], env=environment, cwd=ROOT, capture_output=True,
        text=True, check=False, timeout=60,
    )  # fmt: skip


@pytest.mark.parametrize("place", ["the folder", "the one above", "another's"])
def test_a_folder_that_may_not_be_written_is_named(filled, environment, tmp_path, place):
    parent = tmp_path / "parent"
    folder = parent / "backups"
    (folder if place != "the one above" else parent).mkdir(parents=True, mode=0o700)
    (folder if place != "the one above" else parent).chmod(0o500)
    if place == "another's":
        if os.geteuid():
            pytest.skip("only root can give a folder to another user")
        folder.chmod(0o755)
        os.chown(folder, 65534, 65534)
    before = digests(filled)
    done = unprivileged({**environment, "BACKUP_DIR": str(folder)}, "backup")
    assert done.returncode == 1, done.stderr
    assert "Traceback" not in done.stderr
    assert str(parent) in done.stderr
    assert "hint:" in done.stderr
    assert [path for path in parent.rglob("*") if path != folder] == []
    assert digests(filled) == before
    with engine_for(filled).deploy_lock(filled, quiet):
        pass


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_restore_beside_a_database_whose_folder_may_not_be_written_says_so(filled, environment, tmp_path):
    folder, before = take_backup(filled, proof=False).folder, digests(filled)
    closed = tmp_path / "closed"
    closed.mkdir()
    shutil.copy(filled.url.database, closed / "cms.db")
    closed.chmod(0o500)
    there = {**environment, "DATABASE_URL": f"sqlite:///{closed}/cms.db"}
    done = unprivileged(there, "restore", str(folder), "--replace", "--into", "cms.db", "--yes")
    closed.chmod(0o700)
    assert done.returncode == 1, done.stderr
    assert "Traceback" not in done.stderr
    assert f"error: the database {closed}/cms.db cannot be reached" in done.stderr
    assert digests(replace(filled, url=filled.url.set(database=str(closed / "cms.db")))) == before
