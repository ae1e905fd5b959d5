"""PostgreSQL 15 and newer: advisory deploy lock, snapshot dumps, restore by swapping databases."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import NoReturn

import sqlalchemy as sa

from cms.database.engines.base import DatabaseEngine, Dump, Say, Server, Snapshot, connecting, kept_prefix
from cms.database.engines.pgdatabases import (
    ENCODING,
    SCRATCH,
    SCRATCH_LOCK,
    UNHURRIED,
    copy_grants,
    copy_settings,
    create_like,
    drop,
    drop_dead_scratches,
    exists,
    maintenance,
    rename,
    swap,
)
from cms.database.engines.pglock import MIGRATING, refuse_pooler, wait_for_lock, wait_for_orphans
from cms.database.engines.pgtools import become_psql, dump_database, find_tool, restore_database
from cms.database.errors import DatabaseUnsupported
from cms.database.target import Target

OLDEST_MAJOR = 15
# How values become text: a database may have settings of its own, and its copy has not.
AS_TEXT = {
    "TimeZone": "UTC",
    "DateStyle": "ISO, YMD",
    "IntervalStyle": "postgres",
    "bytea_output": "hex",
    "extra_float_digits": "3",
    "lc_monetary": "C",
    "xmlbinary": "base64",
}


class PostgreSQL(DatabaseEngine):
    dump_name = "database.dump.zst"
    embedded = False

    def open_pool(self, target: Target) -> sa.Engine:
        return sa.create_engine(
            target.url,
            pool_pre_ping=True,
            pool_size=target.pool_size,
            max_overflow=0,
            pool_timeout=5,
            connect_args={
                "connect_timeout": target.limits.connect_timeout_s,
                "application_name": "cms",
                "client_encoding": ENCODING,
                # A prepared statement fails for good once a migration changed a column that it reads.
                "prepare_threshold": None,
            },
        )

    def open_tool(self, target: Target, *, migrating: bool = False) -> sa.Engine:
        limits = target.limits
        # As start-up options and not by SET: a rollback would take a SET back, and one before Alembic's own
        # transaction would make it believe that somebody else is in charge, so that it commits nothing.
        options = UNHURRIED
        if migrating:
            options += f" -c lock_timeout={limits.lock_timeout_ms} -c statement_timeout={limits.statement_timeout_s}s"
        return sa.create_engine(
            target.url,
            poolclass=sa.NullPool,
            connect_args={
                "connect_timeout": limits.connect_timeout_s,
                "application_name": MIGRATING if migrating else "cms-tool",
                "client_encoding": ENCODING,
                "options": options,
            },
        )

    def prepare(self, target: Target) -> None:
        with connecting(target, self.open_tool(target)) as connection:
            self.describe_server(connection)

    def is_absent(self, target: Target) -> bool:
        with maintenance(target) as connection:
            return not exists(connection, target)

    def describe_server(self, connection: sa.Connection) -> Server:
        version = str(connection.exec_driver_sql("SHOW server_version").scalar_one()).split()[0]
        major = int(connection.exec_driver_sql("SHOW server_version_num").scalar_one()) // 10_000
        if major < OLDEST_MAJOR:
            raise DatabaseUnsupported(
                f"PostgreSQL {version} is too old",
                why=f"{OLDEST_MAJOR} or newer is needed",
                hint="upgrade the server; nothing was changed",
            )
        query = "SELECT system_identifier::text || '/' || current_database() FROM pg_control_system()"
        return Server(version, major, identity=str(connection.exec_driver_sql(query).scalar_one()))

    @contextmanager
    def deploy_lock(self, target: Target, say: Say) -> Iterator[None]:
        # On a connection of its own, in autocommit: waiting inside a transaction would block CONCURRENTLY for ever.
        engine = self.open_tool(target).execution_options(isolation_level="AUTOCOMMIT")
        with connecting(target, engine) as connection:
            wait_for_lock(connection, target, say)
            refuse_pooler(connection, target)
            wait_for_orphans(connection, target, say)
            yield

    @contextmanager
    def snapshot(self, target: Target) -> Iterator[Snapshot]:
        engine = self.open_tool(target).execution_options(isolation_level="REPEATABLE READ")
        with connecting(target, engine) as connection:
            connection.exec_driver_sql("SET TRANSACTION READ ONLY")
            token = connection.exec_driver_sql("SELECT pg_export_snapshot()").scalar_one()
            yield Snapshot(connection, token)

    def dump(self, target: Target, snapshot: Snapshot, path: Path) -> Dump:
        return dump_database(target, self.describe_server(snapshot.connection).major, snapshot.token, path)

    @contextmanager
    def restore_into_scratch(self, target: Target, dump: Path) -> Iterator[Target]:
        scratch = replace(target, url=target.url.set(database=f"{SCRATCH}{secrets.token_hex(8)}"))
        with maintenance(target) as connection:
            drop_dead_scratches(connection)
            # Held by this connection alone, and so gone with this process: what tells a scratch database in use
            # from one that a killed run left.
            connection.execute("SELECT pg_advisory_lock(%s, hashtext(%s))", [SCRATCH_LOCK, scratch.url.database])
            create_like(connection, target, scratch)
            try:
                restore_database(scratch, connection.info.server_version // 10_000, dump)
                # Which schema unqualified names mean is part of what is compared.
                copy_settings(connection, target, scratch, only={"search_path"})
                yield scratch
            finally:
                drop(connection, str(scratch.url.database))

    def take_over(self, target: Target, scratch: Target, kept: str) -> str | None:
        with maintenance(target) as connection:
            if not exists(connection, target):
                connection.execute(rename(scratch, str(target.url.database)))
                return None
            copy_grants(connection, target, scratch)
            copy_settings(connection, target, scratch)
            swap(connection, target, scratch, kept)
            return kept

    def list_kept(self, target: Target) -> list[str]:
        with maintenance(target) as connection:
            query = "SELECT datname FROM pg_database WHERE starts_with(datname, %s) ORDER BY datname"
            return [row[0] for row in connection.execute(query, [kept_prefix(target)])]

    def discard(self, target: Target, kept: str) -> None:
        with maintenance(target) as connection:
            drop(connection, kept)

    def open_prompt(self, target: Target) -> NoReturn:
        become_psql(target)

    def find_tools(self, target: Target, connection: sa.Connection) -> None:
        major = self.describe_server(connection).major
        for name in ("pg_dump", "pg_restore"):
            find_tool(name, target, major)

    def may_create_databases(self, connection: sa.Connection) -> bool:
        query = "SELECT rolcreatedb OR rolsuper FROM pg_roles WHERE rolname = current_user"
        return bool(connection.exec_driver_sql(query).scalar_one())

    def size_bytes(self, connection: sa.Connection) -> int:
        return int(connection.exec_driver_sql("SELECT pg_database_size(current_database())").scalar_one())

    def list_tables(self, connection: sa.Connection) -> list[str]:
        query = """
            SELECT quote_ident(n.nspname) || '.' || quote_ident(c.relname)
            FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
            WHERE c.relkind IN ('r', 'p') AND n.nspname NOT LIKE 'pg\\_%%' AND n.nspname <> 'information_schema'
            ORDER BY 1"""
        return list(connection.exec_driver_sql(query).scalars())

    def digest(self, connection: sa.Connection, table: str) -> tuple[int, str]:
        for name, value in AS_TEXT.items():
            connection.exec_driver_sql(f"SET LOCAL {name} = '{value}'")
        # A column may be called t; t.* is the whole row all the same.
        # 128 bits, added up as numbers so that the order of rows does not count and memory stays constant.
        query = f"""
            SELECT count(*), coalesce(sum(hashtextextended((t.*)::text, 0)::numeric), 0),
                   coalesce(sum(hashtextextended((t.*)::text, 7)::numeric), 0)
            FROM {table.replace("%", "%%")} t"""  # noqa: S608 - a name from the catalog, quoted by the server
        count, low, high = connection.exec_driver_sql(query).one()
        return count, f"{int(low) % (1 << 64):016x}{int(high) % (1 << 64):016x}"
