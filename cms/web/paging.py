"""Pages of a list by key: a link names the item it starts at, so nothing is counted and every page costs the same.

Source: Markus Winand, "We need tool support for keyset pagination", use-the-index-luke.com/no-offset.
"""

from __future__ import annotations

import re
import struct
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Generic, TypeVar
from uuid import UUID

from flask import abort, request

PACKED = struct.Struct(">q16s")  # microseconds since 1970, id
TEXT = re.compile(r"[A-Za-z0-9_-]{32}")
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)


class CursorInvalid(ValueError):
    """The text was not made by ``Cursor.__str__``."""


@dataclass(frozen=True)
class Cursor:
    """A place in a list that is ordered by date, then id."""

    at: datetime
    id: UUID

    def __str__(self) -> str:
        return urlsafe_b64encode(PACKED.pack((self.at - EPOCH) // MICROSECOND, self.id.bytes)).decode()

    @classmethod
    def parse(cls, text: str) -> Cursor:
        """Return the place that an address names. Raises CursorInvalid for whatever else somebody may write there."""
        try:
            packed = urlsafe_b64decode(text.encode("ascii")) if TEXT.fullmatch(text) else b""
            microseconds, identity = PACKED.unpack(packed)
            return cls(EPOCH + microseconds * MICROSECOND, UUID(bytes=identity))
        except (ValueError, OverflowError, struct.error) as error:
            raise CursorInvalid(text) from error


@dataclass(frozen=True)
class Place:
    """Which page of a list is asked for: items older than ``before``, newer than ``after``, or just the newest."""

    before: Cursor | None = None
    after: Cursor | None = None

    @property
    def is_start(self) -> bool:
        return self.before is None and self.after is None


Item = TypeVar("Item")


@dataclass(frozen=True)
class Page(Generic[Item]):
    """Some items, newest first; older and newer are the cursors of the pages beside it, None where there is none."""

    items: Sequence[Item]
    older: Cursor | None = None
    newer: Cursor | None = None


def place_of_request() -> Place:
    """Return the place that the request's ?before= or ?after= names; 400 if there are both or one is garbage."""
    given = {name: request.args.getlist(name) for name in ("before", "after") if name in request.args}
    if sum(len(values) for values in given.values()) > 1:
        abort(400)
    try:
        return Place(**{name: Cursor.parse(values[0]) for name, values in given.items()})
    except CursorInvalid:
        abort(400)
