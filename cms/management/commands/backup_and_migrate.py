"""The command `manage.py backup-and-migrate`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cms.management.base import Progress, command

if TYPE_CHECKING:
    from flask import Flask

    from cms.database.release import ReleasePlan, ReleaseResult


@command()
def backup_and_migrate(app: Flask, *, dry_run: bool, progress: Progress) -> ReleasePlan | ReleaseResult:
    """Bring the database to the newest revision, after a backup; with nothing pending, do nothing."""
    from cms.database.release import apply_release, plan_release
    from cms.database.target import Target

    target = Target.of(app.config)
    return plan_release(target) if dry_run else apply_release(target, say=progress)
