"""Pages of a list by key, for tables with a time and an id."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol, TypeVar

from sqlalchemy import Row, Select, tuple_
from sqlalchemy.orm import InstrumentedAttribute

from cms.jobs.services import AnySession
from cms.web.paging import Cursor, Page, Place


class Placed(Protocol):
    """An item that knows its place in the list."""

    @property
    def cursor(self) -> Cursor: ...


Shown = TypeVar("Shown", bound=Placed)
Column = InstrumentedAttribute[Any]  # Any: a time or a UUID


def read_page(
    session: AnySession,
    query: Select[Any],
    place: Place,
    *,
    key: tuple[Column, Column],
    size: int,
    show: Callable[[Row[Any]], Shown],
) -> Page[Shown]:
    """Return the page of the query at this place, newest first. One statement.

    key: the columns that give the order, time and id. One row more than shown tells whether there is another page.
    """
    pair, oldest, newest = tuple_(*key), key, [column.desc() for column in key]
    if place.after:
        rows = session.execute(query.where(pair > values_of(place.after)).order_by(*oldest).limit(size + 1)).all()
        items = [show(row) for row in rows[:size]][::-1]
        has_older, has_newer = bool(items), len(rows) > size
    else:
        query = query.where(pair < values_of(place.before)) if place.before else query
        rows = session.execute(query.order_by(*newest).limit(size + 1)).all()
        items = [show(row) for row in rows[:size]]
        has_older, has_newer = len(rows) > size, bool(items and place.before)
    return Page(items, items[-1].cursor if has_older else None, items[0].cursor if has_newer else None)


def values_of(cursor: Cursor) -> tuple[Any, Any]:  # Any: a time and a UUID
    return (cursor.at, cursor.id)
