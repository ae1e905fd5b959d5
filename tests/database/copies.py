"""A database at the head, made by the migrations once for each process and engine, and copied from then on.

Running the whole history takes a second, and hundreds of tests begin there; a copy takes ten milliseconds.
"""

from __future__ import annotations

import shutil
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING
from uuid import uuid4

import psycopg
from psycopg import sql

from cms.database.target import MIGRATIONS_DIR

if TYPE_CHECKING:
    from cms.database.target import Target

# Nothing but what CREATE DATABASE makes, nobody connected, and a role that may put a copy in its place.
UNTOUCHED = """
    SELECT me.rolsuper AND d.datdba = me.oid AND d.datcollate = t.datcollate AND d.encoding = t.encoding
       AND d.datlocprovider = t.datlocprovider AND d.datacl IS NULL AND d.datconnlimit = -1
       AND NOT EXISTS (SELECT FROM pg_db_role_setting WHERE setdatabase = d.oid)
       AND NOT EXISTS (SELECT FROM pg_stat_activity WHERE datid = d.oid AND pid <> pg_backend_pid())
       AND (SELECT max(oid) FROM pg_class) < 16384 AND (SELECT max(oid) FROM pg_proc) < 16384
       AND (SELECT max(oid) FROM pg_namespace) < 16384 AND (SELECT max(oid) FROM pg_extension) < 16384
       AND (SELECT max(oid) FROM pg_type) < 16384 AND NOT EXISTS (SELECT FROM pg_default_acl)
    FROM pg_database d, pg_database t, pg_roles me
    WHERE d.datname = current_database() AND t.datname = 'template1' AND me.rolname = current_user"""


@dataclass
class Copies:
    """The databases that are copied; ``close`` removes them."""

    folder: TemporaryDirectory[str] = field(default_factory=TemporaryDirectory)
    databases: dict[str, str] = field(default_factory=dict)
    """address of a server → name of the database at the head on it"""

    def could_be(self, target: Target) -> bool:
        """Return whether the target is so empty that a copy in its place is what the migrations would make of it."""
        if target.migrations_dir != MIGRATIONS_DIR or target.url.query or target.url.password:
            return False
        if target.engine_name == "sqlite":
            return bool(target.url.database) and not Path(target.url.database).exists()
        with psycopg.connect(address_of(target), autocommit=True) as connection:
            return connection.execute(UNTOUCHED).fetchone()[0]

    def put(self, target: Target) -> bool:
        """Put a copy in the place of an empty target; return whether there is one to copy."""
        if target.engine_name == "sqlite":
            with suppress(FileNotFoundError):
                shutil.copy(self.file, target.url.database)
                return True
            return False
        server = address_of(target, "postgres")
        if server not in self.databases:
            return False
        copy_database(server, self.databases[server], target.url.database)
        return True

    def keep(self, target: Target) -> None:
        """Keep a copy of the target, which the migrations have brought to the head."""
        if target.engine_name == "sqlite":
            if not Path(f"{target.url.database}-wal").exists():
                shutil.copy(target.url.database, self.file)
            return
        server, name = address_of(target, "postgres"), f"head_{uuid4().hex[:12]}"
        copy_database(server, target.url.database, name)
        self.databases[server] = name

    @property
    def file(self) -> Path:
        return Path(self.folder.name) / "head.db"

    def close(self) -> None:
        self.folder.cleanup()
        for server, name in self.databases.items():
            with suppress(psycopg.OperationalError), psycopg.connect(server, autocommit=True) as connection:
                connection.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))


def address_of(target: Target, database: str | None = None) -> str:
    url = target.url.set(drivername="postgresql", database=database or target.url.database)
    return url.render_as_string(hide_password=False)


def copy_database(server: str, source: str, name: str) -> None:
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(sql.SQL("DROP DATABASE IF EXISTS {}").format(sql.Identifier(name)))
        statement = sql.SQL("CREATE DATABASE {} TEMPLATE {} STRATEGY file_copy")
        connection.execute(statement.format(sql.Identifier(name), sql.Identifier(source)))


COPIES = Copies()
