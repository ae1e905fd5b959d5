"""What a revision does to the people who use the site meanwhile, in plain words."""

from __future__ import annotations

import re
from collections.abc import Sequence

from cms.database.lint.shapes import is_only_widened
from cms.database.lint.statements import CHANGES_ROWS, DROPS, OF_ALEMBIC, TABLE, TOUCHES
from cms.database.lint.trial import Trial
from cms.database.recording import Statement

INDEX = re.compile(rf"CREATE (?:UNIQUE )?INDEX (CONCURRENTLY )?(?:IF NOT EXISTS )?\S+ ON {TABLE}", re.IGNORECASE)
REBUILT = re.compile(rf'CREATE TABLE "?{OF_ALEMBIC}(\w+)', re.IGNORECASE)
NEW = re.compile(rf"CREATE TABLE {TABLE}", re.IGNORECASE)
READS_ALL = re.compile(
    r"ALTER TABLE .* (?:ADD (?:CONSTRAINT \S+ )?(?:UNIQUE|PRIMARY KEY|CHECK|FOREIGN KEY|EXCLUDE)(?!.*NOT VALID)"
    r"|ALTER COLUMN \S+ (?:TYPE|SET NOT NULL)|VALIDATE CONSTRAINT)",
    re.IGNORECASE,
)
NOTHING = "changes nothing in the schema that anybody would wait for"


def describe_risk(said: Sequence[Statement], trial: Trial | None) -> str:
    """Return what the statements of an upgrade do and who waits, such as "makes notes; changes blogs, …"."""
    created = {found[1] for each in said if (found := NEW.match(each.in_one_line)) and OF_ALEMBIC not in each.sql}
    created |= {f"{OF_ALEMBIC}{found[1]}" for each in said if (found := REBUILT.match(each.in_one_line))}
    phrases = [phrase for each in said if (phrase := describe_statement(each.in_one_line, created, trial))]
    return "; ".join(dict.fromkeys(phrases)) or NOTHING


def describe_statement(sql: str, created: set[str], trial: Trial | None) -> str | None:
    """Return what one statement does; None for what others say too: an index on a new table, Alembic's own copy."""
    if found := REBUILT.match(sql):
        return f"rebuilds {found[1]}, and all other writers wait until that is done"
    if OF_ALEMBIC in sql or (trial and trial.engine == "sqlite" and is_swapped(sql, created)):
        return None
    if (found := DROPS.match(sql)) and (found["whole"] or found["column"]):
        return f"drops {found[2]}{'.' if found['column'] else ''}{found['column'] or ''} with what is in it"
    if found := CHANGES_ROWS.match(sql):
        return f"changes rows of {found[1]}"
    return describe_change(sql, created, trial)


def is_swapped(sql: str, created: set[str]) -> bool:
    """Return whether a statement drops the table that SQLite's rebuilt copy replaces, or makes its indexes again."""
    touch = TOUCHES.match(sql)
    return touch is not None and f"{OF_ALEMBIC}{touch[1]}" in created


def describe_change(sql: str, created: set[str], trial: Trial | None) -> str | None:
    touch = TOUCHES.match(sql)
    if touch is None:
        return None
    table = touch[1]
    if NEW.match(sql):
        return f"makes {table}"
    if table in created:
        return None
    if index := INDEX.match(sql):
        waits = "while others go on" if index[1] else "and its writers wait until that is done"
        return f"builds an index on {table}, {waits}"
    if READS_ALL.match(sql) and not is_only_widened(sql, trial):
        return f"reads or rewrites all of {table}, and its readers and writers wait until that is done"
    return f"changes {table}, and its readers and writers wait for a moment"
