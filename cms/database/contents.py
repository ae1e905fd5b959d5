"""What a database holds at one moment; two equal contents are equal data."""

from __future__ import annotations

from dataclasses import dataclass

import sqlalchemy as sa

from cms.database.catalog_postgresql import NOT_USABLE
from cms.database.engines import engine_for
from cms.database.engines.base import Definitions, Sequence, Snapshot, TableEntry
from cms.database.fingerprint import Fingerprint, read_fingerprint
from cms.database.history import read_version_rows
from cms.database.progress import Meter
from cms.database.target import Target


@dataclass(frozen=True)
class Contents:
    """A whole database.

    revision: as it says itself, known to our files or not. fingerprint: of the site's schema. definitions: of
    everything in any schema; None where it was not read, and then it is not compared, like large_objects.
    """

    revision: str | None
    fingerprint: str
    tables: tuple[TableEntry, ...]
    sequences: tuple[Sequence, ...] = ()
    large_objects: TableEntry | None = None
    definitions: Definitions | None = None

    @property
    def rows(self) -> int:
        return sum(table.rows for table in self.tables)

    def differs_in(self, expected: Contents) -> list[str]:
        """Return what is not as expected, in words; nothing if everything is."""
        wrong = sorted({table.name for table in set(self.tables) ^ set(expected.tables)})
        wrong += [sequence.name for sequence in expected.sequences if self.is_behind(sequence)]
        if expected.large_objects and self.large_objects != expected.large_objects:
            wrong.append("the large objects")
        wrong += ["the schema"] if self.fingerprint != expected.fingerprint else []
        if self.definitions and expected.definitions:
            wrong += self.definitions.differs_in(expected.definitions)
        return wrong + (["the revision"] if self.revision != expected.revision else [])

    def is_behind(self, expected: Sequence) -> bool:
        """Return whether a sequence would give out numbers again.

        It may be ahead: sequences take part in no transaction, and a dump holds where they stood a moment later.
        """
        found = next((sequence for sequence in self.sequences if sequence.name == expected.name), None)
        return found is None or (found.position - expected.position) * expected.increment < 0


def read_contents(target: Target, snapshot: Snapshot, meter: Meter, *, definitions: bool = True) -> Contents:
    """Read everything once, of one moment, in constant memory. Takes no lock that others wait for.

    definitions: False inside a transaction that has defined things itself, which nobody else can see.
    """
    engine, connection = engine_for(target), snapshot.connection
    return Contents(
        read_revision(connection),
        read_dumped_schema(connection).hash,
        sequences=engine.read_sequences(connection),
        tables=engine.digest_tables(connection, meter),
        large_objects=engine.digest_large_objects(connection),
        definitions=engine.read_definitions(target, snapshot) if definitions else None,
    )


def read_dumped_schema(connection: sa.Connection) -> Fingerprint:
    """Read the schema without the indexes that failed concurrent builds left: no dump holds those."""
    facts = read_fingerprint(connection).facts
    return Fingerprint(
        tuple(fact for fact in facts if fact.kind != "index" or not fact.definition.endswith(NOT_USABLE))
    )


def read_revision(connection: sa.Connection) -> str | None:
    return ", ".join(read_version_rows(connection)) or None
