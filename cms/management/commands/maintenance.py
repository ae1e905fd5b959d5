"""The command `manage.py maintenance`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import click

from cms.management.base import command

if TYPE_CHECKING:
    from flask import Flask

    from cms.database.maintenance import Maintenance


@dataclass(frozen=True)
class MaintenanceResult:
    """Whether the mode is on now, and whether it was before; maintenance: as it was turned on, None while it is off."""

    on: bool
    was_on: bool
    maintenance: Maintenance | None

    def __str__(self) -> str:
        state = "on" if self.on else "off"
        about = f" {self.maintenance}" if self.maintenance else ""
        return f"maintenance mode is {state}{about}"


@command
@click.argument("state", type=click.Choice(["on", "off", "status"]))
@click.option("--why", default="turned on by hand", show_default=True, help="The reason, for the status.")
@click.option("--minutes", type=click.IntRange(1, 10_000), help="For how long, which visitors are told.")
def maintenance(app: Flask, *, state: str, why: str, minutes: int | None) -> MaintenanceResult:
    """Answer every page with 503, or no longer; works without the database."""
    import os
    from datetime import UTC, datetime, timedelta

    from cms.database.journal import who
    from cms.database.maintenance import Maintenance, find_maintenance, turn_off, turn_on

    path = app.config["MAINTENANCE_FILE"]
    before = find_maintenance(path)
    if state == "on":
        now = datetime.now(UTC)
        until = now + timedelta(minutes=minutes) if minutes else None
        os.close(turn_on(path, Maintenance(now, who(), why, until)))
    elif state == "off":
        turn_off(path)
    after = find_maintenance(path)
    return MaintenanceResult(after is not None, before is not None, after)
