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
from cms.database.history import Revision, alembic_config, get_head, list_pending, load_scripts, read_current
from cms.database.progress import Say
from cms.database.target import Target
from cms.errors import Refused
from cms.words import counted


@dataclass(frozen=True)
class ReleasePlan:
    """Where the database stands and what an upgrade would apply. tables: how many it holds; 0 needs no backup."""

    database: str
    current: str | None
    head: str
    pending: tuple[Revision, ...]
    tables: int

    def __str__(self) -> str:
        if not self.pending:
            return f"{self.database} is at {self.head}, the newest revision; nothing to do"
        steps = "\n".join(f"  {revision.id}  {revision.title}" for revision in self.pending)
        backup = "after a backup" if self.tables else "without a backup, since it is empty"
        return f"{self.database} is at {self.current or 'no revision'}; would apply, {backup}:\n{steps}"


@dataclass(frozen=True)
class ReleaseResult:
    """What was done, as read back from the database."""

    database: str
    before: str | None
    after: str
    applied: tuple[Revision, ...]
    backup: BackupResult | None
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


def plan_release(target: Target) -> ReleasePlan:
    """Compare the database's revision with the head. Reads only.

    Raises HistoryBroken, RevisionUnknown, DatabaseUnreachable; Refused for tables that have no revision at all.
    """
    scripts = load_scripts(target)
    head = get_head(scripts)
    engine = engine_for(target)
    if engine.embedded and engine.is_absent(target):
        return ReleasePlan(target.name, None, head, tuple(list_pending(scripts, None)), 0)
    with connecting(target, engine.open_tool(target)) as connection:
        current = read_current(connection, scripts)
        tables = [name for name in engine.list_tables(connection) if is_counted(name.rpartition(".")[2])]
        if current is None:
            refuse_tables_without_revision(target, connection)
    return ReleasePlan(target.name, current, head, tuple(list_pending(scripts, current)), len(tables))


def refuse_tables_without_revision(target: Target, connection: sa.Connection) -> None:
    tables = [fact for fact in read_fingerprint(connection).facts if fact.kind == "table"]
    if tables:
        raise Refused(
            f"{target.name} holds {counted(len(tables), 'table')} and no revision",
            why="it was made without this schema history, or is somebody else's",
            hint="python manage.py stamp-existing-database finds out which revision it is; nothing was changed",
        )


def apply_release(target: Target, *, proof: bool = True, say: Say) -> ReleaseResult:
    """Bring the database to the head, after a backup, under the deploy lock.

    Another run that holds the lock is waited for; what it did is then read from the database, so of many runs at once
    one works and the others find nothing to do. Raises what plan_release, apply_backup and the revisions raise;
    a revision that fails is rolled back, those before it stay, and the same command goes on from there.
    """
    began = time.monotonic()
    engine = engine_for(target)
    with engine.deploy_lock(target, say):
        plan = plan_release(target)  # refuses before anything is touched, SQLite's journal mode included
        engine.prepare(target)
        if not plan.pending:
            return ReleaseResult(target.name, plan.current, plan.head, (), None, elapsed_ms(began))
        backup = back_up(target, plan, say, proof=proof)
        say(f"applying {counted(len(plan.pending), 'revision')} to {target.name}")
        upgrade(target, say)
    after = plan_release(target)
    if after.current != plan.head:
        raise MigrationFailed(
            f"{target.name} is at {after.current} and not at {plan.head}",
            why="the upgrade ended without an error and is not stored",
            hint="python manage.py check says more",
        )
    return ReleaseResult(target.name, plan.current, plan.head, plan.pending, backup, elapsed_ms(began))


def elapsed_ms(began: float) -> int:
    return round((time.monotonic() - began) * 1000)


def back_up(target: Target, plan: ReleasePlan, say: Say, *, proof: bool) -> BackupResult | None:
    if not plan.tables:
        return None
    return apply_backup(target, plan_backup(target, proof=proof), why=f"before upgrade to {plan.head}", say=say)


def upgrade(target: Target, say: Say) -> None:
    config = alembic_config(target)
    config.attributes.update(lock_held=True, say=say)
    command.upgrade(config, "head")
