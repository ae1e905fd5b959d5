"""The moment that a date in front matter means."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, time, timedelta, timezone
from email.utils import parsedate_to_datetime
from typing import Any

EARLIEST_YEAR = 1900
LATEST_YEAR = 2999
LONGEST = 60  # characters

# ISO 8601, and what people and Jekyll make of it: 2014-3-12, 2014/03/12, 2014-03-12 10:11 -0400, … UTC.
WRITTEN = re.compile(
    r"(\d{4})[-/](\d{1,2})[-/](\d{1,2})"
    r"(?:(?:T|\s+)(\d{1,2}):(\d{2})(?::(\d{2})(?:[.,]\d+)?)?)?"
    r"\s*(Z|UTC|GMT|[+-]\d{2}:?\d{2})?",
    re.IGNORECASE,
)


def parse_date(value: Any) -> datetime | None:  # Any: whatever front matter holds
    """Return the moment, aware, in the zone it was written in; UTC where none was. None if it is no date.

    value: a date, a datetime or a text. Years before 1900 and after 2999 are none.
    """
    moment: datetime | None = None
    if isinstance(value, datetime):
        moment = value
    elif isinstance(value, date):
        moment = datetime.combine(value, time())
    elif isinstance(value, str):
        moment = parse_text(value.strip())
    if moment is None or not EARLIEST_YEAR <= moment.year <= LATEST_YEAR:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def parse_text(text: str) -> datetime | None:
    if len(text) > LONGEST:
        return None
    found = WRITTEN.fullmatch(text)
    try:
        return from_parts(found) if found else parsedate_to_datetime(text)
    except (ValueError, OverflowError, TypeError, IndexError):
        return None


def from_parts(found: re.Match[str]) -> datetime:
    """Raise ValueError for 30 February."""
    year, month, day, hour, minute, second = (int(part or 0) for part in found.groups()[:6])
    return datetime(year, month, day, hour, minute, second, tzinfo=parse_zone(found[7] or "Z"))


def parse_zone(text: str) -> timezone:
    if text[0] not in "+-":
        return UTC
    offset = timedelta(hours=int(text[1:3]), minutes=int(text[-2:]))
    return timezone(-offset if text[0] == "-" else offset)
