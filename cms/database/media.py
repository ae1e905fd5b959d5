"""The site's files in a backup: named by their content, so one that has not changed costs a link and no copy."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from cms.database.files import FileEntry, describe_file, new_folder, open_private, sync

FOLDER = "media"
DIGEST = re.compile(r"[0-9a-f]{64}")


def back_up_media(source: Path, backup: Path, previous: Path | None) -> tuple[FileEntry, ...]:
    """Bring every file of the media folder into the backup and describe it. Raises OSError.

    previous: the last backup's folder; a file that it has under the same name is linked, any other is copied. Linked
    to another backup and not to the live file: what damages the live one must not reach the backup.
    """
    return tuple(back_up_file(path, backup / FOLDER / name, previous, name) for name, path in list_files(source))


def list_files(folder: Path) -> Iterator[tuple[str, Path]]:
    """Yield (name below the folder, path) of every file, sorted; links and hidden (partial) files are left out."""
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.is_file() and not path.is_symlink() and not any(part.startswith(".") for part in Path(name).parts):
            yield name, path


def back_up_file(path: Path, copy: Path, previous: Path | None, name: str) -> FileEntry:
    new_folder(copy.parent)
    earlier = previous / FOLDER / name if previous else None
    if earlier and is_same(earlier, path, name):
        with suppress(OSError):  # some disks know no links, and some systems forbid them: then it is a copy
            os.link(earlier, copy)
            return describe_file(copy, f"{FOLDER}/{name}")
    copy_private(path, copy)
    return describe_file(copy, f"{FOLDER}/{name}")


def is_same(earlier: Path, path: Path, name: str) -> bool:
    """Return whether the last backup's file still holds what the live one does; it may have been damaged since."""
    if earlier.is_symlink() or not earlier.is_file() or earlier.stat().st_size != path.stat().st_size:
        return False
    named = "".join(name.partition(".")[0].split("/"))
    expected = named if DIGEST.fullmatch(named) else describe_file(path).sha256
    return describe_file(earlier).sha256 == expected


def copy_private(path: Path, copy: Path) -> None:
    with path.open("rb") as source, open_private(copy) as target:
        shutil.copyfileobj(source, target, 1 << 20)
    sync(copy)


def restore_media(backup: Path, entries: tuple[FileEntry, ...], destination: Path) -> int:
    """Copy back the files that the media folder lacks; returns how many. What is there stays: names are contents."""
    missing = [entry for entry in entries if not (destination / entry.name.removeprefix(f"{FOLDER}/")).is_file()]
    for entry in missing:
        place = destination / entry.name.removeprefix(f"{FOLDER}/")
        new_folder(place.parent)
        part = place.with_name(f".{place.name}.restoring")
        part.unlink(missing_ok=True)
        copy_private(backup / entry.name, part)
        part.replace(place)
    return len(missing)
