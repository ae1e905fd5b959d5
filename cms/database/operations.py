"""Safe building blocks for revision files."""

from __future__ import annotations

from collections.abc import Mapping

import sqlalchemy as sa
from alembic import op

from cms.database.errors import IrreversibleMigration


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
