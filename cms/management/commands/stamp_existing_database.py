"""The command `manage.py stamp-existing-database`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from cms.management.base import Confirm, Progress, command

if TYPE_CHECKING:
    from flask import Flask

    from cms.database.adopt import StampPlan, StampResult


@command
@click.option("--accept-differences", is_flag=True, help="Record differences that later revisions can carry.")
@click.option("--align", is_flag=True, help="First make the schema equal, after a backup; drops no column.")
def stamp_existing_database(
    app: Flask, *, accept_differences: bool, align: bool, dry_run: bool, confirm: Confirm, progress: Progress
) -> StampPlan | StampResult:
    """Give a database made without our history its place in it, if its schema is, or becomes, a revision's."""
    from cms.database.adopt import apply_stamp, plan_stamp
    from cms.database.target import Target

    target = Target.of(app.config)
    plan = plan_stamp(target, accept_differences=accept_differences, align=align)
    if dry_run or plan.revision is None:
        return plan
    progress(str(plan))
    first = "run this and " if plan.alignment else ""
    confirm(f"{first}stamp {plan.database} as revision {plan.revision}?")
    return apply_stamp(target, plan, say=progress, proof=app.config["BACKUP_PROOF"] == "on")
