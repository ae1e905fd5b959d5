"""What the worker does each day: remove what was kept long enough."""

from __future__ import annotations

from datetime import UTC, datetime

from flask import current_app

from cms.activity.notices import prune_notices
from cms.activity.services import prune_activity
from cms.extensions import transaction
from cms.jobs.kinds import JobRun, job_kind


@job_kind("activity.prune", daily=True)
def prune(run: JobRun) -> None:
    """Remove old entries of the activity log and old notices, a batch in a transaction."""
    at, keep_days = datetime.now(UTC), current_app.config["ACTIVITY_KEEP_DAYS"]
    removed = 1
    while removed:
        run.pause_if_stopping()
        with transaction() as session:
            removed = prune_activity(session, keep_days=keep_days, at=at) + prune_notices(session, at=at)
