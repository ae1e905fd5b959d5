"""Whoever runs a command, as the activity log knows them."""

from __future__ import annotations

from cms.activity.services import Actor
from cms.database.journal import who


def operator() -> Actor:
    """Return user@host of this process; an operator at a terminal needs no account."""
    return Actor(None, who())
