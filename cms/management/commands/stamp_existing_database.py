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
def stamp_existing_database(
    app: Flask, *, accept_differences: bool, dry_run: bool, confirm: Confirm, progress: Progress
) -> StampPlan | StampResult:
    """Give a database made without our history its place in it, if its schema equals a revision's."""
    from cms.database.adopt import apply_stamp, plan_stamp
    from cms.database.target import Target

    target = Target.of(app.config)
    plan = plan_stamp(target, accept_differences=accept_differences)
    if dry_run or plan.revision is None:
        return plan
    progress(str(plan))
    confirm(f"stamp {plan.database} as revision {plan.revision}?")
    return apply_stamp(target, plan, say=progress)
