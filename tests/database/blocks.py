"""Revisions made of building blocks: the recipes of docs/MIGRATIONS.md, and databases at the head to run them on."""

from __future__ import annotations

import os
import re
import signal
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from shutil import copytree
from typing import TYPE_CHECKING, Self

import psycopg
import sqlalchemy as sa
from sqlalchemy import event

from cms.database.expected import write_expected
from cms.database.fingerprint import read_fingerprint
from cms.database.history import get_head, load_scripts
from cms.database.steps import running_revision, steps
from cms.database.values import columns_of, list_tables
from tests.database.rows import connected

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from cms.database.target import Target

PAGE = Path(__file__).resolve().parents[2] / "docs" / "MIGRATIONS.md"


@cache
def read_recipes() -> dict[str, tuple[str, ...]]:
    """Return the revisions of each recipe, by the block that its heading names."""
    section = PAGE.read_text(encoding="utf-8").partition("\n## Building blocks\n")[2].partition("\n## ")[0]
    recipes = {}
    for part in section.split("\n### ")[1:]:
        heading, _, text = part.partition("\n")
        name = re.search(r"`(\w+)`$", heading)
        assert name, heading
        recipes[name[1]] = tuple(re.findall(r"```python\n(.*?)```", text, re.DOTALL))
    return recipes


def identity(number: int) -> str:
    return f"{number:012d}"


def with_revisions(target: Target, folder: Path, codes: tuple[str, ...]) -> Target:
    """Return the target with more revisions after the head, whose ids ``identity`` gives, counted from 1."""
    copytree(target.migrations_dir, folder, ignore=lambda *_: ["__pycache__"])
    parent = get_head(load_scripts(target))
    for number, code in enumerate(codes, start=1):
        (folder / "versions" / f"20990101_{number:04d}_block.py").write_text(
            f'"""block {number}"""\nimport sqlalchemy as sa\nfrom alembic import op\n{code}\n'
            f'revision = "{identity(number)}"\ndown_revision = "{parent}"\n'
        )
        parent = identity(number)
    longer = replace(target, migrations_dir=folder)
    write_expected(longer, load_scripts(longer))
    return longer


@dataclass(frozen=True)
class State:
    """All that a revision may change."""

    schema: tuple[str, ...]
    rows: dict[str, list[str]]
    steps: bool


def read_state(target: Target) -> State:
    with connected(target) as connection:
        schema = tuple(map(str, read_fingerprint(connection).facts))
        noted = connection.dialect.has_table(connection, steps.name)
        rows = {table: list(read_rows(connection, table)) for table in list_tables(connection)}
    return State(schema, rows, noted)


def read_rows(connection: sa.Connection, table: str) -> Iterator[str]:
    """Yield the rows of a table, whatever the order of its columns."""
    columns = map(sa.column, sorted(columns_of(connection, table)))
    query = sa.select(*columns).select_from(sa.table(table))
    yield from sorted(repr(row) for row in connection.execute(query))


class Interruption:
    """Counts what revisions say to the server, and does something before or after one statement.

    at: its number, or how it begins.

    Used around a run: ``with Interruption(3, do): upgrade(target)``.
    """

    def __init__(self, at: int | str, do: Callable[[sa.Connection], None], *, when: str = "before") -> None:
        self.count = 0
        self.at, self._do, self._event = at, do, f"{when}_cursor_execute"

    def __enter__(self) -> Self:
        event.listen(sa.Engine, self._event, self._listen)
        return self

    def __exit__(self, *_: object) -> None:
        event.remove(sa.Engine, self._event, self._listen)

    def _listen(self, connection: sa.Connection, _cursor: object, sql: str, *_: object) -> None:
        with suppress(RuntimeError):
            running_revision()
            self.count += 1
            if self.count == self.at or sql.startswith(str(self.at)):
                self._do(connection)


def terminate(connection: sa.Connection) -> None:
    """Let the server end the session, as when the network fails."""
    driver = connection.connection.driver_connection
    with psycopg.connect(driver.info.dsn, password=driver.info.password, autocommit=True) as other:
        other.execute("SELECT pg_terminate_backend(%s, 5000)", [driver.info.backend_pid])


def kill(_connection: sa.Connection) -> None:
    os.kill(os.getpid(), signal.SIGKILL)
