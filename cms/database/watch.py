"""Measure a revision while it runs: its locks after each statement, and before the commit what it wrote and read."""

from __future__ import annotations

import re
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy import event

from cms.database.fingerprint import is_counted
from cms.database.receipts import MODES, RevisionReceipt, TableReceipt

NONE = (0, 0)
WRITTEN = "rows written when they were counted last"
TABLES = """
    SELECT c.oid::int, c.relname, pg_relation_filenode(c.oid), pg_total_relation_size(c.oid)
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relkind IN ('r', 'p', 'm') AND n.nspname = ANY (current_schemas(false))"""
LOCKS = """
    SELECT relation::int, mode FROM pg_locks
    WHERE locktype = 'relation' AND granted AND pid = pg_backend_pid()
      AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"""
# Every query makes its plan with all indexes of its tables, so one that is locked keeps readers waiting as well.
INDEXES = "SELECT indexrelid::int, indrelid::int FROM pg_index"
SETTING = re.compile(r"(?:RE)?SET ", re.IGNORECASE)
AN_INDEX = "AccessExclusiveLock on an index"
COUNTERS = """
    SELECT relid::int, n_tup_ins + n_tup_upd + n_tup_del, seq_tup_read FROM pg_stat_xact_user_tables"""


@dataclass(frozen=True)
class Table:
    """A table before the revision."""

    name: str
    filenode: int | None
    size_bytes: int


class Watch(ABC):
    """Follows one connection through the revisions of one run. The connection is in no transaction at the beginning."""

    def __init__(self, connection: sa.Connection) -> None:
        self._connection = connection
        self._looking = False
        self.begin()

    @contextmanager
    def looking(self) -> Iterator[None]:
        """Do not take our own questions for the revision's statements."""
        self._looking = True
        try:
            yield
        finally:
            self._looking = False

    def begin(self) -> None:
        """Note how everything is before a revision."""
        self._began = self._statement_began = time.monotonic()
        self._first_held: dict[tuple[int, str], float] = {}
        self._held_s: dict[tuple[int, str], float] = {}  # in transactions that are over
        self._counted: dict[int, tuple[int, int]] = {}  # likewise
        self._outside: list[str] = []
        with self.looking():
            self._before = self.read_tables()
            self._written = self.read_written()
            self._counters = self.read_counters()

    @abstractmethod
    def read_tables(self) -> dict[int, Table]:
        """Return the tables of the site by the server's number."""

    @abstractmethod
    def read_locks(self) -> list[tuple[int, str]]:
        """Return table and mode of each lock that is held on a table that was there before."""

    @abstractmethod
    def read_written(self) -> int:
        """Return how much has been written, in bytes, since whenever."""

    @abstractmethod
    def read_counters(self) -> dict[int, tuple[int, int]]:
        """Return for each table how many rows were written and how many were read from end to end, so far."""

    @abstractmethod
    def describe_tables(self, now: float) -> Iterator[TableReceipt]:
        """Yield what was done to each table that was locked."""

    def before_statement(self, *_: object) -> None:
        if not self._looking:
            self._statement_began = time.monotonic()

    def after_statement(self, _connection: object, _cursor: object, sql: str, *_: object) -> None:
        if self._looking:
            return
        if self._connection.get_execution_options().get("isolation_level") == "AUTOCOMMIT":
            if not SETTING.match(sql):
                self._outside.append(" ".join(sql.split()))
            return
        with self.looking():
            self.note_locks()

    def note_locks(self) -> None:
        for key in self.read_locks():
            self._first_held.setdefault(key, self._statement_began)

    def before_commit(self, _connection: object) -> None:
        """Note what a transaction in the middle of a revision held until now, and what it did."""
        if self._looking or not self._connection.in_transaction() or not self._first_held:
            return
        with self.looking():
            self._counted = self.add_up()
            self._held_s = self.held_s(time.monotonic())
            self._first_held = {}
            self._counters = self.read_counters()

    def held_s(self, now: float) -> dict[tuple[int, str], float]:
        """Return for how long each lock was held at most, in one transaction."""
        this = {key: now - since for key, since in self._first_held.items()}
        return {key: max(this.get(key, 0.0), self._held_s.get(key, 0.0)) for key in this | self._held_s}

    def add_up(self) -> dict[int, tuple[int, int]]:
        """Return for each table how many rows were written, and read by reading it from end to end."""
        now = self.read_counters()
        total = {}
        for oid in now.keys() | self._counted.keys():
            pairs = zip(now.get(oid, NONE), self._counters.get(oid, NONE), self._counted.get(oid, NONE), strict=True)
            rows, read = (since(each, before) + counted for each, before, counted in pairs)
            total[oid] = (rows, read)
        return total

    def finish(self, revision: str, title: str) -> RevisionReceipt:
        """Return what the revision did, inside its transaction."""
        now = time.monotonic()
        with self.looking():
            return RevisionReceipt(
                revision,
                title,
                now - self._began,
                self.read_written() - self._written,
                tuple(self.describe_tables(now)),
                tuple(self._outside),
                self._connection.dialect.name == "sqlite",
            )


class PostgresWatch(Watch):
    """Asks pg_locks, the tables' file nodes and the transaction's own counters."""

    def begin(self) -> None:
        with self.looking():
            self._indexes: dict[int, int] = dict(self._connection.exec_driver_sql(INDEXES).tuples().all())
        super().begin()

    def read_tables(self) -> dict[int, Table]:
        rows = self._connection.exec_driver_sql(TABLES)
        return {oid: Table(name, node, size) for oid, name, node, size in rows if is_counted(name)}

    def read_locks(self) -> list[tuple[int, str]]:
        held = list(self._connection.exec_driver_sql(LOCKS))
        locked = {self._indexes[oid] for oid, mode in held if oid in self._indexes and mode == MODES[-1]}
        return [(oid, mode) for oid, mode in held if oid in self._before] + [(oid, AN_INDEX) for oid in locked]

    def read_written(self) -> int:
        """Return the position in the write-ahead log; what others wrote meanwhile counts too."""
        query = "SELECT pg_current_wal_insert_lsn() - '0/0'::pg_lsn"
        return int(self._connection.exec_driver_sql(query).scalar_one())

    def read_counters(self) -> dict[int, tuple[int, int]]:
        return {oid: (rows, read) for oid, rows, read in self._connection.exec_driver_sql(COUNTERS)}

    def describe_tables(self, now: float) -> Iterator[TableReceipt]:
        counters, held = self.add_up(), self.held_s(now)
        after = self.read_tables()
        for oid, table in sorted(self._before.items(), key=lambda item: item[1].name):
            modes = [mode for locked, mode in held if locked == oid and mode != AN_INDEX]
            if not modes:
                continue
            strongest = max(modes, key=MODES.index)
            indexed = strongest != MODES[-1] and (oid, AN_INDEX) in held
            rows, read = counters.get(oid, NONE)
            rewritten = oid in after and after[oid].filenode != table.filenode
            held_s = held[oid, AN_INDEX if indexed else strongest]
            yield TableReceipt(table.name, strongest, held_s, rewritten, read > 0, rows, table.size_bytes, indexed)


class SqliteWatch(Watch):
    """Has little to ask: one writer at a time locks the whole file."""

    def read_tables(self) -> dict[int, Table]:
        return {}

    def read_locks(self) -> list[tuple[int, str]]:
        return []

    def read_written(self) -> int:
        query = "SELECT page_count * page_size FROM pragma_page_count, pragma_page_size"
        return int(self._connection.exec_driver_sql(query).scalar_one())

    def read_counters(self) -> dict[int, tuple[int, int]]:
        return {}

    def describe_tables(self, _now: float) -> Iterator[TableReceipt]:
        yield from ()


def count_written(connection: sa.Connection) -> int:
    """Return how many rows of the site's tables were written since this was asked last on the connection."""
    if connection.dialect.name == "sqlite":
        total = int(connection.exec_driver_sql("SELECT total_changes()").scalar_one())
        of_the_history = 1  # the version table's row
    else:
        query = "SELECT relname, n_tup_ins + n_tup_upd + n_tup_del FROM pg_stat_xact_user_tables"
        total = sum(rows for name, rows in connection.exec_driver_sql(query) if is_counted(name))
        of_the_history = 0
    before, connection.info[WRITTEN] = connection.info.get(WRITTEN, 0), total
    return max(since(total, before) - of_the_history, 0)


def since(now: int, before: int) -> int:
    """Return the difference of a counter; the server adds up the transactions of about a second, then begins anew."""
    return now - before if now >= before else now


@contextmanager
def watching(connection: sa.Connection) -> Iterator[Watch]:
    """Follow the connection's statements for as long as the block lasts."""
    watch = (PostgresWatch if connection.dialect.name == "postgresql" else SqliteWatch)(connection)
    connection.rollback()  # Alembic must find no transaction, or takes it for somebody else's
    event.listen(connection, "before_cursor_execute", watch.before_statement)
    event.listen(connection, "after_cursor_execute", watch.after_statement)
    event.listen(connection, "commit", watch.before_commit)
    try:
        yield watch
    finally:
        event.remove(connection, "before_cursor_execute", watch.before_statement)
        event.remove(connection, "after_cursor_execute", watch.after_statement)
        event.remove(connection, "commit", watch.before_commit)
