"""A site whose worker knows the jobs of the tests, and a real Redis."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Event
from typing import Any
from uuid import UUID

import pytest
import sqlalchemy as sa
from flask import Flask

import tests.jobs.kinds_for_tests  # noqa: F401 - registers them
from cms.extensions import db, transaction
from cms.jobs.models import Job
from cms.jobs.services import enqueue
from cms.jobs.worker import WorkDone, run_due
from cms.management.job_kinds import load_job_kinds
from tests.deploy.programs import wait_until

Enqueue = Callable[..., UUID | None]


@pytest.fixture
def later(app: Flask) -> Enqueue:
    """Return a function that stores a job in a transaction of its own."""

    def store(kind: str, /, **arguments: Any) -> UUID | None:
        with app.app_context(), transaction() as session:
            return enqueue(session, kind, arguments, at=datetime.now(UTC))

    return store


@pytest.fixture
def work(app: Flask) -> Callable[[], WorkDone]:
    """Return a function that does what is due, as `run-worker --once`.

    What is stored once a day is done already, so that a test counts its own jobs only, whatever was imported before it.
    """

    def run() -> WorkDone:
        with app.app_context():
            return run_due(app, stop=Event())

    load_job_kinds()
    run()
    return run


@pytest.fixture
def job(app: Flask) -> Callable[[UUID], Job]:
    def read(job_id: UUID) -> Job:
        with app.app_context():
            found = db.session.get_one(Job, job_id)
            db.session.expunge(found)
            return found

    return read


@pytest.fixture
def age(app: Flask) -> Callable[..., None]:
    """Return a function that moves times of all rows of a table into the past."""

    def move(model: type, hours: float, *columns: str) -> None:
        moment = datetime.now(UTC) - timedelta(hours=hours)
        with app.app_context(), transaction() as session:
            session.execute(sa.update(model).values(dict.fromkeys(columns, moment)))

    return move


# --- Redis ------------------------------------------------------------------------------------------------------


@contextmanager
def redis_at(port: int, folder: Path) -> Iterator[None]:
    """Run a real Redis on loopback."""
    options = ["--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", str(folder)]
    server = subprocess.Popen([find_redis(), *options], stdout=subprocess.DEVNULL)
    try:
        wait_until(lambda: answers(port), "Redis to answer")
        yield
    finally:
        server.terminate()
        server.wait()


def find_redis() -> str:
    """Return the server's path; without one skip the test, in CI fail it."""
    found = shutil.which("redis-server")
    if not found:
        give_up = pytest.fail if os.environ.get("CI") == "true" else pytest.skip
        give_up("NOTHING WAS TESTED ON REDIS: there is no redis-server on PATH; install Debian's package of that name")
    return found


def answers(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1) as connection:
            connection.sendall(b"PING\r\n")
            return connection.recv(16).startswith(b"+PONG")
    except OSError:
        return False


@pytest.fixture
def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


@pytest.fixture
def redis_url(free_port: int, tmp_path: Path) -> Iterator[str]:
    with redis_at(free_port, tmp_path):
        yield f"redis://127.0.0.1:{free_port}/0"
