"""See to it that a revision changes no data but what it says that it changes: row counts, and a hash of each column.

A revision says it in its file: ``changes = ("blogs.summary", "tags")``, a column, or a table with all its rows.
"""

from __future__ import annotations

import re
import sqlite3
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

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

RENAME = re.compile(r'\s*ALTER TABLE "?(\w+)"? RENAME TO "?(\w+)"?', re.IGNORECASE)
RENAME_COLUMN = re.compile(r'\s*ALTER TABLE "?(\w+)"? RENAME (?:COLUMN )?"?\w+"? TO', re.IGNORECASE)
WRITES = {sqlite3.SQLITE_INSERT, sqlite3.SQLITE_UPDATE, sqlite3.SQLITE_DELETE, sqlite3.SQLITE_DROP_TABLE}
TABLES = """
    SELECT c.oid::int, c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relkind IN ('r', 'p') AND n.nspname = ANY (current_schemas(false)) ORDER BY 2"""
COLUMNS = """
    SELECT a.attnum::int, a.attname, coalesce(a.attnum = ANY (i.indkey), false)
    FROM pg_attribute a LEFT JOIN pg_index i ON i.indrelid = a.attrelid AND i.indisprimary
    WHERE a.attrelid = %s AND a.attnum > 0 AND NOT a.attisdropped ORDER BY 1"""
FIRST_THAT_WRITES = MODES.index("RowExclusiveLock")
ONLY_SHARES = {"ShareUpdateExclusiveLock", "ShareLock", "ShareRowExclusiveLock"}


@dataclass(frozen=True)
class Values:
    """What a table holds: its rows, and for each column a number that depends on every value and its row's key.

    together: a number for whole rows, where no key says which values belong to one row; None where one does.
    """

    rows: int
    columns: Mapping[str, int]
    together: int | None = None


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

    def finish(self, revision: str, declared: frozenset[str], receipt: RevisionReceipt | None) -> None:
        """Raise MigrationFailed if the step changed what it does not declare."""
        lines = list(self.list_changes(declared, receipt))
        if lines:
            raise MigrationFailed(
                f"revision {revision} changes data that it does not say it changes",
                why="; ".join(lines),
                hint='it was rolled back; mend it, or say so in its file: changes = ("table.column",)',
            )

    @abstractmethod
    def list_changes(self, declared: frozenset[str], receipt: RevisionReceipt | None) -> Iterator[str]:
        """Yield in words what is not as it was, and is not declared."""

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Follow the statements for as long as the block lasts."""
        yield


def compare(names: Names, before: Values, after: Values, declared: frozenset[str]) -> Iterator[str]:
    """Yield what differs. after: its columns go by the names that they had before."""
    if not declared.isdisjoint(names.tables):
        return
    if before.rows != after.rows:
        yield f"{names.table} had {before.rows:,} rows, and has {after.rows:,}"
        return
    changed = [name for name, digest in before.columns.items() if after.columns.get(name, digest) != digest]
    undeclared = [name for name in changed if declared.isdisjoint(names.of_column(name))]
    yield from (f"values of {names.table}.{name} are not what they were" for name in undeclared)
    mixed = before.together != after.together and before.columns.keys() == after.columns.keys()
    if mixed and not changed:
        yield f"rows of {names.table} are not what they were"


@dataclass(frozen=True)
class Names:
    """How a table, and its columns, were called before a step and are called after it."""

    table: str
    now: str
    columns: Mapping[str, str]

    @property
    def tables(self) -> set[str]:
        return {self.table, self.now}

    def of_column(self, name: str) -> set[str]:
        return {f"{table}.{column}" for table in self.tables for column in (name, self.columns.get(name, name))}


@dataclass(frozen=True)
class ServerTable:
    """A table on PostgreSQL: its name, its columns' names by the server's numbers, and what it holds."""

    name: str
    columns: Mapping[int, str]
    values: Values


class PostgresDataGuard(DataGuard):
    """Hashes on the server, where nobody else writes: all tables once, then those that a step may have changed.

    Tables and columns whose names are gone are known by the server's numbers, so that what a step renames is compared.
    """

    def __init__(self, target: Target, connection: sa.Connection) -> None:
        super().__init__(target, connection)
        self._before = {oid: read_postgresql(connection, oid, name) for oid, name in list_oids(connection)}

    def list_changes(self, declared: frozenset[str], receipt: RevisionReceipt | None) -> Iterator[str]:
        there = dict(list_oids(self._connection))
        after = {}
        for oid, name in there.items():
            former = self._before.get(oid)
            touched = former is None or receipt is None or receipt.outside or is_touched(former.name, receipt)
            after[oid] = read_postgresql(self._connection, oid, name) if touched or not former else former
        by_name = {table.name: table for table in after.values()}
        for oid, former in self._before.items():
            table = by_name.get(former.name) or after.get(oid)  # what has the name is what the site reads
            if table and table is not former:
                yield from compare_on_server(former, table, declared)
        self._before = after


def compare_on_server(former: ServerTable, table: ServerTable, declared: frozenset[str]) -> Iterator[str]:
    there = table.values.columns
    kept = {name: name if name in there else table.columns.get(number) for number, name in former.columns.items()}
    names = Names(former.name, table.name, {name: now for name, now in kept.items() if now})
    columns = {name: table.values.columns[now] for name, now in names.columns.items()}
    more = {name: digest for name, digest in table.values.columns.items() if name not in names.columns.values()}
    yield from compare(names, former.values, replace(table.values, columns={**more, **columns}), declared)


def is_touched(table: str, receipt: RevisionReceipt) -> bool:
    """Return whether the step held a lock on the table under which data can change."""
    held = next((each.lock for each in receipt.tables if each.table == table), None)
    return held is None or (MODES.index(held) >= FIRST_THAT_WRITES and held not in ONLY_SHARES)


def list_oids(connection: sa.Connection) -> list[tuple[int, str]]:
    rows = connection.exec_driver_sql(TABLES)
    return [(oid, name) for oid, name in rows if is_counted(name) and not is_derived(name)]


def read_postgresql(connection: sa.Connection, oid: int, table: str) -> ServerTable:
    """Read a table once. Source of the hash: PostgreSQL's own, 64 bits, byte by byte, added up as numbers."""
    quote = connection.dialect.identifier_preparer.quote
    columns = connection.exec_driver_sql(COLUMNS, (oid,)).all()
    key = ", ".join(f"{quote(name)}::text" for _, name, is_key in columns if is_key)
    row = f"concat_ws(chr(31), {key})" if key else "''"
    texts = [f"{row} || chr(30) || coalesce({quote(name)}::text, chr(29))" for _, name, _ in columns]
    whole = " || chr(30) || ".join(["''", *(f"coalesce({quote(name)}::text, chr(29))" for _, name, _ in columns)])
    sums = [
        f'coalesce(sum(hashtextextended(({text}) COLLATE "C", 0)), 0)' for text in (*texts, *([] if key else [whole]))
    ]
    query = f"SELECT {', '.join(['count(*)', *sums])} FROM {quote(table)}"  # noqa: S608 - names are quoted
    rows, *digests = map(int, connection.exec_driver_sql(query.replace("%", "%%")).one())
    names = {number: name for number, name, _ in columns}
    together = None if key else digests.pop()
    return ServerTable(table, names, Values(rows, dict(zip(names.values(), digests, strict=True)), together))


class SqliteDataGuard(DataGuard):
    """Reads the tables that a step writes to, as they were through a connection of its own, and as they are.

    That connection sees what is committed, which is the state before the step. SQLite itself says what is written,
    also by triggers and past SQLAlchemy.
    """

    def __init__(self, target: Target, connection: sa.Connection) -> None:
        super().__init__(target, connection)
        self._written: set[str] = set()
        self._renamed: dict[str, str] = {}

    @contextmanager
    def listening(self) -> Iterator[None]:
        def listen(_connection: object, _cursor: object, sql: str, *_: object) -> None:
            if found := RENAME.match(sql):
                self._renamed[found[1].lower()] = found[2].lower()
            if found := RENAME_COLUMN.match(sql):  # by which two columns may come to change places
                self._written.add(found[1].lower())

        event.listen(self._connection, "before_cursor_execute", listen)
        self.watch()
        try:
            yield
        finally:
            event.remove(self._connection, "before_cursor_execute", listen)
            raw(self._connection).set_authorizer(None)

    def watch(self) -> None:
        """Have SQLite tell of each statement what it writes to; statements that it knows already are told anew."""

        def tell(action: int, table: str | None, *_: object) -> int:
            if action in WRITES and table:
                self._written.add(table.lower())
            return sqlite3.SQLITE_OK

        raw(self._connection).set_authorizer(tell)

    def list_changes(self, declared: frozenset[str], receipt: RevisionReceipt | None) -> Iterator[str]:  # noqa: ARG002
        written, self._written = self._written, set()
        renamed, self._renamed = self._renamed, {}
        with connecting(self._target, engine_for(self._target).open_tool(self._target)) as old:
            there = {name.lower(): name for name in list_tables(self._connection)}
            for table in list_tables(old):
                now = there.get(table.lower()) or there.get(follow(table.lower(), renamed))
                if now and not written.isdisjoint({table.lower(), now.lower()}):
                    yield from self.compare_table(old, table, now, declared)
        self.watch()

    def compare_table(self, old: sa.Connection, table: str, now: str, declared: frozenset[str]) -> Iterator[str]:
        """Hash whole rows, and each column only if those differ."""
        renamed = match_columns(columns_of(old, table), columns_of(self._connection, now))
        names = Names(table, now, renamed)
        kept = {name: to for name, to in renamed.items() if declared.isdisjoint(names.of_column(name))}
        key = [name for name in sa.inspect(old).get_pk_constraint(table)["constrained_columns"] if name in kept]
        if read_sqlite(old, table, list(kept)) == read_sqlite(self._connection, now, list(kept.values())):
            return

        def read(connection: sa.Connection, where: str, called: Mapping[str, str]) -> Values:
            rows, together = read_sqlite(connection, where, list(called.values()))
            digests = {
                name: read_sqlite(connection, where, [*(called[each] for each in key), called[name]])[1]
                for name in kept
            }
            return Values(rows, digests, together)

        before, after = read(old, table, {name: name for name in kept}), read(self._connection, now, kept)
        yield from compare(names, before, after, declared)


def follow(table: str, renamed: Mapping[str, str]) -> str:
    """Return what a table is called after renames; a rebuild's new table takes the name of the old one."""
    seen = {table}
    while (to := renamed.get(table)) and to not in seen:
        seen.add(to)
        table = to
    return table


def match_columns(before: Sequence[str], after: Sequence[str]) -> dict[str, str]:
    """Return what each column is called now: as before, or as the new one that stands in its place."""
    new = dict(enumerate(after))
    known = {name: name for name in before if name in after}
    moved = {name: new[place] for place, name in enumerate(before) if name not in after and place in new}
    return {
        name: to for name in before if (to := known.get(name) or moved.get(name)) and (name == to or to not in before)
    }


def list_tables(connection: sa.Connection) -> list[str]:
    return [table for table in sa.inspect(connection).get_table_names() if is_counted(table) and not is_derived(table)]


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
