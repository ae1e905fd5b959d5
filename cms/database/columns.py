"""Building blocks that change columns: required ones, filled ones, other types, other names."""

# ruff: noqa: S608 - names are quoted, and what a revision says is trusted

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from alembic import op

from cms.database.backfill import fill
from cms.database.errors import MigrationFailed
from cms.database.parts import add_not_null_check, analyze, build_index, not_null_check, on_sqlite, quote, rebuilt
from cms.database.steps import Steps, block

LONGEST_NAME = 63


@block
def set_not_null(table: str, column: str) -> None:
    """Require a value in each row; fails where one is missing. All rows are read while others write."""
    if on_sqlite():
        with rebuilt(table) as batch:
            batch.alter_column(column, nullable=False)
        return
    require(Steps.of(f"{table}.{column} not null"), table, column)


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


@block
def add_filled_column(table: str, column: sa.Column[Any]) -> None:  # Any: of any type
    """Add a column whose server default gives each row another value, which would write the table anew under a lock.

    A default that is the same for all rows needs no block: ``op.add_column`` takes a moment.
    """
    if on_sqlite():
        with rebuilt(table, always=True) as batch:
            batch.add_column(column)
        return
    steps = Steps.of(f"{table}.{column.name}")
    default = default_of(column)

    def add() -> None:
        op.add_column(table, sa.Column(column.name, column.type))
        op.alter_column(table, column.name, server_default=default)

    steps.once("add", add)
    fill(steps, table, {column.name: default}, f"{quote(column.name)} IS NULL")
    if not column.nullable:
        require(steps, table, column.name)
    analyze(steps, table)


def default_of(column: sa.Column[Any]) -> Any:  # Any: a text, or an expression
    """Return what a column's server default is: an expression, or a text."""
    return getattr(column.server_default, "arg", None)


def require(steps: Steps, table: str, column: str) -> None:
    """Set a column NOT NULL by way of a check that is validated while others write."""
    add_not_null_check(steps, table, column)
    steps.once("set not null", lambda: set_validated_not_null(table, column))


def set_validated_not_null(table: str, column: str) -> None:
    op.alter_column(table, column, nullable=False)
    op.execute(f"ALTER TABLE {quote(table)} DROP CONSTRAINT {quote(not_null_check(table, column))}")


@dataclass(frozen=True)
class Retyping:
    """A column that gets another type by way of a second one, and what of the first one the second one needs.

    indexes: name, columns, whether unique, of each index that has the column.
    """

    table: str
    column: str
    not_null: bool
    default: str | None
    indexes: list[tuple[str, list[str], bool]]

    @property
    def new(self) -> str:
        return beside(self.column)

    @property
    def trigger(self) -> str:
        return beside(f"{self.table}_{self.column}")


def beside(name: str) -> str:
    """Return the name of what stands in for the thing of this name until it is swapped in."""
    return f"{name[: LONGEST_NAME - 5]}_next"


@block
def change_type(table: str, column: str, type_: sa.types.TypeEngine[Any], *, using: str | None = None) -> None:
    """Give a column another type: a second one is kept in step by a trigger, filled, and swapped in.

    using: the new value in SQL [default: the old one, cast]; SQLite always casts. Plain indexes on the column are built
    for the new one. Raises MigrationFailed for anything else that depends on the column.
    """
    if on_sqlite():
        with rebuilt(table) as batch:
            batch.alter_column(column, type_=type_)
        return
    steps = Steps.of(f"{table}.{column} of another type")
    kept = steps.read("plan")
    change = Retyping(*kept) if kept else plan_retyping(table, column)
    steps.keep("plan", list(vars(change).values()))
    value = using or f"CAST({quote(column)} AS {type_.compile(op.get_context().dialect)})"
    steps.once("add", lambda: add_second(change, type_, value))
    fill(steps, table, {change.new: sa.text(value)}, f"{quote(change.new)} IS DISTINCT FROM ({value})")
    for name, columns, unique in change.indexes:
        renamed = [change.new if each == column else each for each in columns]
        build_index(steps, beside(name), table, renamed, unique=unique)
    if change.not_null:
        add_not_null_check(steps, table, change.new)
    steps.once("swap", lambda: swap(change))
    analyze(steps, table)


def plan_retyping(table: str, column: str) -> Retyping:
    """Look what depends on a column. Raises MigrationFailed for what cannot be made again."""
    about = {"table": quote(table), "column": column}
    indexes = [(name, list(columns), unique) for name, columns, unique in op.get_bind().execute(PLAIN_INDEXES, about)]
    not_null, default = op.get_bind().execute(COLUMN, about).one()
    others = op.get_bind().execute(OTHERS, {**about, "indexes": [name for name, *_ in indexes]}).scalars().all()
    if others:
        raise MigrationFailed(
            f"{table}.{column} cannot change its type while others depend on it",
            why=", ".join(others),
            hint="take them away in a revision before, and make them again in one after; nothing was changed",
        )
    return Retyping(table, column, not_null, default, indexes)


COLUMN = sa.text(
    """SELECT a.attnotnull, pg_get_expr(d.adbin, d.adrelid)
       FROM pg_attribute a LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
       WHERE a.attrelid = to_regclass(:table) AND a.attname = :column"""
)
PLAIN_INDEXES = sa.text(
    """SELECT x.relname, array_agg(a.attname::text ORDER BY k.place), i.indisunique
       FROM pg_index i JOIN pg_class x ON x.oid = i.indexrelid JOIN pg_am m ON m.oid = x.relam,
            unnest(i.indkey) WITH ORDINALITY k(attnum, place)
       JOIN pg_attribute a ON a.attrelid = to_regclass(:table) AND a.attnum = k.attnum
       WHERE i.indrelid = to_regclass(:table) AND m.amname = 'btree' AND i.indexprs IS NULL AND i.indpred IS NULL
         AND NOT 0 < ANY (i.indoption) AND i.indnkeyatts = i.indnatts AND NOT i.indnullsnotdistinct
         AND NOT EXISTS (SELECT 1 FROM pg_constraint c WHERE c.conindid = i.indexrelid)
         AND (SELECT attnum FROM pg_attribute WHERE attrelid = i.indrelid AND attname = :column) = ANY (i.indkey)
       GROUP BY x.relname, i.indisunique ORDER BY x.relname"""
)
OTHERS = sa.text(
    """SELECT DISTINCT pg_describe_object(d.classid, d.objid, d.objsubid)
       FROM pg_depend d JOIN pg_attribute a ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid
       WHERE d.refclassid = 'pg_class'::regclass AND d.refobjid = to_regclass(:table) AND a.attname = :column
         AND d.classid <> 'pg_attrdef'::regclass
         AND NOT EXISTS (SELECT 1 FROM pg_class x WHERE d.classid = 'pg_class'::regclass AND x.oid = d.objid
                         AND x.relkind = 'i' AND x.relname = ANY (:indexes))
         AND NOT EXISTS (SELECT 1 FROM pg_constraint c WHERE d.classid = 'pg_constraint'::regclass AND c.oid = d.objid
                         AND c.contype = 'n')
       UNION SELECT 'rights on the column' FROM pg_attribute
       WHERE attrelid = to_regclass(:table) AND attname = :column AND attacl IS NOT NULL
       ORDER BY 1"""
)
COMMENT = sa.text(
    "SELECT col_description(attrelid, attnum) FROM pg_attribute "
    "WHERE attrelid = to_regclass(:table) AND attname = :column"
)


def add_second(change: Retyping, type_: sa.types.TypeEngine[Any], value: str) -> None:
    op.add_column(change.table, sa.Column(change.new, type_))
    make_trigger(
        change.table,
        change.trigger,
        f"NEW.{quote(change.new)} := (SELECT {value} FROM (SELECT NEW.{quote(change.column)}) AS given "
        f"({quote(change.column)}));",
    )


def make_trigger(table: str, name: str, body: str) -> None:
    """Let the server do something with each row before it is written."""
    op.execute(
        f"CREATE FUNCTION {quote(name)}() RETURNS trigger LANGUAGE plpgsql AS "
        f"$body$ BEGIN {body} RETURN NEW; END $body$"
    )
    op.execute(
        f"CREATE TRIGGER {quote(name)} BEFORE INSERT OR UPDATE ON {quote(table)} "
        f"FOR EACH ROW EXECUTE FUNCTION {quote(name)}()"
    )


def drop_trigger(table: str, name: str) -> None:
    op.execute(f"DROP TRIGGER {quote(name)} ON {quote(table)}")
    op.execute(f"DROP FUNCTION {quote(name)}()")


def swap(change: Retyping) -> None:
    """Put the second column in the place of the first: only the catalog changes."""
    drop_trigger(change.table, change.trigger)
    if change.default is not None:
        op.alter_column(change.table, change.new, server_default=sa.text(change.default))
    if change.not_null:
        set_validated_not_null(change.table, change.new)
    comment = op.get_bind().execute(COMMENT, {"table": quote(change.table), "column": change.column}).scalar()
    op.drop_column(change.table, change.column)
    op.alter_column(change.table, change.new, new_column_name=change.column, comment=comment)
    for name, _, _ in change.indexes:
        op.execute(f"ALTER INDEX {quote(beside(name))} RENAME TO {quote(name)}")
