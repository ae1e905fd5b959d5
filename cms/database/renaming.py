"""Give a column another name in two releases: both names are there between them, and a trigger keeps them in step.

The first revision adds the new name; the release with it may write either. Once no older one runs, the second takes the
old name away. Each column is given as the models know it: name, type, whether it may be empty, server default.
"""

# ruff: noqa: S608 - names are quoted, and what a revision says is trusted

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

from cms.database.backfill import fill
from cms.database.columns import default_of, drop_trigger, make_trigger, require
from cms.database.parts import analyze, on_sqlite, quote, rebuilt
from cms.database.steps import Steps, block

Column = sa.Column[Any]  # Any: of any type


@block
def start_rename(table: str, old: Column, new: Column) -> None:
    """Add the new name, fill it, and keep both in step. The new one may be empty until the rename is finished."""
    steps = Steps.of(f"{table}.{new.name} beside {old.name}")
    if on_sqlite():  # it looks at NOT NULL before a trigger can give the other name its value
        relax(table, old)
    keep_in_step(steps, table, (old, new), added=new, filled_from=old)


@block
def undo_start_rename(table: str, old: Column, new: Column) -> None:
    """Take the new name away; what was written by it is under the old one too."""
    steps = Steps.of(f"only {table}.{old.name}")
    if on_sqlite():
        drop_sqlite_triggers(table, old, new)
        with rebuilt(table) as batch:
            batch.alter_column(old.name, nullable=old.nullable)
            batch.drop_column(new.name)
        return
    steps.once("drop", lambda: drop_one(table, old, new, dropped=new))


@block
def finish_rename(table: str, old: Column, new: Column) -> None:
    """Take the old name away; the new one becomes as required, and gets the default, that the models say."""
    if on_sqlite():
        drop_sqlite_triggers(table, old, new)
        with rebuilt(table) as batch:
            batch.alter_column(new.name, nullable=new.nullable, server_default=default_of(new))
            batch.drop_column(old.name)
        return
    steps = Steps.of(f"only {table}.{new.name}")
    if not new.nullable:
        require(steps, table, new.name)

    def finish() -> None:
        op.alter_column(table, new.name, server_default=default_of(new))
        drop_one(table, old, new, dropped=old)

    steps.once("drop", finish)


@block
def undo_finish_rename(table: str, old: Column, new: Column) -> None:
    """Add the old name again, fill it, and keep both in step."""
    steps = Steps.of(f"{table}.{old.name} beside {new.name}")
    if on_sqlite():
        relax(table, new, default=None)
        keep_in_step(steps, table, (old, new), added=old, filled_from=new)
        with rebuilt(table) as batch:
            batch.alter_column(old.name, server_default=default_of(old))
        return
    keep_in_step(steps, table, (old, new), added=old, filled_from=new)
    if not old.nullable:
        require(steps, table, old.name)

    def relax_new() -> None:
        op.alter_column(table, old.name, server_default=default_of(old))
        op.alter_column(table, new.name, nullable=True, server_default=None)

    steps.once("let the new name be empty", relax_new)


def relax(table: str, column: Column, **more: Any) -> None:  # Any: what batch.alter_column takes
    with rebuilt(table) as batch:
        batch.alter_column(column.name, nullable=True, **{f"server_{name}": value for name, value in more.items()})


def keep_in_step(steps: Steps, table: str, pair: tuple[Column, Column], *, added: Column, filled_from: Column) -> None:
    def add() -> None:
        op.add_column(table, sa.Column(added.name, added.type))
        if not on_sqlite():
            make_trigger(table, trigger_name(table, *pair), postgresql_body(*(quote(each.name) for each in pair)))

    steps.once("add", add)
    differs = f"{quote(added.name)} IS {'NOT' if on_sqlite() else 'DISTINCT FROM'} {quote(filled_from.name)}"
    fill(steps, table, {added.name: sa.text(quote(filled_from.name))}, differs)
    analyze(steps, table)
    for name, what in sqlite_triggers(table, *pair).items() if on_sqlite() else ():
        op.execute(f"CREATE TRIGGER {quote(name)} {what}")


def trigger_name(table: str, old: Column, new: Column) -> str:
    return f"{table}_{old.name}_{new.name}"[:63]


def postgresql_body(old: str, new: str) -> str:
    return f"""
    IF TG_OP = 'INSERT' THEN
        IF NEW.{new} IS NULL THEN NEW.{new} := NEW.{old}; ELSE NEW.{old} := NEW.{new}; END IF;
    ELSIF NEW.{new} IS DISTINCT FROM OLD.{new} THEN NEW.{old} := NEW.{new};
    ELSIF NEW.{old} IS DISTINCT FROM OLD.{old} THEN NEW.{new} := NEW.{old};
    END IF;"""


def sqlite_triggers(table: str, old: Column, new: Column) -> dict[str, str]:
    """Return what follows CREATE TRIGGER, by name. A trigger that sets what is so already sets off no other."""
    name, on = trigger_name(table, old, new), quote(table)
    first, second = quote(old.name), quote(new.name)
    this = "WHERE rowid = NEW.rowid"
    return {
        f"{name}_insert": f"AFTER INSERT ON {on} BEGIN "
        f"UPDATE {on} SET {second} = coalesce({second}, {first}), {first} = coalesce({second}, {first}) {this}; END",
        f"{name}_old": f"AFTER UPDATE OF {first} ON {on} WHEN NEW.{first} IS NOT OLD.{first} "
        f"AND NEW.{second} IS OLD.{second} BEGIN UPDATE {on} SET {second} = NEW.{first} {this}; END",
        f"{name}_new": f"AFTER UPDATE OF {second} ON {on} WHEN NEW.{second} IS NOT OLD.{second} "
        f"AND NEW.{first} IS NOT NEW.{second} BEGIN UPDATE {on} SET {first} = NEW.{second} {this}; END",
    }


def drop_sqlite_triggers(table: str, old: Column, new: Column) -> None:
    for name in sqlite_triggers(table, old, new):
        op.execute(f"DROP TRIGGER {quote(name)}")


def drop_one(table: str, old: Column, new: Column, *, dropped: Column) -> None:
    drop_trigger(table, trigger_name(table, old, new))
    op.drop_column(table, dropped.name)
