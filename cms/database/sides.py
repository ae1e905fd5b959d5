"""The two sides between which rows go: SQLite and PostgreSQL, each read and written in the form of ``portable``."""

# ruff: noqa: S608 - names are from the catalog, and quoted

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Generator, Iterable, Sequence

import psycopg
import sqlalchemy as sa

from cms.database.engines.postgresql import as_text as settings_for_texts
from cms.database.engines.sqlite import raw, texts_as_bytes
from cms.database.errors import MoveFailed
from cms.database.portable import (
    FROM_SQLITE,
    TIME_FORM,
    Misfit,
    Misfits,
    PortableColumn,
    PortableTable,
    Row,
    Unfit,
)
from cms.words import counted

COLUMNS = """
    SELECT c.relname, a.attname, format_type(a.atttypid, NULL), nullif(a.atttypmod - 4, -5),
           coalesce(a.attnum = ANY (i.indkey), false)
    FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace
    LEFT JOIN pg_index i ON i.indrelid = c.oid AND i.indisprimary
    WHERE c.relkind = 'r' AND n.nspname = ANY (current_schemas(false))
      AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = ''
    -- What triggers read while a table is filled must be there: those with triggers come last.
    ORDER BY EXISTS (SELECT FROM pg_trigger t WHERE t.tgrelid = c.oid AND NOT t.tgisinternal), 1, a.attnum"""
FOREIGN_KEYS = """
    SELECT quote_ident(c.relname), quote_ident(k.conname), pg_get_constraintdef(k.oid)
    FROM pg_constraint k JOIN pg_class c ON c.oid = k.conrelid JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE k.contype = 'f' AND k.conparentid = 0 AND n.nspname = ANY (current_schemas(false)) ORDER BY 1, 2"""
SEQUENCES = """
    SELECT quote_ident(c.relname), quote_ident(a.attname), pg_get_serial_sequence(quote_ident(c.relname), a.attname)
    FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relkind = 'r' AND n.nspname = ANY (current_schemas(false)) AND a.attnum > 0 AND NOT a.attisdropped
      AND pg_get_serial_sequence(quote_ident(c.relname), a.attname) IS NOT NULL"""
OUT_OF_RANGE = "{0} IN ('infinity', '-infinity') OR {0} < '0001-01-01 00:00Z' OR {0} >= '10000-01-01 00:00Z'"
TO_TEXT = {
    "uuid": "replace({0}::text, '-', '')",
    "boolean": "{0}::int::text",
    "timestamp with time zone": f"CASE WHEN {OUT_OF_RANGE} THEN {{0}}::text || ', too far away' "
    "ELSE to_char({0} AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS.US') END",
    "bytea": "encode({0}, 'hex')",
}


class Side(ABC):
    """One open connection of one kind of database."""

    def __init__(self, connection: sa.Connection) -> None:
        self.connection = connection

    def quote(self, name: str) -> str:
        return str(self.connection.dialect.identifier_preparer.quote_identifier(name))

    def columns_of(self, table: PortableTable) -> str:
        return ", ".join(self.quote(column.name) for column in table.columns)

    def describe(self, table: PortableTable, row: Sequence[object]) -> str:
        """Return how a message names a row: by its key."""
        values = {column.name: value for column, value in zip(table.columns, row, strict=True)}
        shown = {name: values[name] for name in table.key if name in values}
        return ", ".join(f"{name}={as_shown(value)}" for name, value in shown.items()) or "without a key"

    @abstractmethod
    def read(self, table: PortableTable, misfits: Misfits) -> Generator[Row]:
        """Yield each row, in constant memory; a value that cannot go over is told, and its row left out."""

    @abstractmethod
    def find_orphans(self, misfits: Misfits) -> None:
        """Tell the rows that refer to rows which are not there."""

    @abstractmethod
    def empty(self, tables: Sequence[PortableTable]) -> None:
        """Remove what the history itself puts into new tables, and what would slow down or forbid filling them."""

    @abstractmethod
    def write(self, table: PortableTable, rows: Iterable[Row]) -> None:
        """Store the rows, in constant memory."""

    @abstractmethod
    def finish(self) -> None:
        """Put back what ``empty`` took. Raises MoveFailed if a row refers to one that is not there."""

    def count(self, table: str) -> int:
        return int(self.connection.exec_driver_sql(f"SELECT count(*) FROM {self.quote(table)}").scalar_one())


def side_of(connection: sa.Connection) -> Side:
    return PostgresSide(connection) if connection.dialect.name == "postgresql" else SqliteSide(connection)


def as_shown(value: object) -> str:
    return value.decode(errors="replace") if isinstance(value, bytearray) else str(value)


class PostgresSide(Side):
    """Reads and writes by COPY."""

    def __init__(self, connection: sa.Connection) -> None:
        super().__init__(connection)
        settings_for_texts(connection)
        self._keys: list[tuple[str, str, str]] = []
        self._filled = ""

    @property
    def driver(self) -> psycopg.Connection:
        driver = self.connection.connection.driver_connection
        assert isinstance(driver, psycopg.Connection)  # noqa: S101 - this engine opened it
        return driver

    def list_tables(self) -> list[PortableTable]:
        """Return every table, in the order in which they are to be filled."""
        columns: dict[str, list[PortableColumn]] = {}
        keys: dict[str, list[str]] = {}
        for table, name, kind, longest, is_key in self.connection.exec_driver_sql(COLUMNS):
            limit = longest if kind.startswith("character") else None
            columns.setdefault(table, []).append(PortableColumn(name, kind, limit))
            keys.setdefault(table, []).extend([name] if is_key else [])
        return [PortableTable(name, tuple(found), tuple(keys[name])) for name, found in columns.items()]

    def read(self, table: PortableTable, misfits: Misfits) -> Generator[Row]:
        forms = [TO_TEXT.get(each.kind, "{0}::text").format(self.quote(each.name)) for each in table.columns]
        times_at = [at for at, each in enumerate(table.columns) if each.kind == "timestamp with time zone"]
        query = f"COPY (SELECT {', '.join(forms)} FROM {self.quote(table.name)}) TO STDOUT"
        with self.driver.cursor() as cursor, cursor.copy(query.encode()) as copy:
            for row in copy.rows():
                far = [at for at in times_at if row[at] is not None and len(row[at]) != TIME_FORM]
                for at in far:
                    place = f"{table.name}.{table.columns[at].name}"
                    misfits.add(Misfit(place, self.describe(table, row), f"is {row[at]}"))
                if not far:
                    yield row

    def find_orphans(self, misfits: Misfits) -> None:
        """Find none: the server keeps its promises."""

    def empty(self, tables: Sequence[PortableTable]) -> None:
        self._keys = [tuple(row) for row in self.connection.exec_driver_sql(FOREIGN_KEYS)]
        for table, name, _ in self._keys:
            self.connection.exec_driver_sql(f"ALTER TABLE {table} DROP CONSTRAINT {name}")
        self._filled = ", ".join(self.quote(table.name) for table in tables)
        self.connection.exec_driver_sql(f"TRUNCATE {self._filled}")

    def write(self, table: PortableTable, rows: Iterable[Row]) -> None:
        bytes_at = [at for at, column in enumerate(table.columns) if column.kind == "bytea"]
        query = f"COPY {self.quote(table.name)} ({self.columns_of(table)}) FROM STDIN"
        with self.driver.cursor() as cursor, cursor.copy(query.encode()) as copy:
            for row in rows:
                copy.write_row(
                    [f"\\x{v}" if at in bytes_at and v is not None else v for at, v in enumerate(row)]
                    if bytes_at
                    else row
                )

    def finish(self) -> None:
        for table, name, definition in self._keys:
            self.connection.exec_driver_sql(f"ALTER TABLE {table} ADD CONSTRAINT {name} {definition}")
        for table, column, sequence in self.connection.exec_driver_sql(SEQUENCES).all():
            query = f"SELECT setval(%s, max({column})) FROM {table} HAVING max({column}) IS NOT NULL"
            self.connection.exec_driver_sql(query, (sequence,))
        self.connection.exec_driver_sql(f"ANALYZE {self._filled}")  # the plans of the first pages depend on it


class SqliteSide(Side):
    """Reads and writes in one pass; the file enforces no foreign keys meanwhile, and is looked over at the end."""

    def read(self, table: PortableTable, misfits: Misfits) -> Generator[Row]:
        takers = [(at, FROM_SQLITE[column.kind], column) for at, column in enumerate(table.columns)]
        query = f"SELECT {self.columns_of(table)} FROM {self.quote(table.name)}"
        with texts_as_bytes(raw(self.connection)):
            for row in raw(self.connection).execute(query):
                taken: list[str | None] = [None] * len(row)
                fits = True
                for at, take, column in takers:
                    if row[at] is None:
                        continue
                    try:
                        taken[at] = take(row[at], column)
                    except Unfit as unfit:
                        fits = False
                        place = f"{table.name}.{column.name}"
                        misfits.add(Misfit(place, self.describe(table, row), str(unfit)))
                if fits:
                    yield tuple(taken)

    def find_orphans(self, misfits: Misfits) -> None:
        for table, row_id, parent, _ in self.connection.exec_driver_sql("PRAGMA foreign_key_check"):
            misfits.add(Misfit(table, f"rowid={row_id}", f"refers to a row of {parent} that is not there"))

    def empty(self, tables: Sequence[PortableTable]) -> None:
        for table in tables:
            self.connection.exec_driver_sql(f"DELETE FROM {self.quote(table.name)}")

    def write(self, table: PortableTable, rows: Iterable[Row]) -> None:
        bytes_at = {at for at, column in enumerate(table.columns) if column.kind == "bytea"}
        given: Iterable[Sequence[object]] = rows
        if bytes_at:
            given = (
                [bytes.fromhex(v) if at in bytes_at and v is not None else v for at, v in enumerate(row)]
                for row in rows
            )
        # Numbers go as text too: the affinity of their columns makes numbers of them.
        marks = ", ".join("?" * len(table.columns))
        query = f"INSERT INTO {self.quote(table.name)} ({self.columns_of(table)}) VALUES ({marks})"
        raw(self.connection).executemany(query, given)

    def finish(self) -> None:
        misfits = Misfits()
        self.find_orphans(misfits)
        if misfits.count:
            raise MoveFailed(
                f"{counted(misfits.count, 'row')} would refer to rows that are not there", why=str(misfits.first[0])
            )
