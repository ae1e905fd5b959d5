"""Which database, by value: its URL, its folders, how long to wait for what."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError

from cms.errors import ConfigurationError

ROOT = Path(__file__).resolve().parents[2]
MIGRATIONS_DIR = ROOT / "migrations"
HURRIED_CONNECT_S = 2
"""The least that the driver makes of any number of seconds."""


@dataclass(frozen=True)
class Limits:
    """How long each kind of waiting may take.

    lock_timeout_ms: one try at a lock on a table. Many short tries, never a long one: everybody else queues behind it.
    retry_s: how long tries are repeated before the migration gives up.
    statement_timeout_s: the longest a single statement of a migration may run; 0 for no limit.
    deploy_wait_s: how long to wait for another run that holds the deploy lock.
    rehearsal_max_gb: a larger database is not rehearsed on; 0 for no limit.
    connect_timeout_s: how long a server may take to answer a new connection.
    maintenance_from_s: an upgrade that keeps readers waiting for that long closes the site meanwhile; 0 for never.
    hurried: whether to give up at once on what is locked, and soon on a server that says nothing: for who only looks.
    """

    lock_timeout_ms: int = 100
    retry_s: int = 600
    statement_timeout_s: int = 0
    deploy_wait_s: int = 900
    connect_timeout_s: int = 3
    rehearsal_max_gb: int = 0
    maintenance_from_s: int = 3
    hurried: bool = False

    def in_a_hurry(self) -> Limits:
        """Return the limits for looking at a database that somebody else may be working on."""
        wait_s = min(self.connect_timeout_s, HURRIED_CONNECT_S)
        return replace(self, hurried=True, deploy_wait_s=0, connect_timeout_s=wait_s)


@dataclass(frozen=True)
class Hooks:
    """What the operator runs before and after an upgrade: a program and its arguments each, or nothing."""

    before: tuple[str, ...] = ()
    after: tuple[str, ...] = ()
    timeout_s: int = 60

    @property
    def names(self) -> tuple[str, ...]:
        """Return the settings that name one."""
        named = {"BEFORE_UPGRADE": self.before, "AFTER_UPGRADE": self.after}
        return tuple(name for name, argv in named.items() if argv)


@dataclass(frozen=True)
class Target:
    """One database and where its things lie."""

    url: URL
    backup_dir: Path
    media_dir: Path = ROOT / "instance" / "media"
    backup_key: str | None = field(default=None, repr=False)
    backup_key_file: Path = ROOT / "instance" / "backup_key"
    copy_url: str | None = None
    age_recipients: tuple[str, ...] = ()
    age_identity: str | None = field(default=None, repr=False)
    pool_size: int = 8
    pg_bin_dir: Path | None = None
    migrations_dir: Path = MIGRATIONS_DIR
    maintenance_file: Path = ROOT / "instance" / "maintenance.json"
    limits: Limits = Limits()
    hooks: Hooks = Hooks()

    @classmethod
    def of(cls, config: Mapping[str, Any]) -> Target:  # Any: settings of many types
        """Return the target that the site's settings name."""
        return cls(
            url=parse_url(config["DATABASE_URL"]),
            backup_dir=config["BACKUP_DIR"],
            media_dir=config["MEDIA_DIR"],
            backup_key=config["BACKUP_KEY"],
            copy_url=config["BACKUP_COPY_URL"],
            age_recipients=config["BACKUP_AGE_RECIPIENTS"],
            age_identity=config["BACKUP_AGE_IDENTITY"],
            pool_size=config["DATABASE_POOL_SIZE"],
            pg_bin_dir=config["PG_BIN_DIR"],
            maintenance_file=config["MAINTENANCE_FILE"],
            limits=Limits(
                lock_timeout_ms=config["MIGRATION_LOCK_TIMEOUT_MS"],
                retry_s=config["MIGRATION_RETRY_S"],
                statement_timeout_s=config["MIGRATION_STATEMENT_TIMEOUT_S"],
                deploy_wait_s=config["DEPLOY_LOCK_WAIT_S"],
                connect_timeout_s=config["DATABASE_CONNECT_TIMEOUT_S"],
                rehearsal_max_gb=config["REHEARSAL_MAX_GB"],
                maintenance_from_s=config["MAINTENANCE_FROM_S"],
            ),
            hooks=Hooks(config["BEFORE_UPGRADE"], config["AFTER_UPGRADE"], config["UPGRADE_COMMAND_TIMEOUT_S"]),
        )

    def in_a_hurry(self) -> Target:
        """Return the same target for one who only looks, and waits for nobody."""
        return replace(self, limits=self.limits.in_a_hurry())

    @property
    def engine_name(self) -> str:
        """Return "postgresql" or "sqlite"."""
        return self.url.get_backend_name()

    @property
    def database_name(self) -> str:
        """Return the database's own name, or the file's."""
        return Path(str(self.url.database)).name

    @property
    def name(self) -> str:
        """Return how messages call this database; never holds a password."""
        if self.engine_name == "sqlite":
            return self.url.database or "the database in memory"
        return f"{self.url.database} on {self.url.host or 'the local socket'}:{self.url.port or 5432}"


def parse_url(text: str) -> URL:
    """Return the URL with the driver that is installed; a relative SQLite path counts from the project's folder.

    ``postgres://`` and ``postgresql://`` would make SQLAlchemy 2.0 look for psycopg2.
    Raises ConfigurationError, which does not show the text: it holds a password.
    """
    try:
        url = make_url(text.replace("postgres://", "postgresql://", 1))
        if "@" in (url.host or ""):
            # The rest of a password that was not escaped; messages would show it as the host.
            raise ValueError  # noqa: TRY301 - the same message as for what make_url refuses
    except (ArgumentError, ValueError):
        raise ConfigurationError(
            "the setting DATABASE_URL cannot be used",
            why="its value (not shown) is not an address of the form postgresql://user:password@host:port/database",
            hint="write special characters of the password as %40 for @, %2F for /, %3A for :, %25 for %",
        ) from None
    if url.get_backend_name() == "sqlite" and "?" in text:
        raise ConfigurationError(
            "the setting DATABASE_URL cannot be used",
            why="what follows ? in a SQLite address would be cut off, and another file be made",
            hint="rename a file whose name has a question mark in it; options are not understood",
        )
    if url.get_backend_name() == "postgresql":
        return url.set(drivername="postgresql+psycopg")
    if url.database and url.database != ":memory:":
        return url.set(database=str((ROOT / url.database).resolve()))
    return url
