"""The command `manage.py restore`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from cms.management.base import Confirm, Progress, command

if TYPE_CHECKING:
    from flask import Flask

    from cms.database.restore import RestorePlan, RestoreResult, UndoPlan, UndoResult
    from cms.database.target import Target


@command
@click.argument("folder", type=click.Path(path_type=Path), required=False)
@click.option("--replace", "replacing", is_flag=True, help="The database is not empty: keep what it holds aside.")
@click.option(
    "--to-new-database",
    "name",
    help="Restore into a new database of this name, and leave the site's alone (missing media are brought back).",
)
@click.option("--undo", is_flag=True, help="Bring back what the last restore put aside.")
def restore(
    app: Flask,
    *,
    folder: Path | None,
    replacing: bool,
    name: str | None,
    undo: bool,
    dry_run: bool,
    confirm: Confirm,
    progress: Progress,
) -> RestorePlan | RestoreResult | UndoPlan | UndoResult:
    """Restore a backup folder into the database, verified before and after; what was there is kept."""
    from cms.database.restore import apply_restore, choose_target, plan_restore
    from cms.database.shelf import find_folder
    from cms.database.target import Target

    target = Target.of(app.config)
    if undo and (folder or replacing or name is not None):
        raise click.UsageError("--undo brings back what the last restore put aside, and takes nothing else")
    if undo:
        return bring_back(target, dry_run=dry_run, confirm=confirm, progress=progress)
    if folder is None:
        raise click.UsageError("name the folder of a backup, or say --undo; `manage.py list-backups` lists them")
    folder = find_folder(target, folder)
    if name is not None:
        target = choose_target(target, name)
    plan = plan_restore(target, folder, replacing=replacing)
    if dry_run:
        return plan
    if plan.occupied:
        confirm(str(plan))
    return apply_restore(target, plan, say=progress)


def bring_back(target: Target, *, dry_run: bool, confirm: Confirm, progress: Progress) -> UndoPlan | UndoResult:
    from cms.database.restore import apply_undo, plan_undo

    plan = plan_undo(target)
    if dry_run:
        return plan
    confirm(str(plan))
    return apply_undo(target, plan, say=progress)
