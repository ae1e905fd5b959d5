"""Files that must be private and must survive a power cut."""

from __future__ import annotations

import os
from pathlib import Path
from typing import BinaryIO


def open_private(path: Path) -> BinaryIO:
    """Create a new file with mode 0600 and open it for writing.

    Raises FileExistsError, also where somebody planted a link under the name. Source: CERT FIO, O_EXCL and O_NOFOLLOW.
    """
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    return os.fdopen(os.open(path, flags, 0o600), "wb")


def new_folder(path: Path) -> None:
    """Make the folder, and the missing ones above it, with mode 0700. Leaves an existing one as it is."""
    if path.is_dir():
        return
    new_folder(path.parent)
    path.mkdir(mode=0o700, exist_ok=True)


def sync(path: Path) -> None:
    """Wait until the content of the file, or the names in the folder, are on the disk."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
