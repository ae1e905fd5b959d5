"""Bring back what a restore put aside, and name new databases beside the site's."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from pathlib import Path

from cms.database.engines import engine_for
from cms.database.engines.base import kept_prefix
from cms.database.errors import RestoreRefused
from cms.database.progress import Say
from cms.database.restore import count_tables, locked_if_there, new_kept_name
from cms.database.target import Target
from cms.words import counted

NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,62}")


@dataclass(frozen=True)
class UndoPlan:
    """Which former database would come back."""

    database: str
    former: str

    def __str__(self) -> str:
        return f"bring back {self.former} as {self.database}; what is there now is kept aside"


@dataclass(frozen=True)
class UndoResult:
    """What the database holds now. kept: where what it held before the undo is."""

    database: str
    restored: str
    kept: str | None
    tables: int

    def __str__(self) -> str:
        done = f"{self.database} holds again what was {self.restored} ({counted(self.tables, 'table')})"
        return f"{done}\n  what was there before is kept as {self.kept}" if self.kept else done


def plan_undo(target: Target) -> UndoPlan:
    """Find what the last restore put aside. Reads only. Raises RestoreRefused if there is nothing."""
    kept = engine_for(target).list_kept(target)
    if not kept:
        raise RestoreRefused(
            f"there is nothing to bring back for {target.name}",
            why=f"no database named {kept_prefix(target)}… is there",
            hint="restore a backup instead; `python manage.py list-backups` names them",
        )
    return UndoPlan(target.name, kept[-1])


def apply_undo(target: Target, plan: UndoPlan, *, say: Say) -> UndoResult:
    """Swap the former database back, at once or not at all; a second undo swaps again. Raises DatabaseBusy."""
    engine = engine_for(target)
    former = replace(target, url=target.url.set(database=beside(target, plan.former)))
    with locked_if_there(target, say):
        pass  # a running migration is waited for; the swap itself ends every session, this one's too
    kept = engine.take_over(target, former, new_kept_name(target))
    if engine.embedded:
        engine.discard(target, plan.former)
    return UndoResult(target.name, plan.former, kept, count_tables(target))


def beside(target: Target, name: str) -> str:
    """Return the address of another database of the same server, or of a file in the same folder."""
    return name if target.engine_name == "postgresql" else str(Path(str(target.url.database)).with_name(name))


def choose_target(target: Target, name: str) -> Target:
    """Return the target that is a new database beside this one.

    Raises RestoreRefused if it exists already, or for a name that a server or a file system would change or refuse.
    """
    if not NAME.fullmatch(name):
        raise RestoreRefused(
            f"{name!r} cannot be the name of a new database",
            why="1 to 63 letters, digits, dots, hyphens and underscores are understood everywhere",
            hint="choose another name; nothing was changed",
        )
    live = target.database_name
    if target.engine_name == "sqlite" and name.startswith((f"{live}-", f"{live}.")):
        raise RestoreRefused(
            f"{name!r} belongs to {live} itself",
            why="SQLite keeps its write-ahead log, and this CMS its lock, under names that begin so",
            hint="choose another name; nothing was changed",
        )
    new = replace(target, url=target.url.set(database=beside(target, name)))
    if not engine_for(new).is_absent(new):
        raise RestoreRefused(f"{new.name} exists already", hint="choose another name; nothing was changed")
    return new
