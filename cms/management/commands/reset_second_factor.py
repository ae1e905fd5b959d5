"""The command `manage.py reset-second-factor`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import click

from cms.management.base import Confirm, command

if TYPE_CHECKING:
    from flask import Flask


@dataclass(frozen=True)
class SecondFactorReset:
    """Whose second factor is gone, if there was one."""

    username: str
    was_set_up: bool

    def __str__(self) -> str:
        if not self.was_set_up:
            return f"{self.username} has no second factor; nothing was changed"
        return f"{self.username} signs in by password alone and was told by mail"


@command
@click.argument("user")
def reset_second_factor(app: Flask, *, user: str, confirm: Confirm) -> SecondFactorReset:  # noqa: ARG001
    """Let somebody who lost every other key sign in by password alone. USER: username or e-mail address."""
    from datetime import UTC, datetime

    from cms.accounts.second_factor import reset_second_factor as reset
    from cms.accounts.sign_in import get_by_login
    from cms.extensions import db, transaction
    from cms.management.operators import operator

    found = get_by_login(db.session, user)
    confirm(f"remove the second factor of {found.username} <{found.email}>?")
    with transaction() as session:
        was_set_up = reset(session, found.uuid, by=operator(), at=datetime.now(UTC))
    return SecondFactorReset(found.username, was_set_up)
