"""SQLite: real transactions for DDL, a lock file for deploys, copies through the backup API only."""

from __future__ import annotations

import fcntl
import glob
import hashlib
import os
import secrets
import shutil
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, NoReturn
from urllib.parse import quote

import sqlalchemy as sa
from sqlalchemy import event

from cms.database.engines.base import DatabaseEngine, Dump, Say, Server, Snapshot, connecting, kept_prefix
from cms.database.errors import (
    BackupFailed,
    DatabaseBusy,
    DatabaseUnreachable,
    DatabaseUnsupported,
    RestoreFailed,
    ToolMissing,
)
from cms.database.files import describe_file, new_folder, open_private, sync
from cms.database.target import Target

OLDEST = (3, 37)
BUSY_TIMEOUT_S = 5
POLL_S = 0.1
TAKE_OVER_S = 30
BackupProgress = Callable[[int, int, int], None]
HASH_MODULUS = 1 << 128
HEADER = b"SQLite format 3\0"
FILE = "the file that this connection opened"


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
        return sorted(path.name for path in database_path(target).parent.glob(f"{glob.escape(kept_prefix(target))}*"))

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


def database_path(target: Target) -> Path:
    """Return the file of the target. Raises DatabaseUnsupported for a database in memory."""
    if not target.url.database or target.url.database == ":memory:":
        raise DatabaseUnsupported(
            "a database in memory cannot hold a site",
            why="it is gone with the process, and each process has its own",
            hint="set DATABASE_URL to sqlite:///instance/cms.db or to a PostgreSQL address",
        )
    return Path(target.url.database)


def open_file(path: Path) -> sqlite3.Connection:
    """Open an existing file; never creates one, because a mistyped path must not become an empty site."""
    address = f"file:{quote(str(path))}?mode=rw"
    return sqlite3.connect(address, uri=True, timeout=BUSY_TIMEOUT_S, isolation_level=None, check_same_thread=False)


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


def identity_of(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    return found.st_dev, found.st_ino


def remember_file(path: Path) -> Callable[[object, Any], None]:
    """Return a listener that notes which file a new connection has opened."""

    def remember(_connection: object, record: Any) -> None:  # Any: SQLAlchemy's own record of a pooled connection
        record.info[FILE] = identity_of(path)

    return remember


def refuse_replaced_file(path: Path) -> Callable[[object, Any, object], None]:
    """Return a listener that makes the pool open the file anew if another one has its name now.

    A site whose file was removed and restored would go on with the removed one, and lose what it writes there.
    """

    def refuse(_connection: object, record: Any, _proxy: object) -> None:  # Any: see remember_file
        if record.info.get(FILE) != identity_of(path):
            raise sa.exc.DisconnectionError("the database file was replaced")

    return refuse


def refuse_odd_file(path: Path) -> None:
    """Raise DatabaseUnreachable if the path holds something that is not a SQLite database."""
    if path.is_dir():
        reason = "it is a folder"
    elif path.exists() and path.stat().st_size and read_header(path) != HEADER:
        reason = "the file is not a SQLite database"
    elif path.exists() and not os.access(path, os.W_OK):
        reason = "the file is read-only"
    else:
        return
    raise DatabaseUnreachable(
        f"{path} cannot be used as the database", why=reason, hint="check DATABASE_URL; nothing was changed"
    )


def read_header(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(len(HEADER))


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


def scratch_prefix(live: Path) -> str:
    return f".{live.name}.restore-"


def remove_dead_scratches(live: Path) -> None:
    """Remove the scratch files that no living run holds the lock of."""
    for path in live.parent.glob(f"{glob.escape(scratch_prefix(live))}*"):
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            path.unlink(missing_ok=True)
        except BlockingIOError:
            continue
        finally:
            os.close(descriptor)


def load(dump: Path, scratch: Path) -> None:
    """Copy a dump into an empty file. Raises RestoreFailed."""
    try:
        with closing(open_file(dump)) as source, closing(open_file(scratch)) as copy:
            source.backup(copy, pages=-1)
    except (sqlite3.Error, OSError) as error:
        raise RestoreFailed(
            "the backup could not be loaded beside the database",
            why=str(error),
            hint="check the free space beside the database, which was not touched",
        ) from error


def keep_copy(live: Path, former: Path) -> None:
    """Copy the live file to a name beside it, which it gets when it is whole and synced. Raises RestoreFailed."""
    part = former.with_name(f"{scratch_prefix(live)}{secrets.token_hex(8)}")
    try:
        open_private(part).close()
        load(live, part)
        with closing(open_file(part)) as copy:
            copy.execute("PRAGMA journal_mode=DELETE")  # one file, no sidecars
        sync(part)
        part.rename(former)
        sync(former.parent)
    finally:
        part.unlink(missing_ok=True)


def copy_over(scratch: Path, live: Path, target: Target) -> None:
    """Replace the content of the live file in one transaction. Raises DatabaseBusy, RestoreFailed.

    Through the API and never by renaming a file: an old -wal beside it would be replayed over the new data.
    """
    try:
        with closing(open_file(scratch)) as source, closing(open_file(live)) as destination:
            if page_size(source) != page_size(destination):
                destination.execute("PRAGMA journal_mode=DELETE")  # with a write-ahead log the page size is fixed
            source.backup(destination, pages=-1, progress=give_up_after(TAKE_OVER_S, target))
            destination.execute("PRAGMA journal_mode=WAL")
    except sqlite3.Error as error:
        raise RestoreFailed(
            f"{target.name} could not be replaced", why=str(error), hint="it still holds what it held before"
        ) from error


def page_size(connection: sqlite3.Connection) -> int:
    return int(connection.execute("PRAGMA page_size").fetchone()[0])


def give_up_after(seconds: float, target: Target) -> BackupProgress:
    """Return a progress callback that raises DatabaseBusy once the time is over; the driver itself retries for ever."""
    deadline = time.monotonic() + seconds

    def check(status: int, remaining: int, total: int) -> None:  # noqa: ARG001 - sqlite3's own signature
        if time.monotonic() > deadline:
            raise DatabaseBusy(
                f"{target.name} could not be replaced",
                why=f"another connection kept it locked for {seconds:.0f} s",
                hint="stop the site and try again; the database was not changed",
            )

    return check
