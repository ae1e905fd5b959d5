"""A job's way from ``waiting`` to its end. Each step says who may take it, so that two workers never both do."""

from __future__ import annotations

import random
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import delete, select, update

from cms.jobs.models import DONE, FAILED, QUEUED, RUNNING, WAITING, Job, JobWorker
from cms.jobs.services import AnySession

FIRST_DELAY = timedelta(seconds=15)
LONGEST_DELAY = timedelta(hours=6)
LOST_AFTER = timedelta(seconds=60)
"""So long a worker may be silent, or a handed over job not begun, before others take it for lost."""


@dataclass(frozen=True)
class ClaimedJob:
    """A job that one worker has made its own. attempt: 1 for the first."""

    id: UUID
    kind: str
    arguments: Mapping[str, Any]  # Any: values of JSON
    attempt: int
    due_at: datetime
    request_id: str | None


def take_due(session: AnySession, *, limit: int, at: datetime) -> list[UUID]:
    """Mark up to so many due jobs as handed over and return their ids, the longest due first.

    Locks those rows until the transaction's end; rows that another worker holds are passed over.
    """
    due = select(Job.id).where(Job.status == WAITING, Job.due_at <= at).order_by(Job.due_at).limit(limit)
    ids = list(session.scalars(due.with_for_update(skip_locked=True)))
    session.execute(update(Job).where(Job.id.in_(ids)).values(status=QUEUED, changed_at=at))
    return ids


def put_back(session: AnySession, ids: Collection[UUID], *, at: datetime) -> None:
    """Let jobs wait again that could not be handed over."""
    handed = update(Job).where(Job.id.in_(ids), Job.status == QUEUED)
    session.execute(handed.values(status=WAITING, changed_at=at))


def claim(session: AnySession, job_id: UUID, *, worker_id: UUID, at: datetime) -> ClaimedJob | None:
    """Make a job that was handed over this worker's; None if another has it, or it is done."""
    statement = (
        update(Job)
        .where(Job.id == job_id, Job.status == QUEUED)
        .values(status=RUNNING, attempts=Job.attempts + 1, worker_id=worker_id, changed_at=at)
        .returning(Job.kind, Job.arguments, Job.attempts, Job.due_at, Job.request_id)
    )
    row = session.execute(statement).one_or_none()
    return (
        None if row is None else ClaimedJob(job_id, row.kind, row.arguments, row.attempts, row.due_at, row.request_id)
    )


def report_progress(session: AnySession, job_id: UUID, progress: Mapping[str, Any]) -> None:  # Any: values of JSON
    session.execute(update(Job).where(Job.id == job_id).values(progress=dict(progress)))


def finish(session: AnySession, job_id: UUID, *, at: datetime) -> None:
    """Mark a running job as done; its arguments go."""
    change(session, job_id, status=DONE, arguments={}, error=None, changed_at=at)


def fail(session: AnySession, job: ClaimedJob, *, reason: str, attempts: int, at: datetime) -> datetime | None:
    """Let a job be tried again later, or mark it as failed after its last attempt; returns when it is due again."""
    if job.attempt >= attempts:
        change(session, job.id, status=FAILED, error=reason, changed_at=at)
        return None
    due_at = at + delay_after(job.attempt)
    change(session, job.id, status=WAITING, error=reason, due_at=due_at, changed_at=at)
    return due_at


def pause(session: AnySession, job_id: UUID, *, at: datetime) -> None:
    """Let a running job wait again, without counting the attempt."""
    change(session, job_id, status=WAITING, attempts=Job.attempts - 1, due_at=at, changed_at=at)


def change(session: AnySession, job_id: UUID, **values: Any) -> None:  # Any: values of columns
    """Change a job that is still running: one that was taken for lost and given to others is theirs."""
    running = update(Job).where(Job.id == job_id, Job.status == RUNNING)
    session.execute(running.values(worker_id=None, **values))


def delay_after(attempt: int) -> timedelta:
    """Return how long to wait after an attempt: 15 s, 30 s, 1 min … 6 h, each up to a tenth more or less.

    The tenth keeps jobs that failed together from coming back together.
    """
    delay = min(FIRST_DELAY * 2 ** min(attempt - 1, 20), LONGEST_DELAY)
    return delay * random.uniform(0.9, 1.1)  # noqa: S311 - nobody gains by guessing it


def sign_in(session: AnySession, *, worker_id: UUID, host: str, pid: int, at: datetime) -> None:
    """Note that a worker lives. Flushes."""
    session.add(JobWorker(id=worker_id, host=host[:255], pid=pid, started_at=at, seen_at=at))
    session.flush()


def keep_alive(session: AnySession, worker_id: UUID, *, at: datetime) -> bool:
    """Note that a worker still lives; False if others have taken it for lost."""
    alive = update(JobWorker).where(JobWorker.id == worker_id).values(seen_at=at).returning(JobWorker.id)
    return session.execute(alive).one_or_none() is not None


def sign_out(session: AnySession, worker_id: UUID, *, at: datetime) -> None:
    """Remove a worker; what it did not finish waits for others, without counting the attempt."""
    unfinished = update(Job).where(Job.worker_id == worker_id, Job.status == RUNNING)
    again = {"status": WAITING, "attempts": Job.attempts - 1, "due_at": at, "changed_at": at, "worker_id": None}
    session.execute(unfinished.values(again))
    session.execute(delete(JobWorker).where(JobWorker.id == worker_id))


def recover(
    session: AnySession, *, worker_id: UUID, in_hand: Collection[UUID], queue_is_empty: bool, at: datetime
) -> int:
    """Let jobs wait again that somebody took and will not finish; returns how many.

    Those of workers that have been silent for a minute; those of this worker that it does not have in hand; and if
    nothing is on its way, those that were handed over a minute ago. An attempt that was begun counts.
    """
    silent = select(JobWorker.id).where(JobWorker.seen_at < at - LOST_AFTER)
    lost = list(session.scalars(silent))
    session.execute(delete(JobWorker).where(JobWorker.id.in_(lost)))  # and so their jobs have no worker
    orphaned = (Job.worker_id.is_(None)) | (Job.worker_id.in_(lost))
    dropped = (Job.worker_id == worker_id) & Job.id.not_in(in_hand) & (Job.changed_at < at - timedelta(seconds=10))
    unfinished = (Job.status == RUNNING) & (orphaned | dropped)
    stale = (Job.status == QUEUED) & (Job.changed_at < at - LOST_AFTER)
    which = unfinished | stale if queue_is_empty else unfinished
    again = update(Job).where(which).values(status=WAITING, worker_id=None, changed_at=at).returning(Job.id)
    return len(session.execute(again).all())
