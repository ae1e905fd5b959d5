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
def backup_and_migrate(app: Flask, *, no_proof: bool, dry_run: bool, progress: Progress) -> ReleasePlan | ReleaseResult:
    """Bring the database to the newest revision, after a backup; with nothing pending, do nothing."""
    from cms.database.release import apply_release, plan_release
    from cms.database.target import Target

    target = Target.of(app.config)
    proof = app.config["BACKUP_PROOF"] == "on" and not no_proof
    return plan_release(target) if dry_run else apply_release(target, proof=proof, say=progress)
