"""SQLite: real transactions for DDL, a lock file for deploys, copies through the backup API only."""

from __future__ import annotations

import fcntl
import hashlib
import os
import secrets
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

from cms.database.engines.base import DatabaseEngine, Dump, Say, Server, Snapshot, connecting, kept_prefix
from cms.database.engines.sqlitefiles import (
    copy_over,
    database_path,
    keep_copy,
    list_beside,
    load,
    open_file,
    refuse_odd_file,
    refuse_replaced_file,
    remember_file,
    remove_dead_scratches,
    scratch_prefix,
)
from cms.database.errors import BackupFailed, DatabaseBusy, DatabaseUnreachable, DatabaseUnsupported, ToolMissing
from cms.database.files import describe_file, new_folder, open_private, sync
from cms.database.target import Target

OLDEST = (3, 37)
POLL_S = 0.1
HASH_MODULUS = 1 << 128


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
            connection = open_file(database_path(target))
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
        return Server(version=sqlite3.sqlite_version, major=sqlite3.sqlite_version_info[0], identity="sqlite")

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

    def dump(self, target: Target, snapshot: Snapshot, path: Path) -> Dump:
        source = raw(snapshot.connection)
        try:
            open_private(path).close()
            with closing(open_file(path)) as copy:
                # In one step: copied in parts, the backup starts over whenever somebody writes, and never ends.
                source.backup(copy, pages=-1)
                copy.execute("PRAGMA journal_mode=DELETE")  # one file, no sidecars
        except sqlite3.Error as error:
            raise BackupFailed(
                f"the copy of {target.name} could not be written",
                why=str(error),
                hint="check the free space of BACKUP_DIR; the database was not touched",
            ) from error
        sync(path)
        return Dump(describe_file(path), f"sqlite3 backup {sqlite3.sqlite_version}")

    @contextmanager
    def restore_into_scratch(self, target: Target, dump: Path) -> Iterator[Target]:
        live = database_path(target)
        new_folder(live.parent)
        remove_dead_scratches(live)
        scratch = live.with_name(f"{scratch_prefix(live)}{secrets.token_hex(8)}")
        open_private(scratch).close()
        descriptor = os.open(scratch, os.O_RDONLY | os.O_CLOEXEC)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)  # tells it from what a killed run left
            load(dump, scratch)
            yield replace(target, url=target.url.set(database=str(scratch)))
        finally:
            scratch.unlink(missing_ok=True)
            os.close(descriptor)

    def take_over(self, target: Target, scratch: Target, kept: str) -> str | None:
        live = database_path(target)
        former = live.with_name(kept) if live.exists() else None
        if former:
            keep_copy(live, former)
        else:
            self.prepare(target)
        copy_over(database_path(scratch), live, target)
        return str(former) if former else None

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

    def find_tools(self, target: Target, connection: sa.Connection) -> None:
        """Python has all that is needed."""

    def may_create_databases(self, connection: sa.Connection) -> bool:  # noqa: ARG002 - a file can always be tried
        return True

    def size_bytes(self, connection: sa.Connection) -> int:
        query = "SELECT page_count * page_size FROM pragma_page_count, pragma_page_size"
        return int(connection.exec_driver_sql(query).scalar_one())

    def list_tables(self, connection: sa.Connection) -> list[str]:
        query = (
            r"SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite\_%' ESCAPE '\' ORDER BY 1"
        )
        return list(connection.exec_driver_sql(query).scalars())

    def digest(self, connection: sa.Connection, table: str) -> tuple[int, str]:
        quoted = table.replace('"', '""')
        rows = raw(connection).execute(f'SELECT * FROM "{quoted}"')  # noqa: S608 - a name from the catalog, quoted
        count, total = 0, 0
        for row in rows:
            count += 1
            total += int.from_bytes(hashlib.blake2b(repr(row).encode(), digest_size=16).digest())
        return count, f"{total % HASH_MODULUS:032x}"


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
