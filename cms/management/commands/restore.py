"""The command `manage.py restore`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from cms.management.base import Confirm, Progress, command

if TYPE_CHECKING:
    from flask import Flask

    from cms.database.restore import RestorePlan, RestoreResult
    from cms.database.target import Target
    from cms.database.undo import UndoPlan, UndoResult


@command
@click.argument("folder", type=click.Path(path_type=Path), required=False)
@click.option("--replace", "replacing", is_flag=True, help="The database is not empty: keep what it holds aside.")
@click.option(
    "--to-new-database",
    "name",
    help="Restore into a new database of this name, and leave the site's alone (missing media are brought back).",
)
@click.option("--into", help="The database's own name, typed because the backup is of another one or of newer code.")
@click.option(
    "--in-place",
    is_flag=True,
    help="Empty and fill the database in one transaction, for a PostgreSQL role that may not create databases.",
)
@click.option("--undo", is_flag=True, help="Bring back what the last restore put aside.")
def restore(  # noqa: PLR0913 - a parameter for each option
    app: Flask,
    *,
    folder: Path | None,
    replacing: bool,
    name: str | None,
    into: str | None,
    in_place: bool,
    undo: bool,
    dry_run: bool,
    confirm: Confirm,
    progress: Progress,
) -> RestorePlan | RestoreResult | UndoPlan | UndoResult:
    """Restore a backup folder into the database, verified before and after; what was there is kept."""
    from cms.database.offsite import find_backup
    from cms.database.restore import apply_restore, plan_restore
    from cms.database.target import Target
    from cms.database.undo import choose_target

    target = Target.of(app.config)
    if undo and (folder or replacing or in_place or name is not None or into is not None):
        raise click.UsageError("--undo brings back what the last restore put aside, and takes nothing else")
    if undo:
        return bring_back(target, dry_run=dry_run, confirm=confirm, progress=progress)
    if folder is None:
        raise click.UsageError("name the folder of a backup, or say --undo; `manage.py list-backups` lists them")
    if name is not None and (in_place or into is not None):
        raise click.UsageError("--to-new-database names the target itself, and takes neither --into nor --in-place")
    folder = find_backup(target, folder, say=progress)
    if name is not None:
        target, into = choose_target(target, name), name
    plan = plan_restore(target, folder, replacing=replacing, into=into, in_place=in_place)
    if dry_run:
        return plan
    if plan.occupied:
        confirm(str(plan))
    return apply_restore(target, plan, say=progress)


def bring_back(target: Target, *, dry_run: bool, confirm: Confirm, progress: Progress) -> UndoPlan | UndoResult:
    from cms.database.undo import apply_undo, plan_undo

    plan = plan_undo(target)
    if dry_run:
        return plan
    confirm(str(plan))
    return apply_undo(target, plan, say=progress)
