"""One attempt at one job: make it ours, run its function, write down what became of it."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from flask import Flask
from sqlalchemy.exc import SQLAlchemyError

from cms.errors import CmsError
from cms.extensions import transaction
from cms.jobs import states
from cms.jobs.errors import JobHopeless, JobPaused
from cms.jobs.kinds import JobKind, JobRun, kinds
from cms.jobs.services import AnySession
from cms.jobs.states import ClaimedJob
from cms.web.logs import escaped, working_for

logger = logging.getLogger(__name__)

LONGEST_REASON = 500
WRITE_DOWN_S = 60.0
"""How long the database may be away at the end of a job; after that the job is done again."""


@dataclass
class Crew:
    """What the threads of one worker share. in_hand: the jobs that they have."""

    app: Flask
    worker_id: UUID
    is_stopping: Callable[[], bool] = lambda: False
    in_hand: set[UUID] = field(default_factory=set)
    done: int = 0
    failed: int = 0


def now() -> datetime:
    return datetime.now(UTC)


def run_job(crew: Crew, job_id: UUID) -> None:
    """Do one attempt at a job, unless another worker has it. Whatever goes wrong in its function is written down."""
    crew.in_hand.add(job_id)
    try:
        with crew.app.app_context():
            with transaction() as session:
                job = states.claim(session, job_id, worker_id=crew.worker_id, at=now())
            if job is not None:
                with working_for(job.request_id):
                    attempt(crew, job)
    finally:
        crew.in_hand.discard(job_id)


def attempt(crew: Crew, job: ClaimedJob) -> None:
    began = time.monotonic()
    kind = kinds.find(job.kind)
    try:
        refuse_useless(job, kind)
        assert kind is not None  # noqa: S101 - refused above
        kind.run(JobRun(job.id, job.arguments, job.attempt, reporting(job.id), crew.is_stopping))
    except JobPaused:
        written(lambda session: states.pause(session, job.id, at=now()))
        logger.info("job paused kind=%s job=%s", job.kind, job.id)
    # The third place that catches everything, beside commands and pages: one job must not end the worker.
    except Exception as error:  # noqa: BLE001
        crew.failed += 1
        note_failure(job, kind, error)
    else:
        written(lambda session: states.finish(session, job.id, at=now()))
        crew.done += 1
        took_s = time.monotonic() - began
        logger.info("job done kind=%s job=%s attempt=%d took_s=%.2f", job.kind, job.id, job.attempt, took_s)


def refuse_useless(job: ClaimedJob, kind: JobKind | None) -> None:
    """Raise CmsError for a job that nobody knows, that ended its worker each time, or that comes too late."""
    if kind is None:
        raise CmsError(f"there is no code for jobs of the kind {job.kind}", hint="is this worker of an older release?")
    if job.attempt > kind.attempts:
        raise JobHopeless(f"the worker ended in the middle of it {kind.attempts} times")
    if kind.useless_after and job.attempt == 1 and now() - job.due_at > kind.useless_after:
        hours = kind.useless_after / timedelta(hours=1)
        raise JobHopeless(f"it was due on {job.due_at:%Y-%m-%d %H:%M} UTC, more than {hours:.0f} hours ago")


def note_failure(job: ClaimedJob, kind: JobKind | None, error: Exception) -> None:
    """Write the failure down and log it; a bug keeps its traceback."""
    attempts = 0 if isinstance(error, JobHopeless) else kind.attempts if kind else JobKind.attempts
    reason = reason_of(error)
    due_at = written(lambda session: states.fail(session, job, reason=reason, attempts=attempts, at=now()))
    trace = None if isinstance(error, CmsError | OSError) else error
    again = f"again_at={due_at:%Y-%m-%dT%H:%M:%SZ}" if due_at else "and will not be tried again"
    level = logging.WARNING if due_at else logging.ERROR
    text = "job failed kind=%s job=%s attempt=%d %s reason=%s"
    logger.log(level, text, job.kind, job.id, job.attempt, again, reason, exc_info=trace)


def reason_of(error: Exception) -> str:
    """Return in one line what went wrong, for people; nothing of the job's arguments."""
    if isinstance(error, CmsError):
        text = f"{error.what}: {error.why}" if error.why else error.what
    else:
        text = f"{type(error).__name__}: {str(error).strip().partition(chr(10))[0]}"
    return escaped(text)[:LONGEST_REASON]


def reporting(job_id: UUID) -> Callable[[Mapping[str, Any]], None]:  # Any: values of JSON
    def report(progress: Mapping[str, Any]) -> None:
        with transaction() as session:
            states.report_progress(session, job_id, progress)

    return report


def written(write: Callable[[AnySession], Any]) -> Any:  # Any: what the writing function returns
    """Write what became of a job, and wait for the database if it is away. Raises SQLAlchemyError after a minute."""
    deadline = time.monotonic() + WRITE_DOWN_S
    while True:
        try:
            with transaction() as session:
                return write(session)
        except SQLAlchemyError:
            if time.monotonic() > deadline:
                raise
            time.sleep(1)
