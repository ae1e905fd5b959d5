"""The command `manage.py copy-backups`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cms.management.base import Progress, command

if TYPE_CHECKING:
    from flask import Flask

    from cms.database.offsite import CopyPlan, CopyResult


@command
def copy_backups(app: Flask, *, dry_run: bool, progress: Progress) -> CopyPlan | CopyResult:
    """Copy the backups that are not at BACKUP_COPY_URL yet, and read every file back."""
    from cms.database.offsite import Place, apply_copy, plan_copy
    from cms.database.target import Target
    from cms.errors import ConfigurationError

    target = Target.of(app.config)
    if not target.copy_url:
        raise ConfigurationError(
            "there is no place for copies of backups",
            why="BACKUP_COPY_URL is not set",
            hint="set it to s3://bucket/folder, file:///folder or the like; nothing was copied",
        )
    place = Place(target.copy_url)
    plan = plan_copy(target, place)
    return plan if dry_run else apply_copy(target, place, plan, say=progress)
