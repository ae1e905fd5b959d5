"""What the operations need from a kind of database, and the connection errors that both kinds share."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError

from cms.database.errors import DatabaseUnreachable
from cms.database.files import FileEntry
from cms.database.target import Target

Say = Callable[[str], None]
"""Tells the operator one line about what is going on; the management commands print it to stderr."""


LONGEST_NAME = 35
KEPT = "_before_"
"""Between a database's name and the time, in the name of what a restore put aside."""


def kept_prefix(target: Target) -> str:
    """Return how the names of former databases begin: no two databases share it, and it leaves room for the time.

    A server takes names of up to 63 bytes, so a long one is cut and told apart by its digest.
    """
    name = Path(str(target.url.database)).name
    if len(name.encode()) > LONGEST_NAME:
        digest = hashlib.sha256(name.encode()).hexdigest()[:8]
        name = f"{name.encode()[: LONGEST_NAME - 9].decode(errors='ignore')}_{digest}"
    return f"{name}{KEPT}"


@dataclass(frozen=True)
class Server:
    """What answers: version as text, its major number, and an identity that a copy of the data does not share."""

    version: str
    major: int
    identity: str


@dataclass(frozen=True)
class Dump:
    """A dump that is on the disk, and the name and version of the tool that wrote it."""

    file: FileEntry
    tool: str


@dataclass(frozen=True)
class Snapshot:
    """One moment of the database: everything read through ``connection`` and every dump with ``token`` agree."""

    connection: sa.Connection
    token: str


class DatabaseEngine(ABC):
    """PostgreSQL or SQLite. Stateless; every method takes the target it works on."""

    dump_name: str
    """Name of the dump inside a backup folder."""

    embedded: bool
    """Whether the database is a file that ``prepare`` makes."""

    @abstractmethod
    def open_pool(self, target: Target) -> sa.Engine:
        """Return the site's engine: pooled, short waits. Opens no connection."""

    @abstractmethod
    def open_tool(self, target: Target, *, migrating: bool = False) -> sa.Engine:
        """Return an engine without a pool for one operation. Opens no connection.

        migrating: with the target's lock and statement timeouts, and on SQLite without enforcing foreign keys,
        because a table rebuild would otherwise fire ON DELETE CASCADE on every child row.
        """

    @abstractmethod
    def prepare(self, target: Target) -> None:
        """Make an embedded database's file if there is none; elsewhere prove that the server answers.

        Raises DatabaseUnreachable, DatabaseUnsupported.
        """

    @abstractmethod
    def is_absent(self, target: Target) -> bool:
        """Return whether there is no such database yet, on a server that answers. Raises DatabaseUnreachable."""

    @abstractmethod
    def describe_server(self, connection: sa.Connection) -> Server:
        """Return version and identity of what answers. Raises DatabaseUnsupported if we cannot work on it."""

    @abstractmethod
    def deploy_lock(self, target: Target, say: Say) -> AbstractContextManager[None]:
        """Hold the one lock under which schemas change and restores happen; gone when the process is.

        Waits for another holder, at most ``limits.deploy_wait_s``. Raises DatabaseBusy, DatabaseUnreachable.
        """

    @abstractmethod
    def snapshot(self, target: Target) -> AbstractContextManager[Snapshot]:
        """Hold one moment of the database still for reading. Writers go on. Raises DatabaseUnreachable."""

    @abstractmethod
    def dump(self, target: Target, snapshot: Snapshot, path: Path) -> Dump:
        """Write the snapshot into ``path`` (0600, synced).

        Raises BackupFailed, ToolMissing; the file may then be partial.
        """

    @abstractmethod
    def restore_into_scratch(self, target: Target, dump: Path) -> AbstractContextManager[Target]:
        """Load the dump into a new database beside the target; dropped at the end unless it took over.

        Raises RestoreFailed, ToolMissing.
        """

    @abstractmethod
    def take_over(self, target: Target, scratch: Target, kept: str) -> str | None:
        """Make the scratch database the target, at once or not at all.

        kept: the name under which what was there before stays.
        Returns where the former database can be found, or None if there was none. Raises DatabaseBusy, RestoreFailed.
        """

    @abstractmethod
    def list_kept(self, target: Target) -> list[str]:
        """Return the names of the former databases that ``take_over`` kept, oldest first."""

    @abstractmethod
    def discard(self, target: Target, kept: str) -> None:
        """Remove what ``take_over`` kept, because it was empty."""

    @abstractmethod
    def open_prompt(self, target: Target) -> NoReturn:
        """Become the database's own prompt. Raises ToolMissing."""

    @abstractmethod
    def find_tools(self, target: Target, connection: sa.Connection) -> None:
        """Make sure that the programs for backup and restore are there. Raises ToolMissing."""

    @abstractmethod
    def may_create_databases(self, connection: sa.Connection) -> bool:
        """Return whether a scratch database can be made, for a proof or a restore."""

    @abstractmethod
    def size_bytes(self, connection: sa.Connection) -> int:
        """Return how much room the database takes now."""

    @abstractmethod
    def list_tables(self, connection: sa.Connection) -> list[str]:
        """Return the names of all tables that are not the system's, sorted; quoted where SQL needs it."""

    @abstractmethod
    def digest(self, connection: sa.Connection, table: str) -> tuple[int, str]:
        """Return the row count and a hash of the content that does not depend on the order of rows."""


@contextmanager
def connecting(target: Target, engine: sa.Engine) -> Iterator[sa.Connection]:
    """Open one connection. Raises DatabaseUnreachable that names the target, never the password."""
    try:
        connection = engine.connect()
    except DBAPIError as error:
        raise DatabaseUnreachable(
            f"the database {target.name} cannot be reached",
            why=first_line(error),
            hint="check DATABASE_URL; "
            + (
                "`python manage.py backup-and-migrate` makes a new database there, `restore FOLDER` brings one back"
                if target.engine_name == "sqlite"
                else "does the server run, does the database exist?"
            ),
        ) from error
    with connection:
        yield connection


def first_line(error: DBAPIError) -> str:
    """Return the driver's own message in one line, without the statement and its values."""
    lines = str(error.orig).strip().splitlines()
    return lines[0] if lines else type(error.orig).__name__
