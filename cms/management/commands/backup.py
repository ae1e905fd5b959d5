"""The command `manage.py backup`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from cms.management.base import Progress, command

if TYPE_CHECKING:
    from flask import Flask

    from cms.database.backup import BackupPlan, BackupResult
    from cms.database.target import Target


@command
@click.option("--to", "folder", type=click.Path(path_type=Path), help="Folder for the backup [default: BACKUP_DIR].")
@click.option("--no-proof", is_flag=True, help="Do not try the backup by restoring it [default: BACKUP_PROOF].")
@click.option("--why", default="manual", show_default=True, help="The reason, for the manifest.")
def backup(
    app: Flask, *, folder: Path | None, no_proof: bool, why: str, dry_run: bool, progress: Progress
) -> BackupPlan | BackupResult:
    """Write one backup of database and media while the site goes on, and prove it by restoring it."""
    from dataclasses import replace

    from cms.database.backup import apply_backup, plan_backup
    from cms.database.target import Target

    target = Target.of(app.config)
    if folder:
        target = replace(target, backup_dir=folder.resolve())
    plan = plan_backup(target, proof=app.config["BACKUP_PROOF"] == "on" and not no_proof)
    if dry_run:
        return plan
    result = apply_backup(target, plan, why=why, say=progress)
    if target.copy_url:
        copy(target, result, progress)
    return result


def copy(target: Target, result: BackupResult, progress: Progress) -> None:
    """Copy this backup, and those before it that have no copy yet. Raises CopyFailed, which names the backup."""
    from cms.database.errors import CopyFailed
    from cms.database.offsite import Place, apply_copy, plan_copy

    try:
        place = Place(str(target.copy_url))
        progress(str(apply_copy(target, place, plan_copy(target, place), say=progress)))
    except CopyFailed as error:
        error.hint = f"{error.hint}; {result.id} is whole in {result.folder}, `copy-backups` tries to copy it again"
        raise
