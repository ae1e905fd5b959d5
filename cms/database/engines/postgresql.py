"""PostgreSQL 15 and newer: advisory deploy lock, snapshot dumps, restore by swapping databases."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import NoReturn

import psycopg
import sqlalchemy as sa
from psycopg.errors import InsufficientPrivilege
from sqlalchemy import event
from sqlalchemy.exc import ProgrammingError

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
    first_line,
    kept_prefix,
)
from cms.database.engines.pgdatabases import (
    DEAD_SCRATCHES,
    ENCODING,
    LZ4,
    SCRATCH,
    SCRATCH_LOCK,
    UNHURRIED,
    copy_comment,
    copy_connection_limit,
    copy_grants,
    copy_settings,
    create_like,
    drop,
    drop_dead_scratches,
    exists,
    maintenance,
    may_use_lz4,
    rename,
    swap,
)
from cms.database.engines.pghurry import IN_A_HURRY, connect_in_a_hurry
from cms.database.engines.pginplace import loaded_in_place
from cms.database.engines.pglock import (
    MIGRATING,
    list_holders,
    refuse_pooler,
    release_lock,
    wait_for_lock,
    wait_for_orphans,
)
from cms.database.engines.pgplans import AskingAgain, keep_plans_where_safe
from cms.database.engines.pgtools import (
    become_psql,
    dump_database,
    find_tool,
    read_definitions,
    restore_database,
)
from cms.database.envelope import Envelope
from cms.database.errors import BackupFailed, DatabaseUnreachable, DatabaseUnsupported
from cms.database.progress import Meter, Say
from cms.database.target import Target

OLDEST_MAJOR = 15
PAGE_LOCK_WAIT_S = 3
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
        engine = sa.create_engine(
            target.url,
            pool_pre_ping=True,
            pool_size=target.pool_size,
            max_overflow=0,
            pool_timeout=5,
            connect_args={
                "connect_timeout": target.limits.connect_timeout_s,
                "application_name": "cms",
                "client_encoding": ENCODING,
                "cursor_factory": AskingAgain,
            },
        )
        event.listen(engine, "connect", set_up_for_pages)
        return engine

    def open_tool(self, target: Target, *, migrating: bool = False) -> sa.Engine:
        limits = target.limits
        # As start-up options and not by SET: a rollback would take a SET back, and one before Alembic's own
        # transaction would make it believe that somebody else is in charge, so that it commits nothing.
        options = UNHURRIED
        if migrating:
            options += f" -c lock_timeout={limits.lock_timeout_ms} -c statement_timeout={limits.statement_timeout_s}s"
        engine = sa.create_engine(
            target.url,
            poolclass=sa.NullPool,
            connect_args={
                "connect_timeout": limits.connect_timeout_s,
                "application_name": MIGRATING if migrating else "cms-tool",
                "client_encoding": ENCODING,
                "options": options + (IN_A_HURRY if limits.hurried else ""),
            },
        )
        if limits.hurried:
            event.listen(engine, "do_connect", connect_in_a_hurry)
        return engine

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
        return Server(version, major)

    def identify(self, target: Target) -> str:
        query = "SELECT system_identifier FROM pg_control_system()"
        try:
            with connecting(target, self.open_tool(target)) as connection:
                server = connection.exec_driver_sql(query).scalar_one()
        except DatabaseUnreachable:  # it may not be there yet; the server is asked
            with maintenance(target) as session:
                server = session.execute(query).fetchall()[0][0]
        return f"{server}/{target.url.database}"

    @contextmanager
    def deploy_lock(self, target: Target, say: Say) -> Iterator[None]:
        # On a connection of its own, in autocommit: waiting inside a transaction would block CONCURRENTLY for ever.
        engine = self.open_tool(target).execution_options(isolation_level="AUTOCOMMIT")
        with connecting(target, engine) as connection:
            wait_for_lock(connection, target, say)
            refuse_pooler(connection, target)
            try:
                wait_for_orphans(connection, target, say)
                yield
            finally:
                release_lock(connection)

    @contextmanager
    def snapshot(self, target: Target) -> Iterator[Snapshot]:
        engine = self.open_tool(target).execution_options(isolation_level="REPEATABLE READ")
        with connecting(target, engine) as connection:
            connection.exec_driver_sql("SET TRANSACTION READ ONLY")
            token = connection.exec_driver_sql("SELECT pg_export_snapshot()").scalar_one()
            try:
                yield Snapshot(connection, token)
            except ProgrammingError as error:
                if not isinstance(error.orig, InsufficientPrivilege):
                    raise
                raise BackupFailed(
                    f"the role {target.url.username} may not read all of {target.name}",
                    why=first_line(error),
                    hint=f"as the owner: GRANT SELECT ON ALL TABLES IN SCHEMA public TO {target.url.username}, and the "
                    "same for sequences; nothing was changed",
                ) from error

    def dump(self, target: Target, snapshot: Snapshot, path: Path, *, envelope: Envelope, meter: Meter) -> Dump:
        major = self.describe_server(snapshot.connection).major
        return dump_database(target, major, snapshot.token, path, envelope=envelope, meter=meter)

    @contextmanager
    def restore_into_scratch(
        self, target: Target, dump: Path, *, envelope: Envelope, privileges: bool, meter: Meter
    ) -> Iterator[Target]:
        scratch = replace(target, url=target.url.set(database=f"{SCRATCH}{secrets.token_hex(8)}"))
        with maintenance(target) as connection:
            drop_dead_scratches(connection)
            # Held by this connection alone, and so gone with this process: what tells a scratch database in use
            # from one that a killed run left.
            connection.execute("SELECT pg_advisory_lock(%s, hashtext(%s))", [SCRATCH_LOCK, scratch.url.database])
            create_like(connection, target, scratch)
            try:
                major = connection.info.server_version // 10_000
                settings = LZ4 if may_use_lz4(connection) else ""
                restore_database(
                    scratch, major, dump, envelope=envelope, privileges=privileges, settings=settings, meter=meter
                )
                # Which schema unqualified names mean is part of what is compared.
                copy_settings(connection, target, scratch, only={"search_path"})
                yield scratch
            finally:
                drop(connection, str(scratch.url.database))

    def list_dead_scratches(self, target: Target, connection: sa.Connection) -> list[str]:  # noqa: ARG002 - the server's
        return list(connection.exec_driver_sql(DEAD_SCRATCHES).scalars())

    def drop_dead_scratches(self, target: Target) -> None:
        with maintenance(target) as connection:
            drop_dead_scratches(connection)

    def take_over(self, target: Target, scratch: Target, kept: str) -> str | None:
        with maintenance(target) as connection:
            if not exists(connection, target):
                connection.execute(rename(scratch, str(target.url.database)))
                return None
            copy_comment(connection, target, scratch)
            copy_connection_limit(connection, target, scratch)
            copy_grants(connection, target, scratch)
            copy_settings(connection, target, scratch)
            swap(connection, target, scratch, kept)
            return kept

    def loaded_in_place(
        self, target: Target, dump: Path, *, envelope: Envelope, meter: Meter
    ) -> AbstractContextManager[sa.Connection]:
        return loaded_in_place(target, self.open_tool(target), dump, envelope=envelope, meter=meter)

    def list_kept(self, target: Target) -> list[str]:
        with maintenance(target) as connection:
            query = "SELECT datname FROM pg_database WHERE starts_with(datname, %s) ORDER BY datname"
            return [row[0] for row in connection.execute(query, [kept_prefix(target)])]

    def discard(self, target: Target, kept: str) -> None:
        with maintenance(target) as connection:
            drop(connection, kept)

    def open_prompt(self, target: Target) -> NoReturn:
        become_psql(target)

    def find_tools(self, target: Target, connection: sa.Connection) -> tuple[ClientTool, ...]:
        major = self.describe_server(connection).major
        return tuple(find_tool(name, target, major) for name in ("pg_dump", "pg_restore"))

    def may_create_databases(self, connection: sa.Connection) -> bool:
        query = "SELECT rolcreatedb OR rolsuper FROM pg_roles WHERE rolname = current_user"
        return bool(connection.exec_driver_sql(query).scalar_one())

    def list_blockers(self, target: Target) -> list[str]:
        with connecting(target, self.open_tool(target)) as connection:
            return list_holders(connection)

    def size_bytes(self, connection: sa.Connection) -> int:
        return int(connection.exec_driver_sql("SELECT pg_database_size(current_database())").scalar_one())

    def list_tables(self, connection: sa.Connection) -> list[str]:
        query = """
            SELECT quote_ident(n.nspname) || '.' || quote_ident(c.relname)
            FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
            WHERE c.relkind IN ('r', 'p') AND n.nspname NOT LIKE 'pg\\_%%' AND n.nspname <> 'information_schema'
            ORDER BY 1"""
        return list(connection.exec_driver_sql(query).scalars())

    def digest_tables(self, connection: sa.Connection, meter: Meter) -> tuple[TableEntry, ...]:
        as_text(connection)
        return tuple(digest(connection, table, meter) for table in self.list_tables(connection))

    def digest_large_objects(self, connection: sa.Connection) -> TableEntry:
        query = """
            SELECT count(*), coalesce(sum(hashtextextended(oid || encode(sha256(lo_get(oid)), 'hex'), 0)::numeric), 0)
            FROM pg_largeobject_metadata"""
        count, total = connection.exec_driver_sql(query).one()
        return TableEntry("large objects", count, f"{int(total) % (1 << 64):016x}")

    def read_sequences(self, connection: sa.Connection) -> tuple[Sequence, ...]:
        query = """
            SELECT quote_ident(schemaname) || '.' || quote_ident(sequencename), last_value, increment_by
            FROM pg_sequences WHERE last_value IS NOT NULL ORDER BY 1"""
        return tuple(Sequence(*row) for row in connection.exec_driver_sql(query))

    def read_definitions(self, target: Target, snapshot: Snapshot) -> Definitions:
        return read_definitions(target, self.describe_server(snapshot.connection), snapshot.token)

    def find_foreign_roles(self, target: Target, definitions: Definitions) -> tuple[str, ...]:
        """Only a superuser may give objects to others; anybody may grant what is theirs to roles that exist."""
        with maintenance(target) as connection:
            query = """
                SELECT them.rolname, them.oid = me.oid OR me.rolsuper FROM pg_roles them, pg_roles me
                WHERE me.rolname = current_user"""
            may_own = dict(connection.execute(query).fetchall())
        foreign = {role for role in definitions.owners if not may_own.get(role)}
        return tuple(sorted(foreign.union(set(definitions.grantees) - may_own.keys())))


def set_up_for_pages(connection: psycopg.Connection, _record: object) -> None:
    """Let a page be told to come back later rather than wait for a restore in place, or a migration, to end.

    By a statement and not as a start-up option: poolers refuse those.
    """
    connection.autocommit = True
    query = "SELECT set_config('lock_timeout', %s, false), pg_backend_pid()"
    _, backend = connection.execute(query, [f"{PAGE_LOCK_WAIT_S}s"]).fetchall()[0]
    connection.autocommit = False
    keep_plans_where_safe(connection, backend)


def as_text(connection: sa.Connection) -> None:
    """Make values read the same in every database, whatever settings it has."""
    for name, value in AS_TEXT.items():
        connection.exec_driver_sql(f"SET LOCAL {name} = '{value}'")


def digest(connection: sa.Connection, table: str, meter: Meter) -> TableEntry:
    """Hash one table: the sum of a 64-bit hash of each row, so that the order of rows does not count.

    Column by column and as text, byte by byte: a record's own hash would take 1.0 and 1.00 for the same, and the text
    of the whole row takes twice the time. One expression without a subquery, so that the server may use several cores.
    """
    query = """
        SELECT quote_ident(attname) FROM pg_attribute
        WHERE attrelid = to_regclass(%s) AND attnum > 0 AND NOT attisdropped ORDER BY attname COLLATE "C\""""
    columns = connection.exec_driver_sql(query, (table,)).scalars()
    hashes = ", ".join(f'hashtextextended(t.{column}::text COLLATE "C", 0)' for column in columns)
    row = f"hash_array_extended(ARRAY[{hashes}]::bigint[], 0)"
    query = f"SELECT count(*), coalesce(sum({row}::numeric), 0) FROM {table} t"  # noqa: S608 - from the catalog, quoted
    rows, total = connection.exec_driver_sql(query.replace("%", "%%")).one()
    size_bytes = connection.exec_driver_sql("SELECT pg_table_size(to_regclass(%s))", (table,)).scalar_one()
    meter.add(rows=rows, size_bytes=size_bytes)
    return TableEntry(table, rows, f"{int(total) % (1 << 64):016x}")
