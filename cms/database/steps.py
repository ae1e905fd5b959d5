"""The steps of a building block: on a live PostgreSQL each is committed alone, and done once however often it is tried.

Together with each step the table ``migration_steps`` is told that it is done, so that a revision which was interrupted
goes on from there. The table goes with the transaction that stores the revision. Everywhere else (SQLite, scratch
places, ``--sql``) the steps are said one after the other in the revision's own transaction.
"""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from functools import wraps
from typing import Any, ParamSpec

import sqlalchemy as sa
from alembic import op
from alembic.runtime.migration import MigrationContext
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.schema import CreateTable

from cms.database.facts import Fact
from cms.database.fingerprint import Fingerprint, read_fingerprint
from cms.database.journal import STEPS_TABLE
from cms.database.progress import EVERY_S
from cms.database.recording import OneTransaction

Parameters = ParamSpec("Parameters")
BLOCKS: set[str] = set()
"""The names of the building blocks."""
BEGUN, DONE = "begun", "done"
BEFORE = "the schema before"
# A build that is cancelled leaves an invalid index, and nobody queues behind one that waits.
UNHURRIED = ("lock_timeout", "statement_timeout")

steps = sa.Table(
    STEPS_TABLE,
    sa.MetaData(),
    sa.Column("revision", sa.String(100), primary_key=True),
    sa.Column("direction", sa.String(20), primary_key=True),
    sa.Column("step", sa.String(300), primary_key=True),
    sa.Column("standing", sa.Text, nullable=False),
)


def block(function: Callable[Parameters, None]) -> Callable[Parameters, None]:
    """Mark a building block: what it says is not judged statement by statement."""
    BLOCKS.add(function.__name__)

    @wraps(function)
    def told(*arguments: Parameters.args, **named: Parameters.kwargs) -> None:
        context = op.get_context()
        with context.tape.pausing() if isinstance(context, OneTransaction) else nullcontext():
            function(*arguments, **named)

    return told


class Steps:
    """Steps that are said one after the other, in whatever transaction there is."""

    live = False

    @staticmethod
    def of(name: str) -> Steps:
        """Return how the steps of the named block are done here."""
        context = op.get_context()
        numbers = context.opts.get("blocks")
        if numbers is None or context.as_sql or context.dialect.name != "postgresql":
            return Steps()
        revision, direction = running_revision()
        numbers[revision] += 1
        return LiveSteps(context, revision, direction, f"{numbers[revision]} {name}")

    def once(self, _name: str, do: Callable[[], None], *, unhurried: bool = False) -> None:  # noqa: ARG002
        """Do it in a transaction of its own. unhurried: it may wait, since nobody queues behind it."""
        do()

    def outside(self, _name: str, do: Callable[[], None], *, settle: Callable[[], bool]) -> None:  # noqa: ARG002
        """Do it outside of a transaction.

        settle: called where it was begun before: takes away what is half done, returns whether all is done.
        """
        context = op.get_context()
        with nullcontext() if isinstance(context, OneTransaction) else context.autocommit_block():
            do()

    def say(self, line: str) -> None:
        """Tell the operator how far it is."""
        if say := op.get_context().opts.get("say"):
            say(line)

    def read(self, _name: str) -> Any:  # Any: JSON
        """Return what ``keep`` kept for the step last; None if that is nothing."""
        return None

    def keep(self, name: str, position: object) -> None:
        """Commit, with how far the step is."""


class LiveSteps(Steps):
    """Steps that others can go on between."""

    live = True

    def __init__(self, context: MigrationContext, revision: str, direction: str, block_name: str) -> None:
        self._context, self._block = context, block_name
        self._key = {"revision": revision, "direction": direction}
        self._named: set[str] = set()
        if not sa.inspect(self._connection).has_table(STEPS_TABLE):
            self._connection.execute(CreateTable(steps))
        if self._find(BEFORE) is None:
            self._note(BEFORE, json.dumps([list(vars(fact).values()) for fact in self._read_facts()]))
            self._commit()

    @property
    def _connection(self) -> sa.Connection:
        return op.get_bind()

    def _read_facts(self) -> tuple[Fact, ...]:
        return read_fingerprint(self._connection).facts

    def _find(self, step: str) -> str | None:
        query = sa.select(steps.c.standing).filter_by(**self._key, step=step)
        return self._connection.execute(query).scalar()

    def _note(self, step: str, standing: str) -> None:
        noted = insert(steps).values(**self._key, step=step, standing=standing)
        self._connection.execute(
            noted.on_conflict_do_update(index_elements=list(steps.primary_key), set_={"standing": standing})
        )

    def _commit(self) -> None:
        with self._context.autocommit_block():
            pass  # going in commits, and coming out begins the next transaction

    def _name(self, step: str) -> str:
        """Return the whole name of a step. Raises RuntimeError for a second one of the name: it would be left out."""
        if step in self._named:
            raise RuntimeError(f"{self._block} has two steps {step}")
        self._named.add(step)
        return f"{self._block}: {step}"

    def once(self, name: str, do: Callable[[], None], *, unhurried: bool = False) -> None:
        step = self._name(name)
        if self._find(step) == DONE:
            return
        for setting in UNHURRIED if unhurried else ():
            self._connection.exec_driver_sql(f"SET LOCAL {setting} = 0")
        with self._onlooking(step) if unhurried else nullcontext():
            do()
        self._note(step, DONE)
        self._commit()

    def outside(self, name: str, do: Callable[[], None], *, settle: Callable[[], bool]) -> None:
        step = self._name(name)
        standing = self._find(step)
        if standing == DONE:
            return
        self._note(step, BEGUN)
        with self._context.autocommit_block(), self._without_haste(), self._onlooking(step):
            if standing != BEGUN or not settle():
                try:
                    do()
                except SQLAlchemyError:
                    with suppress(SQLAlchemyError):  # the connection may be what failed
                        settle()
                    raise
        self._note(step, DONE)
        self._commit()

    @contextmanager
    def _without_haste(self) -> Iterator[None]:
        for setting in UNHURRIED:
            self._connection.exec_driver_sql(f"SET {setting} = 0")
        yield
        for setting in UNHURRIED:  # after a failure nobody uses the connection any more
            self._connection.exec_driver_sql(f"RESET {setting}")

    def read(self, name: str) -> Any:  # Any: JSON
        return json.loads(self._find(f"{self._block}: {name}") or "null")

    def keep(self, name: str, position: object) -> None:
        self._note(f"{self._block}: {name}", json.dumps(position))
        self._commit()

    @contextmanager
    def _onlooking(self, step: str) -> Iterator[None]:
        """Say every few seconds, from a connection of its own, how far a long statement is and whom it waits for."""
        driver: Any = self._connection.connection.driver_connection  # Any: psycopg's, which SQLAlchemy does not know
        pid = driver.info.backend_pid
        engine, over = self._connection.engine, threading.Event()

        def tell() -> None:
            while not over.wait(EVERY_S):
                with suppress(SQLAlchemyError), engine.connect() as connection:
                    self.say(f"{step.partition(' ')[2]}: {describe_progress(connection, pid)}")

        thread = threading.Thread(target=tell, daemon=True)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()


def describe_progress(connection: sa.Connection, pid: int) -> str:
    """Return how far the server's process is, and who keeps it waiting."""
    build = connection.exec_driver_sql(
        """SELECT phase, coalesce(nullif(round(100.0 * blocks_done / nullif(blocks_total, 0)), 0),
                                  round(100.0 * tuples_done / nullif(tuples_total, 0)))
           FROM pg_stat_progress_create_index WHERE pid = %s""",
        (pid,),
    ).first()
    blockers = connection.exec_driver_sql(
        """SELECT pid, coalesce(nullif(application_name, ''), 'unnamed'), state,
                  extract(epoch FROM clock_timestamp() - xact_start)::int
           FROM pg_stat_activity WHERE pid = ANY (pg_blocking_pids(%s)) ORDER BY xact_start LIMIT 3""",
        (pid,),
    )
    waiting = [
        f"waits for process {other} ({name}, {state}), whose transaction is {age_s} s old"
        for other, name, state, age_s in blockers
    ]
    done = [f"{build[0]}{'' if build[1] is None else f', {build[1]} %'}"] if build else []
    return "; ".join([*done, *waiting]) or "at work"


def running_revision() -> tuple[str, str]:
    """Return id of the revision whose file is being executed, and "upgrade" or "downgrade"."""
    frame = sys._getframe()  # noqa: SLF001 - Alembic does not say which revision it runs
    while "down_revision" not in frame.f_globals or frame.f_code.co_name not in {"upgrade", "downgrade"}:
        if frame.f_back is None:
            raise RuntimeError("a building block is called outside of a revision")
        frame = frame.f_back
    return str(frame.f_globals["revision"]), frame.f_code.co_name


def read_before(connection: sa.Connection, revision: str, direction: str) -> Fingerprint | None:
    """Return the schema before a revision that was done in steps began; None for one that was not."""
    if not sa.inspect(connection).has_table(STEPS_TABLE):
        return None
    query = sa.select(steps.c.standing).filter_by(revision=revision, direction=direction, step=BEFORE)
    found = connection.execute(query).scalar()
    return Fingerprint(tuple(Fact(*fact) for fact in json.loads(found))) if found else None


def forget(connection: sa.Connection, revision: str) -> None:
    """Take the notes of a revision away, in the transaction that stores it; with the last ones goes the table."""
    if connection.dialect.name != "postgresql" or not sa.inspect(connection).has_table(STEPS_TABLE):
        return
    connection.execute(steps.delete().filter_by(revision=revision))
    if not connection.execute(sa.select(sa.func.count()).select_from(steps)).scalar_one():
        steps.drop(connection)


def is_begun(connection: sa.Connection, revision: str) -> bool:
    """Return whether a revision was interrupted between its steps."""
    if not sa.inspect(connection).has_table(STEPS_TABLE):
        return False
    return connection.execute(sa.select(steps.c.step).filter_by(revision=revision).limit(1)).scalar() is not None
