"""Many runs at once, and runs that die."""

from __future__ import annotations

import signal
import sqlite3
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from cms.database.backup import plan_backup
from cms.database.engines import engine_for, pglock
from cms.database.errors import DatabaseBusy
from cms.database.history import get_head, load_scripts, read_current, read_standing
from cms.database.journal import read_journal
from cms.database.release import plan_release
from cms.database.target import Limits
from tests.database.rows import FIRST, SECOND, connected, count_after, fill, quiet, upgrade

ROOT = Path(__file__).resolve().parents[2]
COMMAND = [sys.executable, str(ROOT / "manage.py"), "backup-and-migrate"]
HOLD_THE_LOCK = """
import sys, time
from cms.database.backup import plan_backup
from cms.database.engines import engine_for
from cms.database.target import Target, parse_url
from pathlib import Path
target = Target(parse_url(sys.argv[1]), Path("unused"))
with engine_for(target).deploy_lock(target, print):
    print("held", flush=True)
    time.sleep(60)
"""


@pytest.mark.parametrize("start", ["base", SECOND])
def test_of_eight_runs_at_once_one_migrates_and_all_succeed(target, environment, start):
    if start != "base":
        upgrade(target, start)
        fill(target)
    runs = [subprocess.Popen(COMMAND, env=environment, stderr=subprocess.PIPE, text=True) for _ in range(8)]
    errors = [run.communicate()[1] for run in runs]
    assert [run.returncode for run in runs] == [0] * 8, errors
    with connected(target) as connection:
        scripts = load_scripts(target)
        assert read_current(connection, scripts) == get_head(scripts)
        applied = [entry.revision for entry in read_journal(connection)]
    assert len(applied) == len(set(applied))
    backups = list(target.backup_dir.glob("2*"))
    assert len(backups) == (0 if start == "base" else 1)


def test_on_postgresql_the_lock_is_free_as_soon_as_its_holder_is_done(postgres_target):
    held = f"""SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND objid = {pglock.DEPLOY_LOCK}
        AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"""
    with connected(postgres_target) as onlooker:
        for _ in range(50):
            with engine_for(postgres_target).deploy_lock(postgres_target, print):
                pass
            assert onlooker.exec_driver_sql(held).scalar_one() == 0


def test_when_the_holder_is_killed_the_next_run_takes_over_within_five_seconds(target, environment):
    engine_for(target).prepare(target)
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD_THE_LOCK, environment["DATABASE_URL"]],
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    )
    assert holder.stdout
    assert holder.stdout.readline() == "held\n"
    waiting = subprocess.Popen(COMMAND, env=environment, stderr=subprocess.PIPE, text=True)
    assert waiting.stderr
    assert "waiting for another run" in waiting.stderr.readline()
    holder.send_signal(signal.SIGKILL)
    killed_at = time.monotonic()
    errors = waiting.communicate(timeout=10)[1]
    assert waiting.returncode == 0, errors
    assert time.monotonic() - killed_at < 5
    holder.communicate()


def test_waiting_for_the_lock_ends_with_a_message(target):
    from dataclasses import replace

    engine = engine_for(target)
    engine.prepare(target)
    hasty = replace(target, limits=Limits(deploy_wait_s=0))
    with engine.deploy_lock(target, quiet), pytest.raises(DatabaseBusy, match="another run"):
        engine.deploy_lock(hasty, quiet).__enter__()


def test_the_lock_is_free_again_after_an_error(target):
    engine = engine_for(target)
    engine.prepare(target)
    with pytest.raises(ZeroDivisionError), engine.deploy_lock(target, quiet):
        raise ZeroDivisionError
    with engine.deploy_lock(target, quiet):
        pass


def test_a_migration_tries_again_until_a_reader_lets_go_of_the_table(postgres_target):
    upgrade(postgres_target, "6a1f0c93e2b4")
    fill(postgres_target)
    with connected(postgres_target) as reader:
        reader.exec_driver_sql("SELECT count(*) FROM blogs")
        migration = threading.Thread(target=upgrade, args=(postgres_target, SECOND))
        migration.start()
        # Others are not blocked meanwhile: each try gives up after 100 ms.
        with connected(postgres_target) as other:
            other.exec_driver_sql("SET statement_timeout = '2s'")
            assert other.exec_driver_sql("SELECT count(*) FROM blogs").scalar_one() == 3
        migration.join(timeout=0.5)
        assert migration.is_alive()
    migration.join(timeout=5)
    with connected(postgres_target) as connection:
        assert read_current(connection, load_scripts(postgres_target)) == SECOND


def test_on_sqlite_a_migration_waits_for_a_writer_and_reading_commands_do_not(sqlite_target):
    upgrade(sqlite_target, "6a1f0c93e2b4")
    fill(sqlite_target)
    writer = sqlite3.connect(sqlite_target.url.database, isolation_level=None)
    writer.execute("BEGIN IMMEDIATE")
    assert read_standing(sqlite_target).pending == count_after(FIRST)
    assert plan_release(sqlite_target).pending
    plan_backup(sqlite_target)
    migration = threading.Thread(target=upgrade, args=(sqlite_target, SECOND))
    migration.start()
    migration.join(timeout=6)  # longer than one try waits for the lock
    assert migration.is_alive()
    writer.execute("COMMIT")
    writer.close()
    migration.join(timeout=10)
    assert read_standing(sqlite_target).current == SECOND


def test_a_migration_that_never_gets_its_lock_says_so_and_changes_nothing(postgres_target):
    from dataclasses import replace

    upgrade(postgres_target, "6a1f0c93e2b4")
    hasty = replace(postgres_target, limits=Limits(retry_s=0))
    with connected(postgres_target) as reader:
        reader.exec_driver_sql("SELECT count(*) FROM blogs")
        with pytest.raises(DatabaseBusy) as busy:
            upgrade(hasty, SECOND)
    assert f"revision {SECOND} was not applied" in busy.value.what
    assert "lock" in str(busy.value.why)
    assert busy.value.exit_code == 5
    with connected(postgres_target) as connection:
        assert read_current(connection, load_scripts(postgres_target)) == "6a1f0c93e2b4"


def test_on_sqlite_a_migration_that_never_gets_to_write_says_so_and_changes_nothing(sqlite_target):
    from dataclasses import replace

    upgrade(sqlite_target, "6a1f0c93e2b4")
    hasty = replace(sqlite_target, limits=Limits(retry_s=0))
    writer = sqlite3.connect(sqlite_target.url.database, isolation_level=None)
    writer.execute("BEGIN IMMEDIATE")
    with pytest.raises(DatabaseBusy) as busy:
        upgrade(hasty, SECOND)
    writer.close()
    assert "in use, so the next revision was not applied" in busy.value.what
    assert "database is locked" in str(busy.value.why)
    assert read_standing(sqlite_target).current == "6a1f0c93e2b4"


def test_the_session_of_a_run_that_was_killed_is_waited_for_and_named(postgres_target):
    orphan = engine_for(postgres_target).open_tool(postgres_target, migrating=True).connect()
    pid = orphan.exec_driver_sql("SELECT pg_backend_pid()").scalar_one()
    said = []

    def end_it(line):
        said.append(line)
        orphan.close()

    with engine_for(postgres_target).deploy_lock(postgres_target, end_it):
        assert said == [f"waiting for server process {pid} of a run that was killed"]


def test_a_session_of_a_killed_run_that_does_not_end_is_told_how_to_end(postgres_target, monkeypatch):
    monkeypatch.setattr(pglock, "ORPHAN_WAIT_S", 0.1)
    with engine_for(postgres_target).open_tool(postgres_target, migrating=True).connect() as orphan:
        pid = orphan.exec_driver_sql("SELECT pg_backend_pid()").scalar_one()
        lock = engine_for(postgres_target).deploy_lock(postgres_target, quiet)
        with pytest.raises(DatabaseBusy, match="lost its client") as busy, lock:
            pass
    assert f"pg_terminate_backend({pid})" in str(busy.value.hint)
    with engine_for(postgres_target).deploy_lock(postgres_target, quiet):
        pass
