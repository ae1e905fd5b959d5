"""What a revision says to a database, statement by statement, each with the line of the file that said it."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType

import sqlalchemy as sa
from alembic.operations import Operations
from alembic.runtime.migration import MigrationContext
from alembic.script import Script
from sqlalchemy import event
from sqlalchemy.dialects.postgresql.psycopg import PGDialect_psycopg

from cms.database.errors import MigrationFailed
from cms.database.guard import Memory, rebuilding
from cms.database.schema import Base

BLOCK = " -- autocommit block"
LEADING_COMMENTS = re.compile(r"\A(?:\s|--[^\n]*(?:\n|\Z)|/\*.*?\*/)+", re.DOTALL)
# What may hold a semicolon that ends nothing: texts, names, dollar quotes, comments; and what opens and closes a body.
PARTS = re.compile(
    r"'(?:[^']|'')*'|\"[^\"]*\"|(\$\w*\$).*?\1|--[^\n]*|/\*.*?\*/|;|\b(?:BEGIN|CASE|END)\b",
    re.DOTALL | re.IGNORECASE,
)
HAS_BODY = re.compile(r"CREATE (?:OR REPLACE )?(?:TEMP(?:ORARY)? )?(?:TRIGGER|FUNCTION|PROCEDURE)\b", re.IGNORECASE)
ENDS = re.compile(r"(?:BEGIN|COMMIT|ROLLBACK|START TRANSACTION|END|PREPARE TRANSACTION)\b", re.IGNORECASE)
LEAVES = re.compile(
    r"SET\b.*\bsearch_path|(?:(?:CREATE|ALTER|DROP|LOCK|TRUNCATE) TABLE|INSERT INTO|UPDATE|DELETE FROM"
    r'|CREATE .*INDEX .* ON|DROP INDEX) (?:IF (?:NOT )?EXISTS |ONLY |CONCURRENTLY )*"?[a-z_]\w*"?\.',
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Statement:
    """SQL, and the line of the revision file that it comes from."""

    sql: str
    line: int

    @property
    def in_one_line(self) -> str:
        return " ".join(self.sql.split())


class Tape:
    """Collects statements; Alembic's offline mode writes to it as to a file."""

    def __init__(self, file: str) -> None:
        self._file = file
        self.statements: list[Statement] = []
        self._paused = False

    @contextmanager
    def pausing(self) -> Iterator[None]:
        """Leave out what a building block says: it is judged by its own tests."""
        before, self._paused = self._paused, True
        try:
            yield
        finally:
            self._paused = before

    def write(self, sql: str) -> None:
        if self._paused:
            return
        line = line_in(self._file)
        self.statements += [Statement(each, line) for each in split_statements(sql)]

    def flush(self) -> None:
        """Do nothing: all is written."""


def split_statements(sql: str) -> list[str]:
    """Return the statements in a text, each with its semicolon if it has one, without the comments before it."""
    found, start, depth = [], 0, 0
    for part in PARTS.finditer(sql):
        if part[0] == ";" and depth == 0:
            found.append(sql[start : part.end()])
            start = part.end()
        elif HAS_BODY.match(LEADING_COMMENTS.sub("", sql[start:])):
            depth = max(0, depth + {"BEGIN": 1, "CASE": 1, "END": -1}.get(part[0].upper(), 0))
    stripped = [LEADING_COMMENTS.sub("", each).strip() for each in [*found, sql[start:]]]
    # A comment behind a semicolon belongs to the statement before it: that is where our own mark stands.
    return [each + BLOCK if each and sql.endswith(BLOCK) else each for each in stripped if each]


def line_in(file: str) -> int:
    """Return the line of the file that is being executed, innermost call first; 1 if none is."""
    frame: FrameType | None = sys._getframe()  # noqa: SLF001 - the documented way to see one's callers
    while frame is not None:
        if frame.f_code.co_filename == file:
            return frame.f_lineno
        frame = frame.f_back
    return 1


class OneTransaction(MigrationContext):
    """Runs what asks to be outside of the transaction inside it, so that all can be rolled back."""

    tape: Tape

    @contextmanager
    def autocommit_block(self) -> Iterator[None]:
        self.tape.write(f"COMMIT;{BLOCK}")
        yield
        self.tape.write(f"BEGIN;{BLOCK}")


def render(script: Script) -> list[Statement]:
    """Return the SQL of an upgrade on PostgreSQL, without a server. Raises whatever a revision that reads raises."""
    tape = Tape(str(script.module.__file__))
    options = {"as_sql": True, "literal_binds": True, "output_buffer": tape, "target_metadata": Base.metadata}
    dialect = PGDialect_psycopg(paramstyle="named")  # type: ignore[no-untyped-call]
    run(script, "upgrade", OneTransaction(dialect, None, options, None), tape)
    return tape.statements


def record(connection: sa.Connection, script: Script, way: str) -> list[Statement]:
    """Run "upgrade" or "downgrade" on a scratch database and return what was said. Raises what the revision raises.

    CONCURRENTLY is left out: it cannot run in a transaction, and changes only how long others wait.
    """
    tape = Tape(str(script.module.__file__))

    def listen(_connection: object, _cursor: object, sql: str, parameters: object, *_: object) -> tuple[str, object]:
        tape.write(sql)
        refuse_to_leave(" ".join(sql.split()))
        return sql.replace(" CONCURRENTLY", ""), parameters

    memory = Memory(connection) if connection.dialect.name == "sqlite" else None
    event.listen(connection, "before_cursor_execute", listen, retval=True)
    try:
        options = {"target_metadata": Base.metadata}
        with rebuilding(connection):
            run(script, way, OneTransaction(connection.dialect, connection, options, None), tape)
    finally:
        event.remove(connection, "before_cursor_execute", listen)
    if memory:
        memory.put_back(statement.sql for statement in tape.statements)
    return tape.statements


def refuse_to_leave(sql: str) -> None:
    """Raise MigrationFailed before a statement would end the scratch place's transaction or reach the real tables."""
    if ENDS.match(sql):
        raise MigrationFailed(f"{sql[:40]} would end the transaction")
    if LEAVES.match(sql):
        raise MigrationFailed("it names a schema or changes the search_path, so it may reach tables of others")


def run(script: Script, way: str, context: OneTransaction, tape: Tape) -> None:
    context.tape = tape
    with Operations.context(context):
        getattr(script.module, way)()
