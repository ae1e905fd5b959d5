"""The command `manage.py statements`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cms.errors import Refused
from cms.management.base import command
from cms.words import counted

if TYPE_CHECKING:
    from flask import Flask


@dataclass(frozen=True)
class StatementsFile:
    """What was written down for one kind of database. added: how many of them the file did not have before."""

    engine: str
    file: Path
    statements: int
    added: int


@dataclass(frozen=True)
class StatementsRecorded:
    """The files that were written. revision: the head of the release that asks this."""

    revision: str
    files: tuple[StatementsFile, ...]

    def __str__(self) -> str:
        return "\n".join(
            f"{counted(each.statements, 'statement')} of the release at {self.revision}, {each.added} of them new: "
            f"{each.file}"
            for each in self.files
        )


@command
@click.argument("action", type=click.Choice(["record"]))
@click.option(
    "--from",
    "folder",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="Where the site wrote what it asks [default: STATEMENTS_DIR].",
)
@click.option("--add", is_flag=True, help="Keep what the file holds already: what a running site asks comes on top.")
def statements(app: Flask, *, action: str, folder: Path | None, add: bool) -> StatementsRecorded:  # noqa: ARG001
    """Write down what this release asks its database, for the rehearsals of later upgrades."""
    from cms.database.asked import collect, file_of, merge, read_statements, write_statements
    from cms.database.history import get_head, load_scripts
    from cms.database.target import Target, parse_url

    folder = folder or app.config["STATEMENTS_DIR"]
    if folder is None:
        raise click.UsageError("say --from FOLDER, or set STATEMENTS_DIR: that is where a site writes what it asks")
    target = Target.of(app.config)
    head = get_head(load_scripts(target))
    files = []
    for url in ("sqlite://", "postgresql://"):
        kind = Target(parse_url(url), target.backup_dir, migrations_dir=target.migrations_dir)
        found, known = collect(folder, kind.engine_name), read_statements(kind, head)
        if not found:
            continue
        added = len({each.sql for each in found} - {each.sql for each in known})
        kept = merge([*known, *found]) if add else found
        write_statements(kind, head, kept)
        files.append(StatementsFile(kind.engine_name, file_of(kind, head), len(kept), added))
    if not files:
        raise Refused(
            f"there are no statements in {folder}",
            why="no site wrote any there",
            hint="run the site, or the tests, with STATEMENTS_DIR set to it; nothing was changed",
        )
    return StatementsRecorded(head, tuple(files))
