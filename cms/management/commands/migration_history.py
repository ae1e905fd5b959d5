"""The command `manage.py migration-history`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from cms.management.base import command

if TYPE_CHECKING:
    from flask import Flask

    from cms.database.journal import JournalEntry


@dataclass(frozen=True)
class MigrationHistory:
    """What was done to a database's schema, oldest first."""

    database: str
    entries: tuple[JournalEntry, ...]

    def __str__(self) -> str:
        if not self.entries:
            return f"nothing was ever applied to {self.database}"
        return "\n".join(map(str, self.entries))


@command
def migration_history(app: Flask) -> MigrationHistory:
    """Show which revision was applied when, by whom and how, oldest first."""
    from cms.database.engines import engine_for
    from cms.database.engines.base import connecting
    from cms.database.journal import read_journal
    from cms.database.target import Target

    target = Target.of(app.config)
    with connecting(target, engine_for(target).open_tool(target)) as connection:
        return MigrationHistory(target.name, tuple(read_journal(connection)))
