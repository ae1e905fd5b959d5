"""Reads of the activity log: by filter, in pages, or all of it in constant memory."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row, Select, func, select, tuple_

from cms.activity.keyset import read_page, values_of
from cms.activity.models import ActivityLog
from cms.jobs.services import AnySession
from cms.web.paging import Cursor, Page, Place

BATCH = 1000


@dataclass(frozen=True)
class Activity:
    """One entry, as people see it."""

    id: UUID
    happened_at: datetime
    actor_id: UUID | None
    actor_name: str
    action: str
    object_type: str | None
    object_id: str | None
    object_name: str | None
    request_id: str | None
    details: Mapping[str, Any]  # Any: values of JSON

    @property
    def cursor(self) -> Cursor:
        return Cursor(self.happened_at, self.id)


@dataclass(frozen=True, kw_only=True)
class ActivityFilter:
    """Which entries: those that fit everything that is given.

    actor_name: as it was then. action: "blog.published", or "blog." for all that begin so.
    since is part of it, until is not.
    """

    actor_id: UUID | None = None
    actor_name: str | None = None
    action: str | None = None
    object_type: str | None = None
    object_id: str | None = None
    request_id: str | None = None
    since: datetime | None = None
    until: datetime | None = None


EVERYTHING = ActivityFilter()
COLUMNS = [getattr(ActivityLog, name) for name in Activity.__dataclass_fields__]
KEY = (ActivityLog.happened_at, ActivityLog.id)


def list_activity(session: AnySession, which: ActivityFilter, place: Place, *, size: int) -> Page[Activity]:
    """Return a page of the entries that fit, newest first. One statement, on an index."""
    return read_page(session, filtered(which), place, key=KEY, size=size, show=shown)


def count_activity(session: AnySession, which: ActivityFilter) -> int:
    """Return how many entries fit; reads all of them."""
    return session.scalar(select(func.count()).select_from(filtered(which).subquery())) or 0


def iterate_activity(session: AnySession, which: ActivityFilter) -> Iterator[Activity]:
    """Yield every entry that fits, oldest first, 1,000 a statement: memory stays the same, however many there are."""
    query = filtered(which).order_by(*KEY).limit(BATCH)
    rows = session.execute(query).all()
    while rows:
        yield from (shown(row) for row in rows)
        last = shown(rows[-1]).cursor
        rows = session.execute(query.where(tuple_(*KEY) > values_of(last))).all()


def filtered(which: ActivityFilter) -> Select[Any]:  # Any: the columns are read by name
    equal = ("actor_id", "actor_name", "object_type", "object_id", "request_id")
    query = select(*COLUMNS)
    for name in equal:
        if (value := getattr(which, name)) is not None:
            query = query.where(getattr(ActivityLog, name) == value)
    if which.action and which.action.endswith("."):
        query = query.where(ActivityLog.action.startswith(which.action, autoescape=True))
    elif which.action:
        query = query.where(ActivityLog.action == which.action)
    if which.since:
        query = query.where(ActivityLog.happened_at >= which.since)
    return query.where(ActivityLog.happened_at < which.until) if which.until else query


def shown(row: Row[Any]) -> Activity:
    return Activity(*row)
