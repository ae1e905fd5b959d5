"""The command `manage.py migration-history`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from cms.management.base import command

if TYPE_CHECKING:
    from flask import Flask

    from cms.database.journal import JournalEntry
    from cms.database.runs import PastRun

FOUND = 3


@dataclass(frozen=True)
class MigrationHistory:
    """What was done to a database's schema, oldest first.

    entries: what the database itself says. runs: what the files of the runs say that found something to do on this
    machine, also of those that died. problem: why the database could not be asked; then entries is empty.
    """

    database: str
    entries: tuple[JournalEntry, ...]
    runs: tuple[PastRun, ...]
    problem: str | None = None

    @property
    def exit_code(self) -> int:
        return FOUND if self.problem else 0

    def __str__(self) -> str:
        if not self.entries and not self.runs:
            return self.problem or f"nothing was ever applied to {self.database}"
        told = {run.id for run in self.runs}
        dated = [(run.began_at, [str(run), *self.entries_of(run)]) for run in self.runs]
        dated += [(entry.applied_at, [str(entry)]) for entry in self.entries if entry.run not in told]
        lines = [line for _, block in sorted(dated, key=lambda pair: pair[0]) for line in block]
        return "\n".join([*lines, *([self.problem] if self.problem else [])])

    def entries_of(self, run: PastRun) -> list[str]:
        return [f"    {entry}" for entry in self.entries if entry.run == run.id]


@command
def migration_history(app: Flask) -> MigrationHistory:
    """Show which revision was applied when, by whom and how, and which runs failed or died, oldest first."""
    from cms.database.engines import engine_for
    from cms.database.engines.base import connecting
    from cms.database.errors import DatabaseUnreachable
    from cms.database.journal import read_journal
    from cms.database.runs import list_runs
    from cms.database.target import Target

    target = Target.of(app.config)
    runs = tuple(list_runs(target))
    try:
        with connecting(target, engine_for(target).open_tool(target)) as connection:
            return MigrationHistory(target.name, tuple(read_journal(connection)), runs)
    except DatabaseUnreachable as unreachable:
        if not runs:
            raise
        return MigrationHistory(target.name, (), runs, f"{unreachable.what}: {unreachable.why}")
