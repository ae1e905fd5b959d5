"""Take revisions back, after saying what that costs: `manage.py downgrade`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import sqlalchemy as sa
from alembic import command
from alembic.script import ScriptDirectory

from cms.database.backup import BackupResult, apply_backup, plan_backup
from cms.database.differences import columns_of
from cms.database.engines import engine_for
from cms.database.engines.base import connecting
from cms.database.errors import DowngradeRefused, MigrationFailed
from cms.database.expected import read_expected
from cms.database.fingerprint import Fingerprint, is_derived
from cms.database.history import Revision, alembic_config, as_revision, get_script, load_scripts, read_current
from cms.database.journal import About, new_run_id
from cms.database.progress import Say
from cms.database.rehearsal import Rehearsal, refuse_failure, rehearse
from cms.database.revision_files import read_commit
from cms.database.target import Target
from cms.words import counted


@dataclass(frozen=True)
class Loss:
    """What would be gone. column: None for a whole table; count: of its rows, or of the values that are not null."""

    table: str
    column: str | None
    count: int

    def __str__(self) -> str:
        if self.column is None:
            return f"{counted(self.count, 'row')} of {self.table}"
        return f"{counted(self.count, 'value')} in {self.table}.{self.column}"


@dataclass(frozen=True)
class DowngradePlan:
    """What would be taken back, newest first, and what would be lost with it."""

    database: str
    current: str
    goal: str
    steps: tuple[Revision, ...]
    losses: tuple[Loss, ...]

    @property
    def price(self) -> int:
        """Return how many rows and values would be lost."""
        return sum(loss.count for loss in self.losses)

    def __str__(self) -> str:
        lines = [f"{self.database} would go back from {self.current} to {self.goal}, after a backup and a rehearsal:"]
        lines += [f"  {step.id}  {step.title}" for step in self.steps]
        if not self.price:
            return "\n".join([*lines, "no row and no value would be lost"])
        lost = [f"  {loss}" for loss in self.losses if loss.count]
        return "\n".join([*lines, f"lost, but in the backup ({self.price:,} in all):", *lost])


@dataclass(frozen=True)
class DowngradeResult:
    """What was taken back, as read back from the database."""

    database: str
    before: str
    after: str
    lost: int
    backup: BackupResult

    def __str__(self) -> str:
        standing = "proven" if self.backup.proven else "UNPROVEN"
        return (
            f"{self.database} went back from {self.before} to {self.after}\n"
            f"  lost {self.lost:,} rows and values; backup from before, {standing}: {self.backup.folder}\n"
            "deploy the code of that revision now: this code would upgrade again"
        )


def plan_downgrade(target: Target, goal: str) -> DowngradePlan:
    """Find what lies between, and count what it would cost. Reads only; the tables and columns that would go, whole.

    goal: a revision below the database's own, or a unique beginning of one.
    Raises DowngradeRefused if it is not below, RevisionUnknown, HistoryBroken, DatabaseUnreachable.
    """
    scripts = load_scripts(target)
    wanted = str(get_script(scripts, goal).revision)
    with connecting(target, engine_for(target).open_tool(target)) as connection:
        current = read_current(connection, scripts)
        steps = list_steps(scripts, current, wanted)
        if current is None or not steps:
            raise DowngradeRefused(
                f"{wanted} is not below {current or 'no revision'}, where {target.name} is",
                why="a downgrade goes to an older revision",
                hint="`python manage.py showmigrations` shows the order; nothing was changed",
            )
        expected = read_expected(target, scripts)
        losses = tuple(count_losses(connection, expected[current], expected[wanted]))
    return DowngradePlan(target.name, current, wanted, steps, losses)


def list_steps(scripts: ScriptDirectory, current: str | None, goal: str) -> tuple[Revision, ...]:
    """Return what lies above the goal, newest first; nothing if the goal is not below."""
    below = [script.revision for script in scripts.iterate_revisions(current, "base")] if current else []
    if goal not in below[1:]:
        return ()
    return tuple(as_revision(script) for script in scripts.iterate_revisions(current, goal))


def count_losses(connection: sa.Connection, now: Fingerprint, then: Fingerprint) -> Iterator[Loss]:
    """Yield the rows of each table that would go, and the values in each column that would go.

    What triggers make of other tables is no loss.
    """
    quote = connection.dialect.identifier_preparer.quote
    staying = {fact.table for fact in then.facts if fact.kind == "table"}
    for table in sorted({fact.table for fact in now.facts if fact.kind == "table" and not is_derived(fact.table)}):
        if table not in staying:
            query = f"SELECT count(*) FROM {quote(table)}"  # noqa: S608 - a name of our history, quoted
            yield Loss(table, None, int(connection.exec_driver_sql(query).scalar_one()))
            continue
        for column in sorted(columns_of(table, now).keys() - columns_of(table, then).keys()):
            query = f"SELECT count({quote(column)}) FROM {quote(table)}"  # noqa: S608 - names of our history, quoted
            yield Loss(table, column, int(connection.exec_driver_sql(query).scalar_one()))


def apply_downgrade(target: Target, plan: DowngradePlan, *, proof: bool = True, say: Say) -> DowngradeResult:
    """Take the revisions back, after a backup and a rehearsal on the copy that proves it, under the deploy lock.

    Raises DowngradeRefused if more would be lost by now than was planned, MigrationFailed, and what a backup raises.
    """
    with engine_for(target).deploy_lock(target, say):
        if (now := plan_downgrade(target, plan.goal)).price > plan.price or now.current != plan.current:
            raise DowngradeRefused(
                f"the price changed while we looked: it is {now.price:,} now and was {plan.price:,}",
                hint="run the command again; nothing was changed",
            )
        rehearsed: list[Rehearsal] = []

        def try_it(copy: Target) -> None:
            rehearsed.append(rehearse(copy, goal=plan.goal, say=say))

        why = f"before downgrade to {plan.goal}"
        backup = apply_backup(target, plan_backup(target, proof=proof), why=why, on_copy=try_it, say=say)
        for rehearsal in rehearsed:
            say(str(rehearsal))
            refuse_failure(target, rehearsal, plan.steps)
        came_of_it = f"{rehearsed[0].duration_s:.1f} s" if rehearsed else "none: the backup is not proven"
        code = read_commit(target.migrations_dir)
        about = About(new_run_id(), code, plan.current, plan.goal, backup.id, came_of_it)
        take_back(target, plan.goal, about, say)
        return read_back(target, plan, backup)


def take_back(target: Target, goal: str, about: About, say: Say) -> None:
    config = alembic_config(target)
    config.attributes.update(lock_held=True, about=about, say=say)
    command.downgrade(config, goal)


def read_back(target: Target, plan: DowngradePlan, backup: BackupResult) -> DowngradeResult:
    with connecting(target, engine_for(target).open_tool(target)) as connection:
        after = read_current(connection, load_scripts(target))
    if after != plan.goal:
        raise MigrationFailed(
            f"{target.name} is at {after} and not at {plan.goal}",
            why="the downgrade ended without an error and is not stored",
            hint="python manage.py check says more",
        )
    return DowngradeResult(target.name, plan.current, after, plan.price, backup)
