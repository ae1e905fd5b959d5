"""Give an existing database, made without our history, its place in it: `stamp-existing-database`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import sqlalchemy as sa
from alembic import command
from alembic.script import ScriptDirectory

from cms.database.align import Alignment, apply_alignment, plan_alignment
from cms.database.backup import BackupResult, apply_backup, plan_backup
from cms.database.catalog_postgresql import list_unusable_tables
from cms.database.differences import Difference, compare, find_nearest
from cms.database.engines import engine_for
from cms.database.engines.base import connecting
from cms.database.errors import HistoryBroken, RevisionUnknown, StampRefused
from cms.database.expected import read_expected
from cms.database.fingerprint import Fingerprint, read_fingerprint
from cms.database.history import VERSION_TABLE, alembic_config, load_scripts, read_current, read_version_rows
from cms.database.identify import explain_unknown
from cms.database.journal import read_accepted
from cms.database.obstacles import Obstacle, count_obstacles
from cms.database.progress import Say
from cms.database.target import Target
from cms.words import counted

SHOWN = 8


@dataclass(frozen=True)
class StampPlan:
    """What would be stamped.

    revision: the one whose schema is equal, or will be, or whose differences were accepted; None if the database has
    one already. accepted: the differences to it that stay. alignment: what is run before. ties: later revisions with
    the same schema, which change only data. drift: how a database with a revision differs from it, beside what was
    accepted. obstacles: rows that later revisions ask about.
    """

    database: str
    current: str | None
    revision: str | None
    accepted: Difference | None = None
    alignment: Alignment | None = None
    ties: tuple[str, ...] = ()
    drift: tuple[str, ...] = ()
    obstacles: tuple[Obstacle, ...] = field(default=(), compare=False)

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
        return "\n".join([*self.steps(), *list_in_the_way(self.obstacles)])

    def steps(self) -> Iterator[str]:
        """Yield in lines what would be done."""
        if self.alignment and self.alignment.statements:
            yield f"would run on {self.database}, after a backup, in one transaction:"
            yield from (f"  {statement};" for statement in self.alignment.statements)
        stamped = f"would stamp {self.database} as revision {self.revision}"
        also = f"; so is that of {', '.join(self.ties)}, whose steps on data are run again" if self.ties else ""
        if self.accepted:
            yield f"{stamped}, with {counted(self.accepted.size, 'difference')} accepted:\n{self.accepted}"
        elif self.alignment:
            yield f"{stamped}: its schema will then be equal{also}"
        else:
            yield f"{stamped}: its schema is equal{also}"


def list_in_the_way(obstacles: Sequence[Obstacle]) -> list[str]:
    """Return in lines what the data would have against the upgrade; nothing if it has nothing."""
    if not obstacles:
        return []
    return ["rows that an upgrade may stop at, unless they are mended first:", *(f"  {each}" for each in obstacles)]


@dataclass(frozen=True)
class StampResult:
    """What was stamped, as read back. backup: from before the schema was aligned, if it was."""

    database: str
    revision: str
    backup: BackupResult | None

    def __str__(self) -> str:
        touched = "nothing but tables of the history itself was touched"
        if self.backup:
            standing = "proven" if self.backup.proven else "UNPROVEN"
            touched = f"its schema is equal now\n  backup from before, {standing}: {self.backup.folder}"
        return (
            f"{self.database} is now at revision {self.revision}; {touched}\nnext: python manage.py backup-and-migrate"
        )


def plan_stamp(target: Target, *, accept_differences: bool = False, align: bool = False) -> StampPlan:
    """Find the revision whose schema equals the database's, or can be made equal. Reads only.

    accept_differences: take the nearest one too, if every difference is of a kind that later revisions can carry.
    align: plan the SQL that removes such differences; those that are somebody's own must be accepted.
    Raises StampRefused, with every difference to the nearest revision, if there is none, or if the database is empty.
    """
    scripts = load_scripts(target)
    with connecting(target, engine_for(target).open_tool(target)) as connection:
        current = read_our_revision(connection, scripts, target)
        refuse_unusable_tables(connection, target)
        found = read_fingerprint(connection)
        expected = read_expected(target, scripts)
        if current is None and not tables_of(found) & tables_of(*expected.values()):
            raise StampRefused(
                f"{target.name} holds no table of ours",
                why=f"looked in {looked_at(connection)}; {whose_tables(target, connection)}",
                hint="for a new site run `python manage.py backup-and-migrate` on a database of its own; check "
                "DATABASE_URL otherwise; nothing was stamped or changed",
            )
        if current is not None:
            difference, known = compare(current, found, expected[current]), read_accepted(connection)
            drift = tuple(line for line in difference.lines if line not in known)
            return StampPlan(target.name, current, None, drift=drift)
        nearest = find_nearest(found, expected)
        obstacles = count_obstacles(connection, found, nearest, expected)
        alignment = None
        if align and nearest.size and not nearest.blocking:
            alignment = plan_alignment(connection, scripts, nearest, expected[nearest.revision])
        left = alignment.left if alignment else nearest
        refuse_differences(target, nearest, left, obstacles, accept_differences=accept_differences)
    # Revisions that change only data share a schema: the newest of them would skip the others' data steps.
    same = [revision for revision, there in expected.items() if there == expected[nearest.revision]]
    return StampPlan(
        target.name,
        None,
        nearest.revision,
        accepted=left if left.size else None,
        alignment=alignment,
        ties=tuple(same[1:]),
        obstacles=obstacles,
    )


def tables_of(*schemas: Fingerprint) -> frozenset[str]:
    return frozenset(fact.table for schema in schemas for fact in schema.facts if fact.kind == "table")


def whose_tables(target: Target, connection: sa.Connection) -> str:
    """Return in words which tables there are instead, in all schemas, and whose they are."""
    tables = engine_for(target).list_tables(connection)
    if not tables:
        return "it holds no table at all"
    shown = ", ".join(tables[:SHOWN]) + (", …" if len(tables) > SHOWN else "")
    found = f"it holds {counted(len(tables), 'table')} of something else: {shown}"
    if target.engine_name == "sqlite":
        return found
    owners = connection.exec_driver_sql(
        "SELECT DISTINCT tableowner FROM pg_tables "
        "WHERE schemaname NOT IN ('pg_catalog', 'information_schema') ORDER BY 1"
    ).scalars()
    return f"{found}; owned by {', '.join(owners)}"


def looked_at(connection: sa.Connection) -> str:
    """Return where tables were looked for: the file, or the schemas on the search path."""
    if connection.dialect.name == "sqlite":
        return "this file"
    return f"the schemas {', '.join(connection.exec_driver_sql('SELECT current_schemas(false)').scalar_one())}"


def refuse_differences(
    target: Target,
    nearest: Difference,
    left: Difference,
    obstacles: Sequence[Obstacle],
    *,
    accept_differences: bool,
) -> None:
    """Raise StampRefused for what later revisions cannot carry, and for what nobody accepted. left: what would stay."""
    if not left.size or (accept_differences and not left.blocking):
        return
    shown = [f"{counted(left.size, 'difference')} to {left.revision}, the nearest:", str(left)]
    why = "\n".join([*shown, *(f"        {line}" for line in list_in_the_way(obstacles))])
    if left.blocking:
        raise StampRefused(
            f"the schema of {target.name} is not that of any revision, and later revisions could not carry it",
            why=why,
            hint="make equal what is marked and try again; nothing was stamped or changed",
        )
    if left is not nearest:
        raise StampRefused(
            f"the schema of {target.name} can be aligned but for what is somebody's own",
            why=why,
            hint="record that with --align --accept-differences; nothing was stamped or changed",
        )
    raise StampRefused(
        f"the schema of {target.name} is not that of any revision, but later revisions can carry it",
        why=why,
        hint="make it equal with --align, or record the differences and go on with --accept-differences; "
        "nothing was stamped or changed",
    )


def read_our_revision(connection: sa.Connection, scripts: ScriptDirectory, target: Target) -> str | None:
    """Return the revision that our history gave the database. Raises StampRefused for another program's history."""
    try:
        return read_current(connection, scripts)
    except RevisionUnknown as unknown:
        foreign = explain_unknown(target, connection, scripts, read_version_rows(connection)[0])
        raise StampRefused(
            f"{target.name} has a version table that is not ours: {foreign.what}",
            why=f"it is another program's history, or {foreign.why}",
            hint=f"{foreign.hint}; if it is another program's, and that is gone: DROP TABLE {VERSION_TABLE}",
        ) from unknown
    except HistoryBroken as several:
        raise StampRefused(
            f"{target.name} has a version table that is not ours: {several.what}", why=several.why, hint=several.hint
        ) from several


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


def apply_stamp(target: Target, plan: StampPlan, *, say: Say, proof: bool = True) -> StampResult:
    """Align the schema if that was planned, after a backup, and write the revision; read it back.

    All under the deploy lock, and only if the plan still fits. proof: whether the backup is tried.
    Raises StampRefused if the schema changed since the plan was made, DatabaseBusy, and what apply_backup raises.
    """
    assert plan.revision is not None  # noqa: S101 - nothing to apply otherwise
    with engine_for(target).deploy_lock(target, say):
        if plan_stamp(target, accept_differences=plan.accepted is not None, align=plan.alignment is not None) != plan:
            raise StampRefused("the schema changed while we looked", hint="run the command again; nothing was stamped")
        backup = None
        if plan.alignment:
            wanted = read_expected(target, load_scripts(target))[plan.revision]
            backup = apply_backup(target, plan_backup(target, proof=proof), why="before its schema is aligned", say=say)
            apply_alignment(target, plan.alignment, wanted, say=say)
        config = alembic_config(target)
        config.attributes.update(lock_held=True, say=say, accepted=plan.accepted.lines if plan.accepted else ())
        command.stamp(config, plan.revision)
        with connecting(target, engine_for(target).open_tool(target)) as connection:
            return StampResult(target.name, str(read_current(connection, load_scripts(target))), backup)
