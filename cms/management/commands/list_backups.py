"""The command `manage.py list-backups`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cms.management.base import command

if TYPE_CHECKING:
    from flask import Flask

    from cms.database.shelf import BackupList


@command
def list_backups(app: Flask) -> BackupList:
    """List the backups, oldest first: age, size, revision, whether proven and copied, how long a restore takes."""
    from cms.database.shelf import list_backups as list_here
    from cms.database.target import Target

    target = Target.of(app.config)
    if not target.copy_url:
        return list_here(target)
    from dataclasses import replace

    from cms.database.errors import CopyFailed
    from cms.database.offsite import Place, list_everywhere

    try:
        return list_everywhere(target, Place(target.copy_url))
    except CopyFailed as error:  # what is here must be found also while the network is down
        return replace(list_here(target), place=target.copy_url, problem=f"{error.what}: {error.why}")
