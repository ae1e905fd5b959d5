"""Values in the one form that both kinds of database hold, as text, so that a row can go from one to the other.

Also what cannot go: SQLite takes texts of any length, NUL characters, and a word where a number belongs.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal

from cms.database.engines.base import TableEntry

Row = tuple[str | None, ...]
TIME_FORM = 26  # characters of 2026-11-28 17:00:00.000000
HEX = re.compile(r"[0-9a-f]{32}")
NUL_IN_JSON = re.compile(r"(?<!\\)(?:\\\\)*\\u0000")
RANGES = {"smallint": 1 << 15, "integer": 1 << 31, "bigint": 1 << 63}
HASH_MODULUS = 1 << 128
LISTED = 20


class Unfit(ValueError):
    """A value that the other kind of database cannot hold; says why."""


@dataclass(frozen=True)
class PortableColumn:
    """A column. kind: its type on PostgreSQL, without the length; longest: how many characters fit, None for any."""

    name: str
    kind: str
    longest: int | None = None


@dataclass(frozen=True)
class PortableTable:
    """A table whose rows go over. key: the columns of its primary key."""

    name: str
    columns: tuple[PortableColumn, ...]
    key: tuple[str, ...]


@dataclass(frozen=True)
class Misfit:
    """A value, or a row, that the other kind of database would refuse."""

    place: str
    row: str
    why: str

    def __str__(self) -> str:
        return f"{self.place} of the row {self.row} {self.why}"


@dataclass
class Misfits:
    """The first few, and how many there are."""

    first: list[Misfit] = field(default_factory=list)
    count: int = 0

    def add(self, misfit: Misfit) -> None:
        self.count += 1
        if len(self.first) < LISTED:
            self.first.append(misfit)


def as_text(value: object, column: PortableColumn) -> str:
    if not isinstance(value, bytearray):
        raise Unfit(f"is no text but {describe(value)}")
    try:
        text = value.decode()
    except UnicodeDecodeError:
        raise Unfit("is not UTF-8") from None
    if "\0" in text:
        raise Unfit("holds a NUL character")
    if column.longest is not None and len(text) > column.longest:
        raise Unfit(f"has {len(text):,} characters, and {column.longest:,} fit")
    return text


def as_uuid(value: object, column: PortableColumn) -> str:
    text = as_text(value, column)
    if not HEX.fullmatch(text):
        raise Unfit("is not 32 hexadecimal digits in lower case")
    return text


def as_integer(value: object, column: PortableColumn) -> str:
    if not isinstance(value, int):
        raise Unfit(f"is no whole number but {describe(value)}")
    limit = RANGES[column.kind]
    if not -limit <= value < limit:
        raise Unfit(f"is {value}, too large for {column.kind}")
    return str(value)


def as_truth(value: object, _column: PortableColumn) -> str:
    if value not in (0, 1):
        raise Unfit(f"is neither 0 nor 1 but {describe(value)}")
    return "1" if value else "0"


def as_time(value: object, column: PortableColumn) -> str:
    text = as_text(value, column)
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        raise Unfit("is no time") from None
    if time.tzinfo:
        time = time.astimezone(UTC).replace(tzinfo=None)
    return time.isoformat(" ", "microseconds")


def as_json(value: object, column: PortableColumn) -> str:
    # SQLite makes a number of a text that looks like one, also where JSON is declared.
    text = repr(value) if isinstance(value, int | float) else as_text(value, column)
    try:
        canonical_json(text).encode()
    except UnicodeEncodeError:
        raise Unfit("holds half of a surrogate pair") from None
    except (ValueError, RecursionError):
        raise Unfit("is no JSON") from None
    if "\\u0000" in text and NUL_IN_JSON.search(text):
        raise Unfit("holds a NUL character")
    return text


def as_bytes(value: object, _column: PortableColumn) -> str:
    if not isinstance(value, bytes):
        raise Unfit(f"is no sequence of bytes but {describe(value)}")
    return value.hex()


def describe(value: object) -> str:
    """Return a value of SQLite for a message; a text is not shown, it may be long or secret."""
    if isinstance(value, bytearray):
        return "a text"
    return "a sequence of bytes" if isinstance(value, bytes) else f"the number {value}"


def canonical_json(text: str) -> str:
    """Return JSON in one spelling: keys sorted, 1.0 and 1e0 as 1. Raises ValueError for what is none."""
    if text in ("[]", "{}"):
        return text
    found = json.loads(text, parse_float=plain_number, parse_constant=refuse_constant)
    return json.dumps(found, sort_keys=True, ensure_ascii=False, default=lambda number: ["\0", str(number)])


def plain_number(text: str) -> Decimal | int:
    number = Decimal(text).normalize()
    return int(number) if number == number.to_integral_value() and number.adjusted() < 40 else number  # noqa: PLR2004


def refuse_constant(text: str) -> None:
    raise ValueError(text)


FROM_SQLITE: dict[str, Callable[[object, PortableColumn], str]] = {
    "character varying": as_text,
    "character": as_text,
    "text": as_text,
    "uuid": as_uuid,
    "smallint": as_integer,
    "integer": as_integer,
    "bigint": as_integer,
    "boolean": as_truth,
    "timestamp with time zone": as_time,
    "jsonb": as_json,
    "bytea": as_bytes,
}
"""What turns a value that SQLite holds into text, by the column's type on PostgreSQL. Raises Unfit."""


@dataclass
class TableDigest:
    """Adds up what goes through: rows, and 128 bits of each, so that their order does not count."""

    table: PortableTable
    rows: int = 0
    total: int = 0

    def reading(self, rows: Iterable[Row]) -> Iterator[Row]:
        """Yield the rows, counting and hashing each."""
        json_at = [at for at, column in enumerate(self.table.columns) if column.kind == "jsonb"]
        for row in rows:
            told = list(row)
            for at in json_at:
                told[at] = None if (text := row[at]) is None else canonical_json(text)
            self.rows += 1
            self.total += int.from_bytes(hashlib.blake2b(repr(told).encode(), digest_size=16).digest())
            yield row

    @property
    def entry(self) -> TableEntry:
        return TableEntry(self.table.name, self.rows, f"{self.total % HASH_MODULUS:032x}")
