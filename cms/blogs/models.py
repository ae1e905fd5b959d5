"""The table ``blogs`` (one row an article) and the old addresses that lead to it."""

from __future__ import annotations

import uuid
from datetime import datetime

from sqlalchemy import ForeignKey, Index, Integer, SmallInteger, String, Text, Uuid, text
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

    author: Mapped[User] = relationship(lazy="raise_on_sql")

    __table_args__ = (
        Index("ix_blogs_status_created", "status", "created_at"),
        Index("ix_blogs_author_status", "author_id", "status"),
        Index("ix_blogs_tags_gin", "tags", postgresql_using="gin"),
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
