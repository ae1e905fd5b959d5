"""What the worker does for the API: each day it removes the answers that are over."""

from __future__ import annotations

from datetime import UTC, datetime

from cms.api.repeating import prune_answers
from cms.extensions import transaction
from cms.jobs.kinds import JobRun, job_kind


@job_kind("api.prune", daily=True)
def prune(run: JobRun) -> None:
    """Remove answers that nobody gets again, a batch in a transaction."""
    at, removed = datetime.now(UTC), 1
    while removed:
        run.pause_if_stopping()
        with transaction() as session:
            removed = prune_answers(session, at=at)
