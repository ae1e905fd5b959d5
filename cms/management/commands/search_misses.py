"""manage.py search-misses."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from cms.management.base import command

if TYPE_CHECKING:
    from flask import Flask

    from cms.blogs.search_misses import Miss


@dataclass(frozen=True)
class MissReport:
    """What readers looked for and did not find."""

    misses: tuple[Miss, ...]

    def __str__(self) -> str:
        lines = [f"{miss.count:>6}  {miss.missed_at:%Y-%m-%d}  {miss.words}" for miss in self.misses]
        return "\n".join(lines) or "no search has missed yet"


@command
def search_misses(app: Flask) -> MissReport:  # noqa: ARG001 - what is needed of it is its context
    """Show what readers looked for and did not find, the most frequent first."""
    from cms.blogs.search_misses import list_misses
    from cms.extensions import db

    return MissReport(tuple(list_misses(db.session)))
