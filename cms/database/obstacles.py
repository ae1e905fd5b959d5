"""Rows that a rule of a revision does not allow, counted before anybody meets them in an upgrade."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError

from cms.database.differences import Difference, columns_of, is_variant
from cms.database.engines.base import first_line
from cms.database.facts import Fact
from cms.database.fingerprint import Fingerprint
from cms.database.sqltext import name_of
from cms.words import counted

LENGTH = re.compile(r"character varying\((\d+)\)")
UNIQUE = re.compile(r"(?:unique|primary key)(?: btree)? ?\((?P<keys>.*?)\)(?: where (?P<where>.*))?", re.IGNORECASE)
FOREIGN = re.compile(
    r"foreign key \((?P<ours>[^()]*)\) references (?P<parent>\S+?) ?\((?P<theirs>[^()]*)\)", re.IGNORECASE
)
CHECK = re.compile(r"check \((?P<rule>.*)\)", re.IGNORECASE)
DIRECTION = re.compile(r" (?:asc|desc)\b| nulls (?:first|last)\b", re.IGNORECASE)
COMMA = re.compile(r",(?![^()]*\))")


@dataclass(frozen=True)
class Obstacle:
    """Rows that do not fit what a revision asks for; rows is 0 where they could not be counted, and what says why."""

    revision: str
    rows: int
    what: str

    def __str__(self) -> str:
        return f"{self.what} (revision {self.revision})"


@dataclass(frozen=True)
class Question:
    """Which rows of a table to count, as SQL, and what is said of them."""

    table: str
    rule: str
    what: str


def count_obstacles(
    connection: sa.Connection, found: Fingerprint, nearest: Difference, expected: Mapping[str, Fingerprint]
) -> tuple[Obstacle, ...]:
    """Count the rows in the way of the rules that the schema lacks: the nearest revision's, and those of later ones.

    Reads each table whose rules are new once for each rule. A revision in between may mend its rows before the rule
    comes, so this is what to look at, not what is sure to fail.
    """
    obstacles = [
        answer(connection, revision, question)
        for revision, fact in list_rules(nearest, expected)
        for question in list_questions(fact, found, expected[revision])
    ]
    return tuple(obstacle for obstacle in obstacles if obstacle)


def list_rules(nearest: Difference, expected: Mapping[str, Fingerprint]) -> Iterator[tuple[str, Fact]]:
    """Yield what the schema lacks of the nearest revision, then what each revision after it adds."""
    for fact in nearest.missing:
        yield nearest.revision, fact
    revisions = list(expected)
    first = revisions.index(nearest.revision)
    for before, revision in pairwise(revisions[first:]):
        for fact in expected[revision].missing_from(expected[before]):
            yield revision, fact


def list_questions(planned: Fact, found: Fingerprint, later: Fingerprint) -> Iterator[Question]:
    """Yield what must be counted for a fact. later: the schema that it is of; what is not there yet has no rows."""
    live = columns_of(planned.table, found)
    if planned.kind == "column" and planned.name in live:
        yield from ask_column(planned, live[planned.name])
    elif planned.kind in {"constraint", "index"}:
        absent = columns_of(planned.table, later).keys() - live.keys()
        carried = any(is_variant(planned, each) for each in found.facts)
        if live and not carried and not absent & set(re.findall(r"\w+", planned.definition)):
            yield from ask_rule(planned, found)


def ask_column(planned: Fact, live: Fact) -> Iterator[Question]:
    table, name = planned.table, planned.name
    if " not null" in planned.definition and " not null" not in live.definition:
        yield Question(table, f'"{name}" IS NULL', f"without {name}")
    longest, now = LENGTH.match(planned.definition), LENGTH.match(live.definition)
    if longest and (now is None or int(now[1]) > int(longest[1])):
        rule = f'length("{name}"::text) > {longest[1]}'
        yield Question(table, rule, f"with more than {longest[1]} characters in {name}")


def ask_rule(planned: Fact, found: Fingerprint) -> Iterator[Question]:
    table, definition = planned.table, planned.definition
    if unique := UNIQUE.fullmatch(definition):
        yield ask_unique(
            table, [DIRECTION.sub("", key).strip() for key in COMMA.split(unique["keys"])], unique["where"]
        )
    elif foreign := FOREIGN.match(definition):
        if columns_of(name_of(foreign["parent"]), found):
            yield ask_foreign(table, foreign["parent"], COMMA.split(foreign["ours"]), COMMA.split(foreign["theirs"]))
    elif check := CHECK.match(definition):
        yield Question(table, f"NOT ({check['rule']})", f"breaking the rule {check['rule']}")


def ask_unique(table: str, keys: Sequence[str], where: str | None) -> Question:
    """Count the rows of each group that shares its keys; rows without a key are alike to nobody."""
    names = ", ".join(keys)
    rule = " AND ".join([f"({key}) IS NOT NULL" for key in keys] + ([f"({where})"] if where else []))
    shared = f'SELECT {names} FROM "{table}" WHERE {rule} GROUP BY {names} HAVING count(*) > 1'  # noqa: S608
    return Question(table, f"{rule} AND ({names}) IN ({shared})", f"sharing their {names}")


def ask_foreign(table: str, parent: str, ours: Sequence[str], theirs: Sequence[str]) -> Question:
    pairs = [(our.strip(), their.strip()) for our, their in zip(ours, theirs, strict=True)]
    given = " AND ".join(f'"{table}".{our} IS NOT NULL' for our, _ in pairs)
    same = " AND ".join(f'parent.{their} = "{table}".{our}' for our, their in pairs)
    orphan = f"NOT EXISTS (SELECT 1 FROM {parent} parent WHERE {same})"  # noqa: S608 - from the catalog
    return Question(table, f"{given} AND {orphan}", f"referring to {parent} that are not there")


def answer(connection: sa.Connection, revision: str, question: Question) -> Obstacle | None:
    """Count in a savepoint: what cannot be counted is said, and stops nothing."""
    query = f'SELECT count(*) FROM "{question.table}" WHERE {question.rule}'  # noqa: S608 - from the catalog
    try:
        with connection.begin_nested():
            rows = int(connection.exec_driver_sql(query).scalar_one())
    except DBAPIError as error:
        what = f"{question.table}: rows {question.what} could not be counted: {first_line(error)}"
        return Obstacle(revision, 0, what)
    if not rows:
        return None
    return Obstacle(revision, rows, f"{question.table}: {counted(rows, 'row')} {question.what}")
