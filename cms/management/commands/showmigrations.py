"""The command `manage.py showmigrations`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cms.management.base import command

if TYPE_CHECKING:
    from flask import Flask

    from cms.database.history import Standing


@command
def showmigrations(app: Flask) -> Standing:
    """List the schema history, oldest first, and mark what this database has."""
    from cms.database.history import read_standing
    from cms.database.target import Target

    return read_standing(Target.of(app.config))
