"""Storing jobs: with the use case or not at all, and equal on both engines."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from threading import Barrier, Thread
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cms.extensions import db, transaction
from cms.jobs.errors import JobInvalid
from cms.jobs.models import Job
from cms.jobs.services import enqueue, prune_jobs
from cms.web.logs import working_for
from tests.site import NOON, Site


@pytest.fixture(autouse=True)
def _context(app: Flask):
    with app.app_context():
        yield


def count() -> int:
    return db.session.scalar(sa.select(sa.func.count()).select_from(Job))


def test_a_job_of_a_use_case_that_is_rolled_back_was_never_stored(site: Site):
    def give_up_in_the_middle() -> None:
        with transaction() as session:
            session.get_one(type(site.ada), site.ada.uuid).bio = "new"
            enqueue(session, "test.write", {"file": "x"}, at=NOON)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        give_up_in_the_middle()
    assert count() == 0


def test_a_job_is_stored_with_its_use_case_and_knows_the_request():
    with working_for("53c1f0a92be47d18"), transaction() as session:
        job_id = enqueue(session, "test.write", {"file": "ä", "list": [1, {"a": None}]}, at=NOON)
    job = db.session.get_one(Job, job_id)
    assert (job.status, job.attempts, job.due_at) == ("waiting", 0, NOON)
    assert job.arguments == {"file": "ä", "list": [1, {"a": None}]}
    assert job.request_id == "53c1f0a92be47d18"


def test_of_two_jobs_with_one_key_the_second_is_not_stored():
    for _ in range(2):
        with transaction() as session:
            enqueue(session, "test.write", {}, at=NOON, key="post 1 published")
    assert count() == 1


def test_of_jobs_with_one_key_from_eight_threads_exactly_one_is_stored(app: Flask):
    together, stored = Barrier(8), []

    def store() -> None:
        with app.app_context():
            together.wait()
            with transaction() as session:
                stored.append(enqueue(session, "test.write", {}, at=NOON, key="once"))

    threads = [Thread(target=store) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(stored) == 8
    assert sum(job_id is not None for job_id in stored) == count() == 1


@pytest.mark.parametrize(
    "arguments",
    [
        {"a": "\x00"}, {"\x00": 1}, {"a": ["\ud800"]}, {"a": 1.5}, {"a": float("nan")}, {"a": NOON}, {1: "a"},
        {"a": (1, 2)}, {"a": b"x"}, {"a": "x" * 1_000_001},
    ],
)  # fmt: skip
def test_what_an_engine_would_not_give_back_as_it_was_is_refused(arguments: dict[Any, Any]):
    with pytest.raises(JobInvalid), transaction() as session:
        enqueue(session, "test.write", arguments, at=NOON)
    assert count() == 0


@pytest.mark.parametrize(
    ("kind", "key"), [("x", None), ("Mail.Send", None), ("a.b\n", None), ("a.b", "k" * 201), ("a.b", "\x00")]
)
def test_a_name_that_is_none_is_refused(kind: str, key: str | None):
    with pytest.raises(JobInvalid), transaction() as session:
        enqueue(session, kind, {}, at=NOON, key=key)


ANY_TEXT = st.text(st.characters(), max_size=8)
ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | ANY_TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(ANY_TEXT, inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.dictionaries(ANY_TEXT, ANY_JSON, max_size=4))
def test_arguments_come_back_as_they_are_or_are_refused(arguments: dict[str, Any]):
    try:
        with transaction() as session:
            job_id = enqueue(session, "test.write", arguments, at=NOON)
    except JobInvalid:
        return
    assert db.session.get_one(Job, job_id).arguments == arguments
    db.session.expunge_all()


def test_jobs_done_a_week_ago_go_and_failed_ones_stay():
    now = datetime.now(UTC)
    rows = {("done", 8), ("done", 6), ("failed", 8), ("waiting", 8)}
    with transaction() as session:
        for status, days in rows:
            moment = now - timedelta(days=days)
            row = {"status": status, "due_at": moment, "created_at": moment, "changed_at": moment}
            session.add(Job(kind="test.write", arguments={}, **row))
    with transaction() as session:
        assert prune_jobs(session, at=now) == 1
    left = {(job.status, (now - job.changed_at).days) for job in db.session.scalars(sa.select(Job))}
    assert left == rows - {("done", 8)}
