"""The options with which commands choose entries of the activity log."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from cms.activity.queries import ActivityFilter

MOMENT = click.DateTime(["%Y-%m-%d", "%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%M:%SZ"])
OPTIONS = (
    click.option("--actor", help="Only what this person did, by the name they had then."),
    click.option("--action", help="Only this, such as user.created; `user.` for all that begins so."),
    click.option("--about", help="Only what was done to this: a type such as user, or user:ID."),
    click.option("--request", help="Only what this request did, by its id."),
    click.option("--since", type=MOMENT, help="Not before this day or time, in UTC."),
    click.option("--until", type=MOMENT, help="Before this day or time, in UTC."),
)


def choosing(command: Callable[..., Any]) -> Callable[..., Any]:  # Any: each command has its own parameters
    """Add the options to a command, which takes them as ``**chosen``."""
    for option in reversed(OPTIONS):
        command = option(command)
    return command


def as_filter(chosen: dict[str, Any]) -> ActivityFilter:  # Any: values of options
    from cms.activity.queries import ActivityFilter  # noqa: PLC0415 - a help page needs no database

    about: str | None = chosen["about"]
    kind, _, identity = (about or "").partition(":")
    return ActivityFilter(
        actor_name=chosen["actor"],
        action=chosen["action"],
        object_type=kind or None,
        object_id=identity or None,
        request_id=chosen["request"],
        since=in_utc(chosen["since"]),
        until=in_utc(chosen["until"]),
    )


def in_utc(moment: datetime | None) -> datetime | None:
    return moment.replace(tzinfo=UTC) if moment else None
