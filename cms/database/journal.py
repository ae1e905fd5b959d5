"""Which revision was applied when, by whom, and how long it took: a row in the revision's own transaction."""

from __future__ import annotations

import getpass
import secrets
import socket
from dataclasses import asdict, dataclass
from datetime import UTC, datetime

import sqlalchemy as sa
from alembic.ddl.base import AddColumn
from sqlalchemy.schema import CreateTable

from cms.database.schema import UtcDateTime
from cms.words import counted

JOURNAL_TABLE = "migration_journal"
ACCEPTED_TABLE = "accepted_differences"
STEPS_TABLE = "migration_steps"

# In no revision and no model: like alembic_version it describes the history and is not part of it.
journal = sa.Table(
    JOURNAL_TABLE,
    sa.MetaData(),
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("revision", sa.String(100), nullable=False),
    sa.Column("direction", sa.String(20), nullable=False),
    sa.Column("applied_at", UtcDateTime, nullable=False),
    sa.Column("duration_ms", sa.Integer, nullable=False),
    sa.Column("applied_by", sa.String(255), nullable=False),
    sa.Column("checksum", sa.String(64)),
    sa.Column("run", sa.String(32)),
    sa.Column("code", sa.String(100)),
    sa.Column("run_from", sa.String(100)),
    sa.Column("run_to", sa.String(100)),
    sa.Column("lock_wait_ms", sa.Integer),
    sa.Column("rows_written", sa.BigInteger),
    sa.Column("backup", sa.String(100)),
    sa.Column("rehearsal", sa.String(200)),
)

accepted = sa.Table(
    ACCEPTED_TABLE,
    sa.MetaData(),
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("revision", sa.String(100), nullable=False),
    sa.Column("difference", sa.Text, nullable=False),
    sa.Column("accepted_at", UtcDateTime, nullable=False),
    sa.Column("accepted_by", sa.String(255), nullable=False),
)


@dataclass(frozen=True)
class About:
    """What a run knows of itself. code: the commit it is of; backup: its id, if one was made.

    run_from, run_to: the revisions that it leads from and to. rehearsal: what came of it, or why there was none.
    """

    run: str
    code: str | None
    run_from: str | None
    run_to: str
    backup: str | None
    rehearsal: str


@dataclass(frozen=True)
class JournalEntry:
    """One applied revision. direction: "upgrade", "downgrade" or "stamp"; applied_by: user@host.

    checksum: of the file as it was run; None for a stamp. lock_wait_ms: spent on tries that did not get their locks;
    rows_written: None where nobody counted. run, code, run_from, run_to, backup, rehearsal: of ``About``, None outside
    of one. What an older release did not write is None.
    """

    revision: str
    direction: str
    applied_at: datetime
    duration_ms: int
    applied_by: str
    checksum: str | None = None
    run: str | None = None
    code: str | None = None
    run_from: str | None = None
    run_to: str | None = None
    lock_wait_ms: int | None = None
    rows_written: int | None = None
    backup: str | None = None
    rehearsal: str | None = None

    def __str__(self) -> str:
        told = [
            f"{self.applied_at:%Y-%m-%d %H:%M:%S} UTC  {self.direction:9} {self.revision}  {self.duration_ms:,} ms",
            f"by {self.applied_by}",
            f"code {self.code}" if self.code else "",
            counted(self.rows_written, "row") + " written" if self.rows_written else "",
            f"waited {self.lock_wait_ms:,} ms for locks" if self.lock_wait_ms else "",
            f"backup {self.backup}" if self.backup else "",
            f"rehearsal {self.rehearsal}" if self.rehearsal else "",
        ]
        return ", ".join(filter(None, told))


def new_run_id() -> str:
    return secrets.token_hex(8)


def write_entry(connection: sa.Connection, entry: JournalEntry) -> None:
    """Add one row inside the open transaction; makes the table if this is the first."""
    connection.execute(CreateTable(journal, if_not_exists=True))
    there = list_columns(connection)
    for column in journal.columns:
        if column.name not in there:  # an older release made the table
            connection.execute(AddColumn(JOURNAL_TABLE, column))
    connection.execute(journal.insert().values(vars(entry)))


def list_columns(connection: sa.Connection) -> set[str]:
    return {column["name"] for column in sa.inspect(connection).get_columns(JOURNAL_TABLE)}


def new_entry(
    revision: str,
    direction: str,
    *,
    duration_s: float,
    checksum: str | None = None,
    lock_wait_s: float = 0.0,
    rows_written: int | None = None,
    about: About | None = None,
) -> JournalEntry:
    """Return the entry for something that this process has just done."""
    return JournalEntry(
        revision,
        direction,
        datetime.now(UTC),
        round(duration_s * 1000),
        who(),
        checksum,
        lock_wait_ms=round(lock_wait_s * 1000),
        rows_written=rows_written,
        **(asdict(about) if about else {}),
    )


def read_journal(connection: sa.Connection) -> list[JournalEntry]:
    """Return every entry, oldest first; none where nothing was ever applied."""
    if not sa.inspect(connection).has_table(JOURNAL_TABLE):
        return []
    there = list_columns(connection)
    columns = [journal.c[name] for name in JournalEntry.__dataclass_fields__ if name in there]
    rows = connection.execute(sa.select(*columns).order_by(journal.c.id)).mappings()
    return [JournalEntry(**row) for row in rows]


def write_accepted(connection: sa.Connection, revision: str, differences: tuple[str, ...]) -> None:
    """Record differences to a revision's schema that an operator accepted, inside the open transaction."""
    if not differences:
        return
    connection.execute(CreateTable(accepted, if_not_exists=True))
    given = {"revision": revision, "accepted_at": datetime.now(UTC), "accepted_by": who()}
    connection.execute(accepted.insert(), [{**given, "difference": each} for each in differences])


def read_accepted(connection: sa.Connection) -> frozenset[str]:
    """Return the differences that were accepted, in the words of ``Difference.lines``."""
    if not sa.inspect(connection).has_table(ACCEPTED_TABLE):
        return frozenset()
    return frozenset(connection.execute(sa.select(accepted.c.difference)).scalars())


def who() -> str:
    """Return user@host of this process; a container's user may have no name."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):
        user = "unknown"
    return f"{user}@{socket.gethostname()}"[:255]
