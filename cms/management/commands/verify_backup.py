"""The command `manage.py verify-backup`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from cms.management.base import Progress, command

if TYPE_CHECKING:
    from flask import Flask

    from cms.database.shelf import VerifiedBackup


@command
@click.argument("folder", type=click.Path(path_type=Path))
def verify_backup(app: Flask, *, folder: Path, progress: Progress) -> VerifiedBackup:
    """Check a backup's signature and every file in it; opens no dump and changes nothing."""
    from cms.database.offsite import find_backup
    from cms.database.shelf import verify
    from cms.database.target import Target

    target = Target.of(app.config)
    return verify(target, find_backup(target, folder, say=progress))
