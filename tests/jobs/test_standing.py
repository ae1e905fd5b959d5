"""What operators see of jobs: checks, the health address, and the commands."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest
from click.testing import CliRunner
from flask import Flask

from cms.checks.registry import registry
from cms.extensions import db, transaction
from cms.jobs import checks as _checks  # noqa: F401 - registers them
from cms.jobs.models import FAILED, Job, JobWorker
from cms.management.base import call_command, load_command

NO_JOB = "0f8fad5b-d9cb-469f-a165-70867728950e"


@pytest.fixture(autouse=True)
def _context(app: Flask):
    with app.app_context():
        yield


def store(status: str, *, minutes_ago: float = 10, **fields: object) -> Job:
    moment = datetime.now(UTC) - timedelta(minutes=minutes_ago)
    values = {"kind": "mail.send", "arguments": {"to": "ada@example.org"}, "status": status, **fields}
    with transaction() as session:
        session.add(job := Job(due_at=moment, created_at=moment, changed_at=moment, **values))
    return job


def sign_in(*, seconds_ago: float) -> None:
    moment = datetime.now(UTC) - timedelta(seconds=seconds_ago)
    with transaction() as session:
        session.add(JobWorker(host="here", pid=1, started_at=moment, seen_at=moment))


def found(*, deploy: bool = False) -> dict[str, str]:
    with db.engine.connect() as connection:
        findings = registry.run(["jobs"], deploy=deploy, given={"connection": connection})
    return {problem.id: f"{problem.text}; {problem.why}" for problem in findings.problems}


def test_a_site_without_jobs_has_no_problem_but_in_production_wants_a_worker():
    assert found() == {}
    assert list(found(deploy=True)) == ["jobs.W003"]
    sign_in(seconds_ago=59)
    assert found(deploy=True) == {}


def test_a_worker_that_has_been_silent_for_a_minute_does_not_count():
    sign_in(seconds_ago=61)
    assert list(found(deploy=True)) == ["jobs.W003"]


@pytest.mark.parametrize("status", ["waiting", "queued"])
def test_jobs_that_nobody_does_are_found(status: str):
    store(status, minutes_ago=4)
    assert found() == {}
    store(status, minutes_ago=6)
    assert "1 job not done" in found()["jobs.W001"]
    assert "no worker runs" in found()["jobs.W001"]
    sign_in(seconds_ago=1)
    assert "a worker runs" in found()["jobs.W001"]


def test_failed_jobs_are_counted_by_kind():
    for kind in ("mail.send", "mail.send", "webhooks.send"):
        store("failed", kind=kind)
    assert found() == {"jobs.W002": "3 jobs failed: 2 mail.send, 1 webhooks.send; None"}


def test_a_database_from_before_the_tables_has_no_problem_of_jobs():
    with transaction() as session:
        session.execute(Job.__table__.delete())
        session.connection().exec_driver_sql("DROP TABLE jobs")
    assert found(deploy=True) == {}


def test_a_monitor_can_ask_whether_a_worker_lives(app: Flask):
    client = app.test_client()
    assert (client.get("/workerz").status_code, client.get("/workerz").text) == (503, "no worker runs\n")
    sign_in(seconds_ago=1)
    assert (client.get("/workerz").status_code, client.get("/workerz").text) == (200, "ok\n")
    assert client.get("/readyz").status_code == 200


def invoke(name: str, *arguments: str):
    return CliRunner().invoke(load_command(name), arguments)


def test_the_list_shows_why_jobs_failed_and_never_their_arguments():
    store("failed", error="the server said no", attempts=15)
    store("done", minutes_ago=1)
    answer = invoke("list-jobs")
    assert answer.exit_code == 0
    first, second, last = answer.stdout.splitlines()
    assert "done" in first
    assert "failed   mail.send" in second
    assert second.endswith("attempt 15; the server said no")
    assert last == "0 waiting, 0 queued, 0 running, 1 done, 1 failed; no worker runs"
    assert "ada@example.org" not in answer.stdout + invoke("list-jobs", "--json").stdout
    listed = json.loads(invoke("list-jobs", "--status", "failed", "--json").stdout)
    assert [job["error"] for job in listed["jobs"]] == ["the server said no"]


def test_failed_jobs_are_tried_again_when_told():
    failed, waiting = store("failed", attempts=15), store("waiting")
    assert invoke("retry-jobs", str(waiting.id)).exit_code == 1
    assert invoke("retry-jobs").exit_code == 2
    assert invoke("retry-jobs", str(failed.id), "--all").exit_code == 2
    assert "1 failed job will" in invoke("retry-jobs", str(failed.id)).stdout
    db.session.refresh(failed)
    assert (failed.status, failed.attempts) == ("waiting", 0)
    assert call_command("retry-jobs", everything=True).count == 0


def test_failed_jobs_are_dropped_when_confirmed_and_others_never_are():
    failed, waiting = store(FAILED), store("waiting")
    assert invoke("drop-jobs", "--all").exit_code == 4
    assert invoke("drop-jobs", "--yes", str(waiting.id)).exit_code == 1
    assert invoke("drop-jobs", "--yes", NO_JOB).exit_code == 1
    assert invoke("drop-jobs", "--yes", str(failed.id)).exit_code == 0
    assert [job.id for job in db.session.scalars(db.select(Job))] == [waiting.id]
