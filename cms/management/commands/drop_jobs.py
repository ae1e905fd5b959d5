"""The command `manage.py drop-jobs`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING
from uuid import UUID

import click

from cms.management.base import Confirm, command
from cms.words import counted

if TYPE_CHECKING:
    from flask import Flask


@dataclass(frozen=True)
class JobsDropped:
    """How many failed jobs are gone."""

    count: int

    def __str__(self) -> str:
        return f"{counted(self.count, 'failed job')} dropped"


@command
@click.argument("ids", nargs=-1, type=click.UUID, metavar="[ID]...")
@click.option("--all", "everything", is_flag=True, help="All that have failed.")
def drop_jobs(app: Flask, *, ids: tuple[UUID, ...], everything: bool, confirm: Confirm) -> JobsDropped:  # noqa: ARG001
    """Remove failed jobs: what they were to do is never done."""
    from cms.extensions import transaction
    from cms.jobs import services

    if bool(ids) == everything:
        raise click.UsageError("name jobs by their ids, or say --all")
    confirm("drop all failed jobs?" if everything else f"drop {counted(len(ids), 'failed job')}?")
    with transaction() as session:
        return JobsDropped(services.drop_jobs(session, None if everything else ids))
