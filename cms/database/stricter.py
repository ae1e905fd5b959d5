"""What a newer schema demands of a statement from before, as far as planning the statement does not show it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from cms.database.asked import Asked
from cms.database.differences import DELETE_ACTION, columns_of, mentions
from cms.database.facts import Fact
from cms.database.fingerprint import Fingerprint

NAME = r'(?:"[^"]+"|\w+)'
INSERT = re.compile(rf"\s*INSERT INTO ({NAME}) \(([^)]*)\)(?:\s*VALUES \((.*)\))?", re.IGNORECASE | re.DOTALL)
UPDATE = re.compile(
    rf"\s*UPDATE ({NAME}) SET (.*?)(?: WHERE .*)?\Z",  # noqa: S608 - a pattern
    re.IGNORECASE | re.DOTALL,
)
DELETE = re.compile(rf"\s*DELETE FROM ({NAME})", re.IGNORECASE)  # noqa: S608 - a pattern
PARAMETER = re.compile(r"[$?](\d+)")
TYPE = re.compile(r"(.*?)(?: not null| default | generated | identity | collate | primary key | autoincrement|$)")
LENGTH = re.compile(r"\((\d+)\)")
FILLS_ITSELF = re.compile(r" default | generated | identity |^INTEGER\b.* primary key")
DEMANDS = frozenset({"constraint", "trigger", "policy", "rule"})
ROUNDS_UP = {("smallint", "integer"), ("smallint", "bigint"), ("integer", "bigint"), ("real", "double precision")}
TEXTS = frozenset({"character varying", "text"})


@dataclass(frozen=True)
class Write:
    """What a statement writes. columns: name and the types of what is sent, by Python's names, None if unknown."""

    table: str
    columns: Mapping[str, str | None]
    is_insert: bool = False
    is_delete: bool = False


class Stricter:
    """The difference of two schemas, asked statement by statement."""

    def __init__(self, before: Fingerprint, after: Fingerprint, *, enforces_types: bool) -> None:
        self._before, self._after, self._enforces_types = before, after, enforces_types
        known = {(fact.kind, fact.table, without_validity(fact)) for fact in before.facts}
        self._new = [
            fact
            for fact in after.missing_from(before)
            if is_demand(fact) and (fact.kind, fact.table, without_validity(fact)) not in known
        ]

    def objections(self, asked: Asked) -> Iterator[str]:
        """Yield in words why the newer schema may refuse a statement that the older one took, or answer otherwise."""
        yield from self.other_types_read(asked.sql)
        write = read_write(asked)
        if write is None or write.table not in {fact.table for fact in self._before.facts}:
            return
        if not write.is_delete:
            yield from self.unfilled(write)
            yield from self.narrower(write)
        yield from self.new_demands(write)

    def unfilled(self, write: Write) -> Iterator[str]:
        """Columns that are required now: an INSERT that does not name them, and what may send nothing into them."""
        before = columns_of(write.table, self._before)
        for name, column in columns_of(write.table, self._after).items():
            if " not null" not in column.definition:
                continue
            was_required = name in before and " not null" in before[name].definition
            if name in write.columns:
                may_send_none = "NoneType" in (write.columns[name] or "NoneType")
                if not was_required and may_send_none:
                    yield f"{column.place} is required now, and it may send none"
            elif write.is_insert and not FILLS_ITSELF.search(column.definition):
                filled_itself = name in before and FILLS_ITSELF.search(before[name].definition)
                if not was_required or filled_itself:
                    yield f"{column.place} is required and has no default, and it does not fill it"

    def narrower(self, write: Write) -> Iterator[str]:
        before, after = columns_of(write.table, self._before), columns_of(write.table, self._after)
        for name in write.columns:
            if name in before and name in after:
                old, new = type_of(before[name]), type_of(after[name])
                if self._enforces_types and not fits(old, new):
                    yield f"{after[name].place} takes {new} now, and took {old}"

    def other_types_read(self, sql: str) -> Iterator[str]:
        """Columns whose values look otherwise now to whoever reads them."""
        for fact in self._before.facts:
            column = columns_of(fact.table, self._after).get(fact.name) if fact.kind == "column" else None
            if column is None or not re.search(rf"\b{re.escape(fact.table)}\.{re.escape(fact.name)}\b", sql):
                continue
            old, new = type_of(fact), type_of(column)
            if family(old) != family(new) and not fits(old, new):
                yield f"{fact.place} is {new} now, and was {old}"

    def new_demands(self, write: Write) -> Iterator[str]:
        ours = columns_of(write.table, self._before)
        for fact in self._new:
            if write.is_delete:
                if fact.kind == "constraint" and holds_rows_back(fact, write.table):
                    yield f"rows of {fact.table} may hold it back now: {fact.definition}"
                continue
            if fact.table != write.table:
                continue
            if fact.kind in {"constraint", "index"}:
                touched = [name for name in (ours if write.is_insert else write.columns) if mentions(fact, name)]
                if not touched and not (write.is_insert and self.fills_a_key(fact)):
                    continue
            yield f"{fact.table} has a new {fact.kind}: {fact.definition}"

    def fills_a_key(self, fact: Fact) -> bool:
        """Return whether a key is of new columns that fill themselves: a second row would have the same."""
        if not re.match(r"unique|primary key", fact.definition, re.IGNORECASE):
            return False
        columns = columns_of(fact.table, self._after).values()
        return any(mentions(fact, each.name) and " default " in each.definition for each in columns)


def read_write(asked: Asked) -> Write | None:
    """Return what a statement writes; None for one that only reads."""
    if found := INSERT.match(asked.sql):
        names = [plain(name) for name in found[2].split(",")]
        values = split_values(found[3]) if found[3] else []
        sent = [types_in(value, asked) for value in values] if len(values) == len(names) else [None] * len(names)
        return Write(plain(found[1]), dict(zip(names, sent, strict=True)), is_insert=True)
    if found := UPDATE.match(asked.sql):
        pairs = [pair.partition("=") for pair in split_values(found[2]) if "=" in pair]
        return Write(plain(found[1]), {plain(name): types_in(value, asked) for name, _, value in pairs})
    if found := DELETE.match(asked.sql):
        return Write(plain(found[1]), {}, is_delete=True)
    return None


def split_values(text: str) -> list[str]:
    """Split at the commas that stand in no parentheses; stops at a parenthesis that closes more than was opened."""
    parts, depth = [""], 0
    for character in text:
        depth += (character == "(") - (character == ")")
        if depth < 0:
            break
        if character == "," and not depth:
            parts.append("")
        else:
            parts[-1] += character
    return parts


def types_in(value: str, asked: Asked) -> str | None:
    """Return the types that a value had where it is one parameter; for an expression None."""
    found = PARAMETER.match(value.strip())
    return asked.types[int(found[1]) - 1] if found else None


def plain(name: str) -> str:
    return name.strip().strip('"').lower()


def is_demand(fact: Fact) -> bool:
    return (
        fact.kind in DEMANDS
        or (fact.kind == "index" and fact.definition.startswith("unique"))
        or (fact.kind == "table" and "row security" in fact.definition)
    )


def without_validity(fact: Fact) -> str:
    return fact.definition.removesuffix(" NOT VALID")


def holds_rows_back(fact: Fact, table: str) -> bool:
    """Return whether a foreign key refers to the table and neither goes with its rows nor lets go of them."""
    refers = re.search(rf"references {NAME}", fact.definition, re.IGNORECASE)
    if refers is None or plain(refers[0].split(maxsplit=1)[1]) != table:
        return False
    action = DELETE_ACTION.search(fact.definition)
    return not action or not action[0].lower().endswith(("cascade", "set null", "set default"))


def type_of(column: Fact) -> str:
    found = TYPE.match(column.definition)
    return found[1] if found else column.definition


def family(kind: str) -> str:
    """Return what a column's values look like to who reads them."""
    base = LENGTH.sub("", kind).strip().lower()
    if base in TEXTS | {"varchar", "char", "character", "clob"}:
        return "text"
    return "integer" if base in {"smallint", "integer", "bigint", "int"} else base


def fits(old: str, new: str) -> bool:
    """Return whether every value of the old type can be stored in the new one and means the same there."""
    if old == new:
        return True
    bases = LENGTH.sub("", old), LENGTH.sub("", new)
    if set(bases) <= TEXTS:
        limits = [int(found[1]) if (found := LENGTH.search(kind)) else None for kind in (old, new)]
        return limits[1] is None or (limits[0] is not None and limits[0] <= limits[1])
    return bases in ROUNDS_UP
