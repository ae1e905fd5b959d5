"""Which folder is to be imported, and how."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from cms.errors import CmsError

NAME = re.compile(r"[A-Za-z0-9._-]{1,50}")


class FolderUnusable(CmsError):
    """The folder of an import cannot be used; nothing was changed."""


class NameUnusable(CmsError):
    """The name of an import cannot be used; nothing was changed."""


@dataclass(frozen=True, kw_only=True)
class ImportRequest:
    """Which folder to import, and how.

    media_dir: the store of pictures.
    assets: the folder that addresses like /assets/… lead to; None looks for `assets` in the folder and beside it.
    name: tells folders apart if several are imported, as files are known by their path in their folder.
    default_author: who wrote the posts that name nobody.
    overwrite: also replace posts that were edited here after their import.
    dry_run: do everything, then undo it.
    """

    folder: Path
    media_dir: Path
    assets: Path | None = None
    name: str | None = None
    default_author: str = "imported"
    overwrite: bool = False
    dry_run: bool = False

    def __post_init__(self) -> None:
        if self.name is not None and not NAME.fullmatch(self.name):
            raise NameUnusable(
                f"{self.name[:60]!r} cannot be the name of an import",
                hint="use 1 to 50 letters a-z, digits, dots, hyphens and underscores; nothing was changed",
            )

    @property
    def prefix(self) -> str:
        """Return what comes before a file's path in the table imported_files."""
        return f"{self.name}:" if self.name else ""


def resolved_folder(folder: Path) -> Path:
    """Return the folder without links on the way. Raises FolderUnusable."""
    try:
        resolved = folder.resolve(strict=True)
    except OSError as error:
        raise FolderUnusable(f"the folder {folder} cannot be read", why=error.strerror) from error
    if not resolved.is_dir():
        raise FolderUnusable(f"{folder} is no folder", hint="give the folder that holds the Markdown files")
    return resolved


def find_assets(folder: Path, given: Path | None) -> Path | None:
    """Return the folder of pictures. Raises FolderUnusable if the one that was asked for is none."""
    if given is not None:
        return resolved_folder(given)
    candidates = (folder / "assets", folder.parent / "assets")
    return next((each for each in candidates if each.is_dir() and not each.is_symlink()), None)
