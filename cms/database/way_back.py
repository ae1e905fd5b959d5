"""What a run that was stopped left, told truly, with the commands that go on from there or back."""

from __future__ import annotations

import traceback
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from cms.database.backup import BackupResult
from cms.database.environment import STANDING, failing_revision
from cms.database.errors import MigrationFailed
from cms.database.history import Revision, load_scripts, read_current_of
from cms.database.progress import Say
from cms.database.restore import apply_restore, plan_restore
from cms.database.target import Target
from cms.errors import CmsError
from cms.words import counted

ON = "python manage.py backup-and-migrate"


@dataclass(frozen=True)
class Undertaking:
    """What a run was about to do. resumable: the revisions that run statements outside of a transaction."""

    before: str | None
    steps: tuple[Revision, ...]
    backup: BackupResult | None
    resumable: Collection[str] = ()


class UpgradeStopped(Exception):
    """A revision failed on the database itself, after the backup."""

    def __init__(self, failure: Exception, undertaking: Undertaking) -> None:
        super().__init__()
        self.failure, self.undertaking = failure, undertaking


def describe_standing(target: Target, undertaking: Undertaking) -> str:
    """Look at the database through a new connection, and say where it stands and which commands lead on and back.

    Never raises: a database that does not answer is told too.
    """
    try:
        current = read_current_of(target, load_scripts(target))
    except CmsError as unreadable:
        return (
            f"where {target.name} stands cannot be read now ({unreadable.why or unreadable.what}); "
            f"once it answers, go on with: {ON}"
        )
    ids = [step.id for step in undertaking.steps]
    applied = ids.index(current) + 1 if current in ids else 0
    if not applied:
        return (
            f"{target.name} is at {current or 'no revision'}, as before{stays(ids[:1], undertaking)}; go on with: {ON}"
        )
    stored = f"{target.name} is at {current}: {applied} of {counted(len(ids), 'revision')} applied"
    return f"{stored}{stays(ids[applied : applied + 1], undertaking)}; go on with: {ON}{ways_back(undertaking)}"


def stays(failed: list[str], undertaking: Undertaking) -> str:
    """Say what the revision that was not stored may have left."""
    if failed and failed[0] in undertaking.resumable:
        return f" ({failed[0]} runs outside of a transaction: what it had done stays, and it goes on from there)"
    return ""


def ways_back(undertaking: Undertaking) -> str:
    ways = []
    if undertaking.before:
        ways.append(f"python manage.py downgrade {undertaking.before} (keeps what was written since)")
    if undertaking.backup:
        ways.append(f"python manage.py restore {undertaking.backup.id} --replace (all as it was before)")
    return f"; or back with: {', or '.join(ways)}" if ways else ""


def as_told(target: Target, stopped: UpgradeStopped) -> Exception:
    """Return the failure with where the database stands; a bug that is not of a revision keeps its own trace."""
    failure = stopped.failure
    standing = describe_standing(target, stopped.undertaking)
    if isinstance(failure, CmsError):
        hint = failure.hint or ""
        told = hint.replace(STANDING, standing) if STANDING in hint else f"{hint}; {standing}".removeprefix("; ")
        return type(failure)(failure.what, why=failure.why, hint=told)
    revision = failing_revision(failure, target.migrations_dir)
    if revision is None:
        return failure
    line = traceback.extract_tb(failure.__traceback__)[-1]
    why = f"{type(failure).__name__}: {failure} ({Path(line.filename).name}, line {line.lineno})"
    return MigrationFailed(f"{revision} failed on {target.name}", why=why, hint=f"mend the revision; {standing}")


def give_back(target: Target, stopped: UpgradeStopped, say: Say) -> Exception:
    """Restore the backup from before, if anything was applied, and return what is to be told."""
    failure, undertaking = as_told(target, stopped), stopped.undertaking
    backup = undertaking.backup
    if backup is None or read_current_of(target, load_scripts(target)) == undertaking.before:
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
        hint=f"{target.name} is at {undertaking.before}, as before; mend it, then go on with: {ON}; "
        f"what was there is kept as {restored.kept}",
    )
