"""Rules that the statements of an upgrade answer."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

from cms.database.lint.findings import Remark
from cms.database.lint.trial import Trial
from cms.database.recording import BLOCK, Statement

TABLE = r'(?:IF (?:NOT )?EXISTS |ONLY )*"?(\w+)"?'
TOUCHES = re.compile(
    rf"(?:(?:CREATE|ALTER|DROP) TABLE|CREATE (?:UNIQUE )?INDEX (?:CONCURRENTLY )?(?:IF NOT EXISTS )?\S+ ON) {TABLE}",
    re.IGNORECASE,
)
DROPS = re.compile(
    rf"(?:(?P<whole>DROP TABLE|TRUNCATE(?: TABLE)?)|ALTER TABLE) {TABLE}"
    r'(?:(?:.*,)? DROP (?!CONSTRAINT)(?:COLUMN )?(?:IF EXISTS )?"?(?P<column>\w+))?',
    re.IGNORECASE,
)
COPIES = re.compile(r'(?:INSERT INTO .* SELECT|CREATE TABLE .* AS|UPDATE) .*\bFROM "?(\w+)', re.IGNORECASE)
CHANGES_SCHEMA = re.compile(r"(?:CREATE|ALTER|DROP|TRUNCATE|COMMENT ON|RENAME)\b", re.IGNORECASE)
CHANGES_ROWS = re.compile(rf"(?:WITH .*?\)\s*)?(?:UPDATE|DELETE FROM|INSERT INTO) {TABLE}", re.IGNORECASE)
NEW_COLUMN = re.compile(
    rf"ALTER TABLE {TABLE} ADD (?!CONSTRAINT|CHECK|UNIQUE|PRIMARY|FOREIGN|EXCLUDE)"
    r'(?:COLUMN )?(?:IF NOT EXISTS )?"?(\w+)"? (.*)',
    re.IGNORECASE,
)
FILLED = re.compile("DEFAULT|GENERATED|SERIAL", re.IGNORECASE)
OF_ALEMBIC = "_alembic_tmp_"

PATTERNS = {
    "concurrently-if-not-exists": (
        "CREATE (?:UNIQUE )?INDEX CONCURRENTLY IF NOT EXISTS",
        "it takes what a failed build left for the index",
    ),
    "transaction-control": (
        r"(?:BEGIN|COMMIT|ROLLBACK|START TRANSACTION|END|SAVEPOINT|RELEASE)\b(?!.*autocommit block)",
        "it begins or ends a transaction by itself",
    ),
    "session-setting": ("SET (?!LOCAL|CONSTRAINTS)|RESET ", "it changes a setting for all revisions after it"),
    "hidden-code": (r"DO\b|CREATE (?:OR REPLACE )?(?:FUNCTION|PROCEDURE)", "what its code does cannot be judged"),
    "native-enum": (r"CREATE TYPE .* AS ENUM|ALTER TYPE \S+ ADD VALUE", "it makes or extends an enum type"),
    "json-column": (r"(?:CREATE|ALTER) TABLE .*\sJSON\b", "a column is json and not jsonb"),
    "table-lock": (
        (
            r"LOCK TABLE|VACUUM\b.*\bFULL|CLUSTER\b|REFRESH MATERIALIZED VIEW (?!CONCURRENTLY)|TRUNCATE\b"
            r"|ALTER TABLE .* (?:SET (?:TABLESPACE|LOGGED|UNLOGGED)|ADD (?:CONSTRAINT \S+ )?EXCLUDE)"
        ),
        "it locks the whole table for as long as it takes",
    ),
}
"""rule → how its statement begins on PostgreSQL, and what is wrong with that."""


def judge_statements(said: Sequence[Statement]) -> Iterator[Remark]:
    """Yield what is wrong with the statements of an upgrade on PostgreSQL."""
    for statement in said:
        for rule, (pattern, what) in PATTERNS.items():
            if re.match(pattern, statement.in_one_line, re.IGNORECASE):
                yield Remark(rule, statement.line, what)
    created = {
        name
        for statement in said
        for name in re.findall(rf"CREATE TABLE {TABLE}", statement.in_one_line, re.IGNORECASE)
    }
    yield from judge_blocks(said)
    yield from judge_drops(said, created)
    yield from judge_new_columns(said, created)
    yield from judge_purpose(said, created)


def judge_blocks(said: Sequence[Statement]) -> Iterator[Remark]:
    """Look at what stands inside and outside of autocommit blocks."""
    inside, blocks, others = False, 0, 0
    for statement in said:
        if statement.sql.endswith(BLOCK):
            inside = statement.sql.startswith("COMMIT")
            blocks += inside
            continue
        others += 1
        if "CONCURRENTLY" in statement.sql.upper() and not inside:
            yield Remark("concurrently-in-transaction", statement.line, "CONCURRENTLY cannot run in a transaction")
    if blocks and others > 1:
        what = f"it runs outside of a transaction, and is one of {others} statements"
        yield Remark("autocommit-not-alone", first_block(said), what)


def first_block(said: Iterable[Statement]) -> int:
    return next(statement.line for statement in said if statement.sql.endswith(BLOCK))


def judge_drops(said: Sequence[Statement], created: set[str]) -> Iterator[Remark]:
    safe = set(created)
    for statement in said:
        if copy := COPIES.match(statement.in_one_line):
            safe.add(copy[1])
        drop = DROPS.match(statement.in_one_line)
        if drop is None or drop[2] in safe or not (drop["whole"] or drop["column"]):
            continue
        name = f"{drop[2]}.{drop['column']}" if drop["column"] else drop[2]
        yield Remark("drop-without-copy", statement.line, f"what is in {name} is lost", names=drop["column"])


def judge_new_columns(said: Sequence[Statement], created: set[str]) -> Iterator[Remark]:
    for statement in said:
        new = NEW_COLUMN.match(statement.in_one_line)
        if new and new[1] not in created and "NOT NULL" in new[3].upper() and not FILLED.search(new[3]):
            what = f"{new[1]}.{new[2]} is required, and the rows that are there have no value"
            yield Remark("required-without-default", statement.line, what, names=new[2])


def judge_purpose(said: Sequence[Statement], created: set[str]) -> Iterator[Remark]:
    """Look whether the tables that change need each other: one is new, and a foreign key connects them."""
    lines: dict[str, int] = {}
    for statement in said:
        if touch := TOUCHES.match(statement.in_one_line):
            lines.setdefault(touch[1], statement.line)
    links = list_links(said, created)
    groups: list[set[str]] = []
    for table in lines:
        near = [group for group in groups if any({table, other} in links for other in group)]
        groups = [group for group in groups if group not in near] + [{table}.union(*near)]
    if len(groups) > 1:
        what = f"it changes {', '.join(sorted(lines))}, which do not need each other"
        yield Remark("more-than-one-thing", max(lines.values()), what)


def list_links(said: Sequence[Statement], created: set[str]) -> list[set[str]]:
    """Return the pairs of tables that a new foreign key connects, at least one of them new."""
    pairs = []
    for statement in said:
        if touch := TOUCHES.match(statement.in_one_line):
            parents = re.findall(r'REFERENCES "?(\w+)', statement.in_one_line, re.IGNORECASE)
            pairs += [{touch[1], parent} for parent in parents if {touch[1], parent} & created]
    return pairs


def judge_rows(trial: Trial, row_changes: Sequence[int]) -> Iterator[Remark]:
    """Look at changes of rows: apart from the schema, and in batches.

    row_changes: the lines of the file that change rows; a run in an empty place does not reach those in a loop.
    """
    changes_schema = any(CHANGES_SCHEMA.match(each.in_one_line) for each in trial.up)
    found = [(statement, CHANGES_ROWS.match(statement.in_one_line)) for statement in trial.up]
    changes = [(statement, match[1]) for statement, match in found if match and OF_ALEMBIC not in statement.sql]
    lines = [*row_changes, *(statement.line for statement, _ in changes)]
    if changes_schema and lines:
        yield Remark("schema-and-data", min(lines), "it changes the schema and rows")
    for statement, table in changes:
        if is_unbatched(statement.in_one_line, trial.before.primary.get(table, ())):
            yield Remark("unbatched-data", statement.line, f"one statement changes all its rows of {table} at once")


def is_unbatched(sql: str, key: tuple[str, ...]) -> bool:
    """Return whether nothing limits how many old rows a statement writes: no LIMIT, no key, no list of values."""
    if sql.upper().startswith("INSERT") and " SELECT " not in sql.upper():
        return False
    by_key = len(key) == 1 and re.search(rf'WHERE (?:\S+\.)?"?{key[0]}"? (?:=|IN \((?!SELECT))', sql, re.IGNORECASE)
    return not by_key and " LIMIT " not in sql.upper()
