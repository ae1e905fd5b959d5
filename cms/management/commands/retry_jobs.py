"""The command `manage.py retry-jobs`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING
from uuid import UUID

import click

from cms.management.base import command
from cms.words import counted

if TYPE_CHECKING:
    from flask import Flask


@dataclass(frozen=True)
class JobsRetried:
    """How many failed jobs wait again."""

    count: int

    def __str__(self) -> str:
        return f"{counted(self.count, 'failed job')} will be tried again"


@command
@click.argument("ids", nargs=-1, type=click.UUID, metavar="[ID]...")
@click.option("--all", "everything", is_flag=True, help="All that have failed.")
def retry_jobs(app: Flask, *, ids: tuple[UUID, ...], everything: bool) -> JobsRetried:  # noqa: ARG001 - its context
    """Let failed jobs be tried again, from the first attempt on."""
    from datetime import UTC, datetime

    from cms.extensions import transaction
    from cms.jobs import services

    if bool(ids) == everything:
        raise click.UsageError("name jobs by their ids, or say --all")
    with transaction() as session:
        return JobsRetried(services.retry_jobs(session, None if everything else ids, at=datetime.now(UTC)))
