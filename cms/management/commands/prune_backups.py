"""The command `manage.py prune-backups`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from cms.management.base import Confirm, Progress, command
from cms.words import counted

if TYPE_CHECKING:
    from flask import Flask

    from cms.database.prune import PrunePlan, PruneResult

COUNT = click.IntRange(0, 10_000)


@command
@click.option("--keep-daily", type=COUNT, default=7, show_default=True, help="Keep the newest of so many days.")
@click.option("--keep-weekly", type=COUNT, default=4, show_default=True, help="Keep the newest of so many weeks.")
@click.option("--keep-monthly", type=COUNT, default=12, show_default=True, help="Keep the newest of so many months.")
@click.option("--keep-former", type=COUNT, default=1, show_default=True, help="Keep so many that restores put aside.")
def prune_backups(
    app: Flask,
    *,
    keep_daily: int,
    keep_weekly: int,
    keep_monthly: int,
    keep_former: int,
    dry_run: bool,
    confirm: Confirm,
    progress: Progress,
) -> PrunePlan | PruneResult:
    """Remove old backups and what restores put aside; the two newest proven backups always stay."""
    from cms.database.prune import Keep, apply_prune, plan_prune
    from cms.database.target import Target

    target = Target.of(app.config)
    plan = plan_prune(target, Keep(daily=keep_daily, weekly=keep_weekly, monthly=keep_monthly, former=keep_former))
    if dry_run:
        return plan
    if plan.remove or plan.former:
        progress(str(plan))
        former = f" and drop {counted(len(plan.former), 'former database')}" if plan.former else ""
        confirm(f"remove {counted(len(plan.remove), 'backup')} from {plan.folder}{former}?")
    return apply_prune(target, plan)
