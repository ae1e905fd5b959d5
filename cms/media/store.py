"""The folder of pictures: each file is named by the SHA-256 of its content, so the same picture is stored once.

A name never changes its content; a page may keep it for ever, and a backup needs to copy only new names.
"""

from __future__ import annotations

import hashlib
import re
import secrets
from dataclasses import dataclass
from pathlib import Path

from cms.database.files import new_folder, open_private, sync
from cms.media.pictures import FORMATS, Picture, inspect_picture

MEDIA_URL = "/media/"
NAME = re.compile(r"[0-9a-f]{62}\.(?:" + "|".join(FORMATS) + ")")
FOLDER = re.compile(r"[0-9a-f]{2}")


@dataclass(frozen=True)
class StoredPicture:
    """A picture in the store: its path below MEDIA_DIR, what it is, and whether it was not there before."""

    path: str
    picture: Picture
    is_new: bool

    @property
    def url(self) -> str:
        return MEDIA_URL + self.path


def save_picture(folder: Path, data: bytes, *, dry_run: bool = False) -> StoredPicture:
    """Store a picture under MEDIA_DIR as ``<2 hex>/<62 hex>.<ending>``, on the disk when this returns.

    dry_run: judge it and say where it would lie, and write nothing.
    Raises PictureRefused; OSError if the disk does. A failed write leaves no partial file.
    """
    picture = inspect_picture(data)
    path = path_of(data, picture)
    target = folder / path
    is_new = not (target.is_file() and target.stat().st_size == len(data))
    if is_new and not dry_run:
        write_once(target, data)
    return StoredPicture(path, picture, is_new)


def path_of(data: bytes, picture: Picture) -> str:
    digest = hashlib.sha256(data).hexdigest()
    return f"{digest[:2]}/{digest[2:]}.{picture.format.ending}"


def write_once(target: Path, data: bytes) -> None:
    """Write the file under a temporary name, then rename: readers see all of it or nothing, also after a power cut."""
    new_folder(target.parent)
    partial = target.with_name(f".{target.name}.{secrets.token_hex(8)}")
    try:
        with open_private(partial) as file:
            file.write(data)
        sync(partial)
        partial.replace(target)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise
    sync(target.parent)
    sync(target.parent.parent)


def find_picture(folder: Path, path: str) -> Path | None:
    """Return the file of a stored picture, or None for whatever is not the name of one."""
    first, _, name = path.partition("/")
    if not FOLDER.fullmatch(first) or not NAME.fullmatch(name):
        return None
    file = folder / first / name
    return file if file.is_file() and not file.is_symlink() else None
