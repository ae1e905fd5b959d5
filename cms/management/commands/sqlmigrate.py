"""The command `manage.py sqlmigrate`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from cms.management.base import command

if TYPE_CHECKING:
    from flask import Flask

    from cms.database.history import RenderedRevision


@command
@click.argument("revision")
@click.option("--backwards", is_flag=True, help="Show the downgrade instead.")
def sqlmigrate(app: Flask, *, revision: str, backwards: bool) -> RenderedRevision:
    """Print the SQL that one revision runs on this kind of database; changes nothing."""
    from cms.database.history import render_revision
    from cms.database.target import Target

    return render_revision(Target.of(app.config), revision, backwards=backwards)
