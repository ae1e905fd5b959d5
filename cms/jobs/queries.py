"""Reads about jobs and workers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import exists, func, select

from cms.jobs.models import STATUSES, WAITING, Job, JobWorker
from cms.jobs.services import AnySession


@dataclass(frozen=True)
class JobShown:
    """One job as people see it: never its arguments, which may hold a mail's text."""

    id: UUID
    kind: str
    status: str
    attempts: int
    due_at: datetime
    created_at: datetime
    changed_at: datetime
    progress: Mapping[str, Any] | None  # Any: values of JSON
    error: str | None
    request_id: str | None


COLUMNS = [getattr(Job, name) for name in JobShown.__dataclass_fields__]


def is_any_due(session: AnySession, *, at: datetime) -> bool:
    """Return whether a job waits that could be done now. One statement on an index."""
    return bool(session.scalar(select(exists().where(Job.status == WAITING, Job.due_at <= at))))


def find_job(session: AnySession, job_id: UUID) -> JobShown | None:
    """Return one job, or None; one that was done is removed after a week."""
    row = session.execute(select(*COLUMNS).where(Job.id == job_id)).one_or_none()
    return None if row is None else JobShown(*row)


def list_jobs(
    session: AnySession, *, status: str | None = None, kind: str | None = None, limit: int = 50
) -> Sequence[JobShown]:
    """Return the jobs that changed last, newest first; of one status or kind if given."""
    statement = select(*COLUMNS).order_by(Job.changed_at.desc(), Job.id).limit(limit)
    if status:
        statement = statement.where(Job.status == status)
    if kind:
        statement = statement.where(Job.kind == kind)
    return [JobShown(*row) for row in session.execute(statement)]


def count_jobs(session: AnySession) -> dict[str, int]:
    """Return how many jobs there are of each status, in the order that a job passes through them."""
    grouped = session.execute(select(Job.status, func.count()).group_by(Job.status))
    found = {status: number for status, number in grouped}  # noqa: C416 - rows, not tuples
    return {status: found.get(status, 0) for status in STATUSES}


def find_last_sign(session: AnySession) -> datetime | None:
    """Return when a worker last said that it lives; None if none is on the list. Workers say it every 10 s."""
    return session.scalar(select(func.max(JobWorker.seen_at)))
