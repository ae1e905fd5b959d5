"""`backup-and-migrate` as one operation: lock, look, back up, upgrade, read back."""

from __future__ import annotations

import time
from dataclasses import dataclass

import sqlalchemy as sa
from alembic import command

from cms.database.backup import BackupResult, apply_backup, plan_backup
from cms.database.engines import engine_for
from cms.database.engines.base import connecting
from cms.database.errors import MigrationFailed
from cms.database.fingerprint import is_counted, read_fingerprint
from cms.database.history import (
    Revision,
    alembic_config,
    get_head,
    list_pending,
    load_scripts,
    read_current,
    read_current_of,
)
from cms.database.journal import About, new_run
from cms.database.progress import Say
from cms.database.rehearsal import Rehearsal, refuse_failure, rehearse
from cms.database.restore import apply_restore, plan_restore
from cms.database.target import Target
from cms.errors import CmsError, Refused
from cms.words import counted

GIGABYTE = 1_000_000_000
EMPTY = "the database is empty"


@dataclass(frozen=True)
class ReleasePlan:
    """Where the database stands and what an upgrade would apply.

    tables: how many it holds; 0 needs no backup. unrehearsed: why the revisions are not tried on a copy first; None if
    they are.
    """

    database: str
    current: str | None
    head: str
    pending: tuple[Revision, ...]
    tables: int
    unrehearsed: str | None

    def __str__(self) -> str:
        if not self.pending:
            return f"{self.database} is at {self.head}, the newest revision; nothing to do"
        steps = "\n".join(f"  {revision.id}  {revision.title}" for revision in self.pending)
        backup = "after a backup" if self.tables else "without a backup, since it is empty"
        tried = f"not rehearsed: {self.unrehearsed}" if self.unrehearsed else "each is rehearsed on a copy of it first"
        return f"{self.database} is at {self.current or 'no revision'}; would apply, {backup}:\n{steps}\n{tried}"


@dataclass(frozen=True)
class ReleaseResult:
    """What was done, as read back from the database. rehearsal: None if there was none."""

    database: str
    before: str | None
    after: str
    applied: tuple[Revision, ...]
    backup: BackupResult | None
    rehearsal: Rehearsal | None
    duration_ms: int

    def __str__(self) -> str:
        if not self.applied:
            return f"{self.database} is at {self.after}, the newest revision; nothing to do"
        lines = [f"{self.database} went from {self.before or 'no revision'} to {self.after}:"]
        lines += [f"  {revision.id}  {revision.title}" for revision in self.applied]
        if self.backup:
            standing = "proven" if self.backup.proven else "UNPROVEN"
            lines.append(f"  backup from before, {standing}: {self.backup.folder}")
        return "\n".join([*lines, f"  took {self.duration_ms / 1000:.1f} s"])


def plan_release(target: Target, *, proof: bool = True, rehearsal: bool = True) -> ReleasePlan:
    """Compare the database's revision with the head. Reads only.

    proof, rehearsal: whether the backup is to be proven, and the revisions are to be tried on that copy.

    Raises HistoryBroken, RevisionUnknown, DatabaseUnreachable; Refused for tables that have no revision at all.
    """
    scripts = load_scripts(target)
    head = get_head(scripts)
    engine = engine_for(target)
    if engine.embedded and engine.is_absent(target):
        return ReleasePlan(target.name, None, head, tuple(list_pending(scripts, None)), 0, EMPTY)
    with connecting(target, engine.open_tool(target)) as connection:
        current = read_current(connection, scripts)
        tables = [name for name in engine.list_tables(connection) if is_counted(name.rpartition(".")[2])]
        size_bytes = engine.size_bytes(connection)
        if current is None:
            refuse_tables_without_revision(target, connection)
    pending = tuple(list_pending(scripts, current))
    unrehearsed = why_no_rehearsal(target, size_bytes, proof=proof, rehearsal=rehearsal) if tables else EMPTY
    return ReleasePlan(target.name, current, head, pending, len(tables), unrehearsed)


def refuse_tables_without_revision(target: Target, connection: sa.Connection) -> None:
    tables = [fact for fact in read_fingerprint(connection).facts if fact.kind == "table"]
    if tables:
        raise Refused(
            f"{target.name} holds {counted(len(tables), 'table')} and no revision",
            why="it was made without this schema history, or is somebody else's",
            hint="python manage.py stamp-existing-database finds out which revision it is; nothing was changed",
        )


class UpgradeStopped(Exception):
    """A revision failed on the database itself, after the backup."""

    def __init__(self, failure: Exception, plan: ReleasePlan, backup: BackupResult | None) -> None:
        super().__init__()
        self.failure, self.plan, self.backup = failure, plan, backup


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
    began = time.monotonic()
    try:
        with engine_for(target).deploy_lock(target, say):
            # It refuses before anything is touched, SQLite's journal mode included.
            plan = plan_release(target, proof=proof, rehearsal=rehearsal)
            engine_for(target).prepare(target)
            if not plan.pending:
                return ReleaseResult(target.name, plan.current, plan.head, (), None, None, elapsed_ms(began))
            backup, rehearsed = migrate(target, plan, proof=proof, say=say)
    except UpgradeStopped as stopped:
        raise (give_back(target, stopped, say) if restoring else stopped.failure) from stopped.failure
    after = plan_release(target)
    if after.current != plan.head:
        raise MigrationFailed(
            f"{target.name} is at {after.current} and not at {plan.head}",
            why="the upgrade ended without an error and is not stored",
            hint="python manage.py check says more",
        )
    return ReleaseResult(target.name, plan.current, plan.head, plan.pending, backup, rehearsed, elapsed_ms(began))


def migrate(
    target: Target, plan: ReleasePlan, *, proof: bool, say: Say
) -> tuple[BackupResult | None, Rehearsal | None]:
    """Back up, rehearse, upgrade. Raises UpgradeStopped for what fails after the rehearsal."""
    backup, rehearsed = back_up(target, plan, say, proof=proof)
    say(str(rehearsed) if rehearsed else f"not rehearsed: {plan.unrehearsed}")
    if rehearsed:
        refuse_failure(target, rehearsed, plan.pending)
    about = describe_run(target, plan, backup, rehearsed)
    say(f"applying {counted(len(plan.pending), 'revision')} to {target.name}")
    try:
        upgrade(target, about, say)
    except Exception as failure:
        raise UpgradeStopped(failure, plan, backup) from failure
    return backup, rehearsed


def give_back(target: Target, stopped: UpgradeStopped, say: Say) -> Exception:
    """Restore the backup from before, if anything was applied, and return what is to be told."""
    failure, backup = stopped.failure, stopped.backup
    if backup is None or read_current_of(target, load_scripts(target)) == stopped.plan.current:
        return failure
    say("restoring the backup from before the upgrade")
    what = failure.what if isinstance(failure, CmsError) else f"{type(failure).__name__}: {failure}"
    why = getattr(failure, "why", None)
    try:
        restored = apply_restore(target, plan_restore(target, backup.folder, replacing=True), say=say)
    except CmsError as second:
        return MigrationFailed(
            f"{what}; and the backup from before could not be restored",
            why=f"{why}; {second.what}: {second.why}",
            hint=f"the revisions before it are applied; python manage.py restore {backup.folder} --replace",
        )
    return MigrationFailed(
        f"{what}; the backup from before the upgrade was restored",
        why=why,
        hint=f"mend it and run the same command again; what was there is kept as {restored.kept}",
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


def describe_run(target: Target, plan: ReleasePlan, backup: BackupResult | None, rehearsed: Rehearsal | None) -> About:
    """Return what the journal says of this run."""
    came_of_it = f"{rehearsed.duration_s:.1f} s" if rehearsed else f"none: {plan.unrehearsed}"
    return new_run(target.migrations_dir, backup.id if backup else None, came_of_it)


def elapsed_ms(began: float) -> int:
    return round((time.monotonic() - began) * 1000)


def back_up(
    target: Target, plan: ReleasePlan, say: Say, *, proof: bool
) -> tuple[BackupResult | None, Rehearsal | None]:
    """Take the backup, and rehearse on its proof's copy."""
    if not plan.tables:
        return None, None
    done: list[Rehearsal] = []

    def try_it(copy: Target) -> None:
        done.append(rehearse(copy, say=say))

    why = f"before upgrade to {plan.head}"
    planned = plan_backup(target, proof=proof)
    backup = apply_backup(target, planned, why=why, on_copy=None if plan.unrehearsed else try_it, say=say)
    return backup, done[0] if done else None


def upgrade(target: Target, about: About, say: Say) -> None:
    config = alembic_config(target)
    config.attributes.update(lock_held=True, about=about, say=say)
    command.upgrade(config, "head")
