"""See to it that a revision changes no data but what it says that it changes: row counts, and a hash of each column.

A revision says it in its file: ``changes = ("blogs.summary", "tags")``, a column, or a table with all its rows.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import sqlalchemy as sa
from alembic.script import Script
from sqlalchemy import event

from cms.database.engines import engine_for
from cms.database.engines.base import connecting
from cms.database.engines.sqlite import hash_row, raw, texts_as_bytes
from cms.database.errors import MigrationFailed
from cms.database.fingerprint import is_counted, is_derived
from cms.database.receipts import MODES, RevisionReceipt
from cms.database.target import Target

HARMLESS = re.compile(r"\s*(?:SELECT|PRAGMA|CREATE|ALTER TABLE \S+ ADD COLUMN|SAVEPOINT|RELEASE)\b", re.IGNORECASE)
FIRST_THAT_WRITES = MODES.index("RowExclusiveLock")
ONLY_SHARES = {"ShareUpdateExclusiveLock", "ShareLock", "ShareRowExclusiveLock"}


@dataclass(frozen=True)
class Values:
    """What a table holds: its rows, and for each column a number that depends on every value and its row's key."""

    rows: int
    columns: Mapping[str, int]


def list_declared(script: object) -> frozenset[str]:
    """Return what a revision's file says that it changes. Raises MigrationFailed for what is no list of names."""
    changes = getattr(script.module, "changes", ()) if isinstance(script, Script) else ()
    if isinstance(changes, str) or not all(isinstance(each, str) for each in changes):
        raise MigrationFailed("changes in a revision is no list of names", hint='write changes = ("table.column",)')
    return frozenset(changes)


class DataGuard(ABC):
    """Compares the data before and after each step on one connection."""

    def __init__(self, target: Target, connection: sa.Connection) -> None:
        self._target = target
        self._connection = connection

    def finish(self, revision: str, declared: Collection[str], receipt: RevisionReceipt | None) -> None:
        """Raise MigrationFailed if the step changed what it does not declare."""
        lines = list(self.list_changes(declared, receipt))
        if lines:
            raise MigrationFailed(
                f"revision {revision} changes data that it does not say it changes",
                why="; ".join(lines),
                hint='it was rolled back; mend it, or say so in its file: changes = ("table.column",)',
            )

    @abstractmethod
    def list_changes(self, declared: Collection[str], receipt: RevisionReceipt | None) -> Iterator[str]:
        """Yield in words what is not as it was, and is not declared."""

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Follow the statements for as long as the block lasts."""
        yield


def compare(table: str, before: Values, after: Values, declared: Collection[str]) -> Iterator[str]:
    if table in declared:
        return
    if before.rows != after.rows:
        yield f"{table} had {before.rows:,} rows, and has {after.rows:,}"
        return
    for column, digest in before.columns.items():
        if f"{table}.{column}" not in declared and after.columns.get(column, digest) != digest:
            yield f"values of {table}.{column} are not what they were"


class PostgresDataGuard(DataGuard):
    """Hashes on the server, where nobody else writes: all tables once, then those that a step may have changed."""

    def __init__(self, target: Target, connection: sa.Connection) -> None:
        super().__init__(target, connection)
        self._before = read_postgresql(connection, list_tables(connection))

    def list_changes(self, declared: Collection[str], receipt: RevisionReceipt | None) -> Iterator[str]:
        there = list_tables(self._connection)
        touched = [table for table in there if receipt is None or receipt.outside or is_touched(table, receipt)]
        after = read_postgresql(self._connection, touched)
        for table in touched:
            if table in self._before:
                yield from compare(table, self._before[table], after[table], declared)
        self._before = {table: after.get(table, self._before.get(table, Values(0, {}))) for table in there}


def is_touched(table: str, receipt: RevisionReceipt) -> bool:
    """Return whether the step held a lock on the table under which data can change; a new table has none."""
    held = next((each.lock for each in receipt.tables if each.table == table), None)
    return held is None or (MODES.index(held) >= FIRST_THAT_WRITES and held not in ONLY_SHARES)


def list_tables(connection: sa.Connection) -> list[str]:
    return [table for table in sa.inspect(connection).get_table_names() if is_counted(table) and not is_derived(table)]


def read_postgresql(connection: sa.Connection, tables: Collection[str]) -> dict[str, Values]:
    """Read each table once. Source of the hash: PostgreSQL's own, 64 bits, added up as numbers."""
    quote = connection.dialect.identifier_preparer.quote
    inspector = sa.inspect(connection)
    found = {}
    for table in tables:
        columns = [column["name"] for column in inspector.get_columns(table)]
        key = [f"{quote(name)}::text" for name in inspector.get_pk_constraint(table)["constrained_columns"]]
        row = f"concat_ws(chr(31), {', '.join(key)})" if key else "''"
        sums = [
            f"coalesce(sum(hashtextextended({row} || chr(30) || coalesce({quote(name)}::text, chr(29)), 0)), 0)"
            for name in columns
        ]
        query = f"SELECT count(*), {', '.join(sums)} FROM {quote(table)}"  # noqa: S608 - names are quoted
        rows, *digests = connection.exec_driver_sql(query).one()
        found[table] = Values(int(rows), dict(zip(columns, map(int, digests), strict=True)))
    return found


class SqliteDataGuard(DataGuard):
    """Reads the tables that a step's statements name, as they were through a connection of its own, and as they are.

    That connection sees what is committed, which is the state before the step. With triggers, any table may change.
    """

    def __init__(self, target: Target, connection: sa.Connection) -> None:
        super().__init__(target, connection)
        self._words: set[str] = set()

    @contextmanager
    def listening(self) -> Iterator[None]:
        def listen(_connection: object, _cursor: object, sql: str, *_: object) -> None:
            if not HARMLESS.match(sql):
                self._words |= set(re.findall(r"\w+", sql.lower()))

        event.listen(self._connection, "before_cursor_execute", listen)
        try:
            yield
        finally:
            event.remove(self._connection, "before_cursor_execute", listen)

    def list_changes(self, declared: Collection[str], receipt: RevisionReceipt | None) -> Iterator[str]:  # noqa: ARG002
        words, self._words = self._words, set()
        with connecting(self._target, engine_for(self._target).open_tool(self._target)) as old:
            triggers = old.exec_driver_sql("SELECT name FROM sqlite_master WHERE type = 'trigger'").scalars().all()
            anything = "trigger" in words or any(not is_derived(name.lower()) for name in triggers)
            there = list_tables(self._connection)
            for table in list_tables(old):
                if table in there and table not in declared and (anything or table.lower() in words):
                    yield from self.compare_table(old, table, declared)

    def compare_table(self, old: sa.Connection, table: str, declared: Collection[str]) -> Iterator[str]:
        """Hash whole rows, and each column only if those differ."""
        key = sa.inspect(old).get_pk_constraint(table)["constrained_columns"]
        columns = [
            name for name in columns_of(old, table)
            if name in columns_of(self._connection, table) and f"{table}.{name}" not in declared
        ]  # fmt: skip
        key = key if set(key) <= set(columns) else []
        if read_sqlite(old, table, columns) == read_sqlite(self._connection, table, columns):
            return
        before, after = (
            Values(
                read_sqlite(each, table, columns)[0],
                {name: read_sqlite(each, table, [*key, name])[1] for name in columns},
            )
            for each in (old, self._connection)
        )
        yield from compare(table, before, after, declared)


def columns_of(connection: sa.Connection, table: str) -> list[str]:
    return [column["name"] for column in sa.inspect(connection).get_columns(table)]


def read_sqlite(connection: sa.Connection, table: str, columns: Sequence[str]) -> tuple[int, int]:
    """Return the rows of a table, and a number that depends on every value in the columns."""
    quote = connection.dialect.identifier_preparer.quote
    query = f"SELECT {', '.join(map(quote, columns)) or '1'} FROM {quote(table)}"  # noqa: S608 - names are quoted
    source = raw(connection)
    count, total = 0, 0
    with texts_as_bytes(source):
        for row in source.execute(query):
            count += 1
            total += hash_row(row)
    return count, total
