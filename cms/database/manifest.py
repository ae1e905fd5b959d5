"""What a backup says about itself: `manifest.json`, by which it is judged before anything is restored from it."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from cms.database.errors import BackupDamaged
from cms.database.files import open_private

FORMAT = 1
MANIFEST_NAME = "manifest.json"
LARGEST_BYTES = 10_000_000
CHUNK_BYTES = 1 << 20


@dataclass(frozen=True)
class FileEntry:
    """One file of the backup."""

    name: str
    size_bytes: int
    sha256: str


@dataclass(frozen=True)
class TableEntry:
    """One table at the moment of the dump. digest: hash of the content, independent of the order of rows."""

    name: str
    rows: int
    digest: str


@dataclass(frozen=True)
class Manifest:
    """What is in a backup, where it came from, and how to tell that it is whole. Holds nothing secret.

    created_at: ISO 8601 in UTC. revision: of the schema history, None for a database without one.
    identity: of the database it was taken from; a copy elsewhere has another.
    """

    format: int
    id: str
    created_at: str
    engine: str
    server_version: str
    identity: str
    tool: str
    revision: str | None
    duration_ms: int
    files: tuple[FileEntry, ...]
    tables: tuple[TableEntry, ...]

    @property
    def rows(self) -> int:
        return sum(table.rows for table in self.tables)

    @property
    def size_bytes(self) -> int:
        return sum(file.size_bytes for file in self.files)


def describe_file(path: Path) -> FileEntry:
    """Return a file's size and digest, reading it in pieces."""
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return FileEntry(path.name, path.stat().st_size, digest)


def write_manifest(folder: Path, manifest: Manifest) -> None:
    with open_private(folder / MANIFEST_NAME) as file:
        file.write(json.dumps(asdict(manifest), indent=2).encode() + b"\n")


def read_manifest(folder: Path) -> Manifest:
    """Read and check the form of a backup's manifest. Raises BackupDamaged."""
    path = folder / MANIFEST_NAME
    try:
        with path.open("rb") as file:
            found = parse(json.loads(file.read(LARGEST_BYTES)))
    except OSError as error:
        raise BackupDamaged(
            f"{folder} is not a backup", why=f"{MANIFEST_NAME}: {error.strerror}", hint="give the folder of one backup"
        ) from error
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise BackupDamaged(
            f"the manifest of {folder.name} cannot be read", why=str(error) or type(error).__name__, hint=OTHER
        ) from error
    return found


OTHER = "use another backup; nothing was restored or changed"


def parse(read: dict[str, Any]) -> Manifest:
    """Return the manifest in a parsed JSON object. Raises ValueError, KeyError or TypeError."""
    if not isinstance(read, dict):
        raise TypeError("it is not a JSON object")
    if read["format"] != FORMAT:
        raise ValueError(f"its format is {read['format']!r}, and this release reads {FORMAT}")
    files = tuple(FileEntry(**entry) for entry in read.pop("files"))
    tables = tuple(TableEntry(**entry) for entry in read.pop("tables"))
    manifest = Manifest(**read, files=files, tables=tables)
    if any(Path(file.name).name != file.name or file.name.startswith(".") for file in files):
        raise ValueError("it names a file outside its own folder")
    return manifest


def verify_files(folder: Path, manifest: Manifest) -> None:
    """Compare size and SHA-256 of every file with the manifest. Raises BackupDamaged; opens no file with any tool."""
    for expected in manifest.files:
        path = folder / expected.name
        if path.is_symlink() or not path.is_file():
            raise BackupDamaged(f"{folder.name} lacks {expected.name}", why="the manifest names it", hint=OTHER)
        found = describe_file(path)
        if found != expected:
            raise BackupDamaged(
                f"{expected.name} in {folder.name} is damaged",
                why=f"it has {found.size_bytes} bytes and SHA-256 {found.sha256[:16]}…, "
                f"the manifest says {expected.size_bytes} and {expected.sha256[:16]}…",
                hint=OTHER,
            )
