"""The command `manage.py restore`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from cms.management.base import Confirm, Progress, command

if TYPE_CHECKING:
    from flask import Flask

    from cms.database.restore import RestorePlan, RestoreResult


@command()
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--replace", is_flag=True, help="The database is not empty: put the backup in its place, keep it aside.")
def restore(
    app: Flask, *, folder: Path, replace: bool, dry_run: bool, confirm: Confirm, progress: Progress
) -> RestorePlan | RestoreResult:
    """Restore a backup folder into the database, verified before and after."""
    from cms.database.restore import apply_restore, plan_restore
    from cms.database.target import Target

    target = Target.of(app.config)
    plan = plan_restore(target, folder.resolve(), replace=replace)
    if dry_run:
        return plan
    if plan.occupied:
        confirm(str(plan))
    return apply_restore(target, plan, say=progress)
