"""What a schema consists of, as sorted facts that people can read, and one hash over them.

The facts are the catalog's, so everything that autogenerate does not compare counts too: check constraints, validity,
partial indexes, triggers, views. Tables of the history itself and of the job queue do not count.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import sqlalchemy as sa

from cms.database.catalog_postgresql import postgresql_facts
from cms.database.catalog_sqlite import sqlite_facts
from cms.database.facts import Fact
from cms.database.history import VERSION_TABLE
from cms.database.journal import ACCEPTED_TABLE, JOURNAL_TABLE, STEPS_TABLE

HISTORY_TABLES = {VERSION_TABLE, JOURNAL_TABLE, ACCEPTED_TABLE, STEPS_TABLE}
JOB_TABLES = "huey_"
DERIVED_TABLES = ("blog_search", "blog_words")


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
    return table not in HISTORY_TABLES and not table.startswith(JOB_TABLES)


def is_derived(table: str) -> bool:
    """Return whether triggers write what the table holds: no model describes it, and it changes with the posts."""
    return table.startswith(DERIVED_TABLES)


def read_fingerprint(connection: sa.Connection) -> Fingerprint:
    """Read the catalog of the schemas on the search path. Takes no lock.

    Two facts that say the same are one: a key declared twice behaves like a key declared once.
    """
    facts = postgresql_facts if connection.dialect.name == "postgresql" else sqlite_facts
    return Fingerprint(tuple(sorted({fact for fact in facts(connection) if is_counted(fact.table)})))
