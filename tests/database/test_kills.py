"""SIGKILL at random moments: the database is at one revision exactly, no row is lost, the same command then succeeds.

The rounds per engine: CMS_TEST_KILLS, default 5.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

from cms.database.backup import PARTIAL, apply_backup, plan_backup
from cms.database.engines import engine_for
from cms.database.expected import replay_history
from cms.database.fingerprint import read_fingerprint
from cms.database.history import get_head, load_scripts, read_current
from cms.database.keys import load_key
from cms.database.manifest import verify_backup
from tests.database.rows import FIRST, connected, count, digests, downgrade, fill, quiet, upgrade

ROOT = Path(__file__).resolve().parents[2]
ROUNDS = int(os.environ.get("CMS_TEST_KILLS", "5"))
MANAGE = [sys.executable, str(ROOT / "manage.py")]


def test_a_kill_at_any_moment_leaves_one_revision_exactly_and_a_rerun_succeeds(target, environment):
    upgrade(target, FIRST)
    fill(target, posts=50)
    scripts = load_scripts(target)
    expected = replay_history(target, scripts)
    duration_s = run(environment, "backup-and-migrate", kill_after_s=None)
    downgrade(target, FIRST)
    for number in range(ROUNDS):
        run(environment, "backup-and-migrate", kill_after_s=random.uniform(0.2, duration_s))
        with engine_for(target).deploy_lock(target, quiet), connected(target) as connection:
            current = read_current(connection, scripts)
            assert read_fingerprint(connection) == expected[str(current)], f"round {number}"
        assert (count(target, "users"), count(target, "blogs")) == (1, 50)
        run(environment, "backup-and-migrate", kill_after_s=None)
        with connected(target) as connection:
            assert read_current(connection, scripts) == get_head(scripts)
        assert not list(target.backup_dir.glob(f"{PARTIAL}*"))
        downgrade(target, FIRST)
    for folder in target.backup_dir.iterdir():
        assert verify_backup(folder, load_key(target)).proof


def test_a_kill_at_any_moment_of_a_restore_leaves_the_old_or_the_new_rows(target, environment):
    upgrade(target)
    fill(target, posts=300)
    folder = apply_backup(target, plan_backup(target, proof=False), why="", say=quiet).folder
    new = digests(target)
    command = ("restore", str(folder), "--replace", "--yes")
    duration_s = run(environment, *command, kill_after_s=None)
    for number in range(ROUNDS):
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
