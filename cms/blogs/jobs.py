"""What the worker does for posts: each day it empties the trash of what was kept there long enough."""

from __future__ import annotations

from datetime import UTC, datetime

from cms.blogs.moving import empty_trash
from cms.extensions import transaction
from cms.jobs.kinds import JobRun, job_kind


@job_kind("blogs.empty_trash", daily=True)
def empty(run: JobRun) -> None:
    """Remove posts that were put into the trash 30 days ago, a batch in a transaction."""
    at, removed = datetime.now(UTC), 1
    while removed:
        run.pause_if_stopping()
        with transaction() as session:
            removed = empty_trash(session, at=at)
