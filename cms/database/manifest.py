"""What a backup says about itself: a signed `manifest.json`, by which it is judged before anything is restored."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from cms.database.contents import Contents
from cms.database.engines.base import Definitions, Sequence, TableEntry
from cms.database.errors import BackupDamaged
from cms.database.files import FileEntry, describe_file, open_private, read_regular
from cms.database.keys import is_signed, sign

FORMAT = 2
MANIFEST_NAME = "manifest.json"
SIGNATURE_NAME = "manifest.hmac"
LARGEST_BYTES = 100_000_000
OTHER = "use another backup; nothing was restored or changed"


@dataclass(frozen=True)
class Proof:
    """That the dump was restored into a scratch database and everything in it was equal.

    rows: so many were compared. left_out: the roles whose ownership and grants could not be tried by this role.
    """

    proven_at: str
    duration_ms: int
    rows: int
    left_out: tuple[str, ...]


@dataclass(frozen=True)
class Manifest:
    """What is in a backup, where it came from, and how to tell that it is whole. Holds nothing secret.

    sequence: counts the backups of a folder; order and retention go by it, because a clock may be set back.
    created_at: ISO 8601 in UTC. identity: of the database it was taken from; a copy elsewhere has another.
    contents: read in the dump's own snapshot. proof: None for a backup that was not tried.
    recipients: the public keys for which every file but the manifest is encrypted; none if they are not.
    """

    format: int
    id: str
    sequence: int
    created_at: str
    why: str
    who: str
    engine: str
    server_version: str
    identity: str
    tool: str
    duration_ms: int
    contents: Contents
    files: tuple[FileEntry, ...]
    media: tuple[FileEntry, ...]
    recipients: tuple[str, ...]
    proof: Proof | None

    @property
    def dump(self) -> FileEntry:
        return self.files[0]

    @property
    def size_bytes(self) -> int:
        return sum(file.size_bytes for file in (*self.files, *self.media))

    @property
    def standing(self) -> str:
        return f"proven {self.proof.proven_at}" if self.proof else "unproven"


def write_manifest(folder: Path, manifest: Manifest, key: bytes) -> None:
    """Write manifest and signature. Raises OSError."""
    content = json.dumps(asdict(manifest), indent=2).encode() + b"\n"
    with open_private(folder / MANIFEST_NAME) as file:
        file.write(content)
    with open_private(folder / SIGNATURE_NAME) as file:
        file.write(sign(key, content))


def read_manifest(folder: Path, key: bytes) -> Manifest:
    """Read a backup's manifest. Raises BackupDamaged if the signature is not by this key, or the form is not ours."""
    content, signature = read_small(folder, MANIFEST_NAME), read_small(folder, SIGNATURE_NAME)
    if not is_signed(key, content, signature):
        raise BackupDamaged(
            f"the signature of {folder.name} is not by this site's key",
            why="the manifest was changed, or another site made the backup",
            hint="set BACKUP_KEY or BACKUP_KEY_FILE to the key of the site that made it; nothing was changed",
        )
    try:
        return parse(json.loads(content))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise BackupDamaged(
            f"the manifest of {folder.name} cannot be read", why=str(error) or type(error).__name__, hint=OTHER
        ) from error


def read_sequence(folder: Path) -> int:
    """Return a backup's number without checking its signature; 0 for a manifest that cannot be read."""
    try:
        number = json.loads(read_regular(folder / MANIFEST_NAME, LARGEST_BYTES))["sequence"]
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return 0
    return number if isinstance(number, int) else 0


def read_small(folder: Path, name: str) -> bytes:
    """Return a file's content. Raises BackupDamaged if it cannot be read or is far too large."""
    try:
        content = read_regular(folder / name, LARGEST_BYTES + 1)
    except OSError as error:
        raise BackupDamaged(
            f"{folder} is not a whole backup", why=f"{name}: {error.strerror}", hint="give the folder of one backup"
        ) from error
    if len(content) > LARGEST_BYTES:
        raise BackupDamaged(f"{name} of {folder.name} is too large", why=f"over {LARGEST_BYTES} bytes", hint=OTHER)
    return content


def parse(read: dict[str, Any]) -> Manifest:
    """Return the manifest in a parsed JSON object. Raises ValueError, KeyError, TypeError or AttributeError."""
    if not isinstance(read, dict):
        raise TypeError("it is not a JSON object")
    if read["format"] != FORMAT:
        raise ValueError(f"its format is {read['format']!r}, and this release reads {FORMAT}")
    proof, recipients = read.pop("proof"), tuple(map(str, read.pop("recipients")))
    contents = parse_contents(read.pop("contents"))
    files = tuple(FileEntry(**entry) for entry in read.pop("files"))
    media = tuple(FileEntry(**entry) for entry in read.pop("media"))
    if len(files) != 1:
        raise ValueError(f"it names {len(files)} dumps")
    for file in (*files, *media):
        refuse_path_outside(file.name)
    proven = Proof(**{**proof, "left_out": tuple(proof["left_out"])}) if proof else None
    return Manifest(**read, contents=contents, files=files, media=media, recipients=recipients, proof=proven)


def parse_contents(read: dict[str, Any]) -> Contents:
    definitions, objects = read.pop("definitions"), read.pop("large_objects")
    if definitions:
        roles = {name: tuple(definitions[name]) for name in ("owners", "grantees")}
        definitions = Definitions(**{**definitions, **roles})
    return Contents(
        tables=tuple(TableEntry(**entry) for entry in read.pop("tables")),
        sequences=tuple(Sequence(**entry) for entry in read.pop("sequences")),
        large_objects=TableEntry(**objects) if objects else None,
        definitions=definitions,
        **read,
    )


def refuse_path_outside(name: str) -> None:
    """Raise ValueError unless the name stays inside the backup's folder."""
    path = Path(name)
    if path.is_absolute() or name != path.as_posix() or any(part.startswith(".") for part in path.parts):
        raise ValueError(f"it names a file outside its own folder: {name!r}")


def verify_backup(folder: Path, key: bytes) -> Manifest:
    """Check signature, size and SHA-256 of every file, before any tool opens one. Raises BackupDamaged."""
    manifest = read_manifest(folder, key)
    for expected in (*manifest.files, *manifest.media):
        path = folder / expected.name
        if path.is_symlink() or not path.is_file():
            raise BackupDamaged(f"{folder.name} lacks {expected.name}", why="the manifest names it", hint=OTHER)
        found = describe_file(path)
        if (found.size_bytes, found.sha256) != (expected.size_bytes, expected.sha256):
            raise BackupDamaged(
                f"{expected.name} in {folder.name} is damaged",
                why=f"it has {found.size_bytes} bytes and SHA-256 {found.sha256[:16]}…, "
                f"the manifest says {expected.size_bytes} and {expected.sha256[:16]}…",
                hint=OTHER,
            )
    return manifest
