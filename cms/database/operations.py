"""Building blocks for revision files: each does its work so that nobody who uses the site waits for long.

On PostgreSQL a block is a row of short steps, each in a transaction of its own; a revision of blocks that was
interrupted goes on at the step where it was, so nothing but blocks may stand in it. On SQLite, where one writer at a
time has the whole file, each does the plain thing inside the revision's transaction.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import sqlalchemy as sa
from alembic import op
from alembic.operations import BatchOperations

from cms.database.errors import IrreversibleMigration
from cms.database.guard import read_sql
from cms.database.steps import Steps, block

Columns = Sequence[str | sa.sql.elements.ColumnElement[Any]]  # Any: an expression of whatever type


@block
def create_index(name: str, table: str, columns: Columns, *, unique: bool = False, **options: Any) -> None:  # Any: op's
    """Build an index while others write; an invalid one that an interrupted build left is dropped and built anew."""
    if on_sqlite():
        op.create_index(name, table, columns, unique=unique, **options)
        return
    steps = Steps.of(f"index {name}")
    build_index(steps, name, table, columns, unique=unique, **options)
    analyze(steps, table)


@block
def drop_index(name: str, table: str) -> None:
    """Drop an index while others read and write."""
    if on_sqlite():
        op.drop_index(name, table)
        return

    def drop() -> None:
        op.drop_index(name, table, postgresql_concurrently=True)

    Steps.of(f"no index {name}").outside("drop", drop, settle=lambda: is_valid(name) is None)


@block
def create_unique_constraint(name: str, table: str, columns: Sequence[str]) -> None:
    """Let a column, or several together, hold each value once; fails on duplicates, and leaves nothing then."""
    if on_sqlite():
        with rebuilt(table) as batch:
            batch.create_unique_constraint(name, list(columns))
        return
    steps = Steps.of(f"unique {name}")
    build_index(steps, name, table, columns, unique=True)
    sql = f"ALTER TABLE {quote(table)} ADD CONSTRAINT {quote(name)} UNIQUE USING INDEX {quote(name)}"
    steps.once("make it a constraint", lambda: op.execute(sql))


@block
def create_foreign_key(
    name: str, table: str, columns: list[str], *, to: str, parent_columns: list[str], ondelete: str
) -> None:
    """Let columns refer to another table: new rows from the first step on, old ones are read while others write."""
    if on_sqlite():
        with rebuilt(table) as batch:
            batch.create_foreign_key(op.f(name), to, columns, parent_columns, ondelete=ondelete)
        return

    def add() -> None:
        op.create_foreign_key(
            op.f(name), table, to, columns, parent_columns, ondelete=ondelete, postgresql_not_valid=True
        )

    add_validated(Steps.of(f"foreign key {name}"), table, name, add)


@block
def create_check_constraint(name: str, table: str, condition: str) -> None:
    """Require a condition, in SQL, of each row. name: the whole name, such as ``blogs_status_check``."""
    if on_sqlite():
        with rebuilt(table) as batch:
            batch.create_check_constraint(op.f(name), sa.text(condition))
        return
    add_check(Steps.of(f"check {name}"), table, name, condition)


@block
def drop_constraint(name: str, table: str, kind: str) -> None:
    """Take a constraint away. kind: "unique", "foreignkey" or "check"."""
    if on_sqlite():
        with rebuilt(table) as batch:
            batch.drop_constraint(op.f(name), kind)
        return
    Steps.of(f"no {name}").once("drop", lambda: op.drop_constraint(op.f(name), table, kind))


@block
def set_not_null(table: str, column: str) -> None:
    """Require a value in each row; fails where one is missing. All rows are read while others write."""
    if on_sqlite():
        with rebuilt(table) as batch:
            batch.alter_column(column, nullable=False)
        return
    steps = Steps.of(f"{table}.{column} not null")
    add_not_null_check(steps, table, column)

    def change() -> None:
        op.alter_column(table, column, nullable=False)
        op.execute(f"ALTER TABLE {quote(table)} DROP CONSTRAINT {quote(not_null_check(table, column))}")

    steps.once("set", change)


@block
def drop_not_null(table: str, column: str) -> None:
    """Let a column be empty again."""
    if on_sqlite():
        with rebuilt(table) as batch:
            batch.alter_column(column, nullable=True)
        return
    Steps.of(f"{table}.{column} null").once("drop", lambda: op.alter_column(table, column, nullable=True))


@block
def drop_column(table: str, column: str) -> None:
    """Drop a column, with what is in it."""
    if on_sqlite():
        with rebuilt(table) as batch:
            batch.drop_column(column)
        return
    Steps.of(f"no {table}.{column}").once("drop", lambda: op.drop_column(table, column))


def refuse_longer_than(table: str, limits: Mapping[str, int]) -> None:
    """Stop a downgrade that would cut texts: SQLite would keep them in a column that says less, PostgreSQL fails.

    limits: column → characters. Reads the table once; shows nothing in ``--sql`` mode, where there is no table to read.
    Raises IrreversibleMigration that counts the rows by column.
    """
    if op.get_context().as_sql:
        return
    counts = [sa.func.count().filter(sa.func.length(sa.column(name)) > limit) for name, limit in limits.items()]
    found = op.get_bind().execute(sa.select(*counts).select_from(sa.table(table))).one()
    too_long = [f"{count} in {table}.{name}" for name, count in zip(limits, found, strict=True) if count]
    if too_long:
        raise IrreversibleMigration(
            f"the older schema cannot hold {', '.join(too_long)}",
            why="these texts are longer than its columns, and cutting them would lose words",
            hint="shorten them, or restore a backup from before; this revision was rolled back",
        )


def on_sqlite() -> bool:
    return op.get_context().dialect.name == "sqlite"


def quote(name: str) -> str:
    return op.get_context().dialect.identifier_preparer.quote(name)


@contextmanager
def rebuilt(table: str) -> Iterator[BatchOperations]:
    """Change a table of SQLite, which is built anew; triggers and indexes that the library forgets are made again."""
    connection = op.get_bind()
    before = read_sql(connection)
    with op.batch_alter_table(table) as batch:
        yield batch
    for lost in before.keys() - read_sql(connection).keys():
        connection.exec_driver_sql(before[lost])


def build_index(steps: Steps, name: str, table: str, columns: Columns, *, unique: bool, **options: Any) -> None:
    def build() -> None:
        op.create_index(name, table, columns, unique=unique, postgresql_concurrently=True, **options)

    def settle() -> bool:
        valid = is_valid(name)
        if valid is False:
            op.drop_index(name, table, postgresql_concurrently=True)
        return bool(valid)

    steps.outside("build", build, settle=settle)


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
    steps.once("add", add)
    sql = f"ALTER TABLE {quote(table)} VALIDATE CONSTRAINT {quote(name)}"
    steps.once("validate", lambda: op.execute(sql), unhurried=True)


def add_check(steps: Steps, table: str, name: str, condition: str) -> None:
    def add() -> None:
        op.create_check_constraint(op.f(name), table, sa.text(condition), postgresql_not_valid=True)

    add_validated(steps, table, name, add)


def not_null_check(table: str, column: str) -> str:
    return f"{table}_{column}_is_filled"[:63]  # PostgreSQL 18 calls its own ..._not_null


def add_not_null_check(steps: Steps, table: str, column: str) -> None:
    """Add the check that spares SET NOT NULL the reading of the whole table under the strongest lock."""
    add_check(steps, table, not_null_check(table, column), f"{quote(column)} IS NOT NULL")
