"""The command `manage.py dbshell`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cms.management.base import command

if TYPE_CHECKING:
    from flask import Flask


@command
def dbshell(app: Flask) -> None:
    """Open the database's own prompt: psql or sqlite3."""
    from cms.database.engines import engine_for
    from cms.database.target import Target

    target = Target.of(app.config)
    engine_for(target).open_prompt(target)
