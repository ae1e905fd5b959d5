"""The backups that there are: finding, listing and verifying them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from cms.database.backup import list_backup_folders, reading
from cms.database.errors import BackupDamaged
from cms.database.keys import load_key
from cms.database.manifest import Manifest, read_manifest, verify_backup
from cms.database.target import Target
from cms.words import counted

FOUND = 3


@dataclass(frozen=True)
class BackupEntry:
    """One backup as the list shows it. restore_ms: what its proof took, the best guess for a restore; None if unproven.

    folder: None for one that is only at the place for copies. copied: whether it is there; None if no place is set.
    problem: why its manifest cannot be trusted; then only id, folder and copied mean anything.
    """

    id: str
    folder: Path | None
    sequence: int
    created_at: str
    revision: str | None
    rows: int
    size_bytes: int
    proven_at: str | None
    restore_ms: int | None
    encrypted: bool
    why: str
    problem: str | None
    copied: bool | None = None

    def __str__(self) -> str:
        if self.problem:
            return f"{self.id}  CANNOT BE TRUSTED: {self.problem}"
        secrecy = "  encrypted" if self.encrypted else ""
        cost = f"restored in {self.restore_ms / 1000:.1f} s" if self.restore_ms is not None else "UNPROVEN"
        return (
            f"{self.id}  {age(self.created_at):>8} old  {self.size_bytes:>15,} bytes  {self.rows:>10,} rows  "
            f"{self.revision or 'no revision'}  {cost}{secrecy}{self.standing}  ({self.why})"
        )

    @property
    def standing(self) -> str:
        """Where it is, if there is a place for copies."""
        if self.copied is None:
            return ""
        return "  NO COPY" if not self.copied else "  copied" if self.folder else "  copy only"


@dataclass(frozen=True)
class BackupList:
    """The backups of a folder, oldest first.

    place: where copies of them are, if there is such a place. problem: why that could not be asked.
    """

    folder: Path
    backups: tuple[BackupEntry, ...]
    place: str | None = None
    problem: str | None = None

    @property
    def exit_code(self) -> int:
        return FOUND if self.problem or any(entry.problem for entry in self.backups) else 0

    def __str__(self) -> str:
        lines = [str(entry) for entry in self.backups]
        if self.problem:
            return "\n".join([*lines, f"{counted(len(lines), 'backup')} in {self.folder}", self.problem])
        place = f" and at {self.place}" if self.place else ""
        return "\n".join([*lines, f"{counted(len(lines), 'backup')} in {self.folder}{place}"])


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


def find_folder(target: Target, named: Path) -> Path:
    """Return the folder that a person means: a path, or the id of a backup in the folder for backups."""
    return (named if named.exists() else target.backup_dir / named).resolve()


def list_backups(target: Target) -> BackupList:
    """Read every manifest of the folder for backups. Opens no dump."""
    folders = list_backup_folders(target.backup_dir)
    key = load_key(target) if folders else b""
    found = (describe(folder.name, folder, partial(read_manifest, folder, key)) for folder in folders)
    return BackupList(target.backup_dir, tuple(found))


def describe(name: str, folder: Path | None, read: Callable[[], Manifest]) -> BackupEntry:
    """Return what a manifest says of its backup. name: not the manifest's, for a folder may have been renamed."""
    try:
        manifest = read()
    except BackupDamaged as damaged:
        return BackupEntry(name, folder, 0, "", None, 0, 0, None, None, False, "", f"{damaged.why}")
    proof = manifest.proof
    return BackupEntry(
        name,
        folder,
        manifest.sequence,
        manifest.created_at,
        manifest.contents.revision,
        manifest.contents.rows,
        manifest.size_bytes,
        proof.proven_at if proof else None,
        proof.duration_ms if proof else None,
        bool(manifest.recipients),
        manifest.why,
        None,
    )


def verify(target: Target, folder: Path) -> VerifiedBackup:
    """Check signature, size and SHA-256 of every file of one backup. Raises BackupDamaged."""
    with reading(folder):
        manifest = verify_backup(folder, load_key(target))
    count = len(manifest.files) + len(manifest.media)
    return VerifiedBackup(manifest.id, folder, count, manifest.size_bytes, proven_at(manifest))


def proven_at(manifest: Manifest) -> str | None:
    return manifest.proof.proven_at if manifest.proof else None


def age(created_at: str) -> str:
    """Return how old a moment is, in the unit that a person would use."""
    hours = (datetime.now(UTC) - datetime.fromisoformat(created_at)).total_seconds() / 3600
    if hours < 1:
        return f"{max(0, round(hours * 60))} min"
    return f"{hours:.0f} h" if hours < 48 else f"{hours / 24:.0f} d"  # noqa: PLR2004 - two days
