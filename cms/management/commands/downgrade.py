"""The command `manage.py downgrade`."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from cms.management.base import Confirm, Progress, command

if TYPE_CHECKING:
    from flask import Flask

    from cms.database.downgrade import DowngradePlan, DowngradeResult


@command
@click.argument("revision")
@click.option("--lose", type=click.IntRange(0), help="How many rows and values may be lost, as the plan counts them.")
def downgrade(
    app: Flask, *, revision: str, lose: int | None, dry_run: bool, confirm: Confirm, progress: Progress
) -> DowngradePlan | DowngradeResult:
    """Take the database back to an older revision, after counting what is lost, a backup and a rehearsal."""
    from cms.database.downgrade import apply_downgrade, plan_downgrade
    from cms.database.target import Target

    target = Target.of(app.config)
    plan = plan_downgrade(target, revision)
    if dry_run:
        return plan
    progress(str(plan))
    if plan.price:
        agree(plan.price, lose)
    else:
        confirm(f"go back to {plan.goal}?")
    return apply_downgrade(target, plan, proof=app.config["BACKUP_PROOF"] == "on", say=progress)


def agree(price: int, lose: int | None) -> None:
    """Ask for the number that will be lost. Raises Refused for any other."""
    from cms.errors import Refused

    if lose is None and sys.stdin.isatty():
        lose = click.prompt("type how many rows and values will be lost, or 0 to leave it", type=int, err=True)
    if lose != price:
        raise Refused(
            f"not confirmed: {price:,} rows and values would be lost",
            why="that number was not given" if lose is None else f"the number that was given is {lose:,}",
            hint=f"add --lose {price} if you mean it; nothing was changed",
        )
