"""The worker as a process: over each kind of queue, stopped, killed, and with what it needs away."""

from __future__ import annotations

import signal
import socket
import sqlite3
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest
import sqlalchemy as sa
from flask import Flask
from psycopg import sql

from cms.extensions import db
from cms.jobs.carrier import IdSerializer
from cms.jobs.models import Job, JobWorker
from tests.deploy.programs import Program, run, running, settings_of_site, wait_until
from tests.jobs.conftest import redis_at
from tests.postgres import PostgresServer

COMMAND = [sys.executable, "-m", "tests.jobs.kinds_for_tests", "run-worker"]


@pytest.fixture
def settings(app: Flask, work: object, migrated_url: str, tmp_path: Path) -> dict[str, str]:
    queue = f"sqlite:///{tmp_path}/queue/jobs.db"
    return settings_of_site(tmp_path, DATABASE_URL=migrated_url, JOBS_URL=queue)


@pytest.fixture
def sqlite_settings(migrated_sqlite_url: str, tmp_path: Path) -> dict[str, str]:
    """Return settings for what no database has a say in."""
    queue = f"sqlite:///{tmp_path}/queue/jobs.db"
    return settings_of_site(tmp_path, DATABASE_URL=migrated_sqlite_url, JOBS_URL=queue)


@contextmanager
def worker(settings: dict[str, str], log: Path) -> Iterator[Program]:
    with running(COMMAND, settings, log) as program:
        program.wait_for("worker started")
        yield program


def status(app: Flask, job_id) -> str:
    with app.app_context():
        found = db.session.scalar(sa.select(Job.status).where(Job.id == job_id))
        db.session.rollback()
        return found


def test_jobs_are_done_over_a_file_or_the_sites_own_database(app: Flask, settings, later, tmp_path: Path):
    if settings["DATABASE_URL"].startswith("postgresql"):
        settings["JOBS_URL"] = settings["DATABASE_URL"]
    before = [later("test.write", file=str(tmp_path / "seen")) for _ in range(5)]
    with worker({**settings, "JOBS_THREADS": "3"}, tmp_path / "log") as program:
        after = later("test.write", file=str(tmp_path / "seen"))
        wait_until(lambda: all(status(app, each) == "done" for each in [*before, after]), "all jobs")
        assert program.stop() == 0
    assert (tmp_path / "seen").read_text() == "done\n" * 6
    assert "stopped after 6 jobs" in program.printed()
    assert "Traceback" not in program.printed()
    assert "p%ss" not in program.printed()


def test_a_worker_that_is_told_to_stop_ends_what_it_began_and_leaves_the_list(app, settings, later, tmp_path: Path):
    job_id = later("test.wait", folder=str(tmp_path))
    with worker(settings, tmp_path / "log") as program:
        wait_until((tmp_path / "began-1").exists, "the job to begin")
        program.process.terminate()
        program.wait_for("stopping")
        (tmp_path / "may-end").touch()
        assert program.process.wait(timeout=20) == 0
    assert status(app, job_id) == "done"
    with app.app_context():
        assert db.session.scalar(sa.select(sa.func.count()).select_from(JobWorker)) == 0


def test_a_long_job_that_may_pause_goes_back_when_the_worker_stops(app, settings, later, job, tmp_path: Path):
    job_id = later("test.wait", folder=str(tmp_path), pauses=True)
    with worker(settings, tmp_path / "log") as program:
        wait_until((tmp_path / "began-1").exists, "the job to begin")
        assert program.stop() == 0
    assert (job(job_id).status, job(job_id).attempts) == ("waiting", 0)


def test_a_job_of_a_killed_worker_is_done_by_the_next(app, settings, later, job, age, tmp_path: Path):
    job_id = later("test.wait", folder=str(tmp_path))
    with worker(settings, tmp_path / "log") as program:
        wait_until((tmp_path / "began-1").exists, "the job to begin")
        program.process.send_signal(signal.SIGKILL)
        program.process.wait()
    assert status(app, job_id) == "running"
    age(JobWorker, 0.02, "seen_at")  # a minute later
    with worker(settings, tmp_path / "log"):
        wait_until((tmp_path / "began-2").exists, "the job to begin once more")
        (tmp_path / "may-end").touch()
        wait_until(lambda: status(app, job_id) == "done", "the job's end")
    assert job(job_id).attempts == 2


def test_jobs_wait_while_redis_is_away_and_are_done_when_it_is_back(app, settings, later, free_port, tmp_path: Path):
    settings = {**settings, "JOBS_URL": f"redis://127.0.0.1:{free_port}/0"}
    with redis_at(free_port, tmp_path), worker(settings, tmp_path / "log") as program:
        first = later("test.write", file=str(tmp_path / "seen"))
        wait_until(lambda: status(app, first) == "done", "the first job")
        with outage(free_port):
            job_id = later("test.write", file=str(tmp_path / "seen"))
            program.wait_for("worker waits reason=")
            assert status(app, job_id) == "waiting"
        with redis_at(free_port, tmp_path):
            wait_until(lambda: status(app, job_id) == "done", "the second job")
        assert program.process.poll() is None


@contextmanager
def outage(port: int) -> Iterator[None]:
    """Let Redis end, as by `redis-cli shutdown`."""
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.sendall(b"SHUTDOWN NOSAVE\r\n")
        connection.recv(64)
    yield


def test_a_worker_outlives_the_connections_that_a_server_ends(
    app, settings, later, migrated_url, postgres: PostgresServer, tmp_path: Path
):
    if migrated_url.startswith("sqlite"):
        pytest.skip("a file has no connections that could be ended")
    settings = {**settings, "JOBS_URL": migrated_url}
    with worker(settings, tmp_path / "log") as program:
        name = migrated_url.rpartition("/")[2]
        with psycopg.connect(postgres.url, autocommit=True) as connection:
            ended = sql.SQL("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = {}")
            connection.execute(ended.format(sql.Literal(name)))
        job_id = later("test.write", file=str(tmp_path / "seen"))
        wait_until(lambda: status(app, job_id) == "done", "the job")
        assert program.stop() == 0


def test_once_does_what_is_due_and_ends(app, settings, later, tmp_path: Path):
    later("test.write", file=str(tmp_path / "seen"))
    done = run([*COMMAND, "--once"], {**settings, "JOBS_URL": "redis://127.0.0.1:1/0"})
    assert (done.returncode, (tmp_path / "seen").read_text()) == (0, "done\n"), done.stdout
    assert "stopped after 1 job" in done.stdout


@pytest.mark.parametrize("url", ["redis://:s3cr3t@127.0.0.1:1/0", "postgresql://u:s3cr3t@127.0.0.1:1/d"])
def test_a_queue_that_does_not_answer_is_a_message_without_the_password(sqlite_settings, url: str):
    done = run(COMMAND, {**sqlite_settings, "JOBS_URL": url})
    assert done.returncode == 1
    assert "the job queue at" in done.stdout
    assert "s3cr3t" not in done.stdout
    assert "Traceback" not in done.stdout


def test_a_queue_file_that_is_none_is_a_message(sqlite_settings, tmp_path: Path):
    (tmp_path / "queue").mkdir()
    (tmp_path / "queue" / "jobs.db").write_text("this is no database, and never was one")
    done = run(COMMAND, sqlite_settings)
    assert (done.returncode, "Traceback" in done.stdout) == (1, False)
    assert "file is not a database" in done.stdout


def test_a_worker_without_a_schema_waits_for_it(sqlite_url: str, tmp_path: Path):
    settings = settings_of_site(tmp_path, DATABASE_URL=sqlite_url, JOBS_URL=f"sqlite:///{tmp_path}/jobs.db")
    with worker(settings, tmp_path / "log") as program:
        program.wait_for("worker waits reason=")
        assert run([sys.executable, "manage.py", "backup-and-migrate"], settings).returncode == 0
        with sqlite3.connect(sqlite_url.removeprefix("sqlite:///")) as connection:
            wait_until(lambda: connection.execute("SELECT 1 FROM job_workers").fetchall(), "the worker to sign in")
        connection.close()
        assert program.stop() == 0


def test_the_queue_holds_ids_and_nothing_that_could_be_run():
    message = IdSerializer().deserialize(b"0f8fad5b-d9cb-469f-a165-70867728950e")
    assert IdSerializer().serialize(message) == b"0f8fad5b-d9cb-469f-a165-70867728950e"
    with pytest.raises(ValueError):
        IdSerializer().deserialize(b"\x80\x04\x8c\x05posix\x8c\x06system\x93.")
