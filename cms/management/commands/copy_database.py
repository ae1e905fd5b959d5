"""The command `manage.py copy-database`."""

from __future__ import annotations

from typing import IO, TYPE_CHECKING

import click

from cms.management.base import Confirm, Progress, command

if TYPE_CHECKING:
    from flask import Flask
    from sqlalchemy import URL

    from cms.database.moving import MovePlan, MoveResult


FORMS = "write sqlite:///FILE or postgresql://USER@HOST/NAME"


@command
@click.option("--to", "address", required=True, help="The empty database: sqlite:///FILE, postgresql://USER@HOST/NAME.")
@click.option("--password-file", type=click.File(), help="File that holds its password; - reads standard input.")
def copy_database(
    app: Flask, *, address: str, password_file: IO[str] | None, dry_run: bool, confirm: Confirm, progress: Progress
) -> MovePlan | MoveResult:
    """Move the whole site from SQLite to PostgreSQL, or back, and compare every row."""
    from dataclasses import replace

    from cms.database.moving import apply_move, plan_move
    from cms.database.target import Target

    source = Target.of(app.config)
    url = parse_address(address)
    if password_file:
        url = url.set(password=read_password(password_file))
    to = replace(source, url=url)
    plan = plan_move(source, to)
    if dry_run:
        return plan
    if plan.left_out:
        confirm(f"{', '.join(plan.left_out)} will not be moved, since no revision makes them. Go on?")
    return apply_move(source, to, plan, say=progress)


def parse_address(text: str) -> URL:
    """Return the address. Raises click.BadParameter for one that is none, or that holds a password."""
    from cms.database.target import parse_url
    from cms.errors import ConfigurationError

    try:
        url = parse_url(text)
    except ConfigurationError as error:
        raise click.BadParameter(FORMS, param_hint="--to") from error
    if url.get_backend_name() not in {"sqlite", "postgresql"} or not url.database:
        raise click.BadParameter(FORMS, param_hint="--to")
    if url.password:
        why = "others can read the password of a command line; use --password-file, PGPASSWORD or ~/.pgpass"
        raise click.BadParameter(why, param_hint="--to")
    return url


def read_password(file: IO[str]) -> str:
    """Return the first line of the file; from a terminal what is typed, which is not shown."""
    if file.isatty():
        return str(click.prompt("Password", hide_input=True, err=True))
    return file.readline().rstrip("\r\n")
