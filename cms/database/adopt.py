"""Give an existing database, made without our history, its place in it: `stamp-existing-database`."""

from __future__ import annotations

from dataclasses import dataclass

import sqlalchemy as sa
from alembic import command
from alembic.script import ScriptDirectory

from cms.database.catalog_postgresql import list_unusable_tables
from cms.database.differences import Difference, compare, find_nearest
from cms.database.engines import engine_for
from cms.database.engines.base import connecting
from cms.database.errors import HistoryBroken, RevisionUnknown, StampRefused
from cms.database.expected import read_expected
from cms.database.fingerprint import Fingerprint, read_fingerprint
from cms.database.history import alembic_config, load_scripts, read_current
from cms.database.journal import read_accepted, write_accepted
from cms.database.progress import Say
from cms.database.target import Target
from cms.words import counted


@dataclass(frozen=True)
class StampPlan:
    """What would be stamped.

    revision: the one whose schema is equal, or whose differences were accepted; None if the database has one already.
    nearest: how the database differs from it. ties: later revisions with the same schema, which change only data.
    drift: how a database with a revision differs from it, beside what was accepted.
    """

    database: str
    current: str | None
    revision: str | None
    nearest: Difference | None
    ties: tuple[str, ...] = ()
    drift: tuple[str, ...] = ()

    @property
    def exit_code(self) -> int:
        return 3 if self.drift else 0

    def __str__(self) -> str:
        if self.drift:
            lines = "".join(f"\n  {line}" for line in self.drift)
            return f"{self.database} is at revision {self.current}, but its schema is not that revision's:{lines}"
        if self.current:
            return (
                f"{self.database} is at revision {self.current} already, and has not drifted from it; nothing to stamp"
            )
        if self.nearest and self.nearest.size:
            accepted = f"with {counted(self.nearest.size, 'difference')} accepted:\n{self.nearest}"
            return f"would stamp {self.database} as revision {self.revision}, {accepted}"
        also = f"; so is that of {', '.join(self.ties)}, whose steps on data are run again" if self.ties else ""
        return f"would stamp {self.database} as revision {self.revision}: its schema is equal{also}"


@dataclass(frozen=True)
class StampResult:
    """What was stamped, as read back."""

    database: str
    revision: str

    def __str__(self) -> str:
        return (
            f"{self.database} is now at revision {self.revision}; "
            "nothing but tables of the history itself was touched\n"
            "next: python manage.py backup-and-migrate"
        )


def plan_stamp(target: Target, *, accept_differences: bool = False) -> StampPlan:
    """Find the revision whose schema equals the database's. Reads only.

    accept_differences: take the nearest one too, if every difference is of a kind that later revisions can carry.
    Raises StampRefused, with every difference to the nearest revision, if there is none, or if the database is empty.
    """
    scripts = load_scripts(target)
    with connecting(target, engine_for(target).open_tool(target)) as connection:
        current = read_our_revision(connection, scripts, target)
        refuse_unusable_tables(connection, target)
        found, accepted = read_fingerprint(connection), read_accepted(connection)
    if current is not None:
        difference = compare(current, found, read_expected(target, scripts)[current], frozenset())
        drift = tuple(line for line in difference.lines if line not in accepted)
        return StampPlan(target.name, current, None, None, drift=drift)
    if not found.facts:
        raise StampRefused(
            f"{target.name} holds no table of ours",
            why="there is no schema that could be compared",
            hint="for a new site run `python manage.py backup-and-migrate`; check DATABASE_URL otherwise",
        )
    return match(target, found, read_expected(target, scripts), accept_differences=accept_differences)


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


def match(
    target: Target, found: Fingerprint, expected: dict[str, Fingerprint], *, accept_differences: bool
) -> StampPlan:
    """Compare with every revision. Raises StampRefused if none is equal and none can be accepted."""
    nearest = find_nearest(found, expected)
    if nearest.blocking:
        raise StampRefused(
            f"the schema of {target.name} is not that of any revision, and later revisions could not carry it",
            why=f"nearest is {nearest.revision}, with {counted(nearest.size, 'difference')}:\n{nearest}",
            hint="make equal what is marked and try again; nothing was stamped or changed",
        )
    if nearest.size and not accept_differences:
        raise StampRefused(
            f"the schema of {target.name} is not that of any revision, but later revisions can carry it",
            why=f"nearest is {nearest.revision}, with {counted(nearest.size, 'difference')}:\n{nearest}",
            hint="make them equal, or record them and go on with --accept-differences; nothing was stamped or changed",
        )
    # Revisions that change only data share a schema: the newest of them would skip the others' data steps.
    same = [revision for revision, there in expected.items() if there == expected[nearest.revision]]
    return StampPlan(target.name, None, nearest.revision, nearest, tuple(same[1:]))


def apply_stamp(target: Target, plan: StampPlan, *, say: Say) -> StampResult:
    """Write the revision into the version table, under the deploy lock, if the schema is still equal; read it back.

    Raises StampRefused if the schema changed since the plan was made, DatabaseBusy.
    """
    assert plan.revision is not None  # noqa: S101 - nothing to apply otherwise
    with engine_for(target).deploy_lock(target, say):
        if plan_stamp(target, accept_differences=bool(plan.nearest and plan.nearest.size)) != plan:
            raise StampRefused("the schema changed while we looked", hint="run the command again; nothing was stamped")
        config = alembic_config(target)
        config.attributes["lock_held"] = True
        if plan.nearest and plan.nearest.lines:
            with connecting(target, engine_for(target).open_tool(target, migrating=True)) as connection:
                write_accepted(connection, plan.revision, plan.nearest.lines)
                connection.commit()
        command.stamp(config, plan.revision)
        with connecting(target, engine_for(target).open_tool(target)) as connection:
            return StampResult(target.name, str(read_current(connection, load_scripts(target))))
