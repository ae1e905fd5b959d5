"""SIGKILL at any moment: the database is at one revision exactly, no row is lost, the same operation then succeeds.

At every call that writes, syncs or renames, through strace where there is one, and at random. CMS_TEST_KILLS: how many
kills of the command for each engine; a tenth as many of the server. By default a few of each.
"""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import psycopg
import pytest

from cms.database.backup import apply_backup, plan_backup
from cms.database.engines import engine_for
from cms.database.target import Target, parse_url
from tests.database.killing import (
    LONGEST_S,
    MANAGE,
    Ground,
    kill_all,
    moments,
    server_processes,
    spread,
    wait_until_it_answers,
)  # fmt: skip
from tests.database.rows import connected, digests, fill, quiet, upgrade
from tests.postgres import restart_server, server_of

KILLS = int(os.environ.get("CMS_TEST_KILLS", "3"))
NO_STRACE = "no strace on this machine (apt-get install strace), so no kill at a chosen write, sync or rename"


@pytest.fixture
def ground(target, environment):
    made = Ground(target, environment)
    yield made
    made.discard()


def test_a_kill_at_a_write_a_sync_or_a_rename_leaves_one_revision_exactly(ground, tmp_path):
    if not shutil.which("strace"):
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(NO_STRACE)
    ground.reset()
    points = ground.list_points(tmp_path)
    killed = 0
    for point in spread(KILLS - KILLS // 5, points):
        ground.reset()
        killed += ground.kill_at(point) in {-signal.SIGKILL, 128 + signal.SIGKILL}
        ground.look(f"at point {point}")
        ground.run_again(f"after point {point}")
    tell(ground, f"{killed} kills at calls, of {len(points)} there are")
    assert killed


def test_a_kill_at_any_moment_leaves_one_revision_exactly(ground):
    ground.reset()
    duration_s = ground.run()
    killed = 0
    for moment in moments(max(KILLS // 5, 1), duration_s):
        ground.reset()
        killed += ground.kill_after(moment) == -signal.SIGKILL
        ground.look(f"after {moment} s")
        ground.run()
        ground.run_again(f"after {moment} s")
    tell(ground, f"{killed} kills at random within {duration_s:.1f} s")


def test_a_kill_of_the_server_leaves_one_revision_exactly(postgres, tmp_path):
    """The whole server, its first process alone, or any one process, which makes it begin anew."""
    if not postgres.bin_dir:
        pytest.skip("the server of TEST_DATABASE_URL is not ours to kill")
    with server_of(postgres.bin_dir) as server:
        target = Target(
            parse_url(server.create_database("killed")), tmp_path / "backups", tmp_path / "media",
            backup_key="key-of-the-tests-which-is-long-enough", pg_bin_dir=server.bin_dir,
            maintenance_file=tmp_path / "maintenance.json",
        )  # fmt: skip
        ground = Ground(target, environment_of(target))
        ground.reset()
        duration_s = ground.run()
        for moment in moments(max(KILLS // 10, 1), duration_s):
            ground.reset()
            what = random.choice(["all", "first", "any"])
            process = ground.start()
            wait(process, moment)
            kill_server(server, what)
            errors = process.communicate(timeout=LONGEST_S)[1]
            assert process.returncode in {0, 1, 5}, errors
            assert "Traceback" not in errors
            ground.look(f"{what} after {moment} s")
            ground.run_again(f"{what} after {moment} s")
        tell(ground, f"{max(KILLS // 10, 1)} kills of the server within {duration_s:.1f} s")


def tell(ground, what):
    """Show with -s what a long run amounted to."""
    phases = ", ".join(f"{phase} {number}" for phase, number in ground.died_in.most_common())
    sys.stdout.write(f"{ground.target.engine_name}: {what}; died in: {phases}\n")


def environment_of(target):
    inherited = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    return {
        **inherited,
        "PG_BIN_DIR": str(target.pg_bin_dir),
        "DATABASE_URL": target.url.render_as_string(hide_password=False),
        "BACKUP_DIR": str(target.backup_dir),
        "MEDIA_DIR": str(target.media_dir),
        "MAINTENANCE_FILE": str(target.maintenance_file),
        "BACKUP_KEY": str(target.backup_key),
    }


def wait(process, seconds):
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        return


def kill_server(server, what):
    """Kill it and have it run again."""
    with psycopg.connect(server.url) as connection:
        folder = Path(connection.execute("SHOW data_directory").fetchone()[0])
    postmaster = int((folder / "postmaster.pid").read_text().split()[0])
    processes = server_processes(postmaster)
    if what == "any":
        victim = random.choice(processes[:-1])
        kill_all([victim], waiting_for=[victim])
        wait_until_it_answers(server)
        return
    # Those that are not killed end by themselves as soon as they notice.
    kill_all(processes if what == "all" else [postmaster], waiting_for=processes)
    restart_server(server, folder.parent)


def test_a_kill_at_any_moment_of_a_restore_leaves_the_old_or_the_new_rows(target, environment):
    upgrade(target)
    fill(target, posts=300)
    folder = apply_backup(target, plan_backup(target, proof=False), why="", say=quiet).folder
    new = digests(target)
    command = ("restore", str(folder), "--replace", "--yes")
    duration_s = run(environment, *command, kill_after_s=None)
    for number in range(max(KILLS // 10, 1)):
        with connected(target) as connection:
            connection.exec_driver_sql(f"DELETE FROM blogs WHERE slug <> 'post-{number}'")
        old = digests(target)
        run(environment, *command, kill_after_s=random.uniform(0.2, duration_s))
        assert digests(target) in (old, new), f"round {number}"
        run(environment, *command, kill_after_s=None)
        assert digests(target) == new
        for name in engine_for(target).list_kept(target):
            engine_for(target).discard(target, name)


def run(environment, *arguments, kill_after_s):
    """Run a command, or kill it after a time; return how long it ran."""
    began = time.monotonic()
    process = subprocess.Popen(
        [*MANAGE, *arguments], env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        _, errors = process.communicate(timeout=kill_after_s)
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGKILL)
        process.communicate()
    else:
        assert process.returncode == 0, errors
    return time.monotonic() - began
