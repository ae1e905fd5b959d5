"""SQLite's statements that make what differs equal to a revision's schema: indexes, and tables built anew.

SQLite changes neither a default nor a constraint of a table that is there. Source: its own procedure for that,
"Making other kinds of table schema changes" under ALTER TABLE.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import sqlalchemy as sa

from cms.database.catalog_sqlite import CONSTRAINTS, quote
from cms.database.facts import Fact
from cms.database.sqltext import CLOSE_TO_THE_LAST, inside, name_of, split_list, tokens, written

BEING_BUILT = "_cms_align_{}"


def rebuild(
    live: sa.Connection, model: sa.Connection, missing: Sequence[Fact], replaced: Sequence[Fact]
) -> Iterator[str]:
    """Yield the statements. model: a database at the revision, whose tables are the pattern."""
    tables = sorted({fact.table for fact in (*missing, *replaced) if fact.kind != "index"})
    going = {fact.name for fact in replaced if fact.kind == "index"}
    for name in sorted(going):
        yield f"DROP INDEX {quote(name)}"
    if tables:
        yield "PRAGMA legacy_alter_table = ON"  # a view of the table would not let it be renamed
        for table in tables:
            yield from rebuild_table(live, model, table, going)
        yield "PRAGMA legacy_alter_table = OFF"
    for fact in missing:
        if fact.kind == "index":
            yield f"CREATE INDEX {quote(fact.name)} ON {quote(fact.table)} {fact.definition}"


def rebuild_table(live: sa.Connection, model: sa.Connection, table: str, going: set[str]) -> Iterator[str]:
    new = quote(BEING_BUILT.format(table))
    yield f"CREATE TABLE {new} {merged(sql_of(model, table), sql_of(live, table))}"
    names = ", ".join(quote(name) for name in stored_columns(live, table))
    yield f"INSERT INTO {new} ({names}) SELECT {names} FROM {quote(table)}"  # noqa: S608 - names are quoted
    yield f"DROP TABLE {quote(table)}"
    yield f"ALTER TABLE {new} RENAME TO {quote(table)}"
    things = "SELECT name, sql FROM sqlite_master WHERE lower(tbl_name) = ? AND type IN ('index', 'trigger')"
    for name, sql in live.exec_driver_sql(things, (table,)):
        if sql and name.lower() not in going:
            yield sql


def sql_of(connection: sa.Connection, table: str) -> str:
    query = "SELECT sql FROM sqlite_master WHERE type = 'table' AND lower(name) = ?"
    return str(connection.exec_driver_sql(query, (table,)).scalar_one())


def stored_columns(connection: sa.Connection, table: str) -> list[str]:
    """Return the names of the columns that are not computed."""
    columns = connection.exec_driver_sql(f"PRAGMA table_xinfo({quote(table)})")
    return [name for _, name, _, _, _, _, hidden in columns if not hidden]


def merged(planned: str, live: str) -> str:
    """Return the body of the planned table, with the columns that only the live one has and what is said of those."""
    pattern, there = tokens(planned), tokens(live)
    body = inside(pattern, pattern.index("("))
    options = pattern[pattern.index("(") + len(body) + 2 :]
    columns, rules = split_items(body)
    own_columns, own_rules = split_items(inside(there, there.index("(")))
    extra = {name: item for name, item in own_columns.items() if name not in columns}
    rules += [rule for rule in own_rules if extra.keys() & {name_of(token) for token in rule}]
    items = [*columns.values(), *extra.values(), *rules]
    # SQLAlchemy reads "CHAR (32)", with a space, as a type that it does not know.
    texts = [written(item, close_to_the_last=CLOSE_TO_THE_LAST | {"("}) for item in items]
    return f"({', '.join(texts)}) {' '.join(options)}".strip()


def split_items(body: Sequence[str]) -> tuple[dict[str, list[str]], list[list[str]]]:
    """Return what stands between a table's parentheses: columns by name, and rules of the table."""
    items = list(split_list(body))
    columns = {name_of(item[0]): item for item in items if item[0].lower() not in CONSTRAINTS}
    return columns, [item for item in items if item[0].lower() in CONSTRAINTS]
