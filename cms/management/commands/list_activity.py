"""The command `manage.py list-activity`."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click

from cms.management.activity_options import as_filter, choosing
from cms.management.base import command

if TYPE_CHECKING:
    from collections.abc import Sequence

    from flask import Flask

    from cms.activity.queries import Activity


@dataclass(frozen=True)
class ActivityListed:
    """Some entries, newest first, and where the next older ones begin; None where there are none."""

    entries: Sequence[Activity]
    older: str | None

    def __str__(self) -> str:
        if not self.entries:
            return "nothing was recorded that fits"
        more = [f"more: --before {self.older}"] if self.older else []
        return "\n".join([*(line_of(entry) for entry in self.entries), *more])


def line_of(entry: Activity) -> str:
    about = " ".join(part for part in (entry.object_type, entry.object_id, entry.object_name) if part)
    details = json.dumps(entry.details, ensure_ascii=False) if entry.details else ""
    parts = [f"{entry.happened_at:%Y-%m-%d %H:%M:%S}", entry.actor_name, entry.action, about, details]
    return "  ".join(part for part in parts if part)


@command
@choosing
@click.option("--limit", type=click.IntRange(1, 1000), default=50, show_default=True, help="At most so many.")
@click.option("--before", help="Those after this place of an earlier list, which names it.")
def list_activity(app: Flask, *, limit: int, before: str | None, **chosen: Any) -> ActivityListed:  # noqa: ARG001 - its context; Any: see choosing
    """List who did what, newest first."""
    from cms.activity import queries
    from cms.extensions import db
    from cms.web.paging import Cursor, CursorInvalid, Place

    try:
        place = Place(before=Cursor.parse(before) if before else None)
    except CursorInvalid as error:
        raise click.UsageError(f"{before!r} is no place in the list") from error
    page = queries.list_activity(db.session, as_filter(chosen), place, size=limit)
    return ActivityListed(page.items, str(page.older) if page.older else None)
