"""What a release asks its database: its distinct statements, collected as it runs and kept with the history.

A file for each head and engine, ``migrations/statements/<head>-<engine>.json``: the release whose newest revision is
that one asks this. An upgrade that finds a database at a revision reads there what the code asks that still serves it.
No value is written down: neither a bound one nor a text in quotes.
"""

from __future__ import annotations

import json
import os
import re
import secrets
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

import sqlalchemy as sa
from sqlalchemy import event

from cms.database.files import new_folder
from cms.database.target import Target

FOLDER = "statements"
ASKS = re.compile(r"\s*(?:WITH|SELECT|INSERT|UPDATE|DELETE)\b", re.IGNORECASE)
PLACEHOLDER = re.compile(r"%\((\w+)\)s|\?")
QUOTED = re.compile(r"(?<!interval )'(?:[^']|'')*'", re.IGNORECASE)
FIRST_MARK = 0xE000  # characters for private use stand for parameters while a statement is shortened
MARK = r"[\ue000-\uf8ff](?:::[\w ]+(?:\([\d, ]+\))?(?:\[\])?)?"
LISTS = re.compile(rf"(?<=IN )\(({MARK})(?:, {MARK})+\)")
ROWS = re.compile(r"(?<=VALUES )(\([^()]*\))(?:, \([^()]*\))+")


@dataclass(frozen=True, order=True)
class Asked:
    """One statement, as the engine numbers parameters ($1, ?1). types: of each, by Python's names; "str|NoneType"."""

    sql: str
    types: tuple[str, ...]

    @property
    def in_one_line(self) -> str:
        return " ".join(self.sql.split())


def listen(engine: sa.Engine, folder: Path) -> None:
    """Write each statement that the site's code asks through the engine into the folder, once.

    One file for each process; each line is written by one call, so that a killed process leaves whole ones.
    """
    seen: set[tuple[str, tuple[str, ...]]] = set()
    name = f"{engine.dialect.name}-{secrets.token_hex(8)}.jsonl"

    @event.listens_for(engine, "before_cursor_execute")
    def note(_connection: Any, _cursor: Any, sql: str, given: Any, _context: Any, many: bool) -> None:  # noqa: FBT001
        parameters = given[0] if many and given else given
        known = sql, types_of(parameters)
        if known in seen or not ASKS.match(sql):
            return
        seen.add(known)
        if is_of_the_site():
            asked = shorten(sql, parameters, mark="?" if engine.dialect.name == "sqlite" else "$")
            new_folder(folder)
            append(folder / f"{os.getpid()}-{name}", json.dumps([asked.sql, asked.types]) + "\n")


def types_of(parameters: Any) -> tuple[str, ...]:  # Any: what the driver is given, a mapping or a sequence
    values = parameters.values() if isinstance(parameters, Mapping) else parameters or ()
    return tuple(type(value).__name__ for value in values)


def is_of_the_site() -> bool:
    """Tell whether a feature's code asks: not a test, and not what looks at the database as a whole."""
    frame: FrameType | None = sys._getframe()  # noqa: SLF001 - the documented way to see one's callers
    while frame is not None:
        name = frame.f_globals.get("__name__", "")
        if name.startswith("cms.") and not name.startswith(("cms.database.", "cms.extensions", "cms.management.base")):
            return True
        frame = frame.f_back
    return False


def shorten(sql: str, parameters: Any, *, mark: str) -> Asked:  # Any: see types_of
    """Number the parameters, leave one of a list that may have any length, and take out what stands in quotes."""
    types: list[str] = []

    def keep(kind: str) -> str:
        types.append(kind)
        return chr(FIRST_MARK + len(types) - 1)

    places: dict[str, str] = {}
    values = iter(parameters if not isinstance(parameters, Mapping) else ())

    def take(found: re.Match[str]) -> str:
        if found[1] is None:
            return keep(type(next(values, None)).__name__)
        if found[1] not in places:
            places[found[1]] = keep(type(parameters[found[1]]).__name__)
        return places[found[1]]

    text = PLACEHOLDER.sub(take, sql).replace("%%", "%") if mark == "$" else PLACEHOLDER.sub(take, sql)
    text = ROWS.sub(r"\1", LISTS.sub(r"(\1)", QUOTED.sub(lambda _: keep("str"), text)))
    left = list(dict.fromkeys(re.findall("[\ue000-\uf8ff]", text)))
    for number, each in enumerate(left, start=1):
        text = text.replace(each, f"{mark}{number}")
    return Asked(text, tuple(types[ord(each) - FIRST_MARK] for each in left))


def append(file: Path, line: str) -> None:
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        os.write(descriptor, line.encode())
    finally:
        os.close(descriptor)


def collect(folder: Path, engine_name: str) -> tuple[Asked, ...]:
    """Return what processes on this kind of database wrote into the folder, sorted, each statement once."""
    return merge(
        Asked(sql, tuple(types))
        for file in sorted(folder.glob(f"*-{engine_name}-*.jsonl"))
        for sql, types in map(json.loads, file.read_text(encoding="utf-8").splitlines())
    )


def merge(statements: Iterable[Asked]) -> tuple[Asked, ...]:
    """Return each statement once, with all types that its parameters had."""
    found: dict[str, list[set[str]]] = {}
    for each in statements:
        places = found.setdefault(each.sql, [set() for _ in each.types])
        for place, kind in zip(places, each.types, strict=True):
            place.update(kind.split("|"))
    return tuple(Asked(sql, tuple("|".join(sorted(place)) for place in found[sql])) for sql in sorted(found))


def file_of(target: Target, revision: str) -> Path:
    return target.migrations_dir / FOLDER / f"{revision}-{target.engine_name}.json"


def write_statements(target: Target, revision: str, statements: Iterable[Asked]) -> Path:
    """Write what the release with this head asks this kind of database, a statement on a line."""
    file = file_of(target, revision)
    file.parent.mkdir(exist_ok=True)
    lines = [json.dumps([each.sql, each.types], ensure_ascii=False) for each in statements]
    file.write_text("[\n" + ",\n".join(lines) + "\n]\n", encoding="utf-8")
    return file


def read_statements(target: Target, revision: str | None) -> tuple[Asked, ...]:
    """Return what the release with this head asks; nothing if that was not written down."""
    file = file_of(target, revision or "")
    if not file.exists():
        return ()
    return tuple(Asked(sql, tuple(types)) for sql, types in json.loads(file.read_text(encoding="utf-8")))
