"""Files that must be private, must survive a power cut, and are known by their digest."""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
import stat
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Self

FLUSH_S = 0.02


def open_private(path: Path) -> BinaryIO:
    """Create a new file with mode 0600 and open it for writing.

    Raises FileExistsError, also where somebody planted a link under the name. Source: CERT FIO, O_EXCL and O_NOFOLLOW.
    """
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    return os.fdopen(os.open(path, flags, 0o600), "wb")


def read_regular(path: Path, most_bytes: int) -> bytes:
    """Return the beginning of a regular file. Raises OSError for anything else: a pipe would be waited for."""
    with os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC), "rb") as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise OSError(errno.EINVAL, "it is not a file", str(path))
        return file.read(most_bytes)


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


def is_locked(path: Path) -> bool:
    """Return whether the process that locked the file lives. Raises OSError."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


@contextmanager
def flushing(path: Path) -> Iterator[None]:
    """Put a file on the disk as it is written by the block, and not all at its end.

    A site that commits waits for all that is to be written before: behind a gigabyte up to 0.5 s.
    """
    descriptor, over = os.open(path, os.O_RDONLY | os.O_CLOEXEC), threading.Event()

    def flush() -> None:
        with suppress(OSError):  # whoever syncs the whole file meets it too, and tells
            while not over.wait(FLUSH_S):
                os.fdatasync(descriptor)

    thread = threading.Thread(target=flush, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
        os.close(descriptor)


@dataclass(frozen=True)
class FileEntry:
    """One file of the backup. name: inside the backup's folder; media lie under ``media/``.

    size_bytes, sha256: of the file as it lies there. content_sha256: of what is in it, where that is not the same.
    """

    name: str
    size_bytes: int
    sha256: str
    content_sha256: str | None = None


def describe_file(path: Path, name: str | None = None) -> FileEntry:
    """Return a file's size and digest, reading it in pieces."""
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return FileEntry(name or path.name, path.stat().st_size, digest)


class DigestingFile:
    """A new private file that counts and hashes what is written to it, so that nothing is read twice."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = open_private(path)
        self._digest = hashlib.sha256()
        self._size_bytes = 0

    def write(self, data: bytes) -> int:
        self._digest.update(data)
        self._size_bytes += len(data)
        return self._file.write(data)

    def flush(self) -> None:
        """Do nothing: compressors call it often, and ``finish`` does it once."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def finish(self) -> FileEntry:
        """Put everything on the disk and return size and digest. Raises OSError."""
        self._file.flush()
        os.fsync(self._file.fileno())
        return FileEntry(self._path.name, self._size_bytes, self._digest.hexdigest())
