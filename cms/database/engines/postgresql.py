"""PostgreSQL 15 and newer: advisory deploy lock, snapshot dumps, restore by swapping databases."""

from __future__ import annotations

import random
import secrets
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import NoReturn

import psycopg
import sqlalchemy as sa
from psycopg import sql

from cms.database.engines.base import DatabaseEngine, Dump, Say, Server, Snapshot, connecting, kept_prefix
from cms.database.engines.pgtools import become_psql, dump_database, find_tool, restore_database
from cms.database.errors import DatabaseBusy, DatabaseUnreachable, DatabaseUnsupported, RestoreRefused
from cms.database.target import Target

OLDEST_MAJOR = 15
# Any number does, as long as nothing else in the same database takes it: the letters "cms" and a 1.
DEPLOY_LOCK = 0x636D7331
POLL_S = 0.2
ORPHAN_WAIT_S = 30
SWAP_S = 30
MIGRATING = "cms-migrate"
# What a site sets to protect itself from its pages must not end a backup: the snapshot's connection is idle in its
# transaction as long as pg_dump runs, and the lock's as long as the whole upgrade.
UNHURRIED = (
    "-c client_connection_check_interval=500 -c statement_timeout=0 "
    "-c idle_in_transaction_session_timeout=0 -c idle_session_timeout=0 -c lock_timeout=60s"
)
# A server that was set up without a locale answers in SQL_ASCII, which psycopg reads as bytes and not as text.
ENCODING = "utf8"
# One session that the role may not end, a superuser's for example, would end the whole statement: those are left out.
END_SESSIONS = """
    SELECT pg_terminate_backend(pid) FROM pg_stat_activity a, pg_roles me, pg_roles them
    WHERE datname = %s AND me.rolname = current_user AND them.oid = usesysid AND (me.rolsuper OR NOT them.rolsuper AND (
          pg_has_role(me.oid, them.oid, 'USAGE') OR pg_has_role(me.oid, 'pg_signal_backend', 'USAGE')))"""
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
SCRATCH = "cms_restore_"
SCRATCH_LOCK = 0x636D7332


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


def wait_for_lock(connection: sa.Connection, target: Target, say: Say) -> None:
    """Poll for the advisory lock until ``deploy_wait_s`` is over. Raises DatabaseBusy that names the holder."""
    deadline = time.monotonic() + target.limits.deploy_wait_s
    told = False
    while not connection.exec_driver_sql(f"SELECT pg_try_advisory_lock({DEPLOY_LOCK})").scalar_one():
        if time.monotonic() >= deadline:
            raise DatabaseBusy(
                f"another run works on {target.name}",
                why=f"{describe_holder(connection)} has held the deploy lock for the "
                f"{target.limits.deploy_wait_s} s that we waited",
                hint="try again later; nothing was changed",
            )
        if not told:
            say(f"waiting for another run that works on {target.name} ({describe_holder(connection)})")
            told = True
        time.sleep(POLL_S * random.uniform(0.5, 1.5))  # noqa: S311 - jitter


def describe_holder(connection: sa.Connection) -> str:
    """Return process id and application of whoever holds the deploy lock."""
    query = f"""
        SELECT 'process ' || a.pid || ' (' || coalesce(nullif(a.application_name, ''), 'unnamed') || ')'
        FROM pg_locks l JOIN pg_stat_activity a USING (pid)
        WHERE l.locktype = 'advisory' AND l.granted AND l.objid = {DEPLOY_LOCK}
          AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())"""  # noqa: S608 - a constant
    return connection.exec_driver_sql(query).scalar() or "a run that has just ended"


def refuse_pooler(connection: sa.Connection, target: Target) -> None:
    """Raise DatabaseUnsupported if our session does not hold the lock that it just took."""
    query = f"""SELECT count(*) FROM pg_locks
        WHERE locktype = 'advisory' AND granted AND objid = {DEPLOY_LOCK} AND pid = pg_backend_pid()"""  # noqa: S608
    if not connection.exec_driver_sql(query).scalar_one():
        raise DatabaseUnsupported(
            f"the address of {target.name} leads through a transaction pooler",
            why="the deploy lock was taken in one session of the server and the next statement ran in another",
            hint="give the server's direct port in DATABASE_URL for this command; nothing was changed",
        )


def wait_for_orphans(connection: sa.Connection, target: Target, say: Say) -> None:
    """Wait for sessions of a run that was killed: the server may still work for it. Raises DatabaseBusy."""
    query = f"""SELECT pid FROM pg_stat_activity
        WHERE datname = current_database() AND application_name = '{MIGRATING}'"""  # noqa: S608 - a constant
    began = time.monotonic()
    told = False
    while pid := connection.exec_driver_sql(query).scalar():
        waited_s = time.monotonic() - began
        if waited_s >= ORPHAN_WAIT_S:
            raise DatabaseBusy(
                f"a migration that lost its client still runs on {target.name}",
                why=f"server process {pid} has not ended within {ORPHAN_WAIT_S} s",
                hint=f"look at it in pg_stat_activity; SELECT pg_terminate_backend({pid}) ends it",
            )
        if waited_s > 1 and not told:
            say(f"waiting for server process {pid} of a run that was killed")
            told = True
        time.sleep(POLL_S / 4)


@contextmanager
def maintenance(target: Target) -> Iterator[psycopg.Connection]:
    """Connect to the server's own database, in autocommit, for CREATE, RENAME and DROP DATABASE."""
    parameters = target.url.translate_connect_args(username="user", database="dbname") | dict(target.url.query)
    parameters |= {
        "dbname": "postgres",
        "connect_timeout": target.limits.connect_timeout_s,
        "application_name": "cms-tool",
        "client_encoding": ENCODING,
        "options": UNHURRIED,
    }
    try:
        connection = psycopg.connect(**parameters, autocommit=True)
    except psycopg.Error as error:
        raise DatabaseUnreachable(
            f"the server of {target.name} cannot be reached",
            why=str(error).splitlines()[0],
            hint="a restore needs to connect to the database `postgres` too; nothing was changed",
        ) from error
    with connection:
        yield connection


def name_of(target: Target) -> sql.Identifier:
    return sql.Identifier(str(target.url.database))


def rename(target: Target, name: str) -> sql.Composed:
    return sql.SQL("ALTER DATABASE {} RENAME TO {}").format(name_of(target), sql.Identifier(name))


def drop(connection: psycopg.Connection, name: str) -> None:
    connection.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))


def drop_dead_scratches(connection: psycopg.Connection) -> None:
    """Drop our scratch databases that no living run holds the lock of."""
    query = "SELECT datname FROM pg_database WHERE starts_with(datname, %s) AND pg_get_userbyid(datdba) = current_user"
    for (name,) in connection.execute(query, [SCRATCH]).fetchall():
        arguments = [SCRATCH_LOCK, name]
        row = connection.execute("SELECT pg_try_advisory_lock(%s, hashtext(%s))", arguments).fetchone()
        if row and row[0]:
            drop(connection, name)
            connection.execute("SELECT pg_advisory_unlock(%s, hashtext(%s))", arguments)


def create_like(connection: psycopg.Connection, target: Target, scratch: Target) -> None:
    """Create an empty database with the target's owner, encoding and collation. Raises RestoreRefused."""
    row = connection.execute(
        "SELECT pg_get_userbyid(datdba), pg_encoding_to_char(encoding), datcollate, datctype "
        "FROM pg_database WHERE datname = %s",
        [target.url.database],
    ).fetchone()
    statement = sql.SQL("CREATE DATABASE {} TEMPLATE template0").format(name_of(scratch))
    if row:
        statement += sql.SQL(" OWNER {} ENCODING {} LC_COLLATE {} LC_CTYPE {}").format(
            sql.Identifier(row[0]), *(sql.Literal(value) for value in row[1:])
        )
    try:
        connection.execute(statement)
    except psycopg.errors.InsufficientPrivilege as error:
        raise may_not_create(target) from error


def may_not_create(target: Target) -> RestoreRefused:
    return RestoreRefused(
        f"the role {target.url.username} may not create or rename databases",
        why="a backup is restored into a new database, checked there, and takes over by its name",
        hint=f"as a superuser: ALTER ROLE {target.url.username} CREATEDB; nothing was changed",
    )


def copy_grants(connection: psycopg.Connection, target: Target, scratch: Target) -> None:
    """Give the copy the privileges that the target's owner granted: they belong to a database, not to its dump."""
    query = """
        SELECT CASE grantee WHEN 0 THEN NULL ELSE pg_get_userbyid(grantee) END, privilege_type, is_grantable
        FROM pg_database, aclexplode(datacl) WHERE datname = %s"""
    granted = connection.execute(query, [target.url.database]).fetchall()
    if not granted:
        return
    connection.execute(sql.SQL("REVOKE ALL ON DATABASE {} FROM PUBLIC").format(name_of(scratch)))
    for grantee, privilege, grantable in granted:
        statement = sql.SQL("GRANT {} ON DATABASE {} TO {}" + (" WITH GRANT OPTION" if grantable else ""))
        whom = sql.Identifier(grantee) if grantee else sql.SQL("PUBLIC")
        connection.execute(statement.format(sql.SQL(privilege), name_of(scratch), whom))


def copy_settings(
    connection: psycopg.Connection, target: Target, scratch: Target, *, only: set[str] | None = None
) -> None:
    """Give the copy what ALTER DATABASE … SET and ALTER ROLE … IN DATABASE … SET said about the target."""
    query = """
        SELECT CASE setrole WHEN 0 THEN NULL ELSE pg_get_userbyid(setrole) END, unnest(setconfig)
        FROM pg_db_role_setting s JOIN pg_database d ON d.oid = s.setdatabase WHERE d.datname = %s"""
    for role, setting in connection.execute(query, [target.url.database]).fetchall():
        name, _, value = setting.partition("=")
        if only and name not in only:
            continue
        connection.execute("SELECT set_config(%s, %s, false)", [name, value])
        whose = sql.SQL("ROLE {} IN ").format(sql.Identifier(role)) if role else sql.SQL("")
        # FROM CURRENT keeps lists such as search_path as they are; quoting the text would make one name of them.
        statement = sql.SQL("ALTER {}DATABASE {} SET {} FROM CURRENT")
        connection.execute(statement.format(whose, name_of(scratch), sql.Identifier(*name.split("."))))
        connection.execute(sql.SQL("RESET {}").format(sql.Identifier(*name.split("."))))


def exists(connection: psycopg.Connection, target: Target) -> bool:
    query = "SELECT 1 FROM pg_database WHERE datname = %s"
    return connection.execute(query, [target.url.database]).fetchone() is not None


def swap(connection: psycopg.Connection, target: Target, scratch: Target, kept: str) -> None:
    """Rename both databases in one transaction, so that one of them always answers under the live name.

    The rename takes the database's lock, so that new sessions wait, and then gives those that are there five seconds to
    leave; they are ended meanwhile from a second connection. Ended before, they would be back before the lock is had.
    Raises DatabaseBusy, RestoreRefused.
    """
    deadline = time.monotonic() + SWAP_S
    while True:
        try:
            with ending_sessions(target), connection.transaction():
                connection.execute(rename(target, kept))
                connection.execute(rename(scratch, str(target.url.database)))
        except psycopg.errors.InsufficientPrivilege as error:
            raise may_not_create(target) from error
        except psycopg.errors.ObjectInUse as error:
            if time.monotonic() > deadline:
                raise DatabaseBusy(
                    f"{target.name} could not be swapped for the restored copy",
                    why=describe_sessions(connection, target),
                    hint="end them and try again; the database still holds what it held before",
                ) from error
        else:
            return


@contextmanager
def ending_sessions(target: Target) -> Iterator[None]:
    """End every session of the target that this role may end, again and again until the block ends."""
    done = threading.Event()
    with maintenance(target) as connection:
        thread = threading.Thread(target=end_sessions, args=(connection, target, done))
        thread.start()
        try:
            yield
        finally:
            done.set()
            thread.join()


def end_sessions(connection: psycopg.Connection, target: Target, done: threading.Event) -> None:
    while True:
        connection.execute(END_SESSIONS, [target.url.database])
        if done.wait(0.02):
            return


def describe_sessions(connection: psycopg.Connection, target: Target) -> str:
    """Return who is connected to the target, for a message."""
    query = "SELECT pid, usename, application_name FROM pg_stat_activity WHERE datname = %s ORDER BY backend_start"
    found = connection.execute(query, [target.url.database]).fetchall()
    shown = ", ".join(f"process {pid} of {user} ({name or 'unnamed'})" for pid, user, name in found[:5])
    return f"{len(found)} sessions would not end: {shown}"
