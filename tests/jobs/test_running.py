"""What becomes of a job, as `run-worker --once` does it."""

from __future__ import annotations

import io
import re
import sys
import uuid
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from threading import Barrier, Thread

import pytest
import sqlalchemy as sa
from flask import Flask

from cms.extensions import db, transaction
from cms.jobs import states
from cms.jobs.kinds import JobRun, Kinds, kinds
from cms.jobs.models import Job, JobWorker
from cms.jobs.worker import WorkDone
from tests.site import NOON


def test_a_job_is_done_once_and_its_arguments_go(later, work, job, tmp_path: Path):
    job_id = later("test.write", file=str(tmp_path / "seen"))
    assert (work(), work()) == (WorkDone(1, 0), WorkDone(0, 0))
    assert (tmp_path / "seen").read_text() == "done\n"
    assert (job(job_id).status, job(job_id).arguments, job(job_id).worker_id) == ("done", {}, None)


def test_a_job_is_not_done_before_it_is_due(app: Flask, later, work, age, tmp_path: Path):
    later("test.write", file=str(tmp_path / "seen"))
    age(Job, -1, "due_at")
    assert work() == WorkDone(0, 0)
    age(Job, 1, "due_at")
    assert work() == WorkDone(1, 0)


def test_a_job_that_fails_is_tried_again_later_and_then_left_to_people(later, work, job, age):
    job_id = later("test.fail")
    for attempt, seconds in [(1, 15), (2, 30)]:
        work()
        found = job(job_id)
        assert (found.status, found.attempts) == ("waiting", attempt)
        assert found.error == f"the door is shut: attempt {attempt}"
        assert 0.89 * seconds <= (found.due_at - found.changed_at).total_seconds() <= 1.11 * seconds
        assert work() == WorkDone(0, 0)
        age(Job, 1, "due_at")
    work()
    assert (job(job_id).status, job(job_id).error) == ("failed", "the door is shut: attempt 3")
    assert work() == WorkDone(0, 0)


def test_tries_lie_further_and_further_apart_up_to_six_hours():
    delays = [states.delay_after(attempt).total_seconds() for attempt in range(1, 40)]
    assert all(13 <= delay <= 6.6 * 3600 for delay in delays)
    assert all(later > earlier for earlier, later in pairwise(delays[:11]))
    assert sum(delays[:15]) > 24 * 3600 * 0.9


def test_a_job_that_is_hopeless_fails_at_once(later, work, job):
    job_id = later("test.hopeless")
    work()
    assert (job(job_id).status, job(job_id).error) == ("failed", "gone for ever")


def test_a_job_that_no_code_knows_is_kept_and_says_so(later, work, job):
    job_id = later("test.unknown", secret="kept")
    work()
    assert (job(job_id).status, job(job_id).arguments) == ("waiting", {"secret": "kept"})
    assert "no code for jobs of the kind test.unknown" in job(job_id).error


def test_a_bug_in_a_job_keeps_its_traceback_and_cannot_forge_a_log_line(later, work, monkeypatch: pytest.MonkeyPatch):
    later("test.crash")
    monkeypatch.setattr(sys, "stderr", seen := io.StringIO())
    work()
    events = [line for line in seen.getvalue().splitlines() if not line.startswith("    ")]
    assert [re.split(r"[ ]", line)[2] for line in events if "job failed" in line] == ["cms.jobs.running"]
    assert "ZeroDivisionError" in seen.getvalue()
    assert not any(line.startswith("2026-11-24T00:00:00Z") for line in seen.getvalue().splitlines())


def test_what_a_job_reports_is_kept_for_people(later, work, job):
    job_id = later("test.report")
    work()
    assert job(job_id).progress == {"done": 7, "of": 9}


def test_a_job_that_comes_too_late_fails_instead_of_being_done(later, work, job, age, monkeypatch, tmp_path: Path):
    own = Kinds()
    own.register("test.news", useless_after=timedelta(hours=48))(lambda run: Path(run.arguments["file"]).touch())
    monkeypatch.setattr(kinds, "_kinds", own._kinds)
    early, late = later("test.news", file=str(tmp_path / "early")), None
    age(Job, 47, "due_at")
    work()
    late = later("test.news", file=str(tmp_path / "late"))
    age(Job, 49, "due_at")
    work()
    assert (job(early).status, (tmp_path / "early").exists()) == ("done", True)
    assert (job(late).status, (tmp_path / "late").exists()) == ("failed", False)
    assert "more than 48 hours ago" in job(late).error


def test_daily_jobs_are_stored_once_a_day_however_many_workers_there_are(app: Flask, work, monkeypatch):
    own, ran = Kinds(), []
    own.register("test.daily", daily=True)(ran.append)
    monkeypatch.setattr(kinds, "_kinds", own._kinds)
    for _ in range(3):
        work()
    assert len(ran) == 1


def test_one_job_from_eight_threads_is_claimed_by_exactly_one(app: Flask, later):
    job_id, together, won = later("test.write"), Barrier(8), []
    with app.app_context(), transaction() as session:
        states.take_due(session, limit=9, at=datetime.now(UTC))
        workers = [uuid.uuid4() for _ in range(8)]
        for worker in workers:
            states.sign_in(session, worker_id=worker, host="here", pid=1, at=NOON)

    def claim(worker: uuid.UUID) -> None:
        with app.app_context():
            together.wait()
            with transaction() as session:
                won.append(states.claim(session, job_id, worker_id=worker, at=NOON))

    threads = [Thread(target=claim, args=[worker]) for worker in workers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(claimed is not None for claimed in won) == 1
    assert len(won) == 8


# --- workers that end in the middle -------------------------------------------------------------------------------


@pytest.fixture
def abandoned(app: Flask, later, tmp_path: Path):
    """Return a job that a worker began and did not end."""
    job_id, worker = later("test.write", file=str(tmp_path / "seen")), uuid.uuid4()
    with app.app_context(), transaction() as session:
        states.sign_in(session, worker_id=worker, host="here", pid=1, at=datetime.now(UTC))
        states.take_due(session, limit=1, at=datetime.now(UTC))
        assert states.claim(session, job_id, worker_id=worker, at=datetime.now(UTC))
    return job_id


def test_a_job_stays_with_its_worker_as_long_as_that_gives_signs_of_life(abandoned, work, job):
    work()
    assert job(abandoned).status == "running"


def test_a_job_of_a_silent_worker_is_done_by_another(app: Flask, abandoned, work, job, age):
    age(JobWorker, 0.02, "seen_at")
    work()
    assert (job(abandoned).status, job(abandoned).attempts) == ("done", 2)
    with app.app_context():
        assert db.session.scalar(sa.select(sa.func.count()).select_from(JobWorker)) == 0


def test_a_job_that_ends_its_worker_each_time_is_not_tried_for_ever(app: Flask, abandoned, work, job, age):
    with app.app_context(), transaction() as session:
        session.execute(sa.update(Job).values(attempts=3))
    age(JobWorker, 0.02, "seen_at")
    work()
    assert job(abandoned).status == "failed"
    assert "ended in the middle of it 3 times" in job(abandoned).error


def test_a_late_worker_does_not_overwrite_what_another_did(app: Flask, abandoned, work, job, age):
    age(JobWorker, 0.02, "seen_at")
    work()
    claimed = states.ClaimedJob(abandoned, "test.write", {}, 1, NOON, None)
    with app.app_context(), transaction() as session:
        states.fail(session, claimed, reason="too late", attempts=3, at=NOON)
    assert (job(abandoned).status, job(abandoned).error) == ("done", None)


def test_what_was_handed_over_and_got_lost_is_taken_back_after_a_minute(app: Flask, later, work, job, age, tmp_path):
    job_id = later("test.write", file=str(tmp_path / "seen"))
    with app.app_context(), transaction() as session:
        states.take_due(session, limit=1, at=datetime.now(UTC))
    work()
    assert job(job_id).status == "queued"
    age(Job, 0.02, "changed_at")
    work()
    assert job(job_id).status == "done"


def test_a_job_that_is_paused_waits_again_and_no_attempt_is_counted(app: Flask, abandoned, job):
    with app.app_context(), transaction() as session:
        states.pause(session, abandoned, at=NOON)
    assert (job(abandoned).status, job(abandoned).attempts) == ("waiting", 0)


def test_a_run_may_go_on_unless_the_worker_stops():
    assert JobRun(uuid.uuid4(), {}, 1, report=dict).pause_if_stopping() is None
