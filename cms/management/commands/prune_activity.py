"""The command `manage.py prune-activity`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import click

from cms.management.base import Confirm, command

if TYPE_CHECKING:
    from flask import Flask


@dataclass(frozen=True)
class ActivityPruned:
    """How many entries of the activity log were older than so many days, and whether they are gone."""

    keep_days: int
    count: int
    dry_run: bool

    def __str__(self) -> str:
        what = "would go" if self.dry_run else "removed"
        return f"{self.count:,} older than {self.keep_days} days {what}" if self.keep_days else "everything is kept"


@command
@click.option("--keep-days", type=click.IntRange(0, 36_500), help="Keep so many days; 0: all [ACTIVITY_KEEP_DAYS].")
def prune_activity(app: Flask, *, keep_days: int | None, dry_run: bool, confirm: Confirm) -> ActivityPruned:
    """Remove old entries of the activity log, as the worker does each day."""
    from datetime import UTC, datetime, timedelta

    from cms.activity.queries import ActivityFilter, count_activity
    from cms.activity.services import prune_activity as prune
    from cms.extensions import db, transaction

    keep_days = app.config["ACTIVITY_KEEP_DAYS"] if keep_days is None else keep_days
    at = datetime.now(UTC)
    old = ActivityFilter(until=at - timedelta(days=keep_days))
    count = count_activity(db.session, old) if keep_days else 0
    if dry_run or not count:
        return ActivityPruned(keep_days, count, dry_run)
    confirm(f"remove {count:,} entries of the activity log, all that are older than {keep_days} days?")
    total, removed = 0, 1
    while removed:
        with transaction() as session:
            removed = prune(session, keep_days=keep_days, at=at)
        total += removed
    return ActivityPruned(keep_days, total, dry_run)
