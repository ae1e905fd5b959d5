"""An empty schema in which the history can be run: nobody else sees it, or waits for it, and nothing of it stays."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager

import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.exc import DBAPIError

from cms.database.engines import engine_for
from cms.database.engines.base import connecting, first_line
from cms.database.engines.sqlite import begin_for_real
from cms.database.errors import DatabaseUnsupported
from cms.database.target import Target

SCHEMA = "cms_scratch"
NO_PRIVILEGE = "42501"
READ_ONLY = "25006"


def scratch_place(target: Target) -> AbstractContextManager[sa.Connection]:
    """Open an empty schema of the target's kind of database. Raises what ``scratch_postgresql`` raises."""
    return scratch_sqlite() if target.engine_name == "sqlite" else scratch_postgresql(target)


@contextmanager
def scratch_sqlite() -> Iterator[sa.Connection]:
    """Open a SQLite database in memory, inside a transaction."""
    engine = sa.create_engine("sqlite://", connect_args={"isolation_level": None})
    event.listen(engine, "begin", begin_for_real)
    with engine.connect() as connection:
        connection.begin()
        yield connection
    engine.dispose()


@contextmanager
def scratch_postgresql(target: Target) -> Iterator[sa.Connection]:
    """Open a schema of its own on the target's server, inside a transaction that is rolled back.

    Raises DatabaseUnreachable, DatabaseUnsupported if the role may not make a schema.
    """
    with connecting(target, engine_for(target).open_tool(target)) as connection:
        make_schema(connection, target)
        connection.exec_driver_sql(f"SET LOCAL search_path = {SCHEMA}")
        yield connection
        connection.rollback()


def make_schema(connection: sa.Connection, target: Target) -> None:
    try:
        connection.exec_driver_sql(f"CREATE SCHEMA {SCHEMA}")
    except DBAPIError as error:
        if getattr(error.orig, "sqlstate", None) not in {NO_PRIVILEGE, READ_ONLY}:
            raise
        raise DatabaseUnsupported(
            f"the history cannot be run in a scratch place on {target.name}",
            why=first_line(error),
            hint=f"as its owner: GRANT CREATE ON DATABASE {target.url.database} TO {target.url.username}; "
            "on a replica, ask the primary; nothing was changed",
        ) from error
