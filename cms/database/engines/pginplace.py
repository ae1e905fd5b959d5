"""Restore into a PostgreSQL database that must stay: everything is dropped, loaded and compared in one transaction.

For roles that may not create databases. pg_restore cannot drop and load in one transaction that somebody else then
looks at, so it only writes the statements here, and our own connection executes them.
"""

from __future__ import annotations

import re
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from typing import BinaryIO, cast

import psycopg
import sqlalchemy as sa

from cms.database.engines.base import connecting
from cms.database.engines.pgtools import find_tool, running, unpack
from cms.database.envelope import Envelope
from cms.database.errors import DatabaseBusy, RestoreFailed
from cms.database.progress import Meter
from cms.database.target import Target

UNCHANGED = "it was all one transaction, which was rolled back: the database holds what it held before"
COPY = re.compile(rb"COPY .* FROM stdin;\n")
END_OF_ROWS = b"\\.\n"
CHUNK_BYTES = 1 << 16
# What a script says to psql, with a random key.
TO_PSQL = re.compile(rb"^\\(?:un)?restrict \w+$", re.MULTILINE)
# Large objects come in transactions of their own, which would end ours.
TRANSACTIONS = {b"BEGIN;\n", b"COMMIT;\n"}
# Owned by whoever made the extension, which is seldom this role; the extension itself stays, and its comment with it.
KEPT = re.compile(rb" COMMENT - EXTENSION ")
NOT_OF_EXTENSIONS = "NOT EXISTS (SELECT 1 FROM pg_depend WHERE objid = o.oid AND deptype = 'e')"
DROPS = (
    """SELECT format('DROP SCHEMA %I CASCADE', nspname) FROM pg_namespace o
       WHERE nspname <> 'public' AND nspname !~ '^pg_' AND nspname <> 'information_schema' AND {0}""",
    """SELECT format('DROP %s IF EXISTS %s CASCADE', CASE relkind WHEN 'v' THEN 'VIEW' WHEN 'm' THEN 'MATERIALIZED VIEW'
                      WHEN 'S' THEN 'SEQUENCE' WHEN 'f' THEN 'FOREIGN TABLE' ELSE 'TABLE' END, oid::regclass)
       FROM pg_class o WHERE relnamespace = {1} AND relkind IN ('r', 'p', 'v', 'm', 'S', 'f') AND {0}""",
    """SELECT format('DROP ROUTINE IF EXISTS %s CASCADE', oid::regprocedure)
       FROM pg_proc o WHERE pronamespace = {1} AND {0}""",
    """SELECT format('DROP TYPE IF EXISTS %s CASCADE', oid::regtype)
       FROM pg_type o WHERE typnamespace = {1} AND typtype IN ('c', 'd', 'e', 'r')
       AND (typrelid = 0 OR (SELECT relkind FROM pg_class WHERE oid = typrelid) = 'c') AND {0}""",
    """SELECT format('DROP COLLATION IF EXISTS %s CASCADE', oid::regcollation)
       FROM pg_collation o WHERE collnamespace = {1} AND {0}""",
    "SELECT format('SELECT lo_unlink(%s)', oid) FROM pg_largeobject_metadata",
)
PUBLIC = "'public'::regnamespace"


@contextmanager
def loaded_in_place(
    target: Target, engine: sa.Engine, dump: Path, *, envelope: Envelope, meter: Meter
) -> Iterator[sa.Connection]:
    """Empty the database, load the dump, and commit when the block ends without an error.

    Raises RestoreFailed, DatabaseBusy, ToolMissing; nothing has changed then.
    """
    failed = RestoreFailed(f"{target.name} could not be emptied and loaded", hint=UNCHANGED)
    try:
        with connecting(target, engine) as connection, connection.begin():
            driver = cast("psycopg.Connection", connection.connection.driver_connection)
            driver.execute(f"SET LOCAL lock_timeout = '{target.limits.deploy_wait_s}s'")
            empty(driver)
            script = Script(target, driver.info.server_version // 10_000, dump, envelope=envelope, meter=meter)
            driver.execute(script.read("pre-data"))
            with script.lines("data") as lines:
                load_rows(driver, lines)
            driver.execute(script.read("post-data"))
            driver.execute("RESET ALL")  # the script sets the search_path, among others, for the whole session
            yield connection
    except psycopg.errors.LockNotAvailable as error:
        raise DatabaseBusy(
            f"{target.name} could not be emptied",
            why=f"others held its tables for the {target.limits.deploy_wait_s} s that we waited",
            hint=f"stop the site and try again; {UNCHANGED}",
        ) from error
    except psycopg.Error as error:
        failed.why = str(error).strip().partition("\n")[0]
        raise failed from error


def empty(driver: psycopg.Connection) -> None:
    """Drop everything that a dump brings back: schemas, tables, views, sequences, routines, types, large objects."""
    for query in DROPS:
        for (statement,) in driver.execute(query.format(NOT_OF_EXTENSIONS, PUBLIC)).fetchall():
            driver.execute(statement)


class Script:
    """A dump as pg_restore writes it for psql, section by section: definitions, rows, then indexes and constraints.

    Owners and grants are left out: they are of other databases.
    """

    def __init__(self, target: Target, server_major: int, dump: Path, *, envelope: Envelope, meter: Meter) -> None:
        self._target = target
        self._tool = find_tool("pg_restore", target, server_major).path
        self._dump = dump
        self._envelope = envelope
        self._meter = meter

    def read(self, section: str) -> bytes:
        """Return a section that holds no rows."""
        with tempfile.NamedTemporaryFile() as wanted:
            with self._output("--list") as lines:
                wanted.writelines(line for line in lines if not KEPT.search(line))
            wanted.flush()
            with self._output("--file=-", f"--section={section}", f"--use-list={wanted.name}") as lines:
                return TO_PSQL.sub(b"", lines.read())

    def lines(self, section: str) -> AbstractContextManager[BinaryIO]:
        """Give a section line by line."""
        return self._output("--file=-", f"--section={section}")

    @contextmanager
    def _output(self, *arguments: str) -> Iterator[BinaryIO]:
        unread = RestoreFailed("pg_restore could not read the backup", hint=UNCHANGED)
        command = [self._tool, "--no-owner", "--no-acl", *arguments]
        with running(command, self._target, unread, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
            feeding = threading.Thread(target=self._feed, args=(child.stdin,))
            feeding.start()
            try:
                yield cast("BinaryIO", child.stdout)
            finally:
                cast("BinaryIO", child.stdout).close()  # ends a pg_restore whose script is not wanted any more
                feeding.join()

    def _feed(self, sink: BinaryIO) -> None:
        with suppress(BrokenPipeError):  # pg_restore has read what it needs, or has ended and says itself why
            unpack(self._dump, sink, self._envelope, self._meter)


def load_rows(driver: psycopg.Connection, lines: BinaryIO) -> None:
    """Copy each table's rows, and set sequences and large objects. Raises psycopg.Error."""
    statement = b""
    for line in lines:
        if COPY.fullmatch(line):
            copy_rows(driver, line, lines)
        elif line not in TRANSACTIONS and not TO_PSQL.match(line):
            statement += line
            if line.endswith(b";\n"):
                driver.execute(statement)
                statement = b""


def copy_rows(driver: psycopg.Connection, statement: bytes, lines: BinaryIO) -> None:
    with driver.cursor().copy(statement) as copy:
        rows = b""
        for line in lines:
            if line == END_OF_ROWS:
                break
            rows += line
            if len(rows) > CHUNK_BYTES:
                copy.write(rows)
                rows = b""
        copy.write(rows)
