"""What the worker does each day: remove what is over."""

from __future__ import annotations

from datetime import UTC, datetime

from cms.accounts.limits import prune_limits
from cms.accounts.sessions import prune_sessions
from cms.extensions import transaction
from cms.jobs.kinds import JobRun, job_kind


@job_kind("accounts.prune", daily=True)
def prune(run: JobRun) -> None:
    """Remove sessions that sign nobody in and counts of tries that are over, a batch in a transaction."""
    at, removed = datetime.now(UTC), 1
    while removed:
        run.pause_if_stopping()
        with transaction() as session:
            removed = prune_sessions(session, at=at) + prune_limits(session, at=at)
