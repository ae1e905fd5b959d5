"""What several building blocks are made of."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import sqlalchemy as sa
from alembic import op
from alembic.operations import BatchOperations

from cms.database.guard import read_sql
from cms.database.steps import Steps

Columns = Sequence[str | sa.sql.elements.ColumnElement[Any]]  # Any: an expression of whatever type


def on_sqlite() -> bool:
    return op.get_context().dialect.name == "sqlite"


def quote(name: str) -> str:
    return op.get_context().dialect.identifier_preparer.quote(name)


@contextmanager
def rebuilt(table: str, *, always: bool = False) -> Iterator[BatchOperations]:
    """Change a table of SQLite, which is built anew; triggers and indexes that the library forgets are made again."""
    connection = op.get_bind()
    before = read_sql(connection)
    with op.batch_alter_table(table, recreate="always" if always else "auto") as batch:
        yield batch
    for lost in before.keys() - read_sql(connection).keys():
        connection.exec_driver_sql(before[lost])


def build_index(
    steps: Steps,
    name: str,
    table: str,
    columns: Columns,
    *,
    unique: bool,
    **options: Any,  # Any: op's own
) -> None:
    """Build an index while others write; what an interrupted build left goes first."""

    def build() -> None:
        op.create_index(name, table, columns, unique=unique, postgresql_concurrently=True, **options)

    def settle() -> bool:
        valid = is_valid(name)
        if valid is False:
            op.drop_index(name, table, postgresql_concurrently=True)
        return bool(valid)

    steps.outside(f"build {name}", build, settle=settle)


def is_valid(index: str) -> bool | None:
    """Return whether an index can be used; None if there is none."""
    query = sa.text("SELECT indisvalid FROM pg_index WHERE indexrelid = to_regclass(:name)")
    valid: bool | None = op.get_bind().execute(query, {"name": quote(index)}).scalar()
    return valid


def analyze(steps: Steps, table: str) -> None:
    """Let the server know what is in the table now: the plans of the next queries depend on it."""
    if steps.live:
        steps.once(f"analyze {table}", lambda: op.execute(f"ANALYZE {quote(table)}"), unhurried=True)


def add_validated(steps: Steps, table: str, name: str, add: Callable[[], None]) -> None:
    """Add a constraint that does not look at the rows that are there, then look at them while others write."""
    steps.once(f"add {name}", add)
    sql = f"ALTER TABLE {quote(table)} VALIDATE CONSTRAINT {quote(name)}"
    steps.once(f"validate {name}", lambda: op.execute(sql), unhurried=True)


def add_check(steps: Steps, table: str, name: str, condition: str) -> None:
    def add() -> None:
        op.create_check_constraint(op.f(name), table, sa.text(condition), postgresql_not_valid=True)

    add_validated(steps, table, name, add)


def not_null_check(table: str, column: str) -> str:
    return f"{table}_{column}_is_filled"[:63]  # PostgreSQL 18 calls its own ..._not_null


def add_not_null_check(steps: Steps, table: str, column: str) -> None:
    """Add the check that spares SET NOT NULL the reading of the whole table under the strongest lock."""
    add_check(steps, table, not_null_check(table, column), f"{quote(column)} IS NOT NULL")
