"""Everything that must be run before revisions can be judged, and what could not be run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import sqlalchemy as sa
from alembic.script import ScriptDirectory

from cms.database.engines import engine_for
from cms.database.errors import DatabaseUnsupported, MigrationFailed, ToolMissing
from cms.database.history import get_script
from cms.database.lint.squawk import OLDEST_SERVER, Squawk, find_squawk
from cms.database.lint.trial import Trial, try_history
from cms.database.recording import Statement, render
from cms.database.scratch import scratch_postgresql, scratch_sqlite
from cms.database.target import Target


@dataclass(frozen=True)
class Evidence:
    """Trials of each revision by engine; squawk, if it is there; and what was not looked at, and why.

    engines: those that the revisions are judged for.
    """

    engines: Sequence[str]
    trials: dict[str, dict[str, Trial]]
    squawk: Squawk | None
    unchecked: tuple[str, ...]


@dataclass(frozen=True)
class Runs:
    """The trials on one engine, by revision."""

    trials: dict[str, Trial]
    unchecked: tuple[str, ...] = ()
    server: int = OLDEST_SERVER


def gather(target: Target, scripts: ScriptDirectory, chosen: Sequence[str], engines: Sequence[str]) -> Evidence:
    """Run the chosen revisions on SQLite in memory and on PostgreSQL, if that is the target; find squawk.

    engines: "sqlite", "postgresql" or both. Changes nothing. Raises DatabaseUnreachable.
    """
    runs: dict[str, Runs] = {}
    if "sqlite" in engines:
        with scratch_sqlite() as connection:
            runs["sqlite"] = try_all(connection, scripts, chosen)
    if "postgresql" in engines:
        runs["postgresql"] = run_on_postgresql(target, scripts, chosen)
    trials = {
        revision: {engine: each.trials[revision] for engine, each in runs.items() if revision in each.trials}
        for revision in chosen
    }
    unchecked = [line for each in runs.values() for line in each.unchecked]
    if "postgresql" not in engines:
        return Evidence(engines, trials, None, tuple(unchecked))
    squawk = None
    try:
        squawk = Squawk(find_squawk(), runs["postgresql"].server)
    except ToolMissing as missing:
        unchecked.append(f"locks and rewrites on PostgreSQL, since {missing.what} ({missing.hint})")
    return Evidence(engines, trials, squawk, tuple(unchecked))


def run_on_postgresql(target: Target, scripts: ScriptDirectory, chosen: Sequence[str]) -> Runs:
    if target.engine_name != "postgresql":
        return Runs({}, ("the run on PostgreSQL, since DATABASE_URL names SQLite; only the SQL for it was looked at",))
    try:
        with scratch_postgresql(target) as connection:
            server = engine_for(target).describe_server(connection).major
            found = try_all(connection, scripts, chosen)
            return Runs(found.trials, found.unchecked, server)
    except DatabaseUnsupported as unable:
        return Runs({}, (f"the run on PostgreSQL: {unable.why} ({unable.hint})",))


def try_all(connection: sa.Connection, scripts: ScriptDirectory, chosen: Sequence[str]) -> Runs:
    trials: dict[str, Trial] = {}
    why = "one before them cannot be applied"
    try:
        trials.update(try_history(connection, scripts, chosen))
    except MigrationFailed as failed:
        why = f"{failed.what}: {failed.why}"
    untried = [revision for revision in chosen if revision not in trials]
    engine = connection.dialect.name
    return Runs(trials, (f"the run of {', '.join(untried)} on {engine}, since {why}",) if untried else ())


def said_on(scripts: ScriptDirectory, revision: str, evidence: Evidence) -> tuple[Statement, ...] | None:
    """Return what an upgrade says to PostgreSQL if that counts, else to SQLite; None if that cannot be known.

    For PostgreSQL it is rendered, which needs no server; a revision that reads is taken from the trial.
    """
    trials = evidence.trials[revision]
    if "postgresql" not in evidence.engines:
        return trials["sqlite"].up if "sqlite" in trials else None
    try:
        return tuple(render(get_script(scripts, revision)))
    except Exception:  # noqa: BLE001 - a revision that reads the database fails in whatever way when there is none
        return trials["postgresql"].up or None if "postgresql" in trials else None
