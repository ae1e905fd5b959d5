"""The command `manage.py stamp-existing-database`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cms.management.base import Confirm, Progress, command

if TYPE_CHECKING:
    from flask import Flask

    from cms.database.adopt import StampPlan, StampResult


@command
def stamp_existing_database(
    app: Flask, *, dry_run: bool, confirm: Confirm, progress: Progress
) -> StampPlan | StampResult:
    """Give a database made without our history its place in it, if its schema equals a revision's."""
    from cms.database.adopt import apply_stamp, plan_stamp
    from cms.database.target import Target

    target = Target.of(app.config)
    plan = plan_stamp(target)
    if dry_run or plan.revision is None:
        return plan
    confirm(f"stamp {plan.database} as revision {plan.revision}, whose schema is equal?")
    return apply_stamp(target, plan, say=progress)
