"""Rules that the schema before, after, and after going back answers."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from sqlalchemy import types
from sqlalchemy.types import TypeEngine

from cms.database.lint.catalog import ForeignKey
from cms.database.lint.findings import Remark
from cms.database.lint.source import Source
from cms.database.lint.trial import Trial
from cms.database.recording import Statement
from cms.words import counted

SHOWN = 3
TYPE_CHANGE = re.compile(r'ALTER TABLE "?(\w+)"? ALTER COLUMN "?(\w+)"? TYPE', re.IGNORECASE)
REQUIRING = {"set_not_null", "undo_start_rename", "undo_finish_rename"}
"""Building blocks that look at the rows, or keep a value in each, before they require it."""
STEP_RULES = {"upgrade": "does-not-run", "downgrade": "downgrade-fails", "upgrade again": "upgrade-again-differs"}


def judge_trial(trial: Trial, source: Source) -> Iterator[Remark]:
    """Yield what the run itself showed."""
    if trial.failure:
        what = f"{trial.failure.step} fails on {trial.engine}: {trial.failure.why}"
        yield Remark(STEP_RULES[trial.failure.step], trial.failure.line, what)
    differences = [f"missing {fact}" for fact in trial.lost] + [f"extra {fact}" for fact in trial.left]
    if differences:
        shown = "; ".join(differences[:SHOWN])
        what = f"downgrade on {trial.engine} leaves {counted(len(differences), 'difference')}: {shown}"
        yield Remark("downgrade-differs", source.line_of("downgrade"), what)
    if trial.again:
        what = f"a second upgrade on {trial.engine} makes something else: {'; '.join(trial.again[:SHOWN])}"
        yield Remark("upgrade-again-differs", source.line_of("downgrade"), what)
    yield from judge_keys(trial)
    yield from judge_narrowing(trial, source)


def new_keys(trial: Trial) -> list[ForeignKey]:
    return sorted(trial.after.keys - trial.before.keys, key=lambda key: (key.table, key.columns))


def judge_keys(trial: Trial) -> Iterator[Remark]:
    for key in new_keys(trial):
        columns = ", ".join(key.columns)
        line, column = line_of_column(trial.up, key.table, key.columns[0]), key.columns[0]
        if key.ondelete in {None, "NO ACTION"}:
            what = f"{key.table}.{columns} refers to {key.parent} and does not say what a delete there does"
            yield Remark("foreign-key-without-ondelete", line, what, names=column)
        if not any(names[: len(key.columns)] == key.columns for names in trial.after.prefixes[key.table]):
            what = f"no index begins with {columns} of {key.table}: each delete in {key.parent} reads the whole table"
            yield Remark("foreign-key-without-index", line, what, names=column)


def line_of_column(said: tuple[Statement, ...], table: str, column: str) -> int:
    """Return the line of the first statement that speaks of both."""
    for statement in said:
        words = set(re.findall(r"\w+", statement.sql))
        if table in words and column in words:
            return statement.line
    return 1


def judge_narrowing(trial: Trial, source: Source) -> Iterator[Remark]:
    """Look whether a downgrade makes columns hold less without having looked at the rows first."""
    if trial.irreversible or trial.failure:
        return
    for (table, name), old in trial.before.columns.items():
        new = trial.after.columns.get((table, name))
        required = (
            new is not None and old.required and not new.required and not source.calls_in("downgrade") & REQUIRING
        )
        if new is None or not (is_narrower(old.kind, new.kind) or required):
            continue
        looked = any(
            sql.sql.lstrip().upper().startswith("SELECT") and {table, name} <= set(re.findall(r"\w+", sql.sql))
            for sql in trial.down
        )
        if not looked:
            what = f"downgrade() makes {table}.{name} hold less than it may by then, and looks at no row first"
            yield Remark("narrowed-on-downgrade", source.line_of("downgrade"), what)


def is_narrower(one: TypeEngine[Any], other: TypeEngine[Any]) -> bool:
    """Return whether ``one`` holds less than ``other``: shorter texts, smaller whole numbers, fewer digits."""
    if isinstance(one, types.String) and isinstance(other, types.String):
        return one.length is not None and (other.length is None or one.length < other.length)
    if isinstance(one, types.Integer) and isinstance(other, types.Integer):
        return width(one) < width(other)
    if isinstance(one, types.Numeric) and isinstance(other, types.Numeric):
        return one.precision is not None and (other.precision is None or one.precision < other.precision)
    return False


def width(kind: types.Integer) -> int:
    """Return 0, 1 or 2 for a small, an ordinary and a big whole number; each class is a kind of Integer."""
    return 0 if isinstance(kind, types.SmallInteger) else 2 if isinstance(kind, types.BigInteger) else 1


def is_only_widened(sql: str, trial: Trial | None) -> bool:
    """Return whether a statement only makes a text longer or gives a number more digits: nothing is rewritten then."""
    change = TYPE_CHANGE.match(sql)
    if change is None or trial is None:
        return False
    old, new = (shape.columns.get((change[1], change[2])) for shape in (trial.before, trial.after))
    if old is None or new is None or isinstance(old.kind, types.Integer):
        return False
    same_scale = getattr(old.kind, "scale", None) == getattr(new.kind, "scale", None)
    return same_scale and is_narrower(old.kind, new.kind)
