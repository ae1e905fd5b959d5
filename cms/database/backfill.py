"""Change the values of many rows in small batches, in the order of the key, while others write."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from alembic import op

from cms.database.parts import analyze
from cms.database.progress import EVERY_S
from cms.database.steps import Steps, block

# Whoever writes a row of a batch waits until the batch is committed, so a batch is to take about this long.
AIM_S = 0.025
FIRST, FEWEST, MOST = 100, 50, 10_000
PAUSE_S = 0.02
DONE = "done"
STEP = "batches"


@block
def backfill(
    table: str, values: Mapping[str, Any], *, where: str, pause_s: float = PAUSE_S
) -> None:  # Any: of any type
    """Give columns a value in all rows that meet a condition.

    values: column → value, or ``sa.text`` for SQL. where: SQL; false for a row that is done, since a batch may come
    twice. Rows that others write meanwhile must get their value by a default, a trigger or the code.
    """
    steps = Steps.of(f"fill {table} ({', '.join(values)})")
    fill(steps, table, values, where, pause_s=pause_s)
    analyze(steps, table)


def fill(
    steps: Steps,
    table: str,
    values: Mapping[str, Any],
    where: str,
    *,
    pause_s: float = PAUSE_S,  # Any: of any type
) -> None:
    """Do so; how far it is is stored with each batch, so that it goes on from there."""
    connection = op.get_bind()
    keys = [] if op.get_context().as_sql else list_keys(connection, table)
    rows = sa.table(table, *keys, *map(sa.column, values))
    change = rows.update().where(sa.text(where)).values(dict(values))
    if op.get_context().as_sql:  # nothing can be read, so one statement says it all
        op.execute(change)
        return
    kept = steps.read(STEP) or {"rows": 0, "after": None}
    if kept == DONE:
        return
    count, after, size = kept["rows"], cast(keys, kept["after"]), FIRST
    total, told_at = estimate_rows(connection, table), time.monotonic()
    while True:
        began = time.monotonic()
        last = connection.execute(
            sa.select(*keys).where(*beyond(keys, after)).order_by(*keys).offset(size - 1).limit(1)
        )
        upto = last.tuples().first()
        connection.execute(change.where(*beyond(keys, after), *within(keys, upto)))
        if upto is None:
            steps.keep(STEP, DONE)
            return
        count, after = count + size, upto
        steps.keep(STEP, {"rows": count, "after": [str(value) for value in upto]})
        size = fit(size, time.monotonic() - began)
        if time.monotonic() - told_at > EVERY_S:
            steps.say(f"filling {table} ({', '.join(values)}): {count:,} of about {total:,} rows")
            told_at = time.monotonic()
        if steps.live:
            time.sleep(pause_s)


def fit(size: int, took_s: float) -> int:
    """Return how many rows the next batch has, so that it takes about as long as is bearable."""
    return round(min(max(size * min(AIM_S / took_s, 2), FEWEST), MOST))


def list_keys(connection: sa.Connection, table: str) -> list[sa.ColumnClause[Any]]:
    inspector = sa.inspect(connection)
    types = {column["name"]: column["type"] for column in inspector.get_columns(table)}
    return [sa.column(name, types[name]) for name in inspector.get_pk_constraint(table)["constrained_columns"]]


def cast(keys: Sequence[sa.ColumnClause[Any]], texts: Sequence[str] | None) -> Sequence[Any] | None:
    """Return the key that was kept as texts."""
    if texts is None:
        return None
    return [sa.cast(sa.literal(text, sa.String), key.type) for key, text in zip(keys, texts, strict=True)]


def beyond(keys: Sequence[sa.ColumnClause[Any]], after: Sequence[Any] | None) -> list[sa.ColumnElement[bool]]:
    return [] if after is None else [sa.tuple_(*keys) > values_of(keys, after)]


def within(keys: Sequence[sa.ColumnClause[Any]], upto: Sequence[Any] | None) -> list[sa.ColumnElement[bool]]:
    return [] if upto is None else [sa.tuple_(*keys) <= values_of(keys, upto)]


def values_of(keys: Sequence[sa.ColumnClause[Any]], values: Sequence[Any]) -> sa.Tuple:
    given = zip(keys, values, strict=True)
    return sa.tuple_(*(value if isinstance(value, sa.Cast) else sa.literal(value, key.type) for key, value in given))


def estimate_rows(connection: sa.Connection, table: str) -> int:
    """Return about how many rows a table has: what the server believes, since counting would read it all."""
    if connection.dialect.name == "postgresql":
        query = sa.text("SELECT greatest(reltuples, 0)::bigint FROM pg_class WHERE oid = to_regclass(:name)")
        name = connection.dialect.identifier_preparer.quote(table)
        return int(connection.execute(query, {"name": name}).scalar_one())
    return int(connection.execute(sa.select(sa.func.count()).select_from(sa.table(table))).scalar_one())
