"""The activity log as text for other programs: CSV that no spreadsheet runs, or a JSON object on each line."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict, fields
from datetime import UTC, datetime

from cms.activity.queries import Activity

NAMES = [each.name for each in fields(Activity)]
# A spreadsheet takes a cell that begins with one of these for a formula. Source: OWASP, CSV injection.
FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")


def as_csv(entries: Iterable[Activity]) -> Iterator[str]:
    """Yield a line of names, then a line for each entry; what could be a formula begins with an apostrophe."""
    yield csv_line(NAMES)
    for entry in entries:
        yield csv_line([harmless(value) for value in values_of(entry)])


def as_json_lines(entries: Iterable[Activity]) -> Iterator[str]:
    """Yield one JSON object a line, in ASCII, with the keys in the order of the columns."""
    for entry in entries:
        values = asdict(entry) | {"happened_at": moment(entry.happened_at)}
        yield json.dumps(values, default=str) + "\n"


def values_of(entry: Activity) -> list[str]:
    values = asdict(entry)
    values["happened_at"] = moment(entry.happened_at)
    values["details"] = json.dumps(entry.details, ensure_ascii=False, sort_keys=True) if entry.details else ""
    return ["" if values[name] is None else str(values[name]) for name in NAMES]


def harmless(cell: str) -> str:
    return f"'{cell}" if cell.lstrip(" ").startswith(FORMULA) else cell


def csv_line(cells: list[str]) -> str:
    line = io.StringIO(newline="")
    csv.writer(line, lineterminator="\r\n").writerow(cells)
    return line.getvalue()


def moment(value: datetime) -> str:
    return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
