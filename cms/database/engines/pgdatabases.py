"""Databases beside each other on one server: making, renaming, swapping and dropping them."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import LiteralString

import psycopg
from psycopg import sql

from cms.database.errors import DatabaseBusy, DatabaseUnreachable, RestoreRefused
from cms.database.target import Target
from cms.words import counted

SWAP_S = 30
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
# Long texts are compressed as they are loaded; the server's usual way is what a load takes most of its time for
# (a million posts: 210 s, with lz4 81 s, and 1 % larger). What a column was told to use stays as it was told.
LZ4 = "-c default_toast_compression=lz4"
PROVIDERS = {"c": "libc", "i": "icu", "b": "builtin"}
SCRATCH = "cms_restore_"
SCRATCH_LOCK = 0x636D7332
# The list of locks is that of the whole server, but an advisory lock can be tried only in its own database.
DEAD_SCRATCHES = f"""
    SELECT datname FROM pg_database
    WHERE starts_with(datname, '{SCRATCH}') AND pg_get_userbyid(datdba) = current_user
      AND NOT EXISTS (SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND granted AND classid = {SCRATCH_LOCK}
                      AND objid::bigint = hashtext(datname)::bigint & 4294967295)
    ORDER BY 1"""  # noqa: S608 - constants


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
    """Drop a database, whoever of this role is connected to it.

    An autovacuum worker in it is not ours to end, and FORCE then refuses; without FORCE the server ends it by itself.
    """
    statement = sql.SQL("DROP DATABASE IF EXISTS {}").format(sql.Identifier(name))
    try:
        connection.execute(statement + sql.SQL(" WITH (FORCE)"))
    except psycopg.errors.InsufficientPrivilege:
        connection.execute(statement)


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
    """Create an empty database with the target's owner, encoding, locale and tablespace. Raises RestoreRefused."""
    statement = sql.SQL("CREATE DATABASE {} TEMPLATE template0").format(name_of(scratch))
    for option, value in list_options(connection, target):
        statement += sql.SQL(f" {option} ") + value
    try:
        connection.execute(statement)
    except psycopg.errors.InsufficientPrivilege as error:
        raise may_not_create(target) from error


def list_options(connection: psycopg.Connection, target: Target) -> list[tuple[LiteralString, sql.Composable]]:
    """Return what CREATE DATABASE must be told to make one like the target; nothing if that does not exist.

    Raises RestoreRefused if this role may make none in the target's tablespace.
    """
    query = """
        SELECT to_jsonb(d), pg_get_userbyid(d.datdba), pg_encoding_to_char(d.encoding), t.spcname,
               t.oid = template0.dattablespace, has_tablespace_privilege(t.oid, 'CREATE')
        FROM pg_database d JOIN pg_tablespace t ON t.oid = d.dattablespace, pg_database template0
        WHERE d.datname = %s AND template0.datname = 'template0'"""
    found = connection.execute(query, [target.url.database]).fetchone()
    if not found:
        return []
    facts, owner, encoding, tablespace, is_usual, is_allowed = found
    options: list[tuple[LiteralString, sql.Composable]] = [("OWNER", sql.Identifier(owner))]
    locale = facts.get("datlocale", facts.get("daticulocale"))  # its name until 16
    provider = PROVIDERS[facts["datlocprovider"]]
    values: list[tuple[LiteralString, str | None]] = [
        ("ENCODING", encoding),
        ("LC_COLLATE", facts["datcollate"]),
        ("LC_CTYPE", facts["datctype"]),
        ("LOCALE_PROVIDER", provider),
        ("ICU_LOCALE" if provider == "icu" else "BUILTIN_LOCALE", locale),
        ("ICU_RULES", facts.get("daticurules")),
    ]
    options += [(option, sql.Literal(value)) for option, value in values if value is not None]
    if is_usual:  # without being asked for, it needs no privilege
        return options
    if not is_allowed:
        raise RestoreRefused(
            f"the role {target.url.username} may not create databases in the tablespace of {target.name}",
            why=f"it lies in {tablespace}, and so must the new database into which a backup is restored",
            hint=f"as a superuser: GRANT CREATE ON TABLESPACE {tablespace} TO {target.url.username}; "
            "nothing was changed",
        )
    return [*options, ("TABLESPACE", sql.Identifier(tablespace))]


def may_not_create(target: Target) -> RestoreRefused:
    return RestoreRefused(
        f"the role {target.url.username} may not create or rename databases",
        why="a backup is restored into a new database, checked there, and takes over by its name",
        hint=f"as a superuser: ALTER ROLE {target.url.username} CREATEDB; or add --in-place, which empties and fills "
        "the database in one transaction; nothing was changed",
    )


def may_use_lz4(connection: psycopg.Connection) -> bool:
    """Return whether the server knows lz4, and nobody has chosen how it shall compress."""
    query = """
        SELECT count(*) FROM pg_settings
        WHERE name = 'default_toast_compression' AND 'lz4' = ANY(enumvals) AND source = 'default'"""
    return connection.execute(query).fetchall() == [(1,)]


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


def copy_comment(connection: psycopg.Connection, target: Target, scratch: Target) -> None:
    query = "SELECT shobj_description(oid, 'pg_database') FROM pg_database WHERE datname = %s"
    for (comment,) in connection.execute(query, [target.url.database]).fetchall():
        connection.execute(sql.SQL("COMMENT ON DATABASE {} IS {}").format(name_of(scratch), sql.Literal(comment)))


def copy_connection_limit(connection: psycopg.Connection, target: Target, scratch: Target) -> None:
    """Limit the sessions of the copy as the target's are. Not sooner than it takes over: loading needs some itself."""
    query = "SELECT datconnlimit FROM pg_database WHERE datname = %s"
    for (limit,) in connection.execute(query, [target.url.database]).fetchall():
        statement = sql.SQL("ALTER DATABASE {} CONNECTION LIMIT {}")
        connection.execute(statement.format(name_of(scratch), sql.Literal(limit)))


def copy_settings(
    connection: psycopg.Connection, target: Target, scratch: Target, *, only: set[str] | None = None
) -> None:
    """Give the copy what ALTER DATABASE … SET and ALTER ROLE … IN DATABASE … SET said about the target.

    Raises RestoreRefused for a setting that this role may not set.
    """
    query = """
        SELECT CASE setrole WHEN 0 THEN NULL ELSE pg_get_userbyid(setrole) END, unnest(setconfig)
        FROM pg_db_role_setting s JOIN pg_database d ON d.oid = s.setdatabase WHERE d.datname = %s"""
    for role, setting in connection.execute(query, [target.url.database]).fetchall():
        name, _, value = setting.partition("=")
        if only and name not in only:
            continue
        try:
            connection.execute("SELECT set_config(%s, %s, false)", [name, value])
        except psycopg.errors.InsufficientPrivilege as error:
            raise RestoreRefused(
                f"the setting {name} of {target.name} cannot be given to the restored copy",
                why=f"only a superuser may set it, and {target.url.username} is none",
                hint=f"as a superuser: ALTER DATABASE … RESET {name} now and SET it again after; nothing was changed",
            ) from error
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
    with suppress(psycopg.OperationalError):  # Ctrl-C closes the connection at any moment
        while True:
            connection.execute(END_SESSIONS, [target.url.database])
            if done.wait(0.02):
                return


def describe_sessions(connection: psycopg.Connection, target: Target) -> str:
    """Return who is connected to the target, for a message."""
    query = """
        SELECT pid, usename, application_name FROM pg_stat_activity
        WHERE datname = %s AND usename IS NOT NULL ORDER BY backend_start"""
    found = connection.execute(query, [target.url.database]).fetchall()
    shown = ", ".join(f"process {pid} of {user} ({name or 'unnamed'})" for pid, user, name in found[:5])
    return f"{counted(len(found), 'session')} would not end: {shown}"
