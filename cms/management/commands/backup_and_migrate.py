"""The command `manage.py backup-and-migrate`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from cms.management.base import Progress, command

if TYPE_CHECKING:
    from flask import Flask

    from cms.database.release import ReleasePlan, ReleaseResult


@command
@click.option("--no-proof", is_flag=True, help="Do not try the backup by restoring it [default: BACKUP_PROOF].")
@click.option("--no-rehearsal", is_flag=True, help="Do not run the revisions on a copy of the database first.")
@click.option(
    "--on-failure",
    type=click.Choice(["stay", "restore"]),
    default="stay",
    show_default=True,
    help="What to do if a revision fails after others were applied.",
)
def backup_and_migrate(
    app: Flask, *, no_proof: bool, no_rehearsal: bool, on_failure: str, dry_run: bool, progress: Progress
) -> ReleasePlan | ReleaseResult:
    """Bring the database to the newest revision, after a backup and a rehearsal; with nothing pending, do nothing."""
    from cms.database.release import apply_release, plan_release
    from cms.database.target import Target

    target = Target.of(app.config)
    proof = app.config["BACKUP_PROOF"] == "on" and not no_proof
    if dry_run:
        return plan_release(target, proof=proof, rehearsal=not no_rehearsal)
    restoring = on_failure == "restore"
    return apply_release(target, proof=proof, rehearsal=not no_rehearsal, restoring=restoring, say=progress)
