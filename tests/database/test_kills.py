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

from cms.database.backup import PARTIAL
from cms.database.engines import engine_for
from cms.database.fingerprint import read_fingerprint, replay_history
from cms.database.history import get_head, load_scripts, read_current
from cms.database.manifest import read_manifest, verify_files
from tests.database.rows import FIRST, connected, count, downgrade, fill, quiet, upgrade

ROOT = Path(__file__).resolve().parents[2]
ROUNDS = int(os.environ.get("CMS_TEST_KILLS", "5"))
COMMAND = [sys.executable, str(ROOT / "manage.py"), "backup-and-migrate"]


def test_a_kill_at_any_moment_leaves_one_revision_exactly_and_a_rerun_succeeds(target, environment):
    upgrade(target, FIRST)
    fill(target, posts=50)
    scripts = load_scripts(target)
    expected = replay_history(target, scripts)
    duration_s = run(environment, kill_after_s=None)
    downgrade(target, FIRST)
    for number in range(ROUNDS):
        run(environment, kill_after_s=random.uniform(0.2, duration_s))
        with engine_for(target).deploy_lock(target, quiet), connected(target) as connection:
            current = read_current(connection, scripts)
            assert read_fingerprint(connection) == expected[str(current)], f"round {number}"
        assert (count(target, "users"), count(target, "blogs")) == (1, 50)
        run(environment, kill_after_s=None)
        with connected(target) as connection:
            assert read_current(connection, scripts) == get_head(scripts)
        assert not list(target.backup_dir.glob(f"{PARTIAL}*"))
        downgrade(target, FIRST)
    for folder in target.backup_dir.iterdir():
        verify_files(folder, read_manifest(folder))


def run(environment, *, kill_after_s):
    """Run the command, or kill it after a time; return how long it ran."""
    began = time.monotonic()
    process = subprocess.Popen(COMMAND, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        _, errors = process.communicate(timeout=kill_after_s)
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGKILL)
        process.communicate()
    else:
        assert process.returncode == 0, errors
    return time.monotonic() - began
