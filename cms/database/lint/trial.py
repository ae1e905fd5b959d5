"""Run revisions up, down and up again in a scratch place, and look at the schema after each step."""

from __future__ import annotations

import traceback
from collections.abc import Collection, Iterator
from dataclasses import dataclass

import sqlalchemy as sa
from alembic.script import Script, ScriptDirectory
from sqlalchemy.exc import DBAPIError

from cms.database.engines.base import first_line
from cms.database.errors import IrreversibleMigration, MigrationFailed
from cms.database.history import get_script, list_revisions
from cms.database.lint.catalog import Shape, read_shape
from cms.database.recording import Statement, record


@dataclass(frozen=True)
class Failure:
    """A step that raised. step: "upgrade", "downgrade" or "upgrade again"."""

    step: str
    why: str
    line: int


@dataclass(frozen=True)
class Trial:
    """One revision on one engine. lost and left: facts that downgrade() did not bring back, or did not take away."""

    engine: str
    before: Shape
    after: Shape
    up: tuple[Statement, ...] = ()
    down: tuple[Statement, ...] = ()
    failure: Failure | None = None
    irreversible: bool = False
    lost: tuple[str, ...] = ()
    left: tuple[str, ...] = ()
    again: tuple[str, ...] = ()


def try_history(
    connection: sa.Connection, scripts: ScriptDirectory, chosen: Collection[str]
) -> Iterator[tuple[str, Trial]]:
    """Yield (revision, trial) for each chosen one, oldest first; stops after one that cannot be applied.

    Raises MigrationFailed if one that was not chosen fails before them.
    """
    last = max((place for place, each in enumerate(list_revisions(scripts)) if each.id in chosen), default=-1)
    for revision in list_revisions(scripts)[: last + 1]:
        script = get_script(scripts, revision.id)
        if revision.id in chosen:
            trial = try_one(connection, script)
            yield revision.id, trial
            if trial.failure and trial.failure.step == "upgrade":
                return
        elif failed := attempt(connection, script, "upgrade").failure:
            raise MigrationFailed(f"revision {revision.id} cannot be applied", why=failed.why)


def try_one(connection: sa.Connection, script: Script) -> Trial:
    """Run one revision up, down, and up again, and leave it applied once."""
    engine = connection.dialect.name
    before = read_shape(connection)
    up = attempt(connection, script, "upgrade")
    after = read_shape(connection)
    if up.failure or not hasattr(script.module, "downgrade"):
        return Trial(engine, before, after, up.said, failure=up.failure)
    savepoint = connection.begin_nested()
    down = attempt(connection, script, "downgrade")
    restored = read_shape(connection)
    again = None if down.failure or down.refused else attempt(connection, script, "upgrade", name="upgrade again")
    remade = read_shape(connection)
    savepoint.rollback()
    if again is None:
        return Trial(engine, before, after, up.said, down.said, down.failure, irreversible=down.refused)
    return Trial(
        engine,
        before,
        after,
        up.said,
        down.said,
        again.failure,
        lost=tuple(sorted(before.facts - restored.facts)),
        left=tuple(sorted(restored.facts - before.facts)),
        again=() if again.failure else tuple(sorted(after.facts ^ remade.facts)),
    )


@dataclass(frozen=True)
class Step:
    """What upgrade() or downgrade() said, and how it failed; refused: it raised IrreversibleMigration."""

    said: tuple[Statement, ...] = ()
    failure: Failure | None = None
    refused: bool = False


def attempt(connection: sa.Connection, script: Script, way: str, *, name: str | None = None) -> Step:
    """Run a step in a savepoint, which is rolled back if it fails. name: of the step in messages, if not ``way``."""
    savepoint = connection.begin_nested()
    try:
        said = record(connection, script, way)
    except IrreversibleMigration:
        savepoint.rollback()
        return Step(refused=True)
    except Exception as error:  # noqa: BLE001 - a revision may raise anything, and that is the finding
        savepoint.rollback()
        return Step(failure=Failure(name or way, shown(error), line_of(error, str(script.module.__file__))))
    savepoint.commit()
    return Step(tuple(said))


def shown(error: Exception) -> str:
    if isinstance(error, DBAPIError):
        return first_line(error)
    return f"{type(error).__name__}: {str(error).partition(chr(10))[0]}"


def line_of(error: Exception, file: str) -> int:
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == file]
    return (lines or [1])[-1] or 1
