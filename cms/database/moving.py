"""Move a whole site to the other kind of database: everything in one transaction, compared before it is committed.

So a run that is killed, at whatever moment, leaves the other database as empty as it was.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime

import psycopg
import sqlalchemy as sa
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy.exc import DBAPIError
from sqlalchemy.schema import CreateTable

from cms.database.contents import read_revision
from cms.database.engines import engine_for
from cms.database.engines.base import TableEntry, connecting, first_line
from cms.database.errors import DatabaseUnreachable, MoveFailed, MoveRefused
from cms.database.expected import read_expected
from cms.database.fingerprint import JOB_TABLES, read_fingerprint
from cms.database.history import get_script, list_revisions, load_scripts, read_current
from cms.database.journal import STEPS_TABLE, accepted, journal, new_entry, write_entry
from cms.database.maintenance import find_maintenance
from cms.database.portable import FROM_SQLITE, Misfits, PortableTable, TableDigest
from cms.database.progress import Meter, Say
from cms.database.recording import record
from cms.database.scratch import scratch_place
from cms.database.sides import PostgresSide, Side, side_of
from cms.database.target import Target
from cms.words import counted

ENTRIES = "blog_search"  # triggers write it, in another form on each engine
WORDS = "blog_words"


@dataclass(frozen=True)
class MovePlan:
    """What would go where. left_out: tables and columns that no revision makes, and so have no place there."""

    database: str
    to: str
    revision: str
    tables: int
    size_bytes: int
    left_out: tuple[str, ...]

    def __str__(self) -> str:
        without = f", without {', '.join(self.left_out)}, which no revision makes" if self.left_out else ""
        return (
            f"would move {counted(self.tables, 'table')} ({self.size_bytes:,} bytes) of {self.database}, at revision "
            f"{self.revision}, to {self.to}, which is empty{without}"
        )


@dataclass(frozen=True)
class MoveResult:
    """What the other database holds now, every table compared. read_at: the moment whose state it is."""

    database: str
    to: str
    revision: str
    tables: int
    rows: int
    left_out: tuple[str, ...]
    read_at: datetime
    duration_ms: int

    def __str__(self) -> str:
        without = f", without {', '.join(self.left_out)}" if self.left_out else ""
        return (
            f"{self.to} now holds {counted(self.tables, 'table')}, {counted(self.rows, 'row')} of {self.database} at "
            f"revision {self.revision}{without}, each table's rows and hash equal ({self.duration_ms / 1000:.1f} s)\n"
            f"  it is the state of {self.read_at:%H:%M:%S} UTC; {self.database} is unchanged\n"
            "  next: set DATABASE_URL to the new database and restart the site and its workers, look with "
            "`python manage.py check`, take a `backup`\n"
            "  media, and jobs under JOBS_URL, are not part of the database and stay where they are"
        )


def plan_move(source: Target, to: Target) -> MovePlan:
    """Look at both databases, and make the schema in a scratch place of the other. Reads only.

    Raises MoveRefused if both are of one kind, the other is not empty, a revision is half done, or the schema has not
    all that its revision has; DatabaseUnreachable, DatabaseUnsupported, RevisionUnknown, HistoryBroken.
    """
    refuse_same_kind(source, to)
    refuse_occupied(to)
    with engine_for(source).snapshot(source) as snapshot, scratch_place(to) as scratch:
        tables, left_out = prepare(source, snapshot.connection, scratch)
        revision = get_revision(source, snapshot.connection)
        size_bytes = engine_for(source).size_bytes(snapshot.connection)
    return MovePlan(source.name, to.name, revision, len(tables), size_bytes, left_out)


def apply_move(source: Target, to: Target, plan: MovePlan, *, say: Say) -> MoveResult:
    """Read one moment of the source, twice: to see whether the other can hold it all, and to write it there.

    Holds the deploy locks of both. Readers and writers of the source go on; what is written meanwhile does not come.
    Raises MoveRefused that names what the other cannot hold, MoveFailed; the other is then as empty as it was.
    """
    began = time.monotonic()
    warn_if_open(source, say)
    with ExitStack() as stack:
        for target in (source, to):
            stack.enter_context(engine_for(target).deploy_lock(target, say))
        snapshot = stack.enter_context(engine_for(source).snapshot(source))
        read_at = datetime.now(UTC)
        stack.enter_context(explained(to))
        with filling(to) as connection:
            tables, left_out = prepare(source, snapshot.connection, connection)
            refuse_changed_plan(plan, get_revision(source, snapshot.connection), left_out)
            pair = Pair(side_of(snapshot.connection), side_of(connection), tables, say)
            expected = pair.look()
            pair.write()
            pair.compare(expected)
            rows = sum(entry.rows for entry in expected)
            entry = new_entry(plan.revision, "copy", duration_s=time.monotonic() - began, rows_written=rows)
            write_entry(connection, entry)
        confirm(to, plan)
    duration_ms = round((time.monotonic() - began) * 1000)
    return MoveResult(source.name, to.name, plan.revision, len(tables), rows, plan.left_out, read_at, duration_ms)


@dataclass(frozen=True)
class Pair:
    """Two sides, and the tables that go from one to the other."""

    source: Side
    to: Side
    tables: tuple[PortableTable, ...]
    say: Say

    def look(self) -> list[TableEntry]:
        """Count and hash every table. Raises MoveRefused that names what the other side could not hold."""
        misfits = Misfits()
        self.source.find_orphans(misfits)
        with Meter(self.say, "looking at every value"):
            entries = [digest(self.source, table, misfits) for table in self.tables]
        refuse_misfits(misfits)
        return entries

    def write(self) -> None:
        self.to.empty(self.tables)
        with Meter(self.say, f"writing {counted(len(self.tables), 'table')}"):
            for table in self.tables:
                # A COPY that is not read to its end keeps its connection, and tidying up a failure would wait for it.
                with closing(self.source.read(table, Misfits())) as rows:
                    self.to.write(table, rows)
            self.to.finish()

    def compare(self, expected: list[TableEntry]) -> None:
        """Read back what was written. Raises MoveFailed for what is not as it was read."""
        with Meter(self.say, "comparing every table"):
            found = [digest(self.to, table, Misfits()) for table in self.tables]
        wrong = [there.name for there, entry in zip(found, expected, strict=True) if there != entry]
        if sa.inspect(self.to.connection).has_table(ENTRIES) and self.to.count(ENTRIES) != count_published(self.to):
            wrong.append("the search")
        if wrong:
            raise MoveFailed(
                f"what was written differs in {', '.join(sorted(wrong))}", why="row count or hash is not what was read"
            )


def digest(side: Side, table: PortableTable, misfits: Misfits) -> TableEntry:
    digesting = TableDigest(table)
    with closing(side.read(table, misfits)) as rows:
        for _ in digesting.reading(rows):
            pass
    return digesting.entry


def count_published(side: Side) -> int:
    """Return how many posts the search must know. The source's own may know fewer, if it was not built yet."""
    return int(side.connection.exec_driver_sql("SELECT count(*) FROM blogs WHERE status = 'published'").scalar_one())


def prepare(
    source: Target, connection: sa.Connection, made: sa.Connection
) -> tuple[tuple[PortableTable, ...], tuple[str, ...]]:
    """Make the source's schema through ``made``; return what ``choose_tables`` does. Raises MoveRefused."""
    revision = get_revision(source, connection)
    refuse_half_done(source, connection)
    make_schema(made, load_scripts(source), revision)
    return choose_tables(source, connection, made)


def choose_tables(
    source: Target, connection: sa.Connection, made: sa.Connection
) -> tuple[tuple[PortableTable, ...], tuple[str, ...]]:
    """Return the tables that both have, with the columns that both have, and what only the source has.

    made: to a database in which the schema has just been made. Raises MoveRefused for what the source lacks.
    """
    ours, theirs = sa.inspect(connection), sa.inspect(made)
    server = connection if connection.dialect.name == "postgresql" else made
    there = {name for name in ours.get_table_names() if is_moved(name)}
    planned = set(filter(is_moved, theirs.get_table_names()))
    chosen, left_out = [], sorted(there - planned)
    lacking = sorted(planned - there - {journal.name, accepted.name})
    for table in PostgresSide(server).list_tables():
        if table.name not in there & planned:
            continue
        here = {column["name"] for column in ours.get_columns(table.name)}
        wanted = {column["name"] for column in theirs.get_columns(table.name)}
        left_out += [f"{table.name}.{name}" for name in sorted(here - wanted)]
        lacking += [f"{table.name}.{name}" for name in sorted(wanted - here) if table.name != journal.name]
        columns = tuple(column for column in table.columns if column.name in here & wanted)
        chosen.append(replace(table, columns=columns))
    refuse_lacking(source, lacking)
    refuse_unknown_kinds(chosen)
    return tuple(chosen), tuple(left_out)


def is_moved(table: str) -> bool:
    return table not in {ENTRIES, STEPS_TABLE} and not table.startswith((JOB_TABLES, WORDS))


def make_schema(connection: sa.Connection, scripts: ScriptDirectory, revision: str) -> None:
    """Run the history up to a revision inside the open transaction."""
    for each in list_revisions(scripts):
        record(connection, get_script(scripts, each.id), "upgrade")
        if each.id == revision:
            break
    MigrationContext.configure(connection).stamp(scripts, revision)
    for table in (journal, accepted):
        connection.execute(CreateTable(table))


@contextmanager
def filling(to: Target) -> Iterator[sa.Connection]:
    """Open the one transaction in which everything is written; commits at the end of the block.

    A file's foreign keys are not enforced meanwhile: rows come before those that they refer to.
    """
    engine = engine_for(to)
    engine.prepare(to)
    with connecting(to, engine.open_tool(to, migrating=engine.embedded)) as connection, connection.begin():
        refuse_tables(to, engine.list_tables(connection))
        yield connection


@contextmanager
def explained(to: Target) -> Iterator[None]:
    """Raise MoveFailed, which says where that leaves the other database, for what a server or file answers."""
    try:
        yield
    except (MoveFailed, DBAPIError, psycopg.Error, sqlite3.Error) as error:
        why = error.why if isinstance(error, MoveFailed) else None
        what = f"{error.what}: " if isinstance(error, MoveFailed) else ""
        line = first_line(error) if isinstance(error, DBAPIError) else str(error).partition("\n")[0]
        raise MoveFailed(
            f"nothing was moved to {to.name}",
            why=what + (why or line),
            hint="it is as empty as it was; the site's database was only read",
        ) from error


def confirm(to: Target, plan: MovePlan) -> None:
    """Raise MoveFailed unless a new connection sees the revision and its schema."""
    expected = read_expected(to, load_scripts(to))[plan.revision]
    with connecting(to, engine_for(to).open_tool(to)) as connection:
        found = read_revision(connection), read_fingerprint(connection)
    if found != (plan.revision, expected):
        raise MoveFailed(f"{to.name} is not at revision {plan.revision} after the move")


def get_revision(source: Target, connection: sa.Connection) -> str:
    revision = read_current(connection, load_scripts(source))
    if revision is None:
        raise MoveRefused(
            f"{source.name} has no revision",
            why="it was made without this schema history, or is empty",
            hint="python manage.py stamp-existing-database finds out which revision it is; nothing was changed",
        )
    return revision


def refuse_half_done(source: Target, connection: sa.Connection) -> None:
    if sa.inspect(connection).has_table(STEPS_TABLE) and side_of(connection).count(STEPS_TABLE):
        raise MoveRefused(
            f"a revision is half done on {source.name}",
            why="an upgrade was interrupted",
            hint="run `python manage.py backup-and-migrate`, which goes on from there; nothing was changed",
        )


def refuse_same_kind(source: Target, to: Target) -> None:
    if source.engine_name == to.engine_name:
        raise MoveRefused(
            f"{source.name} and {to.name} are both {to.engine_name}",
            why="this command moves a site between SQLite and PostgreSQL",
            hint="take a `backup` and `restore` it there with --into; nothing was changed",
        )


def refuse_occupied(to: Target) -> None:
    engine = engine_for(to)
    if engine.embedded and engine.is_absent(to):
        return
    try:
        with connecting(to, engine.open_tool(to)) as connection:
            refuse_tables(to, engine.list_tables(connection))
    except DatabaseUnreachable as error:
        error.hint = "check the address; does the server run, does the database exist? Nothing was changed"
        raise


def refuse_tables(to: Target, tables: list[str]) -> None:
    if tables:
        raise MoveRefused(
            f"{to.name} is not empty",
            why=f"it holds {counted(len(tables), 'table')}, {tables[0]} among them",
            hint="give a database without tables; nothing was changed",
        )


def refuse_changed_plan(plan: MovePlan, revision: str, left_out: tuple[str, ...]) -> None:
    if (plan.revision, plan.left_out) != (revision, left_out):
        raise MoveRefused(
            f"{plan.database} is not what it was when the plan was made",
            why=f"it is at revision {revision} now; another run, or a person, changed it",
            hint="run the same command again; nothing was changed",
        )


def refuse_lacking(source: Target, lacking: list[str]) -> None:
    if lacking:
        raise MoveRefused(
            f"{source.name} has not all that its revision has",
            why=f"it lacks {', '.join(lacking)}",
            hint="`python manage.py fingerprint --diff` shows the difference; nothing was changed",
        )


def refuse_unknown_kinds(tables: list[PortableTable]) -> None:
    unknown = [
        f"{table.name}.{column.name} ({column.kind})"
        for table in tables
        for column in table.columns
        if column.kind not in FROM_SQLITE
    ]
    if unknown:
        raise MoveRefused(
            f"there is no common form for {', '.join(unknown)}",
            why="the two kinds of database store such values differently",
            hint="add the type to cms/database/portable.py; nothing was changed",
        )


def refuse_misfits(misfits: Misfits) -> None:
    if misfits.count:
        more = misfits.count - len(misfits.first)
        raise MoveRefused(
            f"{counted(misfits.count, 'value')} would not fit into the other kind of database",
            why="; ".join([*map(str, misfits.first), *([f"and {more:,} more"] if more else [])]),
            hint="mend them first; nothing was written",
        )


def warn_if_open(source: Target, say: Say) -> None:
    if find_maintenance(source.maintenance_file) is None:
        say(
            "the site is open: what is written from now on stays behind; `python manage.py maintenance on` closes it "
            "for the time of the move"
        )
