"""The files of SQLite databases: opening, copying and replacing them, through the backup API only."""

from __future__ import annotations

import fcntl
import glob
import os
import secrets
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote

import sqlalchemy as sa

from cms.database.errors import BackupFailed, DatabaseBusy, DatabaseUnreachable, DatabaseUnsupported, RestoreFailed
from cms.database.files import flushing, is_locked, new_folder, open_private, sync
from cms.database.target import Target
from cms.errors import CmsError

BUSY_TIMEOUT_S = 5
HURRIED_BUSY_TIMEOUT_S = 0.1
TAKE_OVER_S = 30
BUSY = {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}
STEPS = 2
HEADER = b"SQLite format 3\0"
SIDECARS = ("-wal", "-shm", "-journal")
FILE = "the file that this connection opened"


def database_path(target: Target) -> Path:
    """Return the file of the target. Raises DatabaseUnsupported for a database in memory."""
    if not target.url.database or target.url.database == ":memory:":
        raise DatabaseUnsupported(
            "a database in memory cannot hold a site",
            why="it is gone with the process, and each process has its own",
            hint="set DATABASE_URL to sqlite:///instance/cms.db or to a PostgreSQL address",
        )
    return Path(target.url.database)


def open_file(path: Path, *, busy_timeout_s: float = BUSY_TIMEOUT_S) -> sqlite3.Connection:
    """Open an existing file; never creates one, because a mistyped path must not become an empty site."""
    address = f"file:{quote(str(path))}?mode=rw"
    return sqlite3.connect(address, uri=True, timeout=busy_timeout_s, isolation_level=None, check_same_thread=False)


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


def scratch_prefix(live: Path) -> str:
    return f".{live.name}.restore-"


def list_beside(live: Path, prefix: str) -> list[Path]:
    """Return the files beside the live one whose names begin so, sorted."""
    return sorted(live.parent.glob(f"{glob.escape(prefix)}*"))


def list_dead_scratches(live: Path) -> list[Path]:
    """Return the scratch files that no living run holds the lock of, and what SQLite wrote beside them."""
    found = list_beside(live, scratch_prefix(live))
    held = {path for path in found if is_held(path)}
    return [path for path in found if path not in held and path.with_name(without_sidecar(path.name)) not in held]


def without_sidecar(name: str) -> str:
    """Return the name of the database that a file beside it belongs to."""
    return next((name.removesuffix(end) for end in SIDECARS if name.endswith(end)), name)


def is_held(path: Path) -> bool:
    try:
        return is_locked(path)
    except FileNotFoundError:  # its run has just removed it
        return False


def remove_dead_scratches(live: Path) -> None:
    for path in list_dead_scratches(live):
        path.unlink(missing_ok=True)


@contextmanager
def scratch_file(live: Path) -> Iterator[Path]:
    """Give a new empty file beside the live one, which is removed at the end unless it was renamed."""
    new_folder(live.parent)
    remove_dead_scratches(live)
    scratch = live.with_name(f"{scratch_prefix(live)}{secrets.token_hex(8)}")
    open_private(scratch).close()
    descriptor = os.open(scratch, os.O_RDONLY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)  # tells it from what a killed run left
        yield scratch
    finally:
        for end in ("", *SIDECARS):
            scratch.with_name(f"{scratch.name}{end}").unlink(missing_ok=True)
        os.close(descriptor)


def copy_into(path: Path, source: sqlite3.Connection, target: Target) -> None:
    """Copy the database that the connection sees into an empty file, and sync it. Raises BackupFailed."""
    try:
        with flushing(path), closing(open_file(path)) as copy:
            # In one step: copied in parts, the backup starts over whenever somebody writes, and never ends.
            source.backup(copy, pages=-1)
            copy.execute("PRAGMA journal_mode=DELETE")  # one file, no sidecars
    except sqlite3.Error as error:
        raise BackupFailed(
            f"the copy of {target.name} could not be written",
            why=str(error),
            hint=f"check the free space of {path.parent}; the database was not touched",
        ) from error
    sync(path)


def copy_over(scratch: Path, live: Path, target: Target, *, former: Path | None) -> None:
    """Replace the content of the live file in one transaction. Raises BackupFailed, DatabaseBusy, RestoreFailed.

    Through the API and never by renaming a file: an old -wal beside it would be replayed over the new data.
    former: where what was there is copied to, under the write lock that is then held until the new content is
    committed: no acknowledged write can fall between the two, and be in neither.
    """
    aside = KeepAside(live, former, target)
    with closing(open_file(scratch)) as source, closing(open_file(live)) as destination:
        is_wal = destination.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        copy = copy_in_two_steps if is_wal and page_size(source) == page_size(destination) else copy_alone
        try:
            copy(source, destination, aside)
        except (sqlite3.Error, OSError, CmsError) as error:
            if former:
                former.unlink(missing_ok=True)  # nothing was replaced, so there is nothing to undo
            if isinstance(error, CmsError):
                raise
            raise RestoreFailed(
                f"{target.name} could not be replaced", why=str(error), hint="it still holds what it held before"
            ) from error
        with suppress(sqlite3.OperationalError):  # somebody is quicker; `prepare` does it as well
            destination.execute("PRAGMA locking_mode=NORMAL")
            destination.execute("PRAGMA journal_mode=WAL")


class KeepAside:
    """Copies the live file aside, once, as soon as nobody else can write; gives up if that takes too long.

    The driver itself tries for ever.
    """

    def __init__(self, live: Path, former: Path | None, target: Target) -> None:
        self._live = live
        self._former = former
        self._target = target
        self._deadline = time.monotonic() + TAKE_OVER_S

    def between_steps(self, status: int, remaining: int, total: int) -> None:  # noqa: ARG002 - sqlite3's own signature
        """Copy after a step that took the write lock. Raises BackupFailed, DatabaseBusy."""
        if status == sqlite3.SQLITE_OK:
            with closing(open_file(self._live)) as reader:
                self.copy(reader)
        elif status in BUSY and time.monotonic() > self._deadline:
            raise DatabaseBusy(
                f"{self._target.name} could not be replaced",
                why=f"another connection kept it locked for {TAKE_OVER_S} s",
                hint="stop the site and try again; the database was not changed",
            )

    def copy(self, reader: sqlite3.Connection) -> None:
        """Copy what the connection sees to the former file, which gets its name when it is whole and synced."""
        if self._former:
            with scratch_file(self._live) as part:
                copy_into(part, reader, self._target)
                part.rename(self._former)
                sync(self._former.parent)


def copy_in_two_steps(source: sqlite3.Connection, destination: sqlite3.Connection, aside: KeepAside) -> None:
    """Copy all pages but one, which takes the write lock; the last one commits. Readers see the former ones until then.

    Between the two others read, and cannot write.
    """
    if page_count(source) < STEPS:
        source.executescript("CREATE TABLE filler (x); DROP TABLE filler")  # an empty file has no page to wait with
    source.backup(destination, pages=page_count(source) - 1, progress=aside.between_steps)


def copy_alone(source: sqlite3.Connection, destination: sqlite3.Connection, aside: KeepAside) -> None:
    """Copy while nobody reads: pages of another size, or into a file without a write-ahead log.

    With such a log the size of pages is fixed, and only a file's single connection can leave it.
    """
    destination.execute(f"PRAGMA busy_timeout={TAKE_OVER_S * 1000}")
    destination.execute("PRAGMA journal_mode=DELETE")
    destination.execute("PRAGMA locking_mode=EXCLUSIVE")
    destination.executescript("BEGIN EXCLUSIVE; COMMIT")  # the lock of the file stays until the mode is changed
    aside.copy(destination)
    source.backup(destination, pages=-1)


def page_size(connection: sqlite3.Connection) -> int:
    return int(connection.execute("PRAGMA page_size").fetchone()[0])


def page_count(connection: sqlite3.Connection) -> int:
    return int(connection.execute("PRAGMA page_count").fetchone()[0])
