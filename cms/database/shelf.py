"""The backups that there are: listing, verifying and thinning them out."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from cms.database.backup import PARTIAL, list_backup_folders, locked
from cms.database.errors import BackupDamaged
from cms.database.files import sync
from cms.database.keys import load_key
from cms.database.manifest import Manifest, read_manifest, verify_backup
from cms.database.target import Target
from cms.words import counted

PROVEN_KEPT = 2
FOUND = 3


@dataclass(frozen=True)
class BackupEntry:
    """One backup as the list shows it. restore_ms: what its proof took, the best guess for a restore; None if unproven.

    problem: why its manifest cannot be trusted; then only id and folder mean anything.
    """

    id: str
    folder: Path
    sequence: int
    created_at: str
    revision: str | None
    rows: int
    size_bytes: int
    proven_at: str | None
    restore_ms: int | None
    why: str
    problem: str | None

    def __str__(self) -> str:
        if self.problem:
            return f"{self.id}  CANNOT BE TRUSTED: {self.problem}"
        cost = f"restored in {self.restore_ms / 1000:.1f} s" if self.restore_ms is not None else "UNPROVEN"
        return (
            f"{self.id}  {age(self.created_at):>8} old  {self.size_bytes:>15,} bytes  {self.rows:>10,} rows  "
            f"{self.revision or 'no revision'}  {cost}  ({self.why})"
        )


@dataclass(frozen=True)
class BackupList:
    """The backups of a folder, oldest first."""

    folder: Path
    backups: tuple[BackupEntry, ...]

    @property
    def exit_code(self) -> int:
        return FOUND if any(entry.problem for entry in self.backups) else 0

    def __str__(self) -> str:
        lines = [str(entry) for entry in self.backups]
        return "\n".join([*lines, f"{counted(len(lines), 'backup')} in {self.folder}"])


@dataclass(frozen=True)
class VerifiedBackup:
    """A backup whose signature and every file are as they were written. proven_at: None if it was never restored."""

    id: str
    folder: Path
    files: int
    size_bytes: int
    proven_at: str | None

    def __str__(self) -> str:
        standing = f"proven {self.proven_at}" if self.proven_at else "UNPROVEN: it was never restored"
        return f"backup {self.id} is whole: {counted(self.files, 'file')}, {self.size_bytes:,} bytes; {standing}"


@dataclass(frozen=True)
class PrunePlan:
    """Which backups go and which stay, and why each of those stays."""

    folder: Path
    remove: tuple[str, ...]
    keep: dict[str, str]

    def __str__(self) -> str:
        lines = [f"keep    {name}  {reason}" for name, reason in self.keep.items()]
        lines += [f"remove  {name}" for name in self.remove]
        return "\n".join([*lines, f"{counted(len(self.remove), 'backup')} to remove from {self.folder}"])


@dataclass(frozen=True)
class PruneResult:
    """What was removed."""

    folder: Path
    removed: tuple[str, ...]
    kept: dict[str, str]

    def __str__(self) -> str:
        if not self.removed:
            return f"nothing to remove; {counted(len(self.kept), 'backup')} kept in {self.folder}"
        return f"removed {counted(len(self.removed), 'backup')} from {self.folder}, kept {len(self.kept)}"


def find_folder(target: Target, named: Path) -> Path:
    """Return the folder that a person means: a path, or the id of a backup in the folder for backups."""
    return (named if named.exists() else target.backup_dir / named).resolve()


def list_backups(target: Target) -> BackupList:
    """Read every manifest of the folder for backups. Opens no dump."""
    folders = list_backup_folders(target.backup_dir)
    key = load_key(target) if folders else b""
    return BackupList(target.backup_dir, tuple(describe(folder, key) for folder in folders))


def describe(folder: Path, key: bytes) -> BackupEntry:
    try:
        manifest = read_manifest(folder, key)
    except BackupDamaged as damaged:
        return BackupEntry(folder.name, folder, 0, "", None, 0, 0, None, None, "", f"{damaged.why}")
    proof = manifest.proof
    return BackupEntry(
        folder.name,  # not the manifest's: a folder may have been copied or renamed
        folder,
        manifest.sequence,
        manifest.created_at,
        manifest.contents.revision,
        manifest.contents.rows,
        manifest.size_bytes,
        proof.proven_at if proof else None,
        proof.duration_ms if proof else None,
        manifest.why,
        None,
    )


def verify(target: Target, folder: Path) -> VerifiedBackup:
    """Check signature, size and SHA-256 of every file of one backup. Raises BackupDamaged."""
    manifest = verify_backup(folder, load_key(target))
    count = len(manifest.files) + len(manifest.media)
    return VerifiedBackup(manifest.id, folder, count, manifest.size_bytes, proven_at(manifest))


def proven_at(manifest: Manifest) -> str | None:
    return manifest.proof.proven_at if manifest.proof else None


def plan_prune(target: Target, *, daily: int, weekly: int, monthly: int) -> PrunePlan:
    """Choose the newest backup of each of the last days, weeks and months that have one. Reads only.

    Whatever the numbers, the two newest proven backups stay, and so does one whose manifest cannot be trusted: a
    person must look at it. Order is by sequence number, because a clock may have been set back.
    """
    entries = list_backups(target).backups[::-1]
    keep: dict[str, str] = {entry.id: "cannot be trusted; look at it" for entry in entries if entry.problem}
    sound = [entry for entry in entries if not entry.problem]
    for entry in [entry for entry in sound if entry.proven_at][:PROVEN_KEPT]:
        keep[entry.id] = "one of the two newest proven"
    for count, unit, bucket in (
        (daily, "day", lambda at: at.date().isoformat()),
        (weekly, "week", lambda at: "{}-W{:02}".format(*at.isocalendar()[:2])),
        (monthly, "month", lambda at: f"{at:%Y-%m}"),
    ):
        for name, label in newest_of_each(sound, count, bucket):
            keep.setdefault(name, f"newest of {unit} {label}")
    remove = tuple(entry.id for entry in entries if entry.id not in keep)
    return PrunePlan(target.backup_dir, remove, {entry.id: keep[entry.id] for entry in entries if entry.id in keep})


def newest_of_each(
    newest_first: Iterable[BackupEntry], count: int, bucket: Callable[[datetime], str]
) -> list[tuple[str, str]]:
    """Return (id, label) of the newest backup in each of the ``count`` newest buckets that hold one."""
    found: dict[str, str] = {}
    for entry in newest_first:
        found.setdefault(bucket(datetime.fromisoformat(entry.created_at)), entry.id)
    return [(name, label) for label, name in list(found.items())[:count]]


def apply_prune(target: Target, plan: PrunePlan) -> PruneResult:
    """Remove the backups that the plan names. A removed one loses its name first, so none is ever half there."""
    for name in plan.remove:
        folder, doomed = target.backup_dir / name, target.backup_dir / f"{PARTIAL}removed-{name}"
        with locked(folder):  # a backup that begins now takes it for one in progress, and leaves it to us
            folder.rename(doomed)
            sync(target.backup_dir)
            shutil.rmtree(doomed)
    return PruneResult(plan.folder, plan.remove, plan.keep)


def age(created_at: str) -> str:
    """Return how old a moment is, in the unit that a person would use."""
    hours = (datetime.now(UTC) - datetime.fromisoformat(created_at)).total_seconds() / 3600
    if hours < 1:
        return f"{max(0, round(hours * 60))} min"
    return f"{hours:.0f} h" if hours < 48 else f"{hours / 24:.0f} d"  # noqa: PLR2004 - two days
