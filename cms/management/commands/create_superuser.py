"""The command `manage.py create-superuser`."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING

import click

from cms.management.base import command

if TYPE_CHECKING:
    from flask import Flask


@dataclass(frozen=True)
class SuperuserCreated:
    """The new administrator, without the password."""

    username: str
    email: str

    def __str__(self) -> str:
        return f"created the administrator {self.username} <{self.email}>"


@command
@click.option("--username", help="Name to sign in with; asked for if missing.")
@click.option("--email", help="Address for mail from the site; asked for if missing.")
@click.option("--password-file", type=click.File(), help="File that holds the password; - reads standard input.")
def create_superuser(
    app: Flask,  # noqa: ARG001 - what is needed of it is its context
    *,
    username: str | None,
    email: str | None,
    password_file: IO[str] | None,
) -> SuperuserCreated:
    """Create an administrator; asks for the password, which is never an argument."""
    from datetime import UTC, datetime

    from cms.accounts.services import create_user
    from cms.activity.services import Subject, record
    from cms.extensions import transaction
    from cms.management.operators import operator

    username = username or click.prompt("Username", err=True)
    email = email or click.prompt("E-mail", err=True)
    password = read_password(password_file)
    with transaction() as session:
        at = datetime.now(UTC)
        user = create_user(session, username=username, email=email, role="admin", password=password, at=at)
        about = Subject("user", str(user.uuid), user.username)
        record(session, "user.created", actor=operator(), at=at, about=about, details={"role": "admin"})
    return SuperuserCreated(username, email)


def read_password(file: IO[str] | None) -> str:
    """Return the first line of the file, or what is typed twice at a prompt that does not show it."""
    if file:
        return file.readline().rstrip("\r\n")
    if not sys.stdin.isatty():
        raise click.Abort
    return str(click.prompt("Password", hide_input=True, confirmation_prompt=True, err=True))
