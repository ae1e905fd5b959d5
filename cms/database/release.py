"""`backup-and-migrate` as one operation: each phase is named before it begins, and its time is measured.

lock → checks → leftovers of killed runs → backup, with its proof → rehearsal → revisions → post-checks → receipt.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

import sqlalchemy as sa
from alembic import command
from alembic.script import ScriptDirectory

from cms.database.backup import BackupResult, apply_backup, plan_backup
from cms.database.closing import closed, find_declared, find_measured
from cms.database.engines import engine_for
from cms.database.engines.base import connecting
from cms.database.expected import read_expected
from cms.database.fingerprint import is_counted, read_fingerprint
from cms.database.history import (
    Revision,
    alembic_config,
    get_head,
    list_pending,
    load_scripts,
    read_current,
)
from cms.database.hooks import HookRun
from cms.database.journal import About, new_run_id
from cms.database.leftovers import Leftover, find_leftovers, list_indexes_to_come, remove_leftovers
from cms.database.postchecks import look_after, look_before
from cms.database.progress import Say
from cms.database.rehearsal import Rehearsal, refuse_failure, rehearse
from cms.database.runs import PhaseTook, RunLog
from cms.database.target import Target
from cms.database.way_back import Undertaking, UpgradeStopped, as_told, describe_standing, give_back
from cms.errors import Refused
from cms.words import counted

GIGABYTE = 1_000_000_000
EMPTY = "the database is empty"


@dataclass(frozen=True)
class ReleasePlan:
    """Where the database stands and what an upgrade would apply.

    tables: how many it holds; 0 needs no backup. unrehearsed: why the revisions are not tried on a copy first; None if
    they are. leftovers: what killed runs left, which goes first. closing: why the site is closed meanwhile, as far as
    that is known before the rehearsal. commands: the settings that name commands of the operator's own.
    """

    database: str
    current: str | None
    head: str
    pending: tuple[Revision, ...]
    tables: int
    unrehearsed: str | None
    leftovers: tuple[Leftover, ...] = ()
    closing: str | None = None
    commands: tuple[str, ...] = ()

    def __str__(self) -> str:
        lines = [f"would remove the {leftover} of a run that was killed" for leftover in self.leftovers]
        if not self.pending:
            return "\n".join([f"{self.database} is at {self.head}, the newest revision; nothing to do", *lines])
        backup = "after a backup" if self.tables else "without a backup, since it is empty"
        lines.append(f"{self.database} is at {self.current or 'no revision'}; would apply, {backup}:")
        lines += [f"  {revision.id}  {revision.title}" for revision in self.pending]
        lines.append(
            f"not rehearsed: {self.unrehearsed}" if self.unrehearsed else "each is rehearsed on a copy of it first"
        )
        lines += [f"{' and '.join(self.commands)} would be run"] if self.commands else []
        lines += [f"maintenance mode is on meanwhile: {self.closing}"] if self.closing else []
        return "\n".join(lines)


@dataclass(frozen=True)
class ReleaseResult:
    """What was done, as read back from the database: the receipt of a run.

    rehearsal: None if there was none. run: its id, in the journal too; None if there was nothing to do.
    phases: how long each took. beside: what the schema has or lacks beside its revision, as it did before.
    """

    database: str
    before: str | None
    after: str
    applied: tuple[Revision, ...]
    backup: BackupResult | None
    rehearsal: Rehearsal | None
    duration_ms: int
    run: str | None = None
    phases: tuple[PhaseTook, ...] = ()
    beside: tuple[str, ...] = ()

    def __str__(self) -> str:
        if not self.applied:
            return f"{self.database} is at {self.after}, the newest revision; nothing to do"
        lines = [f"{self.database} went from {self.before or 'no revision'} to {self.after}:"]
        lines += [f"  {revision.id}  {revision.title}" for revision in self.applied]
        if self.backup:
            standing = "proven" if self.backup.proven else "UNPROVEN"
            lines.append(f"  backup from before, {standing}: {self.backup.folder}")
        if self.beside:
            lines.append(f"  {counted(len(self.beside), 'difference')} to that revision's schema, as before")
        took = ", ".join(f"{phase.name} {phase.duration_ms / 1000:.1f}" for phase in self.phases)
        return "\n".join([*lines, f"  took {self.duration_ms / 1000:.1f} s ({took})"])


def plan_release(target: Target, *, proof: bool = True, rehearsal: bool = True) -> ReleasePlan:
    """Compare the database's revision with the head. Reads only.

    proof, rehearsal: whether the backup is to be proven, and the revisions are to be tried on that copy.

    Raises HistoryBroken, RevisionUnknown, DatabaseUnreachable; Refused for tables that have no revision at all;
    MigrationFailed where a table's rows are in the half-built table of another tool.
    """
    scripts = load_scripts(target)
    head = get_head(scripts)
    engine = engine_for(target)
    if engine.embedded and engine.is_absent(target):
        pending = tuple(list_pending(scripts, None))
        return ReleasePlan(target.name, None, head, pending, 0, EMPTY, commands=target.hooks.names)
    with connecting(target, engine.open_tool(target)) as connection:
        current = read_current(connection, scripts)
        tables = [name for name in engine.list_tables(connection) if is_counted(name.rpartition(".")[2])]
        size_bytes = engine.size_bytes(connection)
        if current is None:
            refuse_tables_without_revision(target, connection)
        pending = tuple(list_pending(scripts, current))
        leftovers = find_leftovers(target, connection, name_indexes_to_come(target, scripts, current, pending))
    unrehearsed = why_no_rehearsal(target, size_bytes, proof=proof, rehearsal=rehearsal) if tables else EMPTY
    return ReleasePlan(
        target.name, current, head, pending, len(tables), unrehearsed, leftovers, find_declared(scripts, pending),
        target.hooks.names,
    )  # fmt: skip


def name_indexes_to_come(
    target: Target, scripts: ScriptDirectory, current: str | None, pending: tuple[Revision, ...]
) -> frozenset[str]:
    """Return the names of the indexes that the pending revisions make; none where they cannot be tried to find out."""
    if not pending or engine_for(target).embedded:  # on SQLite no index is ever half built
        return frozenset()
    with suppress(Exception):
        return list_indexes_to_come(read_expected(target, scripts), current, pending)
    return frozenset()


def refuse_tables_without_revision(target: Target, connection: sa.Connection) -> None:
    tables = [fact for fact in read_fingerprint(connection).facts if fact.kind == "table"]
    if tables:
        raise Refused(
            f"{target.name} holds {counted(len(tables), 'table')} and no revision",
            why="it was made without this schema history, or is somebody else's",
            hint="python manage.py stamp-existing-database finds out which revision it is; nothing was changed",
        )


def why_no_rehearsal(target: Target, size_bytes: int, *, proof: bool, rehearsal: bool) -> str | None:
    """Return why the upgrade is not tried on a copy first; None if it is."""
    limit_gb = target.limits.rehearsal_max_gb
    if not rehearsal:
        return "--no-rehearsal was given"
    if not proof:
        return "the backup is not proven, so there is no copy"
    if limit_gb and size_bytes > limit_gb * GIGABYTE:
        return f"the database has {size_bytes / GIGABYTE:.1f} GB, and REHEARSAL_MAX_GB is {limit_gb}"
    return None


def apply_release(
    target: Target, *, proof: bool = True, rehearsal: bool = True, restoring: bool = False, say: Say
) -> ReleaseResult:
    """Bring the database to the head, after a backup and a rehearsal on the copy that proves it, under the deploy lock.

    restoring: if a revision fails after others were applied, restore the backup; what was written since is put aside.
    Another run that holds the lock is waited for; what it did is then read from the database, so of many runs at once
    one works and the others find nothing to do. Raises what plan_release, apply_backup and the revisions raise;
    a revision that fails is rolled back, those before it stay, and the same command goes on from there. One that
    fails in the rehearsal touches nothing.
    """
    with RunLog(new_run_id(), say) as log, HookRun(target, log.run, say) as hooks:
        try:
            log.enter("lock")
            with engine_for(target).deploy_lock(target, say):
                log.enter("checks")
                # It refuses before anything is touched, SQLite's journal mode included.
                plan = plan_release(target, proof=proof, rehearsal=rehearsal)
                if plan.pending:
                    log.open(target, "upgrade", before=plan.current, goal=plan.head)
                    if target.hooks.before:
                        log.enter("command before")
                    hooks.before(plan.current, plan.head, plan.pending)
                log.enter("leftovers")
                remove_leftovers(target, plan.leftovers, say)
                engine_for(target).prepare(target)
                if not plan.pending:
                    return ReleaseResult(
                        target.name, plan.current, plan.head, (), None, None, log.elapsed_ms, phases=log.phases
                    )
                result = migrate(target, plan, log, proof=proof, say=say)
                hooks.finish(result)
                return result
        except UpgradeStopped as stopped:
            log.enter("way back")
            raise (give_back(target, stopped, say) if restoring else as_told(target, stopped)) from stopped.failure


def migrate(target: Target, plan: ReleasePlan, log: RunLog, *, proof: bool, say: Say) -> ReleaseResult:
    """Back up, rehearse, upgrade, look again. Raises UpgradeStopped for what fails after the rehearsal."""
    before = look_before(target, plan.current, say=say)
    backup, rehearsed = back_up(target, plan, log, proof=proof, say=say)
    say(str(rehearsed) if rehearsed else f"not rehearsed: {plan.unrehearsed}")
    if rehearsed:
        refuse_failure(target, rehearsed, plan.pending)
    outside = {receipt.revision for receipt in rehearsed.receipts if receipt.outside} if rehearsed else set()
    closing = plan.closing or (find_measured(target, rehearsed) if rehearsed else None)
    for_s = rehearsed.duration_s if rehearsed else None
    with (
        telling(target, Undertaking(plan.current, plan.pending, backup, outside), say),
        closed(target, closing, run=log.run, for_s=for_s, say=say),
    ):
        log.enter("revisions", backup=backup.id if backup else None)
        say(f"applying {counted(len(plan.pending), 'revision')} to {target.name}")
        came_of_it = f"{rehearsed.duration_s:.1f} s" if rehearsed else f"none: {plan.unrehearsed}"
        about = About(log.run, log.code, plan.current, plan.head, backup.id if backup else None, came_of_it)
        upgrade(target, about, log, say)
        log.enter("post-checks")
        beside = look_after(target, before, plan.head)
    log.enter("receipt")
    result = ReleaseResult(
        target.name, plan.current, plan.head, plan.pending, backup, rehearsed,
        log.elapsed_ms, run=log.run, phases=log.phases, beside=beside,
    )  # fmt: skip
    log.finish(result)
    return result


@contextmanager
def telling(target: Target, undertaking: Undertaking, say: Say) -> Iterator[None]:
    """Say where the database stands, and what leads on and back, however the block is left before its end.

    Raises UpgradeStopped for a failure.
    """
    try:
        yield
    except Exception as failure:
        raise UpgradeStopped(failure, undertaking) from failure
    except BaseException:
        say(describe_standing(target, undertaking))
        raise


def back_up(
    target: Target, plan: ReleasePlan, log: RunLog, *, proof: bool, say: Say
) -> tuple[BackupResult | None, Rehearsal | None]:
    """Take the backup, and rehearse on its proof's copy."""
    if not plan.tables:
        return None, None
    log.enter("backup")
    done: list[Rehearsal] = []

    def try_it(copy: Target) -> None:
        log.enter("rehearsal")
        done.append(rehearse(copy, say=say))
        log.enter("backup")

    why = f"before upgrade to {plan.head}"
    planned = plan_backup(target, proof=proof)
    backup = apply_backup(target, planned, why=why, on_copy=None if plan.unrehearsed else try_it, say=say)
    return backup, done[0] if done else None


def upgrade(target: Target, about: About, log: RunLog, say: Say) -> None:
    config = alembic_config(target)
    config.attributes.update(lock_held=True, about=about, storing=log.storing, say=say)
    command.upgrade(config, "head")
