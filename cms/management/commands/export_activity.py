"""The command `manage.py export-activity`."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cms.errors import Refused
from cms.management.activity_options import as_filter, choosing
from cms.management.base import command
from cms.words import counted

if TYPE_CHECKING:
    from collections.abc import Iterable

    from flask import Flask


@dataclass(frozen=True)
class ActivityExported:
    """How many entries were written to which file."""

    file: Path
    count: int

    def __str__(self) -> str:
        return f"{counted(self.count, 'line')} written to {self.file}"


@command
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--format", "form", type=click.Choice(["csv", "jsonl"]), default="csv", show_default=True)
@choosing
def export_activity(app: Flask, *, file: Path, form: str, **chosen: Any) -> ActivityExported:  # noqa: ARG001 - its context; Any: see choosing
    """Write the activity log, oldest first, to a new file that only you can read."""
    from cms.activity.export import as_csv, as_json_lines
    from cms.activity.queries import iterate_activity
    from cms.extensions import db

    entries = iterate_activity(db.session, as_filter(chosen))
    lines = as_csv(entries) if form == "csv" else as_json_lines(entries)
    return ActivityExported(file, write_lines(file, lines) - (form == "csv"))


def write_lines(file: Path, lines: Iterable[str]) -> int:
    """Write a file that is whole or not there; returns how many lines. Raises Refused if there is one already."""
    if os.path.lexists(file):
        raise Refused(f"{file} is there already", hint="name another file, or remove this one; nothing was changed")
    part = file.with_name(f".{file.name}.part")
    count = 0
    try:
        handle = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
        with os.fdopen(handle, "w", encoding="utf-8", newline="") as stream:
            for line in lines:
                stream.write(line)
                count += 1
            stream.flush()
            os.fsync(stream.fileno())
        part.rename(file)
    finally:
        part.unlink(missing_ok=True)
    return count
