"""A zip from a stranger becomes a folder: plain files only, each in its place, no more than was agreed on."""

from __future__ import annotations

import os
import shutil
import stat
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

from cms.database.files import new_folder, open_private
from cms.exchange.import_request import FolderUnusable
from cms.media.pictures import SIZE_LIMIT_BYTES

ENTRIES_LIMIT = 1_000_000
DIRECTORY_LIMIT_BYTES = 256 << 20
PART_LIMIT = 255
CHUNK_BYTES = 1 << 16
END = b"PK\x05\x06"
END_BYTES = 22
COMMENT_LIMIT_BYTES = 1 << 16
WHOLE_64 = 0xFFFFFFFF


@contextmanager
def unpacked(archive: Path) -> Iterator[Path]:
    """Give a folder with the files of a zip, which goes away at the end.

    Raises FolderUnusable for what is no zip, holds a link, a path that leads out or comes twice, a file of over 32 MiB,
    or more than the disk has room for. Nothing outside of the folder is written, whatever the archive says.
    """
    with tempfile.TemporaryDirectory(prefix="cms-import-") as name:
        folder = Path(name) / "files"  # nobody else can put anything beside it
        new_folder(folder)
        try:
            refuse_huge_directory(archive)
            with zipfile.ZipFile(archive) as opened:
                refuse_full_disk(archive, opened, folder)
                for entry in opened.infolist():
                    unpack(archive, opened, entry, folder)
        except FolderUnusable:
            raise
        except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, ValueError) as error:
            raise unusable(archive, f"it is no whole zip: {error}") from error
        except OSError as error:
            raise unusable(archive, f"{error.filename or name}: {error.strerror or error}") from error
        yield folder


def unusable(archive: Path, why: str) -> FolderUnusable:
    return FolderUnusable(f"the archive {archive} cannot be imported", why=why, hint="nothing was changed")


def refuse_huge_directory(archive: Path) -> None:
    """Raise FolderUnusable for a list of contents that would fill the memory; the library reads all of it at once."""
    with archive.open("rb") as file:
        size_bytes = file.seek(0, os.SEEK_END)
        file.seek(max(0, size_bytes - END_BYTES - COMMENT_LIMIT_BYTES))
        tail = file.read()
    at = tail.rfind(END)
    if at >= 0 and len(tail) - at >= END_BYTES:
        listed_bytes = int.from_bytes(tail[at + 12 : at + 16], "little")
        if (size_bytes if listed_bytes == WHOLE_64 else listed_bytes) > DIRECTORY_LIMIT_BYTES:
            raise unusable(archive, f"its list of contents is over {DIRECTORY_LIMIT_BYTES >> 20} MiB")


def refuse_full_disk(archive: Path, opened: zipfile.ZipFile, folder: Path) -> None:
    entries = opened.infolist()
    if len(entries) > ENTRIES_LIMIT:
        raise unusable(archive, f"it holds {len(entries):,} files, and {ENTRIES_LIMIT:,} are taken")
    total_bytes, free_bytes = sum(entry.file_size for entry in entries), shutil.disk_usage(folder).free
    if total_bytes > free_bytes:
        raise unusable(
            archive, f"unpacked it has {total_bytes:,} bytes, and {free_bytes:,} are free in {folder.parent}"
        )


def unpack(archive: Path, opened: zipfile.ZipFile, entry: zipfile.ZipInfo, folder: Path) -> None:
    """Write one file, never over another, and never more of it than the archive said."""
    path = safe_path(archive, entry)
    if entry.is_dir():
        return
    if entry.file_size > SIZE_LIMIT_BYTES:
        raise unusable(archive, f"{path} has {entry.file_size:,} bytes, and the limit is {SIZE_LIMIT_BYTES:,}")
    target = folder / path
    new_folder(target.parent)
    with opened.open(entry) as source, open_private(target) as file:
        left_bytes = entry.file_size
        while chunk := source.read(min(CHUNK_BYTES, left_bytes + 1)):
            left_bytes -= len(chunk)
            if left_bytes < 0:
                raise unusable(archive, f"{path} is longer than the archive says")
            file.write(chunk)


def safe_path(archive: Path, entry: zipfile.ZipInfo) -> PurePosixPath:
    """Return where a file belongs below the folder. Raises FolderUnusable if it leads elsewhere or is no plain file."""
    path = PurePosixPath(entry.filename)
    kind = stat.S_IFMT(entry.external_attr >> 16)
    if kind not in {0, stat.S_IFREG, stat.S_IFDIR}:
        raise unusable(archive, f"{entry.filename!r:.200} is a link, or no file at all")
    odd = {"", ".", ".."} & set(entry.filename.rstrip("/").split("/"))
    if odd or path.is_absolute() or "\\" in entry.filename or ":" in path.parts[0]:
        raise unusable(archive, f"{entry.filename!r:.200} leads out of the archive")
    if any(len(os.fsencode(part)) > PART_LIMIT for part in path.parts):
        raise unusable(archive, f"{entry.filename!r:.200} is too long a name")
    return path
