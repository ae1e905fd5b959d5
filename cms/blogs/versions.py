"""The versions of a post: its text as it was stored, numbered for each post, and what writers have not saved yet.

A number is never given twice while its row is there, so whoever names the number that they saw names one text. Saved
versions stay; of what one person did not save, the newest is kept and replaces the one before. The text of a post that
was never changed since it was imported has no row: it gets one when something else is stored over it.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import delete, func, select

from cms.accounts.models import User
from cms.accounts.permissions import ARCHIVED, PUBLISHED
from cms.accounts.queries import AnySession
from cms.activity.services import Actor
from cms.blogs.drafts import PostDraft
from cms.blogs.models import Blog, BlogVersion

PUBLISH, SAVE, RESTORE, AUTOSAVE = "publish", "save", "restore", "autosave"
LARGEST_NUMBER = 2**31 - 1
"""What the column can hold. No version ever has it, so it stands for one that nobody knows."""


@dataclass(frozen=True)
class VersionShown:
    """A line of the list of versions. base: the version that its writer had before them, if that is known."""

    number: int
    kind: str
    title: str
    note: str | None
    base: int | None
    saved_by_id: UUID | None
    saved_by_name: str
    created_at: datetime


@dataclass(frozen=True)
class Origin:
    """Where a version comes from: who stored it, when, as what, and from which other one."""

    by: Actor
    at: datetime
    kind: str
    base: int | None = None
    note: str | None = None


def texts_of(row: Blog | BlogVersion) -> PostDraft:
    """Return what writers write: everything of a post that a version keeps."""
    return PostDraft(
        title=row.title,
        slug=row.slug,
        content=row.content,
        summary=row.summary,
        tags=tuple(row.tags),
        images_url=tuple(row.images_url or ()),
        cover_alt=row.cover_alt,
    )


def next_number(session: AnySession, blog: Blog) -> int:
    """Return the number for the next version; the caller has locked the post."""
    newest = select(func.max(BlogVersion.number)).where(BlogVersion.blog_id == blog.id)
    return max(blog.version, session.scalar(newest) or 0) + 1


def keep(session: AnySession, blog: Blog, texts: PostDraft, origin: Origin, *, number: int) -> BlogVersion:
    """Store a text as a version of the post."""
    version = BlogVersion(
        id=uuid4(), blog_id=blog.id, number=number, kind=origin.kind, base=origin.base, note=origin.note,
        saved_by_id=origin.by.id, saved_by_name=origin.by.name, created_at=origin.at,
        **text_columns(texts),
    )  # fmt: skip
    session.add(version)
    return version


def text_columns(texts: PostDraft) -> dict[str, Any]:  # Any: columns of many types
    return {
        "title": texts.title,
        "slug": texts.slug,
        "content": texts.content,
        "summary": texts.summary,
        "tags": list(texts.tags),
        "images_url": list(texts.images_url) or None,
        "cover_alt": texts.cover_alt,
    }


def keep_former(session: AnySession, blog: Blog, former: PostDraft) -> None:
    """Keep the text that the post had, if no version has it yet; it is the author's, as far as anybody knows."""
    if find_version(session, blog.id, blog.version) is not None:
        return
    author = session.get(User, blog.author_id)
    by = Actor(blog.author_id, author.username if author else "")
    kind = PUBLISH if blog.status in (PUBLISHED, ARCHIVED) else SAVE
    keep(session, blog, former, Origin(by, blog.updated_at or blog.created_at, kind), number=blog.version)


def was_public(session: AnySession, blog: Blog) -> bool:
    """Tell whether readers can know the post's address: it is or was published."""
    if blog.status in (PUBLISHED, ARCHIVED):
        return True
    published = select(BlogVersion.id).where(BlogVersion.blog_id == blog.id, BlogVersion.kind == PUBLISH)
    return session.scalar(published.limit(1)) is not None


# --- reads ------------------------------------------------------------------------------------------------------


def find_version(session: AnySession, blog_id: UUID, number: int) -> BlogVersion | None:
    """Return one version in whole, or None, also for a number that none can have. One statement."""
    if not 0 < number <= LARGEST_NUMBER:
        return None
    return session.scalar(select(BlogVersion).where(BlogVersion.blog_id == blog_id, BlogVersion.number == number))


def find_saved(session: AnySession, blog_id: UUID, number: int) -> BlogVersion | None:
    """Return one version in whole that was saved, or None: what somebody has not saved is nobody else's."""
    version = find_version(session, blog_id, number)
    return None if version is None or version.kind == AUTOSAVE else version


def list_versions(
    session: AnySession, blog_id: UUID, *, before: int | None = None, size: int = 50
) -> list[VersionShown]:
    """Return the saved versions, the newest first, without their texts. One statement.

    before: a number; None begins with the newest.
    """
    columns = [getattr(BlogVersion, name) for name in VersionShown.__dataclass_fields__]
    saved = select(*columns).where(BlogVersion.blog_id == blog_id, BlogVersion.kind != AUTOSAVE)
    if before is not None:
        saved = saved.where(BlogVersion.number < min(max(before, 0), LARGEST_NUMBER))
    return [VersionShown(*row) for row in session.execute(saved.order_by(BlogVersion.number.desc()).limit(size))]


def find_autosave(session: AnySession, blog_id: UUID, person_id: UUID | None) -> BlogVersion | None:
    """Return what somebody wrote in this post and has not saved, or None. One statement."""
    own = select(BlogVersion).where(BlogVersion.blog_id == blog_id, BlogVersion.kind == AUTOSAVE)
    return session.scalar(own.where(BlogVersion.saved_by_id == person_id))


def discard_autosave(session: AnySession, blog_id: UUID, person_id: UUID | None) -> None:
    """Remove what somebody wrote in this post and has not saved."""
    session.execute(
        delete(BlogVersion).where(
            BlogVersion.blog_id == blog_id, BlogVersion.kind == AUTOSAVE, BlogVersion.saved_by_id == person_id
        )
    )
