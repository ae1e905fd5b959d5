"""The table ``blogs`` (one row an article), its versions, and the old addresses that lead to it."""

from __future__ import annotations

import uuid
from datetime import datetime

from sqlalchemy import CheckConstraint, ForeignKey, Index, Integer, SmallInteger, String, Text, Uuid, text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from cms.accounts.models import User
from cms.database.schema import Base, JsonColumn, UtcDateTime

DRAFT = "draft"
PUBLISHED = "published"
ARCHIVED = "archived"


class Blog(Base):
    """One article. Pages shown to people say *post*."""

    __tablename__ = "blogs"

    id: Mapped[uuid.UUID] = mapped_column(Uuid, primary_key=True, default=uuid.uuid4)
    author_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("users.uuid", ondelete="CASCADE"), index=True)
    title: Mapped[str] = mapped_column(String(300))
    slug: Mapped[str] = mapped_column(String(300), unique=True, index=True)
    content: Mapped[str] = mapped_column(Text)
    summary: Mapped[str | None] = mapped_column(String(1000))
    view_count: Mapped[int] = mapped_column(Integer, default=0, server_default=text("0"))
    word_count: Mapped[int] = mapped_column(Integer, default=0, server_default=text("0"))
    reading_time_minutes: Mapped[int] = mapped_column(Integer, default=0, server_default=text("0"))
    status: Mapped[str] = mapped_column(String(20), default=DRAFT, index=True)
    tags: Mapped[list[str]] = mapped_column(JsonColumn, default=list)
    images_url: Mapped[list[str] | None] = mapped_column(JsonColumn)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime, index=True)
    updated_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    # The page's HTML, made when the post is saved, and by which edition of the renderer; None: made at each view.
    content_html: Mapped[str | None] = mapped_column(Text)
    renderer_version: Mapped[int | None] = mapped_column(SmallInteger)
    # The words of that HTML, for search and excerpts.
    content_text: Mapped[str | None] = mapped_column(Text)
    # Which number of ``blog_versions`` the text has; one that was never changed has no row there.
    version: Mapped[int] = mapped_column(Integer, default=1, server_default=text("1"))
    trashed_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    trashed_from: Mapped[str | None] = mapped_column(String(20))
    cover_alt: Mapped[str | None] = mapped_column(String(500))

    author: Mapped[User] = relationship(lazy="raise_on_sql")

    __table_args__ = (
        Index("ix_blogs_status_created", "status", "created_at"),
        Index("ix_blogs_author_status", "author_id", "status"),
        Index("ix_blogs_tags_gin", "tags", postgresql_using="gin"),
    )


class BlogVersion(Base):
    """A state of a post's text: an earlier one, the present one, or what a writer has not saved yet (autosave)."""

    __tablename__ = "blog_versions"

    id: Mapped[uuid.UUID] = mapped_column(Uuid, primary_key=True, default=uuid.uuid4)
    blog_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("blogs.id", ondelete="CASCADE"))
    number: Mapped[int] = mapped_column(Integer)
    kind: Mapped[str] = mapped_column(String(20))
    # The version that its writer had before them.
    base: Mapped[int | None] = mapped_column(Integer)
    title: Mapped[str] = mapped_column(String(300))
    slug: Mapped[str | None] = mapped_column(String(300))
    content: Mapped[str] = mapped_column(Text)
    summary: Mapped[str | None] = mapped_column(String(1000))
    tags: Mapped[list[str]] = mapped_column(JsonColumn, default=list)
    images_url: Mapped[list[str] | None] = mapped_column(JsonColumn)
    cover_alt: Mapped[str | None] = mapped_column(String(500))
    note: Mapped[str | None] = mapped_column(String(500))
    saved_by_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("users.uuid", ondelete="SET NULL"), index=True)
    saved_by_name: Mapped[str] = mapped_column(String(255))
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)

    __table_args__ = (
        CheckConstraint("kind IN ('publish', 'save', 'restore', 'autosave')", name="kind"),
        Index("ix_blog_versions_blog_number", "blog_id", "number", unique=True),
    )


class SearchMiss(Base):
    """Words that readers looked for and did not find, and how often; who asked is not known."""

    __tablename__ = "search_misses"

    words: Mapped[str] = mapped_column(String(100), primary_key=True)
    count: Mapped[int] = mapped_column(Integer)
    missed_at: Mapped[datetime] = mapped_column(UtcDateTime)


class Redirect(Base):
    """An old address of a post: a request for ``path`` is answered with 301 to the post."""

    __tablename__ = "redirects"

    path: Mapped[str] = mapped_column(String(500), primary_key=True)
    blog_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("blogs.id", ondelete="CASCADE"), index=True)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
