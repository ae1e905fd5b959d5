"""Give an existing database, made without our history, its place in it: `stamp-existing-database`."""

from __future__ import annotations

from dataclasses import dataclass

import sqlalchemy as sa
from alembic import command
from alembic.script import ScriptDirectory

from cms.database.catalog_postgresql import list_unusable_tables
from cms.database.engines import engine_for
from cms.database.engines.base import Say, connecting
from cms.database.errors import HistoryBroken, RevisionUnknown, StampRefused
from cms.database.facts import Fact
from cms.database.fingerprint import Fingerprint, read_fingerprint, replay_history
from cms.database.history import alembic_config, load_scripts, read_current
from cms.database.target import Target
from cms.words import counted


@dataclass(frozen=True)
class Difference:
    """How the database differs from one revision, in catalog facts."""

    revision: str
    missing: tuple[Fact, ...]
    extra: tuple[Fact, ...]

    @property
    def size(self) -> int:
        return len(self.missing) + len(self.extra)


@dataclass(frozen=True)
class StampPlan:
    """What would be stamped. revision: the one whose schema is equal, or None; nearest: how it differs otherwise."""

    database: str
    current: str | None
    revision: str | None
    nearest: Difference | None

    def __str__(self) -> str:
        if self.current:
            return f"{self.database} is at revision {self.current} already; nothing to stamp"
        return f"would stamp {self.database} as revision {self.revision}: its schema is equal"


@dataclass(frozen=True)
class StampResult:
    """What was stamped, as read back."""

    database: str
    revision: str

    def __str__(self) -> str:
        return (
            f"{self.database} is now at revision {self.revision}; "
            "nothing but the version table and the journal was touched\n"
            "next: python manage.py backup-and-migrate"
        )


def plan_stamp(target: Target) -> StampPlan:
    """Find the revision whose schema equals the database's. Reads only.

    Raises StampRefused, with every difference to the nearest revision, if there is none, or if the database is empty.
    """
    scripts = load_scripts(target)
    with connecting(target, engine_for(target).open_tool(target)) as connection:
        current = read_our_revision(connection, scripts, target)
        refuse_unusable_tables(connection, target)
        found = read_fingerprint(connection)
    if current is not None:
        return StampPlan(target.name, current, None, None)
    if not found.facts:
        raise StampRefused(
            f"{target.name} holds no table of ours",
            why="there is no schema that could be compared",
            hint="for a new site run `python manage.py backup-and-migrate`; check DATABASE_URL otherwise",
        )
    return match(target, found, replay_history(target, scripts))


def read_our_revision(connection: sa.Connection, scripts: ScriptDirectory, target: Target) -> str | None:
    """Return the revision that our history gave the database. Raises StampRefused for another program's history."""
    try:
        return read_current(connection, scripts)
    except (RevisionUnknown, HistoryBroken) as foreign:
        raise StampRefused(
            f"{target.name} has a version table that is not ours: {foreign.what}",
            why="another program's history, or a release of ours that this code does not know",
            hint="deploy that release; or, if the other program is gone, drop the table alembic_version and try again",
        ) from foreign


def refuse_unusable_tables(connection: sa.Connection, target: Target) -> None:
    """Raise StampRefused if the role may not use a table in full: its schema can be equal, and no upgrade would run."""
    unusable = list_unusable_tables(connection) if connection.dialect.name == "postgresql" else []
    if unusable:
        names = ", ".join(unusable)
        raise StampRefused(
            f"{target.url.username} may not read and write {counted(len(unusable), 'table')} of {target.name}: {names}",
            why="the tables belong to another role",
            hint=f"as their owner: GRANT SELECT, INSERT, UPDATE, DELETE ON {names} TO {target.url.username}, "
            "or make this role their owner, which upgrades need; nothing was stamped or changed",
        )


def match(target: Target, found: Fingerprint, expected: dict[str, Fingerprint]) -> StampPlan:
    """Compare with every revision. Raises StampRefused if none is equal."""
    differences = [
        Difference(revision, there.missing_from(found), found.missing_from(there))
        for revision, there in expected.items()
    ]
    nearest = min(differences, key=lambda difference: difference.size)
    if nearest.size:
        raise StampRefused(
            f"the schema of {target.name} is not that of any revision",
            why=f"nearest is {nearest.revision}, with {counted(nearest.size, 'difference')}:\n{listed(nearest)}",
            hint="make the schema equal and try again; nothing was stamped or changed",
        )
    # Revisions that change only data share a schema: the newest of them would skip the others' data steps.
    return StampPlan(target.name, None, nearest.revision, nearest)


def listed(difference: Difference) -> str:
    lines = [f"missing: {fact}" for fact in difference.missing] + [f"extra:   {fact}" for fact in difference.extra]
    return "\n".join(f"        {line}" for line in lines)


def apply_stamp(target: Target, plan: StampPlan, *, say: Say) -> StampResult:
    """Write the revision into the version table, under the deploy lock, if the schema is still equal; read it back.

    Raises StampRefused if the schema changed since the plan was made, DatabaseBusy.
    """
    assert plan.revision is not None  # noqa: S101 - nothing to apply otherwise
    with engine_for(target).deploy_lock(target, say):
        if plan_stamp(target) != plan:
            raise StampRefused("the schema changed while we looked", hint="run the command again; nothing was stamped")
        config = alembic_config(target)
        config.attributes["lock_held"] = True
        command.stamp(config, plan.revision)
        with connecting(target, engine_for(target).open_tool(target)) as connection:
            return StampResult(target.name, str(read_current(connection, load_scripts(target))))
