"""The command `manage.py fingerprint`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from cms.management.base import command

if TYPE_CHECKING:
    from flask import Flask

    from cms.database.identify import SchemaReport


@command
@click.option("--diff", "other", metavar="OTHER", help="Compare with a revision, or with a file that --json wrote.")
def fingerprint(app: Flask, *, other: str | None) -> SchemaReport:
    """Say which revision the database's schema is, whatever its version table says."""
    from cms.database.identify import identify
    from cms.database.target import Target

    return identify(Target.of(app.config), other=other)
