"""Checks of the jobs: are they done, does somebody do them, which have failed."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import sqlalchemy as sa

from cms.checks.messages import Problem, warning
from cms.checks.registry import register
from cms.jobs.models import DONE, FAILED, RUNNING, Job, JobWorker
from cms.jobs.states import LOST_AFTER
from cms.words import counted

STUCK_AFTER = timedelta(minutes=5)
START = "start one with `python manage.py run-worker`, under your service manager"


@register("jobs")
def check_jobs_done(connection: sa.Connection) -> list[Problem]:
    """jobs.W001: jobs have been due for over 5 minutes, and nobody does them."""
    if not is_there(connection):
        return []
    late = (Job.status.not_in([RUNNING, FAILED, DONE])) & (Job.due_at < datetime.now(UTC) - STUCK_AFTER)
    number, oldest = connection.execute(sa.select(sa.func.count(), sa.func.min(Job.due_at)).where(late)).one()
    if not number:
        return []
    alive = is_alive(connection)
    why = "a worker runs, and has other work or cannot reach its queue" if alive else "no worker runs"
    cure = "see the worker's log; more JOBS_THREADS or another worker help where there is too much to do"
    text = f"{counted(number, 'job')} not done, the oldest due since {oldest:%Y-%m-%d %H:%M} UTC"
    return [warning("jobs.W001", text, why=why, hint=cure if alive else START)]


@register("jobs")
def check_jobs_failed(connection: sa.Connection) -> list[Problem]:
    """jobs.W002: jobs have failed for good."""
    if not is_there(connection):
        return []
    failed = sa.select(Job.kind, sa.func.count()).where(Job.status == FAILED).group_by(Job.kind).order_by(Job.kind)
    counts = [(kind, number) for kind, number in connection.execute(failed)]
    if not counts:
        return []
    total = counted(sum(number for _, number in counts), "job")
    kinds = ", ".join(f"{number} {kind}" for kind, number in counts)
    cure = "read why with `python manage.py list-jobs --status failed`, then `retry-jobs` or `drop-jobs`"
    return [warning("jobs.W002", f"{total} failed: {kinds}", hint=cure)]


@register("jobs", deploy=True)
def check_worker_runs(connection: sa.Connection) -> list[Problem]:
    """jobs.W003: no worker has given a sign of life within the last minute; no mail is sent."""
    if not is_there(connection) or is_alive(connection):
        return []
    return [warning("jobs.W003", "no worker runs", why="mail and whatever else takes its time waits", hint=START)]


def is_alive(connection: sa.Connection) -> bool:
    seen_at = connection.execute(sa.select(sa.func.max(JobWorker.seen_at))).scalar()
    return seen_at is not None and datetime.now(UTC) - seen_at < LOST_AFTER


def is_there(connection: sa.Connection) -> bool:
    """Tell whether the tables exist; that revisions are pending another check says."""
    return sa.inspect(connection).has_table(Job.__tablename__)
