"""Whether the release that still serves gets along with a newer schema: what it asks is tried, its writes are judged.

The statements are those of ``cms.database.asked``. Trying one plans it and does not run it. So what shows only when
rows are written, a required column that nobody fills or a stricter check, is judged from how the schema changed.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError

from cms.database.asked import Asked, read_statements
from cms.database.engines import engine_for
from cms.database.engines.base import connecting, first_line
from cms.database.fingerprint import read_fingerprint
from cms.database.history import read_version_rows
from cms.database.stricter import Stricter
from cms.database.target import Target
from cms.words import counted

SHOWN = 160
KNOWN_TYPES = {
    "int": "bigint", "float": "double precision", "bool": "boolean", "UUID": "uuid", "datetime": "timestamptz",
    "date": "date", "bytes": "bytea", "Jsonb": "jsonb", "Json": "json",
}  # fmt: skip
"""What the driver sends values as; anything else, texts too, it leaves to the server to find out."""


@dataclass(frozen=True)
class Break:
    """A statement of the older release that the newer schema refuses, or may refuse."""

    sql: str
    why: str

    def __str__(self) -> str:
        return f"{self.sql if len(self.sql) <= SHOWN else self.sql[: SHOWN - 1] + '…'}: {self.why}"


@dataclass(frozen=True)
class Rolling:
    """Whether the release with the head ``release`` can go on while the new one starts.

    checked: how many of its statements were tried; 0 where none were written down. unchecked: those that could not be
    tried before the upgrade either.
    """

    release: str | None
    checked: int
    unchecked: int
    broken: tuple[Break, ...]

    @property
    def is_safe(self) -> bool:
        return bool(self.checked) and not self.broken

    def __str__(self) -> str:
        if not self.checked:
            return f"rolling deploy: not checked, since no statements of a release at {self.release} are written down"
        tried = f"{counted(self.checked, 'statement')} of the release at {self.release}"
        left = f" ({self.unchecked} more could not be tried)" if self.unchecked else ""
        if not self.broken:
            return f"rolling deploy is safe: {tried} were checked against the new schema{left}"
        told = f"rolling deploy is NOT safe, stop the old processes first: of {tried}{left} these break"
        return "\n    ".join([told, *map(str, self.broken)])


class Trial:
    """What the release that serves a database asks, tried on a copy before an upgrade and after it."""

    def __init__(self, copy: Target) -> None:
        self._copy = copy
        with trying(copy) as connection:
            self._release = next(iter(read_version_rows(connection)), None)
            self._before = read_fingerprint(connection)
            statements = read_statements(copy, self._release)
            self._unable = refusals(connection, statements)
        self._able = [each for each in statements if each not in self._unable]

    def finish(self) -> Rolling:
        """Return what the upgrade means for that release. Raises DatabaseUnreachable."""
        with trying(self._copy) as connection:
            refused = refusals(connection, self._able)
            after = read_fingerprint(connection)
        stricter = Stricter(self._before, after, enforces_types=self._copy.engine_name == "postgresql")
        broken = []
        for each in self._able:
            reasons = [refused[each]] if each in refused else stricter.objections(each)
            broken += [Break(each.in_one_line, reason) for reason in reasons]
        return Rolling(self._release, len(self._able), len(self._unable), tuple(broken))


def trying(copy: Target) -> AbstractContextManager[sa.Connection]:
    # In autocommit, so that one refusal does not spoil the next trial.
    return connecting(copy, engine_for(copy).open_tool(copy).execution_options(isolation_level="AUTOCOMMIT"))


def refusals(connection: sa.Connection, statements: Sequence[Asked]) -> dict[Asked, str]:
    """Plan each statement and run none; return what the database says of those that it refuses."""
    found = {}
    for each in statements:
        try:
            plan(connection, each)
        except DBAPIError as error:
            found[each] = first_line(error)
    return found


def plan(connection: sa.Connection, asked: Asked) -> None:
    """Let the database plan a statement. Raises DBAPIError where it refuses."""
    if connection.dialect.name == "sqlite":
        connection.exec_driver_sql(f"EXPLAIN {asked.sql}", (None,) * len(asked.types))
        return
    types = ", ".join(KNOWN_TYPES.get(kind, "unknown") for kind in map(without_null, asked.types))
    nulls = ", ".join(["NULL"] * len(asked.types))
    escaped = asked.sql.replace("%", "%%")
    connection.exec_driver_sql(f"PREPARE cms_asked{f' ({types})' if types else ''} AS {escaped}")
    try:
        connection.exec_driver_sql(f"EXPLAIN EXECUTE cms_asked{f' ({nulls})' if nulls else ''}")
    finally:
        connection.exec_driver_sql("DEALLOCATE cms_asked")


def without_null(kind: str) -> str:
    return "|".join(each for each in kind.split("|") if each != "NoneType")
