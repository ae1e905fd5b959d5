"""The command `manage.py list-jobs`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import click

from cms.management.base import command

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from flask import Flask

    from cms.jobs.queries import JobShown

STATUSES = ("waiting", "queued", "running", "done", "failed")


@dataclass(frozen=True)
class JobsListed:
    """Some jobs, how many there are of each status, and when a worker last said that it lives."""

    jobs: Sequence[JobShown]
    counts: dict[str, int]
    worker_seen_at: datetime | None

    def __str__(self) -> str:
        worker = f"a worker was seen at {self.worker_seen_at:%Y-%m-%d %H:%M:%S} UTC" if self.worker_seen_at else (
            "no worker runs"
        )  # fmt: skip
        total = ", ".join(f"{number} {status}" for status, number in self.counts.items())
        return "\n".join([*(line_of(job) for job in self.jobs), f"{total}; {worker}"])


def line_of(job: JobShown) -> str:
    more = [f"attempt {job.attempts}" if job.attempts else "", str(job.progress or ""), job.error or ""]
    about = "; ".join(part for part in more if part)
    return f"{job.id}  {job.status:7}  {job.kind}  due {job.due_at:%Y-%m-%d %H:%M:%S}  {about}".rstrip()


@command
@click.option("--status", type=click.Choice(STATUSES), help="Only jobs of this status.")
@click.option("--kind", help="Only jobs of this kind, such as mail.send.")
@click.option("--limit", type=click.IntRange(1, 1000), default=20, show_default=True, help="At most so many.")
def list_jobs(app: Flask, *, status: str | None, kind: str | None, limit: int) -> JobsListed:  # noqa: ARG001 - its context
    """List the jobs that changed last: what waits, what was done, what failed and why."""
    from cms.extensions import db
    from cms.jobs import queries

    jobs = queries.list_jobs(db.session, status=status, kind=kind, limit=limit)
    return JobsListed(jobs, queries.count_jobs(db.session), queries.find_last_sign(db.session))
