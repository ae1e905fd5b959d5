"""See to it that a revision changes of the schema what it is known to change, and nothing else.

What a revision changes is known by the expected fingerprints. On SQLite a column is changed by building its table
anew, and Alembic forgets what SQLAlchemy does not see: triggers, indexes with an order or an expression; a view stops
the rename. Those are put back; what cannot be put back ends in a rollback that names it.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from uuid import uuid4

import sqlalchemy as sa
from sqlalchemy import event

from cms.database.catalog_sqlite import quote, unnamed_constraints
from cms.database.errors import MigrationFailed, RebuildForgets
from cms.database.facts import Fact
from cms.database.fingerprint import Fingerprint, read_fingerprint

RENAME_OF_A_REBUILD = re.compile(r'ALTER TABLE "?_alembic_tmp_(\w+)', re.IGNORECASE)
ODD = re.compile(r" collate \S+| on conflict \w+| autoincrement")
DROPS = re.compile(r'DROP (TRIGGER|INDEX)(?: IF EXISTS)? "?(\w+)"?', re.IGNORECASE)
OF_EXPRESSIONS = """
    SELECT lower(m.name) FROM sqlite_master m, pragma_index_info(m.name) i WHERE m.type = 'index' AND i.cid = -2"""
NOTHING = Fingerprint(())


@dataclass(frozen=True)
class Change:
    """What a step is known to take away, and to add."""

    removed: frozenset[Fact]
    added: frozenset[Fact]

    @classmethod
    def between(cls, before: Fingerprint, after: Fingerprint) -> Change:
        return cls(frozenset(before.missing_from(after)), frozenset(after.missing_from(before)))

    def beside(self, known: Change) -> Change:
        """Return what of this is not known; what is of a table goes, or moves, with it."""
        gone, new = tables_of(known.removed), tables_of(known.added)
        return Change(
            frozenset(fact for fact in self.removed - known.removed if fact.table not in gone),
            frozenset(fact for fact in self.added - known.added if fact.table not in new),
        )

    @property
    def lines(self) -> list[str]:
        return [f"it loses {fact}" for fact in sorted(self.removed)] + [
            f"it adds {fact}" for fact in sorted(self.added)
        ]


class SchemaGuard:
    """Compares the schema before and after each step on one connection."""

    def __init__(self, connection: sa.Connection, expected: Mapping[str, Fingerprint]) -> None:
        self._connection = connection
        self._expected = expected
        self.begin()

    def begin(self) -> None:
        """Note how everything is before a step."""
        self._before = read_fingerprint(self._connection)
        self._sql = read_sql(self._connection) if self._connection.dialect.name == "sqlite" else {}

    def finish(self, revision: str, parent: str | None, *, is_upgrade: bool, before: Fingerprint | None = None) -> None:
        """Put back what SQLite forgot, in the step's transaction. Raises MigrationFailed for any other change.

        before: the schema before the step, if a part of the step was done by an earlier run.
        """
        self._before = before or self._before
        up = self._expected.get(revision)
        down = self._expected.get(parent) if parent else NOTHING
        if up is not None and down is not None:
            known = Change.between(down, up) if is_upgrade else Change.between(up, down)
            put_back(self._connection, self.read_change(known), self._sql)
            refuse(self.read_change(known), revision, is_upgrade=is_upgrade)
        self.begin()

    def read_change(self, known: Change) -> Change:
        """Return what changed beside what is known to change."""
        return Change.between(self._before, read_fingerprint(self._connection)).beside(known)


def tables_of(facts: frozenset[Fact]) -> set[str]:
    return {fact.table for fact in facts if fact.kind == "table"}


def read_sql(connection: sa.Connection) -> dict[tuple[str, str], str]:
    """Return the SQL of each index, trigger and view by kind and name."""
    rows = connection.exec_driver_sql("SELECT type, lower(name), sql FROM sqlite_master WHERE sql IS NOT NULL")
    return {(kind, name): sql for kind, name, sql in rows if kind != "table"}


def put_back(connection: sa.Connection, change: Change, sql: Mapping[tuple[str, str], str]) -> None:
    """Make lost triggers, views and indexes again as they were; on PostgreSQL nothing is ever lost so."""
    for fact in sorted(change.removed):
        lost = sql.get((fact.kind, fact.name))
        if lost is None:
            continue
        if fact.kind == "index":
            connection.exec_driver_sql(f"DROP INDEX IF EXISTS {quote(fact.name)}")
        connection.exec_driver_sql(lost)
        if fact.kind == "trigger":
            refuse_broken_trigger(connection, fact)


def refuse_broken_trigger(connection: sa.Connection, trigger: Fact) -> None:
    """Let SQLite prepare each kind of write: it reads the body of a trigger then, and not when the trigger is made.

    Each text is new, since Python keeps prepared statements, and an EXPLAIN does not notice that the schema changed.
    """
    table = quote(trigger.table)
    columns = [quote(row[1]) for row in connection.exec_driver_sql(f"PRAGMA table_info({table})")]
    for write in (
        f"INSERT INTO {table} DEFAULT VALUES",
        f"UPDATE {table} SET {', '.join(f'{column} = NULL' for column in columns)}",  # noqa: S608 - quoted
        f"DELETE FROM {table}",  # noqa: S608
    ):
        try:
            connection.exec_driver_sql(f"EXPLAIN {write} -- {uuid4()}")
        except sa.exc.OperationalError as error:
            raise RebuildForgets(
                f"the trigger {trigger.name} on {trigger.table} does not fit the changed table",
                why=str(error.orig),
                hint="drop it before the change and make it again after it, in the revision; nothing was changed",
            ) from None


def is_forgotten(fact: Fact, after: Fingerprint, rebuilt: Collection[str], unnamed: Mapping[Fact, set[str]]) -> bool:
    """Return whether a rebuild lost what is no thing of its own: a collation, a counter, a key's action, a constraint.

    Alembic can change none of these: it does not see them. A constraint with a name it keeps or drops as it is told;
    one without goes with a column that it speaks of, and some it overlooks, as SQLAlchemy does.
    """
    if fact.table not in rebuilt:
        return False
    here = {each for each in after.facts if each.table == fact.table}
    columns = {each.name: each.definition for each in here if each.kind == "column"}
    if fact.kind == "table":  # STRICT, WITHOUT ROWID
        return any(each.kind == "table" for each in here)
    if fact in unnamed:
        return unnamed[fact] <= columns.keys()
    if fact.kind == "column" and fact.name in columns:
        odd = ODD.findall(fact.definition)
        return any(each not in columns[fact.name] for each in odd)
    if fact.kind == "constraint" and " on " in fact.definition and fact.definition.startswith("foreign key"):
        return any(each.definition == fact.definition.partition(" on ")[0] for each in here)
    return False


class Memory:
    """How a SQLite schema was before a revision ran on it, to know afterwards what a rebuild forgot.

    What a rebuild forgets is no change that the revision makes, though it happens whenever the revision is run alone:
    the history, run to find out what each revision changes, would else teach that triggers go.
    """

    def __init__(self, connection: sa.Connection) -> None:
        self._connection = connection
        self._before = read_fingerprint(connection)
        self._sql = read_sql(connection)
        self._unnamed = unnamed_constraints(connection)
        self._of_expressions = set(connection.exec_driver_sql(OF_EXPRESSIONS).scalars())

    def put_back(self, statements: Iterable[str]) -> None:
        """Make again what is gone, or is another, after a rebuild of its table, although no statement drops it.

        Raises RebuildForgets for what cannot be made again.
        """
        said = list(statements)
        rebuilt = {found[1].lower() for each in said if (found := RENAME_OF_A_REBUILD.match(each))}
        if not rebuilt:
            return
        dropped = {(found[1].lower(), found[2].lower()) for each in said for found in DROPS.finditer(each)}
        after = read_fingerprint(self._connection)
        there = {(fact.kind, fact.name) for fact in after.facts}
        gone = self._before.missing_from(after)
        lost = [f"it loses {fact}" for fact in gone if is_forgotten(fact, after, rebuilt, self._unnamed)]
        if lost:
            raise RebuildForgets(
                "the revision rebuilds a table and loses what it does not say",
                why="; ".join(lost),
                hint="write the new table in SQL, copy the rows and rename it, or drop it in a statement of its own",
            )
        for fact in gone:
            name = (fact.kind, fact.name)
            if fact.table not in rebuilt or name in dropped or name not in self._sql:
                continue
            if fact.kind == "trigger" and name not in there:
                self._connection.exec_driver_sql(self._sql[name])
                refuse_broken_trigger(self._connection, fact)
            # One that is gone was dropped by the revision, through Alembic, which knows all but those of expressions.
            if fact.kind == "index" and (name in there or fact.name in self._of_expressions):
                self._connection.exec_driver_sql(f"DROP INDEX IF EXISTS {quote(fact.name)}")
                self._connection.exec_driver_sql(self._sql[name])


def refuse(change: Change, revision: str, *, is_upgrade: bool) -> None:
    if change.lines:
        way = "revision" if is_upgrade else "taking back revision"
        raise MigrationFailed(
            f"{way} {revision} would change what it is not known to change",
            why="; ".join(change.lines),
            hint="it was rolled back; write what is lost into the revision, or take it out of the database before",
        )


@contextmanager
def rebuilding(connection: sa.Connection) -> Iterator[None]:
    """Let SQLite rename the new table of a rebuild although a view is of that name; it would look for errors in views.

    Only for that one statement: any other rename must reach the foreign keys and triggers that name the table.
    What the libraries warn of, the guard puts back or refuses by name.
    """

    def switch(state: str) -> Callable[..., None]:
        def listen(_connection: object, cursor: sa.engine.interfaces.DBAPICursor, sql: str, *_: object) -> None:
            if RENAME_OF_A_REBUILD.match(sql):
                cursor.execute(f"PRAGMA legacy_alter_table = {state}")

        return listen

    before, after = switch("ON"), switch("OFF")
    event.listen(connection, "before_cursor_execute", before)
    event.listen(connection, "after_cursor_execute", after)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Skipped unsupported reflection of expression-based index")
            warnings.filterwarnings("ignore", "Unnamed CHECK constraint on reflected table")
            yield
    finally:
        event.remove(connection, "before_cursor_execute", before)
        event.remove(connection, "after_cursor_execute", after)
