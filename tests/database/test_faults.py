"""Whatever goes wrong: nothing half under a final name, the old or the new rows, and a message that says which.

The rounds per engine of what happens at random moments: CMS_TEST_FAULTS, default 1.
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import psycopg
import pytest
from sqlalchemy.exc import DBAPIError

from cms.database.backup import PARTIAL, apply_backup, find_folder_problem, plan_backup
from cms.database.engines import engine_for
from cms.database.errors import BackupDamaged, BackupFailed, RestoreFailed
from cms.database.keys import load_key
from cms.database.manifest import MANIFEST_NAME, read_manifest, verify_backup
from tests.database.backups import restore, take_backup
from tests.database.rows import connected, digests, fill, quiet, upgrade

ROOT = Path(__file__).resolve().parents[2]
ROUNDS = int(os.environ.get("CMS_TEST_FAULTS", "1"))
AGE_KEY = "age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p"
RUN_MANAGE = "import runpy, sys; sys.argv[0] = 'manage.py'; runpy.run_path('manage.py', run_name='__main__')"
EXIT_CODES = {signal.SIGINT: 130, signal.SIGTERM: 143, signal.SIGHUP: 143}


def run(environment, *arguments, before="", **settings):
    """Run a management command to its end, after some Python in the same process."""
    code = f"{before}\n{RUN_MANAGE}"
    return subprocess.run(
        [sys.executable, "-B", "-c", code, *arguments],
        env={**environment, **settings}, cwd=ROOT, capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip


def no_file_over(limit):
    """Return Python that makes the kernel refuse to write more into any file, as a full disk would."""
    return (
        "import resource, signal; signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        f"resource.setrlimit(resource.RLIMIT_FSIZE, ({limit}, {limit}))"
    )


@pytest.mark.parametrize("recipients", ["", AGE_KEY], ids=["plain", "encrypted"])
@pytest.mark.parametrize("limit", [40_000, 70_000, 100_000, 700, 3000])
def test_a_disk_that_is_full_at_any_point_leaves_a_whole_backup_or_none(filled, environment, limit, recipients):
    if filled.engine_name == "sqlite" and limit < 40_000:
        limit += 33_000  # its own shared memory is a file of 32 KiB
    before = digests(filled)
    done = run(environment, "backup", before=no_file_over(limit), BACKUP_AGE_RECIPIENTS=recipients)
    folders = list(filled.backup_dir.glob("*"))
    assert "Traceback" not in done.stderr
    if done.returncode == 0:
        assert [verify_backup(folder, load_key(filled)).proof is not None for folder in folders] == [True]
    else:
        assert done.returncode == 1, done.stderr
        assert "hint:" in done.stderr
        assert folders == []
    assert digests(filled) == before


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize("command", ["backup", "restore"])
def test_a_command_that_is_stopped_at_any_moment_leaves_the_old_state(filled, environment, command, number):
    folder = take_backup(filled, proof=False).folder
    new = digests(filled)
    with connected(filled) as connection:
        connection.exec_driver_sql("UPDATE blogs SET view_count = 7")
    old = digests(filled)
    arguments = ["restore", str(folder), "--replace", "--yes"] if command == "restore" else ["backup"]
    for _ in range(ROUNDS):
        stopped = stop(environment, arguments, number)
        # The system's own end by a signal comes when all is done: a shell sees 128 and the number, as from ours.
        assert stopped.returncode in {0, EXIT_CODES[number], -number}, stopped.stderr
        assert stopped.returncode != -number or stopped.stdout
        assert "Traceback" not in stopped.stderr
        assert list(filled.backup_dir.glob(f"{PARTIAL}*")) == []
        assert digests(filled) in ((old,) if command == "backup" else (old, new))
        with engine_for(filled).deploy_lock(replace(filled, limits=replace(filled.limits, deploy_wait_s=5)), quiet):
            pass
    for each in filled.backup_dir.iterdir():
        assert verify_backup(each, load_key(filled))


def stop(environment, arguments, number):
    """Start a command, and stop it after a random time from when it has said what it does."""
    process = subprocess.Popen(
        [sys.executable, "manage.py", *arguments], env=environment, cwd=ROOT, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    first = process.stderr.readline()
    with suppress(subprocess.TimeoutExpired):  # or it has ended by itself, and the signal comes too late
        process.wait(random.uniform(0, 0.4))
    process.send_signal(number)
    began = time.monotonic()
    output, errors = process.communicate(timeout=30)
    assert time.monotonic() - began < 10
    return subprocess.CompletedProcess(arguments, process.returncode, output, first + errors)


@pytest.mark.parametrize("tool", ["pg_dump", "pg_restore"])
@pytest.mark.parametrize("how", ["fails at once", "fails in the middle", "is killed", "writes nothing"])
def test_a_client_program_that_fails_leaves_nothing(postgres_target, tmp_path, tool, how, fill_postgres):
    folder = take_backup(postgres_target, proof=False).folder
    before = digests(postgres_target)
    bin_dir = tmp_path / "bin"
    bin_dir.mkdir()
    real = postgres_target.pg_bin_dir
    deeds = {
        "fails at once": "echo 'pg: error: it is broken' >&2; exit 1",
        "fails in the middle": f'"{real}/{tool}" "$@" | head -c 1000; echo "pg: error: it is broken" >&2; exit 1',
        "is killed": "kill -9 $$",
        "writes nothing": "cat >/dev/null; exit 0",
    }
    for name in ("pg_dump", "pg_restore"):
        deed = deeds[how] if name == tool else f'exec "{real}/{name}" "$@"'
        guard = f'case "$1" in --version|--schema-only) exec "{real}/{name}" "$@";; esac'
        (bin_dir / name).write_text(f"#!/bin/sh\n{guard}\n{deed}\n")
        (bin_dir / name).chmod(0o700)
    broken = replace(postgres_target, pg_bin_dir=bin_dir)
    names = set(postgres_target.backup_dir.iterdir())
    with pytest.raises((BackupFailed, RestoreFailed)):
        take_backup(broken)
    assert set(postgres_target.backup_dir.iterdir()) == names
    if tool == "pg_restore":
        with pytest.raises(RestoreFailed):
            restore(broken, folder, replace_it=True)
    assert digests(postgres_target) == before


@pytest.fixture
def fill_postgres(postgres_target):
    upgrade(postgres_target)
    fill(postgres_target, posts=200)


def test_a_connection_that_is_lost_while_dumping_leaves_nothing(postgres_target, fill_postgres):
    before = digests(postgres_target)

    def cut(line):
        if line.startswith("dumping"):
            assert end_sessions(postgres_target)

    with pytest.raises((BackupFailed, DBAPIError)):  # the command base makes a message of the driver's
        apply_backup(postgres_target, plan_backup(postgres_target), why="", say=cut)
    assert list(postgres_target.backup_dir.iterdir()) == []
    assert digests(postgres_target) == before
    assert take_backup(postgres_target).proven


def end_sessions(target):
    """End every session of the database, as a crash of the server does; return how many there were."""
    url = target.url.set(database="postgres", drivername="postgresql").render_as_string(hide_password=False)
    with psycopg.connect(url, autocommit=True) as connection:
        query = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE datname = %s"
        return connection.execute(query, [target.database_name]).fetchone()[0]


def test_a_folder_that_is_a_link_is_refused(filled, tmp_path):
    (tmp_path / "elsewhere").mkdir(mode=0o700)
    filled.backup_dir.symlink_to(tmp_path / "elsewhere")
    assert "is a link" in find_folder_problem(filled.backup_dir)
    with pytest.raises(BackupFailed, match="cannot hold backups"):
        take_backup(filled)
    assert list((tmp_path / "elsewhere").iterdir()) == []


def test_a_pipe_in_the_place_of_a_manifest_holds_nobody_up(filled):
    folder = take_backup(filled, proof=False).folder
    (folder / MANIFEST_NAME).unlink()
    os.mkfifo(folder / MANIFEST_NAME)
    with pytest.raises(BackupDamaged, match="not a whole backup"):
        read_manifest(folder, load_key(filled))
    assert take_backup(filled, proof=False)


# An audit hook sees every file and folder that Python makes, opens, renames or changes the mode of, at that moment.
# Nothing that is open to others can be made private again between two looks, since that would be looked at as well.
LOOK_AT_MODES = """
import atexit, os, sys, threading
os.umask(0)
here, saw = threading.local(), set()
def look(event, _arguments):
    if getattr(here, "looking", False) or not event.startswith(("open", "os.", "shutil.", "sqlite3.", "subprocess.")):
        return
    here.looking = True
    for folder in {folders!r}:
        for parent, names, files in os.walk(folder):
            for path in [parent, *(os.path.join(parent, name) for name in names + files)]:
                try:
                    mode = os.lstat(path).st_mode & 0o777
                except FileNotFoundError:
                    continue
                if mode & 0o077:
                    os.write(2, f"OPEN TO OTHERS after {{event}}: {{path}} {{mode:o}}".encode())
                    os._exit(99)
                saw.add(os.path.basename(path).strip(".")[:7])
    here.looking = False
sys.addaudithook(look)
atexit.register(lambda: print("SAW", *sorted(saw), file=sys.stderr))
"""


def test_modes_are_private_at_every_instant_whatever_the_umask(filled, environment):
    filled.media_dir.mkdir(mode=0o700)
    (filled.media_dir / "picture.png").write_bytes(b"x")
    (filled.media_dir / "picture.png").chmod(0o600)
    watched = [str(filled.backup_dir), str(filled.media_dir)]
    if filled.engine_name == "sqlite":
        watched.append(str(Path(filled.url.database).parent))
    looking = LOOK_AT_MODES.format(folders=watched)
    taken = run(environment, "backup", "--json", before=looking)
    assert taken.returncode == 0, taken.stderr
    assert {"partial", "databas", "manifes", "picture"} <= set(taken.stderr.rpartition("SAW")[2].split())
    (filled.media_dir / "picture.png").unlink()
    folder = json.loads(taken.stdout)["folder"]
    done = run(environment, "restore", folder, "--replace", "--yes", before=looking)
    assert done.returncode == 0, done.stderr
    assert (filled.media_dir / "picture.png").read_bytes() == b"x"


def test_everything_is_on_the_disk_before_a_backup_gets_its_name(filled, monkeypatch):
    filled.media_dir.mkdir()
    (filled.media_dir / "picture.png").write_bytes(b"x")
    synced, really = set(), os.fsync

    def fsync(descriptor):  # the disk, as it were, that tells what was put on it
        synced.add(str(Path(f"/proc/self/fd/{descriptor}").readlink()))
        really(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    folder = take_backup(filled, proof=False).folder
    partial = folder.with_name(f"{PARTIAL}{folder.name}")
    inside = {str(partial / path.relative_to(folder)) for path in folder.rglob("*")}
    assert len(inside) == 5
    assert inside | {str(partial), str(folder.parent)} <= synced
