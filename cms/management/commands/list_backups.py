"""The command `manage.py list-backups`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cms.management.base import command

if TYPE_CHECKING:
    from flask import Flask

    from cms.database.shelf import BackupList


@command
def list_backups(app: Flask) -> BackupList:
    """List the backups, oldest first: age, size, revision, whether proven, and how long a restore takes."""
    from cms.database.shelf import list_backups as read
    from cms.database.target import Target

    return read(Target.of(app.config))
