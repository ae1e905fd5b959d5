"""The site's files in a backup: named by their content, so one that has not changed costs a link and no copy."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from cms.database.envelope import Envelope
from cms.database.files import FileEntry, describe_file, new_folder, open_private, sync
from cms.database.progress import Meter

FOLDER = "media"
DIGEST = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class EarlierMedia:
    """The media of the backup before, which may be linked. entries: what its signed manifest says of them."""

    folder: Path
    entries: dict[str, FileEntry]


def back_up_media(
    source: Path, backup: Path, *, earlier: EarlierMedia | None, envelope: Envelope, meter: Meter
) -> tuple[FileEntry, ...]:
    """Bring every file of the media folder into the backup and describe it. Raises OSError.

    A file that the earlier backup has too is linked, any other is copied. Linked to another backup and not to the live
    file: what damages the live one must not reach the backup.
    """
    return tuple(
        link(path, backup, f"{FOLDER}/{name}{envelope.suffix}", earlier)
        or copy(path, backup, f"{FOLDER}/{name}{envelope.suffix}", envelope=envelope, meter=meter)
        for name, path in list_files(source)
    )


def list_files(folder: Path) -> Iterator[tuple[str, Path]]:
    """Yield (name below the folder, path) of every file, sorted; links and hidden (partial) files are left out."""
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.is_file() and not path.is_symlink() and not any(part.startswith(".") for part in Path(name).parts):
            yield name, path


def link(path: Path, backup: Path, name: str, earlier: EarlierMedia | None) -> FileEntry | None:
    """Link the earlier backup's file into this one; None if it has none, another one, or a damaged one."""
    entry = earlier.entries.get(name) if earlier else None
    if not earlier or not entry or digest_of(path) != (entry.content_sha256 or entry.sha256):
        return None
    stored, place = earlier.folder / name, backup / name
    if stored.is_symlink() or not stored.is_file() or describe_file(stored, name).sha256 != entry.sha256:
        return None
    new_folder(place.parent)
    with suppress(OSError):  # some disks know no links, and some systems forbid them: then it is a copy
        os.link(stored, place)
        return entry
    return None


def digest_of(path: Path) -> str:
    """Return a file's SHA-256: by its name where that is made of it, else by reading it."""
    named = "".join(path.parts[-2:]).partition(".")[0]
    return named if DIGEST.fullmatch(named) else describe_file(path).sha256


def copy(path: Path, backup: Path, name: str, *, envelope: Envelope, meter: Meter) -> FileEntry:
    new_folder((backup / name).parent)
    with path.open("rb") as file:
        return replace(envelope.store(meter.reading(file), backup / name), name=name)


def restore_media(backup: Path, entries: tuple[FileEntry, ...], destination: Path, *, envelope: Envelope) -> int:
    """Copy back the files that the media folder lacks; returns how many. What is there stays: names are contents."""
    places = {entry.name: destination / place_of(entry.name, envelope) for entry in entries}
    missing = {name: place for name, place in places.items() if not place.is_file()}
    for name, place in missing.items():
        new_folder(place.parent)
        part = place.with_name(f".{place.name}.restoring")
        part.unlink(missing_ok=True)
        with open_private(part) as file:
            envelope.unseal(backup / name, file)
        sync(part)
        part.replace(place)
    return len(missing)


def place_of(name: str, envelope: Envelope) -> str:
    return name.removeprefix(f"{FOLDER}/").removesuffix(envelope.suffix)
