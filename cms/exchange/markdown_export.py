"""Every post as a Markdown file, and the pictures that posts name, in one zip: the same site gives the same bytes."""

from __future__ import annotations

import secrets
import shutil
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import contains_eager

from cms.accounts.permissions import TRASHED
from cms.accounts.queries import AnySession
from cms.blogs.models import Blog, Redirect
from cms.database.files import open_private, sync
from cms.errors import CmsError
from cms.exchange.exported_posts import named_pictures, write_post
from cms.exchange.models import ImportedFile
from cms.media.store import find_picture
from cms.words import counted

BATCH_POSTS = 100
NO_MOMENT = (1980, 1, 1, 0, 0, 0)  # the first that a zip can tell
UNIX = 3
PLAIN_FILE = 0o100644 << 16


class ExportFailed(CmsError):
    """The file could not be written; nothing stands under its name but what stood there before."""


@dataclass(frozen=True, kw_only=True)
class ExportResult:
    """What was written. missing: pictures that posts name and the store has not."""

    file: Path
    posts: int
    pictures: int
    missing: tuple[str, ...]
    size_bytes: int

    def __str__(self) -> str:
        held = f"{counted(self.posts, 'post')} and {counted(self.pictures, 'picture')}"
        lines = [f"{self.file}: {held}, {self.size_bytes:,} bytes"]
        return "\n".join([*lines, *(f"  not in the store: {path}" for path in self.missing)])


def export_markdown(session: AnySession, file: Path, *, media_dir: Path) -> ExportResult:
    """Write all posts but those in the trash, by one statement and in constant memory but for the names.

    file: gets its name when it is whole, mode 0600: it holds drafts. session: in a transaction; only read from.
    Raises ExportFailed.
    """
    partial = file.with_name(f".{file.name}.{secrets.token_hex(4)}")
    posts, pictures = 0, dict[str, bool]()
    try:
        with open_private(partial) as opened, zipfile.ZipFile(opened, "w") as archive:
            for blogs in batches(session):
                for blog, aliases, origin in with_surroundings(session, blogs):
                    posts += 1
                    archive.writestr(entry(f"posts/{blog.slug}.md"), write_post(blog, aliases=aliases, origin=origin))
                    for path in named_pictures(blog):
                        if path not in pictures:
                            pictures[path] = add_picture(archive, path, media_dir)
        sync(partial)
        partial.replace(file)
    except OSError as error:
        why = f"{error.filename or partial}: {error.strerror}"
        raise ExportFailed(f"{file} could not be written", why=why, hint="look at its folder and its disk") from error
    finally:
        partial.unlink(missing_ok=True)
    missing = tuple(sorted(path for path, is_there in pictures.items() if not is_there))
    found = len(pictures) - len(missing)
    return ExportResult(file=file, posts=posts, pictures=found, missing=missing, size_bytes=file.stat().st_size)


def batches(session: AnySession) -> Iterator[Sequence[Blog]]:
    """Yield the posts with their authors by slug, byte by byte, whatever the database's own order is."""
    binary = "C" if session.get_bind().dialect.name == "postgresql" else "BINARY"
    wanted = select(Blog).join(Blog.author).options(contains_eager(Blog.author)).where(Blog.status != TRASHED)
    wanted = wanted.order_by(Blog.slug.collate(binary)).execution_options(yield_per=BATCH_POSTS)
    yield from session.scalars(wanted).partitions()


def with_surroundings(
    session: AnySession, blogs: Sequence[Blog]
) -> Iterator[tuple[Blog, list[str], dict[str, Any]]]:  # Any: front matter
    """Yield each post with its old addresses, and with the front matter that it once came with."""
    ids = [blog.id for blog in blogs]
    aliases: dict[UUID, list[str]] = {}
    for path, blog_id in session.execute(select(Redirect.path, Redirect.blog_id).where(Redirect.blog_id.in_(ids))):
        aliases.setdefault(blog_id, []).append(path)
    wanted = select(ImportedFile.blog_id, ImportedFile.front_matter).where(ImportedFile.blog_id.in_(ids))
    origins = {row.blog_id: row.front_matter for row in session.execute(wanted.order_by(ImportedFile.source.desc()))}
    for blog in blogs:
        yield blog, sorted(aliases.get(blog.id, [])), origins.get(blog.id, {})


def entry(name: str, method: int = zipfile.ZIP_DEFLATED) -> zipfile.ZipInfo:
    made = zipfile.ZipInfo(name, NO_MOMENT)
    made.compress_type, made.create_system, made.external_attr = method, UNIX, PLAIN_FILE
    return made


def add_picture(archive: zipfile.ZipFile, path: str, media_dir: Path) -> bool:
    """Copy a picture from the store; returns whether it is there. Pictures are compressed already."""
    file = find_picture(media_dir, path)
    if file is None:
        return False
    with file.open("rb") as source, archive.open(entry(f"media/{path}", zipfile.ZIP_STORED), "w") as target:
        shutil.copyfileobj(source, target)
    return True
