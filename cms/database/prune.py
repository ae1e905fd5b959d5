"""Thin out what is kept: old backups, and the databases that restores put aside."""

from __future__ import annotations

import fcntl
import shutil
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from cms.database.backup import BEFORE_RESTORING, PARTIAL, locked
from cms.database.engines import engine_for
from cms.database.errors import DatabaseUnreachable
from cms.database.files import sync
from cms.database.shelf import BackupEntry, list_backups
from cms.database.target import Target
from cms.words import counted

PROVEN_KEPT = 2
IN_USE = "it is being read now"
ALONE = fcntl.LOCK_EX | fcntl.LOCK_NB


@dataclass(frozen=True)
class Keep:
    """How many to keep: of backups the newest of so many days, weeks and months; of former databases so many."""

    daily: int
    weekly: int
    monthly: int
    former: int


@dataclass(frozen=True)
class PrunePlan:
    """Which backups go and which stay, and why each of those stays; which former databases go.

    former: None if the database could not be asked for them.
    """

    folder: Path
    remove: tuple[str, ...]
    keep: dict[str, str]
    former: tuple[str, ...] | None

    def __str__(self) -> str:
        lines = [f"keep    {name}  {reason}" for name, reason in self.keep.items()]
        lines += [f"remove  {name}" for name in self.remove]
        lines += [f"drop    {name}  put aside by a restore" for name in self.former or ()]
        lines.append(f"{counted(len(self.remove), 'backup')} to remove from {self.folder}")
        if self.former is None:
            lines.append("the database cannot be reached: what restores put aside is left alone")
        return "\n".join(lines)


@dataclass(frozen=True)
class PruneResult:
    """What was removed, and which former databases were dropped."""

    folder: Path
    removed: tuple[str, ...]
    kept: dict[str, str]
    dropped: tuple[str, ...]

    def __str__(self) -> str:
        dropped = f"; dropped {counted(len(self.dropped), 'former database')}" if self.dropped else ""
        if not self.removed:
            return f"no backup to remove; {counted(len(self.kept), 'backup')} kept in {self.folder}{dropped}"
        return f"removed {counted(len(self.removed), 'backup')} from {self.folder}, kept {len(self.kept)}{dropped}"


def plan_prune(target: Target, keep: Keep) -> PrunePlan:
    """Choose what goes. Reads only."""
    entries = list_backups(target).backups[::-1]
    kept = choose_kept(entries, keep)
    for entry in entries:
        if entry.id not in kept and is_read(target.backup_dir / entry.id):
            kept[entry.id] = IN_USE
    remove = tuple(entry.id for entry in entries if entry.id not in kept)
    ordered = {entry.id: kept[entry.id] for entry in entries if entry.id in kept}
    return PrunePlan(target.backup_dir, remove, ordered, list_former(target, keep.former))


def choose_kept(newest_first: Iterable[BackupEntry], keep: Keep) -> dict[str, str]:
    """Return the ids of the backups that stay, and why.

    Whatever the numbers, the two newest proven backups stay, so does what the last restore in place replaced, which no
    ``--undo`` brings back, and so does one whose manifest cannot be trusted: a person must look at it. Order is by
    sequence number, because a clock may have been set back.
    """
    entries = list(newest_first)
    kept = {entry.id: "cannot be trusted; look at it" for entry in entries if entry.problem}
    sound = [entry for entry in entries if not entry.problem]
    for entry in [entry for entry in sound if entry.proven_at][:PROVEN_KEPT]:
        kept[entry.id] = "one of the two newest proven"
    for entry in [entry for entry in sound if entry.why.startswith(BEFORE_RESTORING)][:1]:
        kept.setdefault(entry.id, "the way back from the last restore in place")
    for count, unit, bucket in (
        (keep.daily, "day", lambda at: at.date().isoformat()),
        (keep.weekly, "week", lambda at: "{}-W{:02}".format(*at.isocalendar()[:2])),
        (keep.monthly, "month", lambda at: f"{at:%Y-%m}"),
    ):
        for name, label in newest_of_each(sound, count, bucket):
            kept.setdefault(name, f"newest of {unit} {label}")
    return kept


def newest_of_each(
    newest_first: Iterable[BackupEntry], count: int, bucket: Callable[[datetime], str]
) -> list[tuple[str, str]]:
    """Return (id, label) of the newest backup in each of the ``count`` newest buckets that hold one."""
    found: dict[str, str] = {}
    for entry in newest_first:
        found.setdefault(bucket(datetime.fromisoformat(entry.created_at)), entry.id)
    return [(name, label) for label, name in list(found.items())[:count]]


def list_former(target: Target, keep: int) -> tuple[str, ...] | None:
    """Return the databases that restores put aside, without the newest few; None if the server does not answer."""
    try:
        former = engine_for(target).list_kept(target)
    except DatabaseUnreachable:
        return None
    return tuple(former[: max(0, len(former) - keep)])


def apply_prune(target: Target, plan: PrunePlan) -> PruneResult:
    """Remove what the plan names, but what is being read by now."""
    read = {name: IN_USE for name in plan.remove if not remove(target.backup_dir, name)}
    for name in plan.former or ():
        engine_for(target).discard(target, name)
    removed = tuple(name for name in plan.remove if name not in read)
    return PruneResult(plan.folder, removed, plan.keep | read, plan.former or ())


def remove(parent: Path, name: str) -> bool:
    """Remove a backup, which loses its name first, so that none is ever half there; False if somebody reads it."""
    folder, doomed = parent / name, parent / f"{PARTIAL}removed-{name}"
    try:
        with locked(folder, ALONE):  # a backup that begins now takes it for one in progress, and leaves it to us
            folder.rename(doomed)
            sync(parent)
            shutil.rmtree(doomed)
    except BlockingIOError:
        return False
    except FileNotFoundError:
        pass  # another run was quicker
    return True


def is_read(folder: Path) -> bool:
    try:
        with locked(folder, ALONE):
            return False
    except BlockingIOError:
        return True
