"""The facts of a SQLite schema, from its pragmas, and from its SQL text for what no pragma tells."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator, Sequence
from decimal import Decimal
from typing import Any, cast

import sqlalchemy as sa

from cms.database.facts import Fact
from cms.database.sqltext import bare, condition, inside, name_of, outside, spelled, split_list, tokens

CONSTRAINTS = frozenset({"constraint", "primary", "unique", "check", "foreign"})
UNNAMED = {"check": "check", "unique": "unique", "foreign": "foreign key", "references": "foreign key"}
VIRTUAL, STORED = 2, 3
EXPRESSION = -2
# Each two are one to SQLite, which looks for parts of the name only.
OTHER_NAMES = {
    "CHARACTER VARYING": "VARCHAR", "INT": "INTEGER", "BOOL": "BOOLEAN", "DECIMAL": "NUMERIC", "TIMESTAMP": "DATETIME",
    "CLOB": "TEXT",
}  # fmt: skip
NUMERIC = re.compile("INT|BOOL|NUMERIC|DECIMAL|REAL|FLOA|DOUB", re.IGNORECASE)
NOW = {"current_timestamp", "datetime ('now')", "datetime ()"}


def sqlite_facts(connection: sa.Connection) -> Iterator[Fact]:
    """Yield the fact of every object. Names of constraints do not count: SQLite itself uses none."""
    catalog = connection.exec_driver_sql(
        "SELECT type, name, tbl_name, coalesce(sql, '') FROM sqlite_master WHERE name NOT LIKE 'sqlite\\_%' ESCAPE '\\'"
    )
    shadows = set(connection.exec_driver_sql("SELECT name FROM pragma_table_list WHERE type = 'shadow'").scalars())
    for kind, name, table, sql in catalog.all():
        if name in shadows:  # where a virtual table keeps its content
            continue
        parts = tokens(sql)
        if kind == "table":
            yield from table_facts(connection, name.lower(), parts)
        elif kind == "index":
            unique = "unique " if parts[1].lower() == "unique" else ""
            yield Fact(
                "index", table.lower(), name.lower(), f"{unique}{index_keys(connection, name, parts, table.lower())}"
            )
        else:
            text = spelled(parts).replace(" for each row ", " ", 1)  # there is no other kind of trigger
            yield Fact(kind, table.lower() if kind == "trigger" else "", name.lower(), text)


def table_facts(connection: sa.Connection, table: str, parts: Sequence[str]) -> Iterator[Fact]:
    if parts[1].lower() == "virtual":
        yield Fact("table", table, "", spelled(parts))
        return
    body = inside(parts, parts.index("("))
    yield Fact("table", table, "", spelled(sorted(parts[parts.index("(") + len(body) + 2 :])))
    items = list(split_list(body))
    of_columns = {name_of(item[0]): item[1:] for item in items if item[0].lower() not in CONSTRAINTS}
    yield from columns(connection, table, of_columns)
    yield from foreign_keys(connection, table)
    yield from unique_facts(connection, table)
    for item in items:
        for position, word in outside(item):
            if word == "check":
                yield check_fact(table, item, position)
        if item[0].lower() in CONSTRAINTS and (odd := oddities(item)):
            start = 2 if item[0].lower() == "constraint" else 0
            yield Fact("constraint", table, "", f"{spelled(item[start:])} behaves otherwise:{odd}")


def check_fact(table: str, item: Sequence[str], position: int) -> Fact:
    return Fact("constraint", table, "", f"check ({condition(inside(item, position + 1), table)})")


def unnamed_constraints(connection: sa.Connection) -> dict[Fact, set[str]]:
    """Return the fact of each CHECK, UNIQUE and foreign key without a name, with the columns of its table in it."""
    found: dict[Fact, set[str]] = {}
    for table, sql in connection.exec_driver_sql("SELECT lower(name), sql FROM sqlite_master WHERE type = 'table'"):
        parts = tokens(sql or "")
        if "(" not in parts or parts[1].lower() == "virtual":
            continue
        columns_of = {row[1].lower() for row in pragma(connection, "table_info", table)}
        known = [*unique_facts(connection, table), *foreign_keys(connection, table)]
        for item in split_list(inside(parts, parts.index("("))):
            for position, word in without_name(item):
                if word == "check":
                    words = inside(item, position + 1)
                    found[check_fact(table, item, position)] = columns_of.intersection(map(name_of, words))
                    continue
                words = inside(item, item.index("(", position)) if item[0].lower() in UNNAMED else item[:1]
                names = set(map(name_of, words))
                found |= {fact: names for fact in known if is_of(fact, UNNAMED[word], names)}
    return found


def without_name(item: Sequence[str]) -> Iterator[tuple[int, str]]:
    """Yield where in a column's or constraint's text a constraint without a name begins, and its first word."""
    for position, word in outside(item):
        named = position > 1 and item[position - 2].lower() == "constraint"
        within_key = word == "references" and item[0].lower() in CONSTRAINTS
        if word in UNNAMED and not named and not within_key:
            yield position, word


def is_of(fact: Fact, kind: str, columns_of: set[str]) -> bool:
    """Return whether a constraint is of this kind and of these columns."""
    start, _, rest = fact.definition.partition(" (")
    listed = {each.partition(" collate ")[0] for each in rest.partition(")")[0].split(", ")}
    return start == kind and listed == columns_of


def unique_facts(connection: sa.Connection, table: str) -> Iterator[Fact]:
    for _, name, _, origin, _ in pragma(connection, "index_list", table):
        if origin == "u":
            yield Fact("constraint", table, "", f"unique {index_keys(connection, name, ())}")


def columns(connection: sa.Connection, table: str, items: dict[str, list[str]]) -> Iterator[Fact]:
    rows = pragma(connection, "table_xinfo", table)
    keys = sum(key > 0 for *_, key, _ in rows)
    for _, name, kind, required, default, key, hidden in rows:
        item = items.get(name.lower(), [])
        is_rowid = kind.upper() == "INTEGER" and keys == 1 and key and " descending" not in oddities(item)
        words = [plain_type(kind, is_key=key)]
        words += ["not null"] if required and not is_rowid else []
        value = plain_default(kind, default) if default else "null"
        words += [f"default {value}"] if value != "null" else []
        words += [f"primary key part {key}"] if key else []
        words += [generated(item, stored=hidden == STORED)] if hidden in (VIRTUAL, STORED) else []
        yield Fact("column", table, name.lower(), " ".join(words) + oddities(item))


def plain_type(kind: str, *, is_key: bool) -> str:
    """Return a type in one spelling. INT and INTEGER are alike but in a key, where only the latter is the row's id."""
    name, opening, rest = re.sub(r"\s*([(),])\s*", r"\1", " ".join(kind.split())).upper().partition("(")
    return f"{name if is_key else OTHER_NAMES.get(name, name)}{opening}{rest}"


def plain_default(kind: str, default: str) -> str:
    """Return a default in one spelling: a number is what the column stores, also of a text of digits, and of TRUE."""
    parts = bare(tokens(default))
    text = spelled(parts)
    if text in NOW:
        return "current_timestamp"
    if parts[0][0] == '"' and len(parts) == 1:  # no column can be meant, so it is a text
        parts = ["'" + parts[0][1:-1].replace('""', '"').replace("'", "''") + "'"]
        text = parts[0]
    if not NUMERIC.search(kind):
        return text
    number = {"true": "1", "false": "0"}.get(text, text.strip("'").replace(" ", "").removeprefix("+"))
    return str(int(Decimal(number))) if re.fullmatch(r"-?\d+(\.0*)?", number) else text


def generated(item: Sequence[str], *, stored: bool) -> str:
    at = next(position for position, word in outside(item) if word == "as")
    return f"generated as ({spelled(bare(inside(item, at + 1)))}) {'stored' if stored else 'virtual'}"


def oddities(item: Sequence[str]) -> str:
    """Return what a column's or constraint's text says and no pragma tells, where it is not what SQLite does anyway."""
    found = ""
    words = [word for _, word in outside(item)]
    for word, second, third in zip(words, [*words[1:], ""], [*words[2:], "", ""], strict=False):
        if word == "collate" and name_of(second) != "binary":
            found += f" collate {name_of(second)}"
        elif (word, second) == ("on", "conflict") and third != "abort":
            found += f" on conflict {third}"
        elif (word, second) == ("initially", "deferred"):
            found += " initially deferred"
        elif word == "autoincrement":
            found += " autoincrement"
        elif (word, second, third) == ("primary", "key", "desc"):  # is not the row's id, though INTEGER
            found += " descending"
    return found


def foreign_keys(connection: sa.Connection, table: str) -> Iterator[Fact]:
    keys: dict[int, list[tuple[Any, ...]]] = {}
    for row in pragma(connection, "foreign_key_list", table):
        keys.setdefault(row[0], []).append(row)
    for rows in keys.values():
        ordered = sorted(rows, key=lambda row: int(str(row[1])))
        parent = str(ordered[0][2]).lower()
        theirs = [row[4] for row in ordered] if ordered[0][4] else primary_key(connection, parent)
        ours = ", ".join(str(row[3]) for row in ordered)
        actions = [
            f" on {event} {action}"
            for event, action in (("update", rows[0][5]), ("delete", rows[0][6]))
            if action != "NO ACTION"
        ]
        definition = f"foreign key ({ours}) references {parent} ({', '.join(map(str, theirs))}){''.join(actions)}"
        yield Fact("constraint", table, "", definition.lower())


def primary_key(connection: sa.Connection, table: str) -> list[str]:
    rows = pragma(connection, "table_info", table)
    return [row[1] for row in sorted(rows, key=lambda row: row[5]) if row[5]]


def index_keys(connection: sa.Connection, index: str, parts: Sequence[str], table: str = "") -> str:
    """Return an index's keys in order, with direction and collation where they are not the usual ones, and its WHERE.

    parts: the index's own text, which alone tells its expressions; empty for the index behind a constraint.
    table: whose index it is, in lower case.
    """
    items = list(split_list(inside(parts, parts.index("(")))) if parts else []
    keys = []
    for position, column, name, descending, collation, key in pragma(connection, "index_xinfo", index):
        if key:
            what = expression(items[position]) if column == EXPRESSION else str(name).lower()
            unusual = "" if collation == "BINARY" else f" collate {collation.lower()}"
            keys.append(f"{what}{unusual}{' desc' if descending else ''}")
    where = [position for position, word in outside(parts) if word == "where"]
    predicate = f" where {condition(parts[where[0] + 1 :], table)}" if where else ""
    return f"({', '.join(keys)}){predicate}"


def expression(item: Sequence[str]) -> str:
    """Return a key of an index without its direction and collation, which a pragma tells."""
    end = len(item)
    for position, word in outside(item):
        if word in {"collate", "asc", "desc"}:
            end = min(end, position)
    return spelled(bare(item[:end]))


def pragma(connection: sa.Connection, name: str, of: str) -> list[tuple[Any, ...]]:  # Any: numbers and texts
    """Return what a pragma tells of a table or index; past SQLAlchemy, which takes many times as long as the answer."""
    driver = connection.connection.driver_connection
    return list(cast("sqlite3.Connection", driver).execute(f"SELECT * FROM pragma_{name}(?)", (of,)))  # noqa: S608


def quote(name: str) -> str:
    doubled = name.replace('"', '""')
    return f'"{doubled}"'
