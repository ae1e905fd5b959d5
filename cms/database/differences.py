"""How a database differs from one revision, and whether the later revisions can be run on it all the same."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from cms.database.facts import Fact
from cms.database.fingerprint import Fingerprint

DEFAULT = re.compile(r" default .*")
DELETE_ACTION = re.compile(r" on (?:delete|update) (?:cascade|restrict|no action|set null|set default)", re.IGNORECASE)
UNIQUE = re.compile(r"(?:primary key|unique)(?: btree)? (\([^()]*\))", re.IGNORECASE)
FORGOTTEN = re.compile(r" collate \w| on conflict ")
HARMLESS_EXTRAS = frozenset({"table", "view", "function", "type", "sequence"})


@dataclass(frozen=True)
class Difference:
    """How the database differs from one revision, in catalog facts. blocking: what later revisions cannot carry."""

    revision: str
    missing: tuple[Fact, ...]
    extra: tuple[Fact, ...]
    blocking: tuple[Fact, ...] = field(default=())

    @property
    def size(self) -> int:
        return len(list(self.entries()))

    @property
    def lines(self) -> tuple[str, ...]:
        """Return each difference in words; the same words are recorded when it is accepted."""
        return tuple(f"{word} {text}" for word, text, _ in self.entries())

    def __str__(self) -> str:
        return "\n".join(
            f"        {word + ':':9}{text}{'  <- cannot be carried' if facts & set(self.blocking) else ''}"
            for word, text, facts in self.entries()
        )

    def entries(self) -> Iterator[tuple[str, str, set[Fact]]]:
        """Yield word, text and facts of each difference; a thing that is there and is another one is one difference."""
        live = {(fact.kind, fact.table, fact.name): fact for fact in self.extra if fact.name}
        told = set()
        for planned in self.missing:
            there = live.get((planned.kind, planned.table, planned.name)) if planned.name else None
            if there is None:
                yield "missing", str(planned), {planned}
                continue
            told.add(there)
            yield "differs", f"{there}; expected {planned.definition or 'a plain one'}", {planned, there}
        yield from (("extra", str(fact), {fact}) for fact in self.extra if fact not in told)


def find_nearest(found: Fingerprint, expected: Mapping[str, Fingerprint]) -> Difference:
    """Return how a schema differs from the revision that it is most like; the oldest of those that are equally near.

    expected: the schema at each revision, oldest first, as ``read_expected`` returns it.
    """
    return min(compare_all(found, expected), key=lambda each: (len(each.blocking), each.size))


def compare_all(found: Fingerprint, expected: Mapping[str, Fingerprint]) -> Iterator[Difference]:
    """Yield the difference to each revision, oldest first."""
    schemas = list(expected.values())
    for position, (revision, there) in enumerate(expected.items()):
        yield compare(revision, found, there, schemas[position + 1 :])


def compare(revision: str, found: Fingerprint, expected: Fingerprint, later: Sequence[Fingerprint] = ()) -> Difference:
    """Compare a live schema with that of a revision. later: the schemas of the revisions after it."""
    missing, extra = expected.missing_from(found), found.missing_from(expected)
    made = frozenset((fact.kind, fact.table, fact.name) for schema in later for fact in schema.facts)
    changed = frozenset(fact for schema in later for fact in expected.missing_from(schema) if fact.kind == "column")
    judge = Judge(found, expected, missing, extra, made, changed)
    blocking = [fact for fact in missing if not judge.can_miss(fact)]
    blocking += [fact for fact in extra if not judge.can_have(fact)]
    return Difference(revision, missing, extra, tuple(blocking))


@dataclass(frozen=True)
class Judge:
    """Says of each fact that differs whether later revisions, and the code, get along with it."""

    found: Fingerprint
    expected: Fingerprint
    missing: tuple[Fact, ...]
    extra: tuple[Fact, ...]
    made_later: frozenset[tuple[str, str, str]]
    changed_later: frozenset[Fact]

    def can_miss(self, fact: Fact) -> bool:
        if fact.kind == "index":
            return not fact.definition.startswith("unique")
        return any(is_variant(fact, live) for live in self.extra)

    def can_have(self, fact: Fact) -> bool:
        if any(is_variant(planned, fact) for planned in self.missing):
            return True
        planned = {(each.kind, each.table, each.name) for each in self.expected.facts}
        key = (fact.kind, fact.table, fact.name)
        if fact.name + fact.table and key in self.made_later - planned:
            return False  # a later revision makes a thing of this name, and would find it there
        if self.reads_what_changes(fact):
            return False
        if fact.table and fact.table not in {each.table for each in self.expected.facts}:
            return True  # somebody else's table
        return self.is_harmless(fact, known=key in planned)

    def reads_what_changes(self, fact: Fact) -> bool:
        """Return whether a view or a generated column reads a column that a later revision changes or drops."""
        if fact.kind == "view":
            return any(mentions(fact, column.table) and mentions(fact, column.name) for column in self.changed_later)
        if fact.kind == "column" and " generated as " in fact.definition:
            return any(column.table == fact.table and mentions(fact, column.name) for column in self.changed_later)
        return False

    def is_harmless(self, fact: Fact, *, known: bool) -> bool:
        if fact.kind == "column":
            # The code does not fill a column that it does not know; SQLite's rebuild of the table forgets a collation.
            fills_itself = " not null" not in fact.definition or " default " in fact.definition
            return not known and fills_itself and not FORGOTTEN.search(fact.definition)
        if fact.kind == "index" and "(not usable)" in fact.definition:
            return False
        if fact.kind == "index" and not fact.definition.startswith("unique"):
            return True
        if fact.kind in {"index", "constraint"}:
            return self.is_redundant(fact) or self.is_about_own_columns(fact)
        return fact.kind in HARMLESS_EXTRAS and not known

    def is_about_own_columns(self, fact: Fact) -> bool:
        """Return whether a key is only of columns that the code leaves empty.

        A unique default would let one row in. A check is not carried: Alembic drops it where SQLite's table is rebuilt.
        """
        keys = replace(fact, definition=re.split(" references ", fact.definition, flags=re.IGNORECASE)[0])
        named = [each for each in columns_of(fact.table, self.found).values() if mentions(keys, each.name)]
        ours = columns_of(fact.table, self.expected)
        filled = UNIQUE.match(fact.definition) and any(" default " in each.definition for each in named)
        return (
            bool(named) and not filled and not mentions(keys, "check") and not any(each.name in ours for each in named)
        )

    def is_redundant(self, fact: Fact) -> bool:
        """Return whether the same columns must be unique already."""
        columns = UNIQUE.fullmatch(fact.definition)
        return columns is not None and any(
            each.table == fact.table and (same := UNIQUE.fullmatch(each.definition)) and same[1] == columns[1]
            for each in self.expected.facts
            if each not in self.missing
        )


def mentions(fact: Fact, name: str) -> bool:
    """Return whether a definition names a column or a table, plain or in quotes."""
    quoted = '"' + name.replace('"', '""') + '"'
    return quoted in fact.definition or re.search(rf"\b{re.escape(name)}\b", fact.definition, re.IGNORECASE) is not None


def columns_of(table: str, schema: Fingerprint) -> dict[str, Fact]:
    """Return the facts of a table's columns by name."""
    return {fact.name: fact for fact in schema.facts if fact.kind == "column" and fact.table == table}


def is_variant(planned: Fact, live: Fact) -> bool:
    """Return whether one stands for the other: a lost default, a constraint's other name or action."""
    if (planned.kind, planned.table) != (live.kind, live.table):
        return False
    if planned.kind == "column":
        return planned.name == live.name and DEFAULT.sub("", planned.definition) == live.definition
    if planned.kind != "constraint":
        return False
    if planned.definition == live.definition:
        return True
    return DELETE_ACTION.sub("", planned.definition) == DELETE_ACTION.sub("", live.definition)
