"""A file taken apart: its front matter as plain values, and its body. Whatever the bytes, FileUnusable or a result."""

from __future__ import annotations

import datetime as dt
import math
import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from cms.exchange.errors import FileUnusable
from cms.exchange.yaml_facts import load_yaml

SIZE_LIMIT_BYTES = 1 << 20
FACTS_LIMIT = 64 << 10  # characters; the longest of 10,000 real ones has 5,000
VALUES_LIMIT = 10_000
DEPTH_LIMIT = 20
WHOLE_LIMIT = 10**18  # JSON readers elsewhere know no greater whole numbers

# Controls that no page can show, and halves of surrogate pairs (YAML can write them as "\ud800").
UNSTORABLE = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff]")
FENCES = {"---": ("---", "..."), "+++": ("+++",)}
TOML_PLACE = re.compile(r" \(at (?:line (\d+), column \d+|end of document)\)$")


@dataclass(frozen=True)
class FrontMatter:
    """A file in two parts.

    values: keys as written; only what JSON knows, with dates and times as dates and times.
    body: Markdown; lines end with a line feed alone.
    notes: what was cleaned, for the report.
    """

    values: dict[str, Any]  # Any: whatever the file's author wrote
    body: str
    notes: tuple[str, ...] = ()


def parse_file(data: bytes) -> FrontMatter:
    """Take a Markdown file with YAML (``---``), TOML (``+++``) or no front matter apart.

    Raises FileUnusable, with the line where there is one: over 1 MiB, not UTF-8, a NUL, front matter that is never
    closed, not valid, no mapping, longer than 64 KiB, or holding more than 10,000 values.
    """
    text = decode(data)
    cleaned, removed = UNSTORABLE.subn("", text)
    notes = (f"control characters removed: {removed}",) if removed else ()
    opening = cleaned.partition("\n")[0].rstrip()
    if opening not in FENCES:
        return FrontMatter({}, cleaned, notes)
    facts, body = split(cleaned, opening)
    loaded = load_yaml(facts, first_line=2) if opening == "---" else load_toml(facts)
    if loaded is None:
        return FrontMatter({}, body, notes)
    if not isinstance(loaded, dict):
        raise FileUnusable("the front matter has no keys", line=2, why=f"it is one {type(loaded).__name__}")
    return FrontMatter(plain(loaded, iter(range(VALUES_LIMIT))), body, notes)


def decode(data: bytes) -> str:
    """Return the text with line feeds alone at the ends of lines, and without byte order mark. Raises FileUnusable."""
    if len(data) > SIZE_LIMIT_BYTES:
        raise FileUnusable("the file is too big", why=f"it has {len(data)} bytes and the limit is {SIZE_LIMIT_BYTES}")
    if (position := data.find(b"\0")) >= 0:
        raise FileUnusable("the file is not text", line=line_of(data, position), why="it holds a NUL byte")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise FileUnusable(
            "the file is not UTF-8",
            line=line_of(data, error.start),
            why=f"byte {data[error.start]:#04x}: {error.reason}",
            hint="convert it, for example with: iconv -f WINDOWS-1252 -t UTF-8",
        ) from error
    return text.replace("\r\n", "\n").replace("\r", "\n")


def line_of(data: bytes, position: int) -> int:
    return data.count(b"\n", 0, position) + 1


def split(text: str, opening: str) -> tuple[str, str]:
    """Return front matter and body. Raises FileUnusable."""
    lines = text.split("\n")
    end = next((number for number, line in enumerate(lines[1:], 1) if line.rstrip() in FENCES[opening]), None)
    if end is None:
        raise FileUnusable("the front matter is never closed", line=1, why=f"no second line is {opening}")
    facts = "\n".join(lines[1:end])
    if len(facts) > FACTS_LIMIT:
        raise FileUnusable(
            "the front matter is too long", line=1, why=f"it has {len(facts)} characters and the limit is {FACTS_LIMIT}"
        )
    return facts, "\n".join(lines[end + 1 :])


def load_toml(text: str) -> dict[str, Any]:  # Any: whatever the text says
    """Return what the TOML says. Raises FileUnusable with the line."""
    try:
        return tomllib.loads(text)
    except (ValueError, RecursionError) as error:  # TOMLDecodeError is a ValueError, and so is 30 February
        problem = str(error)
        place = TOML_PLACE.search(problem)
        raise FileUnusable(
            "the front matter is not valid TOML",
            line=1 + int(place[1] or text.count("\n") + 1) if place else None,
            why=TOML_PLACE.sub("", problem),
            hint="mend that line, then import again",
        ) from error


def plain(value: Any, budget: Iterator[int], depth: int = 0) -> Any:  # Any: see FrontMatter.values
    """Return the value with text cleaned and only kinds that JSON can tell. Raises FileUnusable.

    budget: one item for each value that may still come. What has many names (YAML aliases) counts each time.
    """
    if next(budget, None) is None or depth > DEPTH_LIMIT:
        raise FileUnusable(
            "the front matter holds too much", line=1, why=f"over {VALUES_LIMIT} values, or {DEPTH_LIMIT} levels"
        )
    if isinstance(value, dict):
        return {str(plain_scalar(key)): plain(each, budget, depth + 1) for key, each in value.items()}
    if isinstance(value, list | tuple | set):
        return [plain(each, budget, depth + 1) for each in value]
    return plain_scalar(value)


def plain_scalar(value: Any) -> Any:  # Any: see FrontMatter.values
    if value is None or isinstance(value, bool | dt.date):
        return value
    if isinstance(value, int) and abs(value) < WHOLE_LIMIT:
        return value
    if isinstance(value, float) and math.isfinite(value):
        return value
    if isinstance(value, bytes):
        return f"{len(value)} bytes"
    return clean(readable(value))


def readable(value: Any) -> str:  # Any: a number that JSON does not know, a time, a text
    return hex(value) if isinstance(value, int) else str(value)


def clean(text: str) -> str:
    return UNSTORABLE.sub("", text)


def as_json(value: Any) -> Any:  # Any: what FrontMatter.values holds
    """Return the values with dates and times as ISO 8601 text, as a JSON column takes them."""
    if isinstance(value, dict):
        return {key: as_json(each) for key, each in value.items()}
    if isinstance(value, list):
        return [as_json(each) for each in value]
    return value.isoformat() if isinstance(value, dt.date) else value
