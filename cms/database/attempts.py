"""Change a live schema in many short tries: nobody queues behind a lock that we wait for."""

from __future__ import annotations

import random
import sqlite3
import time
from collections.abc import Callable

import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.exc import DBAPIError

from cms.database.engines import engine_for
from cms.database.engines.base import connecting
from cms.database.progress import Say
from cms.database.target import Target

LOCK_NOT_AVAILABLE, DEADLOCK = "55P03", "40P01"


def run_until_locks_are_had(target: Target, say: Say, work: Callable[[sa.Connection], None]) -> None:
    """Run; whenever a lock is not had within its short timeout, roll back, let others pass, and run again.

    Waiting long for a lock makes every later query on the table queue behind us: behind a 12 s reader everybody
    waited 11 s without a timeout, 0.16 s with tries of 100 ms. work: commits by itself; each commit is progress, from
    which the deadline counts anew.
    Raises what it raises; DBAPIError once ``limits.retry_s`` are over, DatabaseUnreachable.
    """
    progress_at = time.monotonic()
    told = False

    def note_progress(_connection: sa.Connection) -> None:
        nonlocal progress_at, told
        progress_at, told = time.monotonic(), False

    while True:
        try:
            with connecting(target, engine_for(target).open_tool(target, migrating=True)) as connection:
                event.listen(connection, "commit", note_progress)
                work(connection)
        except DBAPIError as error:
            if not is_lock_timeout(error) or time.monotonic() > progress_at + target.limits.retry_s:
                raise
            if not told:
                holders = ", ".join(engine_for(target).list_blockers(target))
                say(f"a table is in use by {holders or 'another session'}; trying again until it is free")
                told = True
            time.sleep(random.uniform(0.05, 0.4))  # noqa: S311 - jitter
        else:
            return


def is_lock_timeout(error: DBAPIError) -> bool:
    busy = getattr(error.orig, "sqlite_errorcode", None) == sqlite3.SQLITE_BUSY
    return busy or getattr(error.orig, "sqlstate", None) in {LOCK_NOT_AVAILABLE, DEADLOCK}
