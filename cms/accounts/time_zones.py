"""The time zones that people may choose, by the names of the IANA database."""

from __future__ import annotations

from datetime import UTC, tzinfo
from functools import cache
from zoneinfo import ZoneInfo, available_timezones

# Other names for zones that are there by the name of a place, and what only programs use.
LEFT_OUT = ("Etc/", "SystemV/", "US/", "posix/", "right/")


@cache
def list_time_zones() -> tuple[str, ...]:
    """Return the names that people know: an area and a place."""
    return tuple(sorted(name for name in available_timezones() if "/" in name and not name.startswith(LEFT_OUT)))


@cache
def zone_called(name: str | None) -> tzinfo:
    """Return the zone; UTC for none, and for one that this machine does not know."""
    return ZoneInfo(name) if name in available_timezones() and name else UTC
