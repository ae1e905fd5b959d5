"""What the operations need from a kind of database, and the connection errors that both kinds share."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError

from cms.database.envelope import Envelope
from cms.database.errors import DatabaseUnreachable
from cms.database.files import FileEntry
from cms.database.progress import Meter, Say
from cms.database.target import Target

LONGEST_NAME = 35
KEPT = "_before_"
"""Between a database's name and the time, in the name of what a restore put aside."""


def kept_prefix(target: Target) -> str:
    """Return how the names of former databases begin: no two databases share it, and it leaves room for the time.

    A server takes names of up to 63 bytes, so a long one is cut and told apart by its digest.
    """
    name = target.database_name
    if len(name.encode()) > LONGEST_NAME:
        digest = hashlib.sha256(name.encode()).hexdigest()[:8]
        name = f"{name.encode()[: LONGEST_NAME - 9].decode(errors='ignore')}_{digest}"
    return f"{name}{KEPT}"


@dataclass(frozen=True)
class Server:
    """What answers: version as text, and its major number."""

    version: str
    major: int


@dataclass(frozen=True)
class TableEntry:
    """One table. digest: hash of the content, independent of the order of rows."""

    name: str
    rows: int
    digest: str


@dataclass(frozen=True)
class Sequence:
    """Where a sequence stands: the number that it gave out last, and by how much it goes on."""

    name: str
    position: int
    increment: int


@dataclass(frozen=True)
class Definitions:
    """All that is defined in a database, as its own tools write it: every schema, view, function, policy, comment.

    made_by: the tool and the server; another one writes the same things in other words, so only equal ones compare.
    digest: SHA-256 of the text. privileges: of who owns and who may do what; None where that is not brought back.
    owners, grantees: the roles that are named there.
    """

    made_by: str
    digest: str
    privileges: str | None
    owners: tuple[str, ...]
    grantees: tuple[str, ...]

    def differs_in(self, expected: Definitions) -> list[str]:
        if self.made_by != expected.made_by:
            return []
        wrong = [] if self.digest == expected.digest else ["the definitions"]
        if self.privileges and expected.privileges and self.privileges != expected.privileges:
            wrong.append("owners and grants")
        return wrong


@dataclass(frozen=True)
class ClientTool:
    """One client program: its path, its version as it prints it, and the numbers of that."""

    path: str
    version: str
    major: int
    minor: int


@dataclass(frozen=True)
class Dump:
    """A dump that is on the disk, and the name and version of the tool that wrote it."""

    file: FileEntry
    tool: str


@dataclass(frozen=True)
class Snapshot:
    """One moment of the database: everything read through ``connection`` and every dump with ``token`` agree.

    token: what others name to see the same moment; "" where there is no such thing.
    """

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
        """Return the version of what answers. Raises DatabaseUnsupported if we cannot work on it."""

    @abstractmethod
    def identify(self, target: Target) -> str:
        """Return what tells this database from every other, also from a copy of it; it need not exist yet."""

    @abstractmethod
    def deploy_lock(self, target: Target, say: Say) -> AbstractContextManager[None]:
        """Hold the one lock under which schemas change and restores happen; gone when the process is.

        Waits for another holder, at most ``limits.deploy_wait_s``. Raises DatabaseBusy, DatabaseUnreachable.
        """

    @abstractmethod
    def snapshot(self, target: Target) -> AbstractContextManager[Snapshot]:
        """Hold one moment of the database still for reading. Writers go on. Raises DatabaseUnreachable."""

    @abstractmethod
    def dump(self, target: Target, snapshot: Snapshot, path: Path, *, envelope: Envelope, meter: Meter) -> Dump:
        """Write the snapshot into ``path`` (0600, synced), in the envelope.

        Raises BackupFailed, ToolMissing; the file may then be partial.
        """

    @abstractmethod
    def restore_into_scratch(
        self, target: Target, dump: Path, *, envelope: Envelope, privileges: bool, meter: Meter
    ) -> AbstractContextManager[Target]:
        """Load the dump into a new database beside the target; dropped at the end unless it took over.

        privileges: whether owners and grants come back too.
        Raises RestoreFailed, RestoreRefused if the role may not create databases, ToolMissing, BackupDamaged.
        """

    @abstractmethod
    def list_dead_scratches(self, target: Target, connection: sa.Connection) -> list[str]:
        """Return the names of the scratch databases that runs which were killed left. Reads only."""

    @abstractmethod
    def drop_dead_scratches(self, target: Target) -> None:
        """Drop those; not the ones that a living run uses. Raises DatabaseUnreachable."""

    @abstractmethod
    def take_over(self, target: Target, scratch: Target, kept: str) -> str | None:
        """Make the scratch database the target, at once or not at all.

        kept: the name under which what was there before stays.
        Returns where the former database can be found, or None if there was none. Raises DatabaseBusy, RestoreFailed.
        """

    @abstractmethod
    def loaded_in_place(
        self, target: Target, dump: Path, *, envelope: Envelope, meter: Meter
    ) -> AbstractContextManager[sa.Connection]:
        """Empty the database and load the dump in one transaction, which the end of the block commits.

        Raises RestoreFailed, DatabaseBusy, ToolMissing, and RestoreRefused where there is no need; nothing has changed.
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
    def find_tools(self, target: Target, connection: sa.Connection) -> tuple[ClientTool, ...]:
        """Return the programs for backup and restore that fit the server. Raises ToolMissing."""

    @abstractmethod
    def may_create_databases(self, connection: sa.Connection) -> bool:
        """Return whether a scratch database can be made, for a proof or a restore."""

    @abstractmethod
    def list_blockers(self, target: Target) -> list[str]:
        """Return in words who holds locks on tables in an open transaction, the oldest first; few, and never waits."""

    @abstractmethod
    def size_bytes(self, connection: sa.Connection) -> int:
        """Return how much room the database takes now."""

    @abstractmethod
    def list_tables(self, connection: sa.Connection) -> list[str]:
        """Return the names of all tables that are not the system's, sorted; quoted where SQL needs it."""

    @abstractmethod
    def digest_tables(self, connection: sa.Connection, meter: Meter) -> tuple[TableEntry, ...]:
        """Return rows and hash of every table, in constant memory; the order of rows does not count."""

    @abstractmethod
    def digest_large_objects(self, connection: sa.Connection) -> TableEntry:
        """Return number and hash of PostgreSQL's large objects."""

    @abstractmethod
    def read_sequences(self, connection: sa.Connection) -> tuple[Sequence, ...]:
        """Return where every sequence stands that has been used."""

    @abstractmethod
    def read_definitions(self, target: Target, snapshot: Snapshot) -> Definitions:
        """Return what is defined in the whole database. Raises BackupFailed, ToolMissing."""

    @abstractmethod
    def find_foreign_roles(self, target: Target, definitions: Definitions) -> tuple[str, ...]:
        """Return the roles for which owners or grants cannot be brought back by this role on this server."""


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
