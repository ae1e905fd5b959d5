"""The backups that there are: finding, listing and verifying them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from cms.database.backup import list_backup_folders
from cms.database.errors import BackupDamaged
from cms.database.keys import load_key
from cms.database.manifest import Manifest, read_manifest, verify_backup
from cms.database.target import Target
from cms.words import counted

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
    encrypted: bool
    why: str
    problem: str | None

    def __str__(self) -> str:
        if self.problem:
            return f"{self.id}  CANNOT BE TRUSTED: {self.problem}"
        cost = f"restored in {self.restore_ms / 1000:.1f} s" if self.restore_ms is not None else "UNPROVEN"
        return (
            f"{self.id}  {age(self.created_at):>8} old  {self.size_bytes:>15,} bytes  {self.rows:>10,} rows  "
            f"{self.revision or 'no revision'}  {cost}{'  encrypted' if self.encrypted else ''}  ({self.why})"
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
        return BackupEntry(folder.name, folder, 0, "", None, 0, 0, None, None, False, "", f"{damaged.why}")
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
        bool(manifest.recipients),
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


def age(created_at: str) -> str:
    """Return how old a moment is, in the unit that a person would use."""
    hours = (datetime.now(UTC) - datetime.fromisoformat(created_at)).total_seconds() / 3600
    if hours < 1:
        return f"{max(0, round(hours * 60))} min"
    return f"{hours:.0f} h" if hours < 48 else f"{hours / 24:.0f} d"  # noqa: PLR2004 - two days
