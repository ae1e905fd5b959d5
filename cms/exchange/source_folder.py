"""The files of a folder that may hold anything: listed without following links, read without surprises."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath

from cms.exchange.errors import FileUnusable
from cms.exchange.front_matter import SIZE_LIMIT_BYTES, UNSTORABLE
from cms.exchange.picture_links import PICTURE_ENDINGS

ENDINGS = {".md", ".markdown"}
SOURCE_LIMIT = 440  # characters; with the name of the import it is a key of at most 500


@dataclass(frozen=True)
class SourceFile:
    """What is below a folder: a Markdown file, or what was found in its place.

    path: inside the folder. why_not: why it will not be read; is_error: and that this was not on purpose.
    """

    path: PurePosixPath
    why_not: str | None = None
    is_error: bool = False

    @property
    def shown(self) -> str:
        """Return the path as it can be printed and stored."""
        text = os.fsencode(str(self.path)).decode("utf-8", "backslashreplace")
        return UNSTORABLE.sub("?", " ".join(text.splitlines()))


@dataclass(frozen=True)
class FileContent:
    """A file's bytes, at most one more than an import takes, and when it was last changed."""

    data: bytes
    modified_at: datetime


def list_sources(folder: Path) -> list[SourceFile]:
    """Return the Markdown files below the folder, sorted by path; hidden files and folders are left out.

    Whatever else is there is in the list too, each with the reason; but not pictures, which are the posts' affair.
    """
    unreadable: list[OSError] = []
    found = [
        source
        for parent, folders, names in os.walk(folder, onerror=unreadable.append)
        for source in sources_in(folder, Path(parent), folders, names)
    ]
    found += [
        SourceFile(path_in(folder, Path(error.filename)), f"the folder cannot be read: {error.strerror}", is_error=True)
        for error in unreadable
    ]
    return sorted(found, key=lambda source: os.fsencode(str(source.path)))


def sources_in(folder: Path, parent: Path, folders: list[str], names: list[str]) -> Iterator[SourceFile]:
    folders[:] = [name for name in folders if not name.startswith(".")]
    yield from (
        SourceFile(path_in(folder, parent / name), "a link to a folder is not followed")
        for name in folders
        if (parent / name).is_symlink()
    )
    for name in names:
        if not name.startswith(".") and PurePosixPath(name).suffix.lower() not in PICTURE_ENDINGS:
            yield source_file(path_in(folder, parent / name), parent / name)


def path_in(folder: Path, file: Path) -> PurePosixPath:
    return PurePosixPath(file.relative_to(folder).as_posix())


def source_file(path: PurePosixPath, file: Path) -> SourceFile:
    source = SourceFile(path)
    if path.suffix.lower() not in ENDINGS:
        return SourceFile(path, "no Markdown file")
    if file.is_symlink():
        return SourceFile(path, "a link is not followed")
    if source.shown != str(path):
        return SourceFile(path, "the file's name is not UTF-8, or holds control characters", is_error=True)
    if len(source.shown) > SOURCE_LIMIT:
        why = f"the file's path has {len(source.shown)} characters and the limit is {SOURCE_LIMIT}"
        return SourceFile(path, why, is_error=True)
    return source


def read_source(file: Path) -> FileContent:
    """Return a file's content. Raises FileUnusable: no regular file, or not readable."""
    try:
        # A named pipe would block for ever without O_NONBLOCK.
        descriptor = os.open(file, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(descriptor, "rb") as opened:
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode):
                raise FileUnusable("it is no regular file")
            data = opened.read(SIZE_LIMIT_BYTES + 1)
    except OSError as error:
        raise FileUnusable("the file cannot be read", why=error.strerror) from error
    return FileContent(data, datetime.fromtimestamp(status.st_mtime, UTC))
