"""SQLite: real transactions for DDL, a lock file for deploys, copies through the backup API only."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import NoReturn

import sqlalchemy as sa
from sqlalchemy import event

from cms.database.engines.base import (
    ClientTool,
    DatabaseEngine,
    Definitions,
    Dump,
    Sequence,
    Server,
    Snapshot,
    TableEntry,
    connecting,
    kept_prefix,
)
from cms.database.engines.sqlitefiles import (
    BUSY_TIMEOUT_S,
    HURRIED_BUSY_TIMEOUT_S,
    copy_into,
    copy_over,
    database_path,
    list_beside,
    list_dead_scratches,
    open_file,
    refuse_odd_file,
    refuse_replaced_file,
    remember_file,
    remove_dead_scratches,
    scratch_file,
)
from cms.database.envelope import Envelope
from cms.database.errors import DatabaseBusy, DatabaseUnreachable, DatabaseUnsupported, RestoreRefused, ToolMissing
from cms.database.files import describe_file, new_folder, open_private
from cms.database.progress import Meter, Say
from cms.database.target import Target

OLDEST = (3, 37)
POLL_S = 0.1
HASH_MODULUS = 1 << 128
METERED_ROWS = 1000
FILE_SETTINGS = ("user_version", "application_id", "encoding")


class SQLite(DatabaseEngine):
    dump_name = "database.sqlite3"
    embedded = True

    def open_pool(self, target: Target) -> sa.Engine:
        return self._engine(target, poolclass=sa.QueuePool, pool_size=target.pool_size, max_overflow=0, pool_timeout=5)

    def open_tool(self, target: Target, *, migrating: bool = False) -> sa.Engine:
        # A tool that only reads must neither wait for a writer nor make one wait.
        engine = self._engine(target, foreign_keys=not migrating, poolclass=sa.NullPool)
        return engine if migrating else engine.execution_options(sqlite_begin="DEFERRED")

    def _engine(self, target: Target, *, foreign_keys: bool = True, **pool: object) -> sa.Engine:
        def connect() -> sqlite3.Connection:
            wait_s = HURRIED_BUSY_TIMEOUT_S if target.limits.hurried else BUSY_TIMEOUT_S
            connection = open_file(database_path(target), busy_timeout_s=wait_s)
            connection.execute("PRAGMA schema_version")  # reads the file: one that is no database fails here
            connection.execute(f"PRAGMA foreign_keys={'ON' if foreign_keys else 'OFF'}")
            return connection

        engine = sa.create_engine("sqlite://", creator=connect, **pool)
        event.listen(engine, "begin", begin_for_real)
        event.listen(engine, "connect", remember_file(database_path(target)))
        event.listen(engine, "checkout", refuse_replaced_file(database_path(target)))
        return engine

    def prepare(self, target: Target) -> None:
        path = database_path(target)
        refuse_odd_file(path)
        if not path.exists():
            new_folder(path.parent)
            open_private(path).close()
        with closing(open_file(path)) as connection:
            # Readers and one writer at a time do not wait for each other; the mode is stored in the file.
            connection.execute("PRAGMA journal_mode=WAL")

    def is_absent(self, target: Target) -> bool:
        return not database_path(target).exists()

    def describe_server(self, connection: sa.Connection) -> Server:  # noqa: ARG002 - the library is the server
        if sqlite3.sqlite_version_info < OLDEST:
            raise DatabaseUnsupported(
                f"SQLite {sqlite3.sqlite_version} is too old",
                why=f"{OLDEST[0]}.{OLDEST[1]} or newer is needed",
                hint="use a newer Python, or PostgreSQL; nothing was changed",
            )
        return Server(version=sqlite3.sqlite_version, major=sqlite3.sqlite_version_info[0])

    def identify(self, target: Target) -> str:
        return f"sqlite:{database_path(target)}"  # a copy has another path, another machine another key to sign with

    @contextmanager
    def deploy_lock(self, target: Target, say: Say) -> Iterator[None]:
        path = database_path(target)
        refuse_odd_file(path)
        descriptor = open_lock(path)
        try:
            wait_for_flock(descriptor, target, say)
            yield
        finally:
            os.close(descriptor)  # the kernel gives the lock back, also when the process is killed

    @contextmanager
    def snapshot(self, target: Target) -> Iterator[Snapshot]:
        engine = self.open_tool(target)
        with connecting(target, engine) as connection:
            connection.exec_driver_sql("SELECT count(*) FROM sqlite_master")  # a read is what fixes the moment
            yield Snapshot(connection, token="")

    def dump(self, target: Target, snapshot: Snapshot, path: Path, *, envelope: Envelope, meter: Meter) -> Dump:
        tool = f"sqlite3 backup {sqlite3.sqlite_version}"
        source = raw(snapshot.connection)
        if not envelope.suffix:
            meter.watch(path)
            open_private(path).close()
            copy_into(path, source, target)
            return Dump(describe_file(path), tool)
        # The copy that is not encrypted yet stays on the disk where the database lies, and never reaches the backup.
        with scratch_file(database_path(target)) as scratch:
            copy_into(scratch, source, target)
            with scratch.open("rb") as file:
                return Dump(envelope.store(meter.reading(file), path), tool)

    @contextmanager
    def restore_into_scratch(
        self,
        target: Target,
        dump: Path,
        *,
        envelope: Envelope,
        privileges: bool,  # noqa: ARG002 - a file has none
        meter: Meter,
    ) -> Iterator[Target]:
        with scratch_file(database_path(target)) as scratch:
            with scratch.open("r+b") as file:
                envelope.unseal(dump, meter.writing(file))
            yield replace(target, url=target.url.set(database=str(scratch)))

    def list_dead_scratches(self, target: Target, connection: sa.Connection) -> list[str]:  # noqa: ARG002 - they are files
        return [path.name for path in list_dead_scratches(database_path(target))]

    def drop_dead_scratches(self, target: Target) -> None:
        remove_dead_scratches(database_path(target))

    def take_over(self, target: Target, scratch: Target, kept: str) -> str | None:
        live = database_path(target)
        former = live.with_name(kept) if live.exists() else None
        if not former:
            self.prepare(target)
        copy_over(database_path(scratch), live, target, former=former)
        return str(former) if former else None

    def loaded_in_place(self, *_: object, **__: object) -> NoReturn:
        raise RestoreRefused(
            "--in-place is for PostgreSQL roles that may not create databases",
            why="on SQLite every restore replaces the content of the file in one transaction",
            hint="leave it out; nothing was changed",
        )

    def list_kept(self, target: Target) -> list[str]:
        return [path.name for path in list_beside(database_path(target), kept_prefix(target))]

    def discard(self, target: Target, kept: str) -> None:
        database_path(target).with_name(kept).unlink(missing_ok=True)

    def open_prompt(self, target: Target) -> NoReturn:
        if self.is_absent(target):
            raise DatabaseUnreachable(f"there is no database at {target.name}", hint="check DATABASE_URL")
        program = shutil.which("sqlite3")
        if program is None:
            raise ToolMissing(
                "the program sqlite3 was not found",
                why="it is not on PATH",
                hint="install it (Debian: apt-get install sqlite3), or use `python manage.py shell`",
            )
        os.execv(program, [program, str(database_path(target))])  # noqa: S606 - no shell is wanted

    def find_tools(self, target: Target, connection: sa.Connection) -> tuple[ClientTool, ...]:  # noqa: ARG002
        return ()  # Python has all that is needed

    def may_create_databases(self, connection: sa.Connection) -> bool:  # noqa: ARG002 - a file can always be tried
        return True

    def list_blockers(self, target: Target) -> list[str]:  # noqa: ARG002 - SQLite does not know who it is
        return []

    def size_bytes(self, connection: sa.Connection) -> int:
        query = "SELECT page_count * page_size FROM pragma_page_count, pragma_page_size"
        return int(connection.exec_driver_sql(query).scalar_one())

    def list_tables(self, connection: sa.Connection) -> list[str]:
        query = (
            r"SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite\_%' ESCAPE '\' ORDER BY 1"
        )
        return list(connection.exec_driver_sql(query).scalars())

    def digest_tables(self, connection: sa.Connection, meter: Meter) -> tuple[TableEntry, ...]:
        tables = self.list_tables(connection)
        with texts_as_bytes(raw(connection)):
            return tuple(digest(raw(connection), table, meter) for table in tables)

    def digest_large_objects(self, connection: sa.Connection) -> TableEntry:  # noqa: ARG002 - SQLite has none
        return TableEntry("large objects", 0, "")

    def read_sequences(self, connection: sa.Connection) -> tuple[Sequence, ...]:
        if not connection.exec_driver_sql("SELECT 1 FROM sqlite_master WHERE name = 'sqlite_sequence'").scalar():
            return ()
        query = "SELECT name, seq, 1 FROM sqlite_sequence WHERE seq IS NOT NULL ORDER BY 1"
        return tuple(Sequence(*row) for row in connection.exec_driver_sql(query))

    def read_definitions(self, target: Target, snapshot: Snapshot) -> Definitions:  # noqa: ARG002 - it is all in one file
        query = "SELECT type, name, tbl_name, sql FROM sqlite_master ORDER BY 1, 2, 3, 4"
        facts = [tuple(row) for row in snapshot.connection.exec_driver_sql(query)]
        facts += [(name, raw(snapshot.connection).execute(f"PRAGMA {name}").fetchone()[0]) for name in FILE_SETTINGS]
        return Definitions("sqlite", hashlib.sha256(repr(facts).encode()).hexdigest(), None, (), ())

    def find_foreign_roles(self, target: Target, definitions: Definitions) -> tuple[str, ...]:  # noqa: ARG002
        return ()


def digest(connection: sqlite3.Connection, table: str, meter: Meter) -> TableEntry:
    """Hash one table: 128 bits a row, added up as numbers, so that the order of rows does not count."""
    quoted = table.replace('"', '""')
    count, total = 0, 0
    for row in connection.execute(f'SELECT * FROM "{quoted}"'):  # noqa: S608 - a name from the catalog, quoted
        count += 1
        total += hash_row(row)
        if count % METERED_ROWS == 0:
            meter.add(rows=METERED_ROWS)
    meter.add(rows=count % METERED_ROWS)
    return TableEntry(table, count, f"{total % HASH_MODULUS:032x}")


@contextmanager
def texts_as_bytes(connection: sqlite3.Connection) -> Iterator[None]:
    """Read texts as bytearrays, and so apart from blobs: a text need not be UTF-8, and decoding takes its time."""
    usual, connection.text_factory = connection.text_factory, bytearray
    try:
        yield
    finally:
        connection.text_factory = usual


def hash_row(row: tuple[object, ...]) -> int:
    """Return 128 bits of a row's values, types and lengths."""
    numbers = [(type(value), len(value)) if isinstance(value, bytes | bytearray) else value for value in row]
    digest = hashlib.blake2b(repr(numbers).encode(), digest_size=16)
    for value in row:
        if isinstance(value, bytes | bytearray):
            digest.update(value)
    return int.from_bytes(digest.digest())


def raw(connection: sa.Connection) -> sqlite3.Connection:
    """Return the driver's own connection."""
    driver = connection.connection.driver_connection
    assert isinstance(driver, sqlite3.Connection)  # noqa: S101 - this engine opened it
    return driver


def begin_for_real(connection: sa.Connection) -> None:
    """Open a transaction that also holds DDL, and takes the write lock before reading what it will change.

    The driver's own mode commits before DDL (51 of 62 killed migrations left half a schema) and lets two writers
    read the same row first (135 of 400 updates survived).
    """
    options = connection.get_execution_options()
    if options.get("isolation_level") != "AUTOCOMMIT":
        connection.exec_driver_sql(f"BEGIN {options.get('sqlite_begin', 'IMMEDIATE')}")


def open_lock(path: Path) -> int:
    """Open the lock file beside the database. Raises DatabaseUnreachable where no file can be made."""
    lock = path.with_name(f"{path.name}.lock")
    try:
        new_folder(path.parent)
        return os.open(lock, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise DatabaseUnreachable(
            f"{path} cannot be locked",
            why=f"{error.filename or lock}: {error.strerror}",
            hint="its folder must be writable for this user; nothing was changed",
        ) from error


def wait_for_flock(descriptor: int, target: Target, say: Say) -> None:
    """Poll for the deploy lock until ``deploy_wait_s`` is over. Raises DatabaseBusy."""
    deadline = time.monotonic() + target.limits.deploy_wait_s
    told = False
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= deadline:
                raise DatabaseBusy(
                    f"another run works on {target.name}",
                    why=f"it has held the deploy lock for the {target.limits.deploy_wait_s} s that we waited",
                    hint="try again later; nothing was changed",
                ) from None
            if not told:
                say(f"waiting for another run that works on {target.name}")
                told = True
            time.sleep(POLL_S)
        else:
            return
