"""The deploy lock on PostgreSQL: an advisory lock, polled for, and gone with the session that holds it."""

from __future__ import annotations

import random
import time
from contextlib import suppress
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.exc import SQLAlchemyError

from cms.database.errors import DatabaseBusy, DatabaseUnsupported
from cms.database.progress import Say
from cms.database.target import Target

# Any number does, as long as nothing else in the same database takes it: the letters "cms" and a 1.
DEPLOY_LOCK = 0x636D7331
POLL_S = 0.2
ORPHAN_WAIT_S = 30
HURRIED_ORPHAN_WAIT_S = 0.5
"""The server ends a session a moment after its client has gone."""
MIGRATING = "cms-migrate"


@dataclass(frozen=True)
class Locker:
    """A session of the server that others wait for, and what it holds, in words."""

    pid: int
    text: str


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


def release_lock(connection: sa.Connection) -> None:
    """Give the lock back, so that whoever asks next has it: the server ends a closed session only a moment later.

    A session that was lost has lost its lock too.
    """
    with suppress(SQLAlchemyError):
        connection.exec_driver_sql(f"SELECT pg_advisory_unlock({DEPLOY_LOCK})")


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
    patience_s = HURRIED_ORPHAN_WAIT_S if target.limits.hurried else ORPHAN_WAIT_S
    began = time.monotonic()
    told = False
    while pid := connection.exec_driver_sql(query).scalar():
        waited_s = time.monotonic() - began
        if waited_s >= patience_s:
            raise DatabaseBusy(
                f"a migration that lost its client still runs on {target.name}",
                why=f"server process {pid} has not ended within {patience_s} s",
                hint=f"look at it in pg_stat_activity; SELECT pg_terminate_backend({pid}) ends it",
            )
        if waited_s > 1 and not told:
            say(f"waiting for server process {pid} of a run that was killed")
            told = True
        time.sleep(POLL_S / 4)


def list_holders(connection: sa.Connection) -> list[str]:
    """Return in words which sessions hold locks on tables in an open transaction, the oldest three."""
    query = """
        SELECT a.pid, coalesce(nullif(a.application_name, ''), 'unnamed'), a.state,
               extract(epoch FROM clock_timestamp() - a.xact_start)::int
        FROM pg_stat_activity a
        WHERE a.datname = current_database() AND a.pid <> pg_backend_pid() AND a.xact_start IS NOT NULL
          AND EXISTS (SELECT 1 FROM pg_locks l JOIN pg_class c ON c.oid = l.relation
                      WHERE l.pid = a.pid AND l.granted AND c.relkind IN ('r', 'p') AND c.oid >= 16384)
        ORDER BY a.xact_start LIMIT 3"""
    return [
        f"process {pid} ({name}, {state}), whose transaction is {age_s} s old"
        for pid, name, state, age_s in connection.exec_driver_sql(query)
    ]


def list_lockers(connection: sa.Connection) -> list[Locker]:
    """Return which sessions hold tables so that nobody else can read them. Waits for nothing."""
    query = """
        SELECT a.pid, coalesce(nullif(a.application_name, ''), 'unnamed'), a.state,
               string_agg(DISTINCT c.relname, ', ' ORDER BY c.relname),
               extract(epoch FROM clock_timestamp() - a.xact_start)::int
        FROM pg_locks l JOIN pg_stat_activity a USING (pid) JOIN pg_class c ON c.oid = l.relation
        WHERE l.granted AND l.mode = 'AccessExclusiveLock' AND a.pid <> pg_backend_pid() AND c.relkind IN ('r', 'p')
          AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
        GROUP BY a.pid, a.application_name, a.state, a.xact_start ORDER BY a.xact_start"""
    return [
        Locker(pid, f"process {pid} ({name}, {state}) has locked {tables} for {age_s} s")
        for pid, name, state, tables, age_s in connection.exec_driver_sql(query)
    ]
