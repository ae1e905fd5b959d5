"""How Alembic runs our revisions; plain ``flask db upgrade`` comes through here too, by migrations/env.py."""

from __future__ import annotations

import sys
import time
import traceback
from collections import Counter
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from alembic.runtime.environment import EnvironmentContext
from alembic.runtime.migration import MigrationContext, MigrationInfo
from alembic.script import Script
from alembic.util import CommandError
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from cms.database.attempts import is_lock_timeout, run_until_locks_are_had
from cms.database.authoring import is_other_default, write_revision
from cms.database.engines import engine_for
from cms.database.engines.base import connecting, first_line
from cms.database.errors import DatabaseBusy, MigrationFailed, RebuildForgets
from cms.database.expected import read_expected
from cms.database.fingerprint import Fingerprint, is_counted, is_derived
from cms.database.guard import SchemaGuard, rebuilding
from cms.database.history import read_version_rows
from cms.database.journal import About, JournalEntry, new_entry, write_accepted, write_entry
from cms.database.progress import Say
from cms.database.receipts import RevisionReceipt
from cms.database.revision_files import checksum_of
from cms.database.steps import forget, is_begun, read_before
from cms.database.target import Target
from cms.database.values import DataGuard, PostgresDataGuard, SqliteDataGuard, list_declared
from cms.database.watch import Watch, count_written, watching
from cms.words import counted

GOES_ON = "what it had done stays, and the same command goes on from there"
STANDING = "the revisions before it are applied; `flask db current` shows where it stands"


def say_to_stderr(line: str) -> None:
    print(line, file=sys.stderr, flush=True)  # noqa: T201 - progress of a command line


@dataclass
class Run:
    """One call of Alembic on one target.

    lock_held: the caller already holds the deploy lock. accepted: differences to record in the stamp's transaction.
    about: the run that this is part of. storing: told of each step just before its commit.
    receipts: where to put what each revision did; measured only if given.
    """

    target: Target
    metadata: sa.MetaData
    lock_held: bool = False
    accepted: tuple[str, ...] = ()
    about: About | None = None
    storing: Callable[[JournalEntry], None] = lambda _entry: None
    receipts: list[RevisionReceipt] | None = None
    say: Say = say_to_stderr
    heads: set[str] | None = field(default=None, init=False)
    first_try_began: float | None = field(default=None, init=False)
    step_began: float = field(default=0.0, init=False)
    watch: Watch | None = field(default=None, init=False)
    guard: SchemaGuard | None = field(default=None, init=False)
    data: DataGuard | None = field(default=None, init=False)
    unguarded: str | None = field(default=None, init=False)

    def options(self) -> dict[str, Any]:  # Any: Alembic's own keywords
        """Return what ``context.configure`` is told, alike online and offline: what is shown is what would run."""
        return {
            "target_metadata": self.metadata,
            "include_name": is_ours,
            "compare_type": True,
            "compare_server_default": is_other_default,
            "render_as_batch": True,
            # One transaction for all would lose every applied revision to the last one's failure, and some
            # sequences (a new enum value and its use) cannot share one.
            "transaction_per_migration": True,
            "transactional_ddl": True,
            "process_revision_directives": write_revision,
            "on_version_apply": self.record,
            # For building blocks: their number in each revision, and where to tell how far they are.
            "blocks": Counter(),
            "say": self.say,
        }

    def record(self, *, ctx: MigrationContext, step: MigrationInfo, heads: set[str], **_: object) -> None:
        """Write the journal row in the transaction that applied the step; called by Alembic after each."""
        self.heads = set(heads)
        connection = ctx.connection
        if ctx.as_sql or connection is None:
            return
        if connection.dialect.name == "sqlite":
            refuse_orphans(connection, step)
        if step.is_stamp:
            direction, revisions, checksum = "stamp", step.destination_revision_ids, None
        else:
            direction, revisions = ("upgrade" if step.is_upgrade else "downgrade"), step.up_revision_ids
            checksum = checksum_of(step.up_revision.path) if isinstance(step.up_revision, Script) else None
        name = ", ".join(revisions) or "base"
        entry = new_entry(
            name,
            direction,
            duration_s=time.monotonic() - self.step_began,
            checksum=checksum,
            lock_wait_s=self.step_began - (self.first_try_began or self.step_began),
            rows_written=count_written(connection),
            about=self.about,
        )
        if not step.is_stamp:
            self.check(step, name, read_before(connection, name, direction))
            forget(connection, name)
        write_entry(connection, entry)
        write_accepted(connection, entry.revision, self.accepted)
        self.storing(entry)
        self.say(f"{direction} {entry.revision}  {title_of(step)}  {entry.duration_ms} ms")
        if self.unguarded:
            self.say(f"what else it changed of the schema is not known: {self.unguarded}")
        count_written(connection)  # what is written from here on is the next step's
        if self.watch:
            self.watch.begin()
        self.step_began = time.monotonic()
        self.first_try_began = None

    def check(self, step: MigrationInfo, name: str, before: Fingerprint | None) -> None:
        """Note what the step did. Raises MigrationFailed, which rolls it back, if that is more than is known of it.

        before: the schema before it, if it was done in steps that are committed one by one.
        """
        receipt = None
        if self.watch and self.receipts is not None:
            receipt = self.watch.finish(name, title_of(step))
        with self.watch.looking() if self.watch else nullcontext():
            if self.guard:
                parent = next(iter(step.down_revision_ids), None)
                for revision in step.up_revision_ids:
                    self.guard.finish(revision, parent, is_upgrade=step.is_upgrade, before=before)
            if self.data:
                self.data.finish(name, list_declared(step.up_revision), receipt)
        if receipt and self.receipts is not None:
            self.receipts.append(receipt)


def title_of(step: MigrationInfo) -> str:
    """Return what the step's revision does; of a stamp, the revision where the database then stands."""
    revision = next(iter(step.destination_revisions), None) if step.is_stamp else step.up_revision
    return revision.doc if isinstance(revision, Script) else ""


def run(context: EnvironmentContext, work: Run) -> None:
    """Do what the calling Alembic command asks for.

    Offline: print SQL. Writing (upgrade, downgrade, stamp): under the deploy lock, with lock timeouts and tries.
    Reading (current, check, autogenerate): without any lock.
    Raises the errors of cms.database.errors, which ``flask db`` shows as a message.
    """
    if context.is_offline_mode():
        render(context, work)
    elif is_writing(context):
        migrate(context, work)
    else:
        with connecting(work.target, engine_for(work.target).open_tool(work.target)) as connection:
            run_on(context, work, connection)


def render(context: EnvironmentContext, work: Run) -> None:
    """Print the SQL. Raises MigrationFailed where a revision must look at the database before it can say its SQL."""
    dialect = {"paramstyle": "named"}
    context.configure(dialect_name=work.target.engine_name, literal_binds=True, dialect_opts=dialect, **work.options())
    try:
        with context.begin_transaction():
            context.run_migrations()
    except (CommandError, AttributeError, TypeError) as error:
        revision = failing_revision(error, work.target.migrations_dir)
        if revision is None:
            raise
        if "batch mode" not in str(error):
            raise MigrationFailed(
                f"{revision} cannot be shown as SQL",
                why="it reads the database to decide what to do, and here there is none to read",
                hint="branch on `op.get_context().as_sql` in the revision, or rehearse it on a copy",
            ) from error
        raise MigrationFailed(
            f"{revision} cannot be shown as SQL for SQLite",
            why="SQLite changes a column by rebuilding its table from what the live table looks like",
            hint="rehearse it on a copy of the file, or render for PostgreSQL by setting DATABASE_URL",
        ) from error


def migrate(context: EnvironmentContext, work: Run) -> None:
    """Apply revisions under the deploy lock, then read back that they are stored."""
    engine = engine_for(work.target)
    engine.prepare(work.target)
    lock: AbstractContextManager[None] = nullcontext() if work.lock_held else engine.deploy_lock(work.target, work.say)
    with lock:
        run_revisions(context, work)
        read_back(work)


def run_revisions(context: EnvironmentContext, work: Run) -> None:
    """Run until the locks are had. Raises MigrationFailed, IrreversibleMigration, DatabaseBusy."""
    try:
        run_until_locks_are_had(work.target, work.say, lambda connection: run_on(context, work, connection))
    except SQLAlchemyError as error:
        if lost := find_lost(error):
            raise explain_lost(lost, failing_revision(error, work.target.migrations_dir), work) from error
        if isinstance(error, DBAPIError):
            raise explain(error, work) from error
        raise


def run_on(context: EnvironmentContext, work: Run, connection: sa.Connection) -> None:
    work.step_began = time.monotonic()
    work.first_try_began = work.first_try_began or work.step_began
    work.guard = SchemaGuard(connection, expect(context, work))
    connection.rollback()  # Alembic must find no transaction, or takes it for somebody else's
    watched = watching(connection) if work.receipts is not None else nullcontext()
    work.data = guard_data(connection, work)
    connection.rollback()
    with watched as work.watch, rebuilding(connection), work.data.listening() if work.data else nullcontext():
        context.configure(connection=connection, **work.options())
        with context.begin_transaction():
            context.run_migrations()


def guard_data(connection: sa.Connection, work: Run) -> DataGuard | None:
    """Return what compares the data; None on a live PostgreSQL, where others write meanwhile: the rehearsal does it."""
    if connection.dialect.name == "sqlite":
        return SqliteDataGuard(work.target, connection)
    return PostgresDataGuard(work.target, connection) if work.receipts is not None else None


def expect(context: EnvironmentContext, work: Run) -> dict[str, Fingerprint]:
    """Return the schema at each revision; nothing where the history cannot be run on an empty schema to find out."""
    try:
        return read_expected(work.target, context.script)
    except RebuildForgets:
        raise
    except Exception as error:  # noqa: BLE001 - a revision may raise anything; if the upgrade goes through, it is told
        work.unguarded = f"{type(error).__name__}: {error}".partition("\n")[0]
        return {}


def explain(error: DBAPIError, work: Run) -> MigrationFailed | DatabaseBusy:
    """Return the failure as a message that says where the database stands now."""
    if is_lock_timeout(error):
        revision = failing_revision(error, work.target.migrations_dir) or "the next revision"
        return DatabaseBusy(
            f"{work.target.name} is in use, so {revision} was not applied",
            why=f"another session held a lock that it needs for {work.target.limits.retry_s} s: {first_line(error)}",
            hint=f"end that session, or wait for it, and run the same command again; {STANDING}",
        )
    if "already exists" in first_line(error):
        cure = "if the tables are older than this history, run `python manage.py stamp-existing-database`"
        return failed(error, work, first_line(error), cure=cure)
    return failed(error, work, first_line(error))


def failed(error: Exception, work: Run, why: str, *, cure: str = "mend the revision or the data") -> MigrationFailed:
    revision = failing_revision(error, work.target.migrations_dir) or "the upgrade"
    with connecting(work.target, engine_for(work.target).open_tool(work.target)) as connection:
        left = GOES_ON if is_begun(connection, revision.removeprefix("revision ")) else "it was rolled back"
    return MigrationFailed(f"{revision} failed on {work.target.name}", why=why, hint=f"{cure}; {left}, {STANDING}")


def find_lost(error: BaseException) -> DBAPIError | None:
    """Return the error by which the connection was lost, if one was: what follows from it may hide it."""
    found: BaseException | None = error
    while found is not None:
        if isinstance(found, DBAPIError) and found.connection_invalidated:
            return found
        found = found.__context__
    return None


def explain_lost(error: DBAPIError, revision: str | None, work: Run) -> MigrationFailed:
    """Look at the database through a new connection: a commit may be stored although its answer never came.

    Raises DatabaseUnreachable if it does not answer now.
    """
    with connecting(work.target, engine_for(work.target).open_tool(work.target)) as connection:
        standing = ", ".join(read_version_rows(connection)) or "no revision"
        begun = revision and is_begun(connection, revision.removeprefix("revision "))
    left = f", and what {revision} had done stays" if begun else ""
    return MigrationFailed(
        f"the connection to {work.target.name} was lost while {revision or 'a revision'} ran",
        why=first_line(error),
        hint=f"the database is at {standing}{left}; run the same command again, it goes on from there",
    )


def failing_revision(error: BaseException, migrations_dir: Path) -> str | None:
    """Return "revision" and the id of the revision file in the error's traceback; None if it failed before any."""
    for frame, _ in traceback.walk_tb(error.__traceback__):
        if Path(frame.f_code.co_filename).parent == migrations_dir / "versions":
            return f"revision {frame.f_globals.get('revision')}"
    return None


def read_back(work: Run) -> None:
    """Raise MigrationFailed unless a new connection sees the revision that Alembic believes to have stored."""
    if work.heads is None:
        return
    with connecting(work.target, engine_for(work.target).open_tool(work.target)) as connection:
        stored = set(read_version_rows(connection))
    if stored != work.heads:
        raise MigrationFailed(
            "the migration reported success but is not stored",
            why=f"the database says {sorted(stored)}, expected {sorted(work.heads)}",
            hint="look for a statement in a revision that ends Alembic's transaction",
        )


def refuse_orphans(connection: sa.Connection, step: MigrationInfo) -> None:
    """Raise MigrationFailed, so that the step is rolled back, if a SQLite table rebuild left rows without a parent."""
    orphans = connection.exec_driver_sql("PRAGMA foreign_key_check").all()
    if orphans:
        raise MigrationFailed(
            f"revision {', '.join(step.up_revision_ids)} leaves {counted(len(orphans), 'row')} "
            "without the row they refer to",
            why=f"the first is in {orphans[0][0]}, its parent in {orphans[0][2]}",
            hint="delete or mend these rows first; this revision was rolled back",
        )


def is_writing(context: EnvironmentContext) -> bool:
    """Return whether the command moves the database: only those name a destination."""
    try:
        context.get_revision_argument()
    except KeyError:
        return False
    return True


def is_ours(name: str | None, kind: str, _parents: object) -> bool:
    """Return whether comparisons with the models look at an object: some tables no model describes."""
    return kind != "table" or name is None or (is_counted(name) and not is_derived(name))
