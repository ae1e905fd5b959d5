"""Looking at a database on which others work: nobody is waited for, and nobody has to wait."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError

from cms.checks.registry import CannotLook
from cms.database.engines import engine_for
from cms.database.engines.base import connecting, first_line
from cms.database.engines.pglock import list_lockers
from cms.database.errors import DatabaseUnreachable
from cms.database.target import Target

LOCKED = "55P03"


@contextmanager
def looking_at(target: Target) -> Iterator[sa.Connection]:
    """Open a connection on which each statement is alone, so that no lock is kept, and none is waited for.

    Raises DatabaseUnreachable, also if the server stops answering in the middle.
    """
    engine = engine_for(target).open_tool(target.in_a_hurry()).execution_options(isolation_level="AUTOCOMMIT")
    with connecting(target, engine) as connection:
        try:
            yield connection
        except DBAPIError as error:
            raise DatabaseUnreachable(
                f"the database {target.name} stopped answering",
                why=first_line(error),
                hint="look at the server, and at the pooler if there is one; run the check again",
            ) from error


@contextmanager
def explaining(connection: sa.Connection) -> Iterator[None]:
    """Raise CannotLook for what a check could not see: a locked table, one that this role may not read."""
    try:
        yield
    except DBAPIError as error:
        if connection.invalidated or error.connection_invalidated:
            raise
        raise CannotLook(why_blind(connection, error)) from error


def why_blind(connection: sa.Connection, error: DBAPIError) -> str:
    if getattr(error.orig, "sqlstate", None) == LOCKED and (lockers := list_lockers(connection)):
        return "; ".join(locker.text for locker in lockers)
    return first_line(error)
