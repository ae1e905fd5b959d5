"""Building blocks for revision files: each does its work so that nobody who uses the site waits for long.

On PostgreSQL a block is a row of short steps, each in a transaction of its own; a revision of blocks that was
interrupted goes on at the step where it was, so nothing but blocks may stand in it. On SQLite, where one writer at a
time has the whole file, each does the plain thing inside the revision's transaction.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from alembic import op

from cms.database.backfill import backfill
from cms.database.columns import (
    add_filled_column,
    change_type,
    drop_column,
    drop_not_null,
    set_not_null,
)
from cms.database.errors import IrreversibleMigration
from cms.database.parts import (
    Columns,
    add_check,
    add_validated,
    analyze,
    build_index,
    is_valid,
    on_sqlite,
    quote,
    rebuilt,
)
from cms.database.renaming import finish_rename, start_rename, undo_finish_rename, undo_start_rename
from cms.database.steps import Steps, block
from cms.words import counted

__all__ = [
    "add_filled_column",
    "backfill",
    "change_type",
    "create_check_constraint",
    "create_foreign_key",
    "create_index",
    "create_unique_constraint",
    "drop_column",
    "drop_constraint",
    "drop_index",
    "drop_not_null",
    "finish_rename",
    "refuse_longer_than",
    "refuse_rows",
    "set_not_null",
    "start_rename",
    "undo_finish_rename",
    "undo_start_rename",
]


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


def refuse_rows(table: str, condition: str) -> None:
    """Stop a downgrade that the rows which meet a condition, in SQL, would not survive.

    Reads the table once; shows nothing in ``--sql`` mode. Raises IrreversibleMigration that counts them.
    """
    if op.get_context().as_sql:
        return
    query = sa.select(sa.func.count()).select_from(sa.table(table)).where(sa.text(condition))
    if count := op.get_bind().execute(query).scalar_one():
        raise IrreversibleMigration(
            f"the older schema cannot hold {counted(count, 'row')} of {table}",
            why=f"these have {condition}",
            hint="change them, or restore a backup from before; this revision was rolled back",
        )
