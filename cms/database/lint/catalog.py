"""What rules ask about a schema: types, foreign keys, and which columns an index begins with."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import SAWarning
from sqlalchemy.types import TypeEngine

from cms.database.fingerprint import is_counted, read_fingerprint


@dataclass(frozen=True)
class Column:
    """A column as the catalog has it."""

    kind: TypeEngine[Any]  # Any: what the column gives to Python
    required: bool


@dataclass(frozen=True)
class ForeignKey:
    """A foreign key; ondelete is None where nothing was said."""

    table: str
    columns: tuple[str, ...]
    parent: str
    ondelete: str | None


@dataclass(frozen=True)
class Shape:
    """A schema. prefixes: table → the column lists of its indexes, keys and unique constraints; primary: of its key."""

    facts: frozenset[str]
    columns: dict[tuple[str, str], Column]
    keys: frozenset[ForeignKey]
    prefixes: dict[str, list[tuple[str, ...]]]
    primary: dict[str, tuple[str, ...]]


def read_shape(connection: sa.Connection) -> Shape:
    """Read the schema that unqualified names mean; tables of the history itself do not count."""
    # The dialect remembers the schema of its first connection, which a search_path set later does not change.
    schema = connection.scalar(sa.text("SELECT current_schema()")) if connection.dialect.name == "postgresql" else None
    inspector = sa.inspect(connection)
    tables = [name for name in inspector.get_table_names(schema=schema) if is_counted(name)]
    primary = {each: tuple(inspector.get_pk_constraint(each, schema=schema)["constrained_columns"]) for each in tables}
    columns = {
        (table, column["name"]): Column(column["type"], not column["nullable"])
        for table in tables
        for column in inspector.get_columns(table, schema=schema)
    }
    keys = frozenset(key for table in tables for key in list_keys(inspector, table, schema))
    prefixes = {table: [primary[table], *list_prefixes(inspector, table, schema)] for table in tables}
    facts = frozenset(str(fact) for fact in read_fingerprint(connection).facts)
    return Shape(facts, columns, keys, prefixes, primary)


def list_keys(inspector: sa.Inspector, table: str, schema: str | None) -> list[ForeignKey]:
    return [
        ForeignKey(
            table, tuple(key["constrained_columns"]), key["referred_table"], key.get("options", {}).get("ondelete")
        )
        for key in inspector.get_foreign_keys(table, schema=schema)
    ]


def list_prefixes(inspector: sa.Inspector, table: str, schema: str | None) -> list[tuple[str, ...]]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SAWarning)  # an index on an expression has no column to tell
        indexes = inspector.get_indexes(table, schema=schema)
    found = [tuple(name or "" for name in index["column_names"]) for index in indexes]
    return found + [tuple(each["column_names"]) for each in inspector.get_unique_constraints(table, schema=schema)]
