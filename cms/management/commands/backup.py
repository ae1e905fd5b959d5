"""The command `manage.py backup`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from cms.management.base import Progress, command

if TYPE_CHECKING:
    from flask import Flask

    from cms.database.backup import BackupPlan, BackupResult


@command()
@click.option("--to", "folder", type=click.Path(path_type=Path), help="Folder for the backup [default: BACKUP_DIR].")
def backup(app: Flask, *, folder: Path | None, dry_run: bool, progress: Progress) -> BackupPlan | BackupResult:
    """Write one backup of the whole database while the site goes on."""
    from dataclasses import replace

    from cms.database.backup import apply_backup, plan_backup
    from cms.database.target import Target

    target = Target.of(app.config)
    if folder:
        target = replace(target, backup_dir=folder.resolve())
    plan = plan_backup(target)
    return plan if dry_run else apply_backup(target, plan, say=progress)
