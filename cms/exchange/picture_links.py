"""The pictures that a post names: found in its text, looked for in the folder, copied into the store."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from urllib.parse import unquote, urlsplit

from cms.exchange.code_regions import find_regions
from cms.media.errors import PictureRefused
from cms.media.pictures import SIZE_LIMIT_BYTES
from cms.media.store import save_picture

# ![words](address "title") and [words](address); [name]: address; src="address" and href="address".
LINK = re.compile(
    r"(?P<before>\]\(\s*)(?P<inline><[^<>\n]{1,2000}>|[^\s()<>]{1,2000})(?=[\s)])"
    r"|(?P<definition>^ {0,3}\[[^\[\]\n]{1,200}\]:\s*)(?P<reference><[^<>\n]{1,2000}>|\S{1,2000})"
    r"|(?P<attribute>\b(?:src|href|poster)\s*=\s*(?P<quote>[\"']))(?P<value>[^\"'<>\n]{1,2000})(?=(?P=quote))",
    re.MULTILINE | re.IGNORECASE,
)
PICTURE_ENDINGS = {".png", ".jpg", ".jpeg", ".jpe", ".gif", ".webp", ".avif", ".svg", ".bmp", ".tif", ".tiff", ".ico"}


@dataclass
class PictureSource:
    """Where the pictures of an import come from, and where they go.

    folder: the imported folder. assets: the folder that addresses like /assets/… lead to; None if there is none.
    media_dir: the store. dry_run: look at each, store none.
    found: what became of each file so far, as many posts show the same pictures.
    """

    folder: Path
    assets: Path | None
    media_dir: Path
    dry_run: bool = False
    stored: set[str] = field(default_factory=set)
    found: dict[Path, str | PictureRefused] = field(default_factory=dict)

    def take(self, address: str, source: PurePosixPath) -> str:
        """Return the address in the store of the picture that a post names, copied there if need be.

        source: the post's path in the folder, from which relative addresses count.
        Raises PictureRefused, also if the file is not there.
        """
        for root, path in self.candidates(address, source):
            if (file := regular_file(root, path)) is not None:
                return self.store(file)
        raise PictureRefused("not found in the folder")

    def candidates(self, address: str, source: PurePosixPath) -> Iterator[tuple[Path, PurePosixPath]]:
        """Yield where the file may lie: a folder, and a path that stays below it."""
        written = unquote(urlsplit(address).path)
        path = PurePosixPath(written.lstrip("/"))
        if self.assets is not None and path.parts[:1] in {("assets",), (self.assets.name,)}:
            yield self.assets, PurePosixPath(*path.parts[1:])
        if not written.startswith("/"):
            yield self.folder, source.parent / path
        yield self.folder, path
        if self.assets is not None:
            yield self.assets, path

    def store(self, file: Path) -> str:
        if file not in self.found:
            self.found[file] = self.store_once(file)
        result = self.found[file]
        if isinstance(result, PictureRefused):
            raise result
        return result

    def store_once(self, file: Path) -> str | PictureRefused:
        try:
            stored = save_picture(self.media_dir, read_picture(file), dry_run=self.dry_run)
        except PictureRefused as error:
            return PictureRefused(f"not kept: {error.what}", why=error.why)
        if stored.is_new:
            self.stored.add(stored.path)
        return stored.url


def regular_file(root: Path, path: PurePosixPath) -> Path | None:
    """Return the file at path below root; None if there is none, or if a link or `..` leads there.

    root: already resolved; a link on the way to it is the operator's own.
    """
    if not path.parts or "\0" in str(path):
        return None
    file = Path(os.path.normpath(root / path))
    with suppress(OSError, ValueError):
        if file.is_relative_to(root) and file.resolve(strict=True) == file and file.is_file():
            return file
    return None


def read_picture(file: Path) -> bytes:
    """Return the content. Raises PictureRefused if it is more than the store takes, or unreadable."""
    try:
        descriptor = os.open(file, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(descriptor, "rb") as opened:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise PictureRefused("it is no file")
            return opened.read(SIZE_LIMIT_BYTES + 1)
    except OSError as error:
        raise PictureRefused("it cannot be read", why=error.strerror) from error


def rewrite_pictures(text: str, source: PurePosixPath, pictures: PictureSource, notes: list[str]) -> str:
    """Return the text with the addresses of pictures changed to those in the store; the others stay, with a note."""
    if not LINK.search(text):
        return text
    regions = find_regions(text)

    def replaced(found: re.Match[str]) -> str:
        if regions.in_code(found.start()):
            return found[0]
        group = next(name for name in ("inline", "reference", "value") if found[name])
        new = taken(found[group].strip("<>"), source, pictures, notes)
        start, end = (position - found.start() for position in found.span(group))
        return found[0] if new is None else found[0][:start] + new + found[0][end:]

    return LINK.sub(replaced, text)


def taken(address: str, source: PurePosixPath, pictures: PictureSource, notes: list[str]) -> str | None:
    """Return the new address of a picture in the folder; None for any other, with a note if it looks like one."""
    if not is_local_picture(address):
        return None
    try:
        return pictures.take(address, source)
    except PictureRefused as error:
        note = f"picture {address:.200} {error.what}" + (f": {error.why}" if error.why else "")
        if note not in notes:
            notes.append(note)
        return None


def is_local_picture(address: str) -> bool:
    """Tell whether an address names a picture of this site by its ending."""
    try:
        parts = urlsplit(address)
    except ValueError:
        return False
    if parts.scheme or parts.netloc:
        return False
    return PurePosixPath(unquote(parts.path).lower()).suffix in PICTURE_ENDINGS
