"""Checks of what answers: may it be written to, does it stand where we think, is there room, who is in the way."""

from __future__ import annotations

import shutil
from datetime import UTC, datetime
from pathlib import Path

import psycopg
import sqlalchemy as sa
from alembic.script import ScriptDirectory

from cms.checks.messages import Problem, error, info, warning
from cms.checks.registry import register
from cms.database.checks import find_current
from cms.database.engines import engine_for
from cms.database.engines.pglock import DEPLOY_LOCK, describe_holder, list_lockers
from cms.database.history import list_pending
from cms.database.schema_checks import OLD_TRANSACTION_S
from cms.database.target import Target

SKEW_S = 5
HELD_S = 2
TRANSACTIONS = 5
LOSING = {"off", "0", "1"}  # of SQLite: 0 is OFF, and 1, NORMAL, may lose the newest under WAL
ROOM = 2
"""How often the database must fit on the disk again: once for a backup, once for its proof or a rebuilt table."""


@register("server", only="postgresql")
def check_server_writable(target: Target, connection: sa.Connection) -> list[Problem]:
    """server.E001: the server is a replica, or takes no writes by a setting."""
    replica, read_only = connection.exec_driver_sql(
        "SELECT pg_is_in_recovery(), current_setting('transaction_read_only') = 'on'"
    ).one()
    if replica:
        what, cure = f"{target.name} is a replica", "give the primary's address in DATABASE_URL"
    elif read_only:
        what = f"{target.name} takes no writes"
        cure = "look at default_transaction_read_only of the server, the database and the role"
    else:
        return []
    return [error("server.E001", what, why="no post can be saved and no revision applied there", hint=cure)]


@register("server", only="postgresql")
def check_pooler(target: Target, connection: sa.Connection) -> list[Problem]:
    """server.W002: a transaction pooler stands in between. server.I003: some pooler does.

    Several transactions of one connection that end up in different sessions prove the first. A process id that is not
    the one that the connection was told proves the second.
    """
    if len(list_sessions(target)) > 1:
        what = f"the address of {target.name} leads through a transaction pooler"
        why = "two transactions of one connection ran in two sessions of the server, so the deploy lock would not hold"
        cure = "give the server's direct port in DATABASE_URL to the management commands"
        return [warning("server.W002", what, why=why, hint=cure)]
    driver: psycopg.Connection | None = connection.connection.driver_connection
    session = connection.exec_driver_sql("SELECT pg_backend_pid()").scalar_one()
    if driver is None or driver.info.backend_pid == session:
        return []
    cure = "make sure that it pools sessions and not transactions; the deploy lock is refused otherwise"
    return [info("server.I003", f"a pooler stands between the site and {target.name}", hint=cure)]


def list_sessions(target: Target) -> set[int]:
    """Return the server's processes that answer some transactions of one connection."""
    engine = engine_for(target).open_tool(target).execution_options(isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        return {connection.exec_driver_sql("SELECT pg_backend_pid()").scalar_one() for _ in range(TRANSACTIONS)}


@register("server", only="postgresql")
def check_encoding(target: Target, connection: sa.Connection) -> list[Problem]:
    """server.W004: the database cannot keep every character."""
    encoding = connection.exec_driver_sql("SHOW server_encoding").scalar_one()
    if encoding == "UTF8":
        return []
    why = (
        "a letter that it does not know cannot be saved; SQL_ASCII keeps bytes and does not know which letters they are"
    )
    cure = "make a database with ENCODING 'UTF8', and restore a backup into it with `restore --to-new-database`"
    return [warning("server.W004", f"the encoding of {target.name} is {encoding}", why=why, hint=cure)]


@register("server", deploy=True, only="postgresql")
def check_role(target: Target, connection: sa.Connection) -> list[Problem]:
    """server.W010: the site's role may do everything on the server."""
    if not connection.exec_driver_sql("SELECT rolsuper FROM pg_roles WHERE rolname = current_user").scalar_one():
        return []
    why = "whoever gets hold of the site gets hold of the server, its other databases and its files"
    cure = f"make a role that owns {target.name} alone, and give it in DATABASE_URL"
    return [warning("server.W010", f"the role of {target.name} is a superuser", why=why, hint=cure)]


@register("server", deploy=True)
def check_durability(target: Target, connection: sa.Connection) -> list[Problem]:
    """server.E011: what was acknowledged may be gone when the power fails."""
    name = "synchronous_commit" if target.engine_name == "postgresql" else "synchronous"
    query = f"SHOW {name}" if target.engine_name == "postgresql" else f"PRAGMA {name}"
    value = str(connection.exec_driver_sql(query).scalar_one())
    if value not in LOSING:
        return []
    cure = "let it be `on`" if target.engine_name == "postgresql" else "let it be FULL"
    return [
        error(
            "server.E011",
            f"{name} of {target.name} is {value}",
            hint=f"{cure}: for the server, the database and the role",
        )
    ]


@register("server", only="postgresql")
def check_clock(target: Target, connection: sa.Connection) -> list[Problem]:
    """server.W005: the clocks of this machine and of the server differ."""
    skew_s = (connection.exec_driver_sql("SELECT clock_timestamp()").scalar_one() - now()).total_seconds()
    if abs(skew_s) <= SKEW_S:
        return []
    what = f"the clock of {target.name} is {abs(skew_s):,.0f} s {'ahead' if skew_s > 0 else 'behind'}"
    why = "scheduled posts appear, and sessions and backups age, by the one or the other"
    return [warning("server.W005", what, why=why, hint="let both machines keep time by NTP")]


def now() -> datetime:
    return datetime.now(UTC)


@register("server")
def check_disk_space(target: Target, connection: sa.Connection) -> list[Problem]:
    """server.W006: the disk of the backups, or of the SQLite file, has too little room. A server's is not known."""
    size_bytes = engine_for(target).size_bytes(connection)
    folders = [target.backup_dir]
    if target.engine_name == "sqlite":
        folders.append(Path(str(target.url.database)).parent)
    return [
        warning(
            "server.W006",
            f"{folder} has {free_bytes(folder):,} bytes free, and the database takes {size_bytes:,}",
            why=f"a backup with its proof, or a rebuilt table, may need {ROOM} times as much",
            hint="make room, or `python manage.py prune-backups`",
        )
        for folder in folders
        if free_bytes(folder) < ROOM * size_bytes
    ]


def free_bytes(folder: Path) -> int:
    """Return the room on the disk where the folder is, or will be made."""
    there = next(each for each in (folder, *folder.absolute().parents) if each.exists())
    return shutil.disk_usage(there).free


@register("server", only="postgresql")
def check_blockers(connection: sa.Connection, scripts: ScriptDirectory) -> list[Problem]:
    """server.W007: revisions are pending, and a session holds a table that they may want; older ones: database.W009."""
    current = find_current(connection, scripts)
    if current is None or len(scripts.get_heads()) != 1 or not list_pending(scripts, current):
        return []
    query = f"""
        SELECT a.pid, coalesce(nullif(a.application_name, ''), 'unnamed'), a.state,
               extract(epoch FROM clock_timestamp() - a.xact_start)::int,
               string_agg(DISTINCT c.relname, ', ' ORDER BY c.relname)
        FROM pg_locks l JOIN pg_stat_activity a USING (pid) JOIN pg_class c ON c.oid = l.relation
        WHERE l.granted AND a.pid <> pg_backend_pid() AND c.relkind IN ('r', 'p')
          AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
          AND c.relnamespace = to_regnamespace(current_schema())
          AND a.xact_start < clock_timestamp() - interval '{HELD_S} seconds'
          AND a.xact_start >= clock_timestamp() - interval '{OLD_TRANSACTION_S} seconds'
        GROUP BY 1, 2, 3, 4 ORDER BY 4 DESC"""  # noqa: S608 - a constant
    return [
        warning(
            "server.W007",
            f"process {pid} ({name}, {state}) has held {tables} for {held_s} s",
            why="an upgrade that wants one of them tries again until it is free",
            hint=f"let it end first, or end it: SELECT pg_terminate_backend({pid})",
        )
        for pid, name, state, held_s, tables in connection.exec_driver_sql(query)
    ]


@register("server", only="postgresql")
def check_other_run(target: Target, connection: sa.Connection) -> list[Problem]:
    """server.I008: an upgrade or a restore works on the database now, so what is seen may be half of it."""
    query = f"""SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND granted AND objid = {DEPLOY_LOCK}
        AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"""  # noqa: S608 - a constant
    if not connection.exec_driver_sql(query).scalar_one():
        return []
    what = f"{describe_holder(connection)} works on {target.name} now"
    return [info("server.I008", what, hint="wait until it has ended, and check again")]


@register("server", only="postgresql")
def check_readable(connection: sa.Connection) -> list[Problem]:
    """server.W009: a session has locked a table, so that pages wait for it and checks cannot look."""
    return [
        warning(
            "server.W009",
            locker.text,
            why="nobody else can read that until its transaction ends",
            hint=f"let it end, or end it: SELECT pg_terminate_backend({locker.pid}); then check again",
        )
        for locker in list_lockers(connection)
    ]
