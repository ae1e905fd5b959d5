"""What a schema consists of, as sorted facts that people can read, and one hash over them.

The facts are the catalog's, so everything that autogenerate does not compare counts too: check constraints, validity,
partial indexes, triggers, views. Tables of the history itself and of the job queue do not count.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass

import sqlalchemy as sa
from alembic.operations import Operations
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import event
from sqlalchemy.exc import DBAPIError

from cms.database.catalog_postgresql import postgresql_facts
from cms.database.catalog_sqlite import sqlite_facts
from cms.database.engines import engine_for
from cms.database.engines.base import connecting, first_line
from cms.database.engines.sqlite import begin_for_real
from cms.database.errors import DatabaseUnsupported
from cms.database.facts import Fact
from cms.database.history import VERSION_TABLE, list_revisions
from cms.database.journal import ACCEPTED_TABLE, JOURNAL_TABLE
from cms.database.schema import Base
from cms.database.target import Target

JOB_TABLES = "huey_"
SCRATCH_SCHEMA = "cms_fingerprint"
NO_PRIVILEGE = "42501"
READ_ONLY = "25006"


@dataclass(frozen=True)
class Fingerprint:
    """The facts of one schema, sorted."""

    facts: tuple[Fact, ...]

    @property
    def hash(self) -> str:
        return hashlib.sha256("\n".join(map(str, self.facts)).encode()).hexdigest()

    def missing_from(self, other: Fingerprint) -> tuple[Fact, ...]:
        """Return the facts that are here and not there."""
        return tuple(sorted(set(self.facts) - set(other.facts)))


def is_counted(table: str) -> bool:
    """Return whether a table belongs to the schema that revisions describe."""
    return table not in {VERSION_TABLE, JOURNAL_TABLE, ACCEPTED_TABLE} and not table.startswith(JOB_TABLES)


def read_fingerprint(connection: sa.Connection) -> Fingerprint:
    """Read the catalog of the schemas on the search path. Takes no lock.

    Two facts that say the same are one: a key declared twice behaves like a key declared once.
    """
    facts = postgresql_facts if connection.dialect.name == "postgresql" else sqlite_facts
    return Fingerprint(tuple(sorted({fact for fact in facts(connection) if is_counted(fact.table)})))


def replay_history(target: Target, scripts: ScriptDirectory) -> dict[str, Fingerprint]:
    """Return what the schema looks like at each revision, oldest first, by running the history in a scratch place.

    On PostgreSQL that is a schema of its own, inside a transaction that is rolled back, so nobody else sees or waits
    for any of it; for SQLite a database in memory. Raises DatabaseUnreachable, DatabaseUnsupported if the role may not
    make a schema, and whatever a revision raises.
    """
    if target.engine_name == "sqlite":
        engine = sa.create_engine("sqlite://", connect_args={"isolation_level": None})
        event.listen(engine, "begin", begin_for_real)
        with engine.connect() as connection:
            return dict(run_history(connection, scripts))
    with connecting(target, engine_for(target).open_tool(target)) as connection:
        make_scratch_schema(connection, target)
        connection.exec_driver_sql(f"SET LOCAL search_path = {SCRATCH_SCHEMA}")
        found = dict(run_history(connection, scripts))
        connection.rollback()
        return found


def make_scratch_schema(connection: sa.Connection, target: Target) -> None:
    try:
        connection.exec_driver_sql(f"CREATE SCHEMA {SCRATCH_SCHEMA}")
    except DBAPIError as error:
        if getattr(error.orig, "sqlstate", None) not in {NO_PRIVILEGE, READ_ONLY}:
            raise
        raise DatabaseUnsupported(
            f"the history cannot be replayed on {target.name}",
            why=first_line(error),
            hint=f"as its owner: GRANT CREATE ON DATABASE {target.url.database} TO {target.url.username}; "
            "on a replica, ask the primary; nothing was changed",
        ) from error


def run_history(connection: sa.Connection, scripts: ScriptDirectory) -> Iterator[tuple[str, Fingerprint]]:
    options = {"target_metadata": Base.metadata}
    context = MigrationContext.configure(connection, opts=options)
    with Operations.context(context):
        for revision in list_revisions(scripts):
            scripts.get_revision(revision.id).module.upgrade()
            yield revision.id, read_fingerprint(connection)
