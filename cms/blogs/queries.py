"""Reads about posts: only the columns that a page shows, never a whole row."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import (
    ColumnElement,
    Row,
    Select,
    and_,
    bindparam,
    case,
    exists,
    func,
    or_,
    select,
    tuple_,
    type_coerce,
)
from sqlalchemy.dialects.postgresql import JSONB

from cms.accounts.models import User
from cms.accounts.permissions import ARCHIVED, TRASHED
from cms.accounts.queries import AnySession, full_name
from cms.blogs.models import PUBLISHED, Blog, Redirect
from cms.blogs.rendering import RENDERER_VERSION
from cms.web.paging import Cursor, Page, Place


@dataclass(frozen=True)
class PostSummary:
    """A post as lists show it. cover: address of a picture, or None."""

    id: UUID
    slug: str
    title: str
    summary: str | None
    tags: tuple[str, ...]
    cover: str | None
    created_at: datetime
    reading_time_minutes: int
    author_username: str
    author_name: str

    @property
    def cursor(self) -> Cursor:
        return Cursor(self.created_at, self.id)


@dataclass(frozen=True)
class PostText(PostSummary):
    """A post as its own page shows it: html if this edition of the renderer made it, else the Markdown."""

    updated_at: datetime | None
    html: str | None
    markdown: str | None
    cover_alt: str | None


@dataclass(frozen=True)
class Moved:
    """Where an address leads that no page has. is_withdrawn: nowhere, its post was on the site and is in the trash."""

    slug: str
    is_withdrawn: bool


SUMMARY_COLUMNS = (
    Blog.id,
    Blog.slug,
    Blog.title,
    Blog.summary,
    Blog.tags,
    Blog.images_url,
    Blog.created_at,
    Blog.reading_time_minutes,
    User.username,
    User.first_name,
    User.last_name,
)


def list_posts(session: AnySession, place: Place, *, size: int) -> Page[PostSummary]:
    """Return a page of the published posts. One statement."""
    return read_page(session, published(), place, size=size)


def list_posts_with_tag(session: AnySession, tag: str, place: Place, *, size: int) -> Page[PostSummary]:
    """Return a page of the published posts that have exactly this tag. One statement."""
    return read_page(session, published().where(has_tag(session, tag)), place, size=size)


def list_posts_by_author(session: AnySession, author_id: UUID, place: Place, *, size: int) -> Page[PostSummary]:
    """Return a page of the author's published posts. One statement."""
    return read_page(session, published().where(Blog.author_id == author_id), place, size=size)


def list_newest_texts(session: AnySession, *, tag: str | None, author: str | None, size: int) -> list[PostText]:
    """Return the newest published posts in whole: of everybody, of a tag, or of the author with this username.

    One statement.
    """
    query = TEXTS
    if tag is not None:
        query = query.where(has_tag(session, tag))
    if author is not None:
        query = query.where(User.username == author)
    return [as_text(row) for row in session.execute(newest_first(query).limit(size))]


def find_published_post(session: AnySession, slug: str) -> PostText | None:
    """Return the published post with this slug, or None. One statement."""
    row = session.execute(POST, {"slug": slug}).one_or_none()
    return as_text(row) if row else None


def find_moved(session: AnySession, path: str) -> Moved | None:
    """Return the post that an old address leads to, or that was taken off the site, or None. One statement.

    path: as ``redirects.redirect_path`` makes it.
    """
    of_redirect = select(Redirect.blog_id).where(Redirect.path == path).scalar_subquery()
    was_public = and_(Blog.status == TRASHED, Blog.trashed_from.in_([PUBLISHED, ARCHIVED]))
    posts = select(Blog.slug, was_public.label("is_withdrawn")).where(
        or_(Blog.id == of_redirect, Blog.slug == path.removeprefix("/")), or_(IS_PUBLIC, was_public)
    )
    found = [Moved(row.slug, bool(row.is_withdrawn)) for row in session.execute(posts)]
    return min(found, key=lambda each: each.is_withdrawn, default=None)


# --- parts ------------------------------------------------------------------------------------------------------

# The moment at which a statement is run, not that at which it was built.
NOW = bindparam("now", callable_=lambda: datetime.now(UTC), type_=Blog.created_at.type)
# A post whose date is to come appears when it does, without anybody doing anything.
IS_PUBLIC = and_(Blog.status == PUBLISHED, Blog.created_at <= NOW)
KEY = tuple_(Blog.created_at, Blog.id)
PLACE = tuple_(bindparam("place_at", type_=Blog.created_at.type), bindparam("place_id", type_=Blog.id.type))


def values_of(cursor: Cursor) -> dict[str, Any]:  # Any: a time and a UUID
    return {"place_at": cursor.at, "place_id": cursor.id}


def published() -> Select[Any]:  # Any: the columns are read by name
    return select(*SUMMARY_COLUMNS).join(User, User.uuid == Blog.author_id).where(IS_PUBLIC)


def newest_first(query: Select[Any]) -> Select[Any]:
    return query.order_by(Blog.created_at.desc(), Blog.id.desc())


def oldest_first(query: Select[Any]) -> Select[Any]:
    return query.order_by(Blog.created_at, Blog.id)


def statement_of_texts() -> Select[Any]:
    fresh = and_(Blog.renderer_version == RENDERER_VERSION, Blog.content_html.is_not(None))
    html, markdown = case((fresh, Blog.content_html)), case((fresh, None), else_=Blog.content)
    return published().add_columns(Blog.updated_at, Blog.cover_alt, html.label("html"), markdown.label("markdown"))


# Built once: building them anew took a third of the time of a post's page.
TEXTS = statement_of_texts()
POST = TEXTS.where(Blog.slug == bindparam("slug"))


def has_tag(session: AnySession, tag: str) -> ColumnElement[bool]:
    return has_tag_on_sqlite(tag) if session.get_bind().dialect.name == "sqlite" else has_tag_on_postgresql(tag)


def has_tag_on_postgresql(tag: str) -> ColumnElement[bool]:
    return type_coerce(Blog.tags, JSONB).contains([tag])


def has_tag_on_sqlite(tag: str) -> ColumnElement[bool]:
    each = func.json_each(Blog.tags).table_valued("value")
    return exists().where(each.c.value == tag)


def read_page(session: AnySession, query: Select[Any], place: Place, *, size: int) -> Page[PostSummary]:
    """Return the page of the query at this place; one row more than shown tells whether there is another page."""
    if place.after:
        rows = session.execute(oldest_first(query.where(KEY > PLACE)).limit(size + 1), values_of(place.after)).all()
        posts = [as_summary(row) for row in rows[:size]][::-1]
        has_older, has_newer = bool(posts), len(rows) > size
    else:
        query, values = (query.where(KEY < PLACE), values_of(place.before)) if place.before else (query, {})
        rows = session.execute(newest_first(query).limit(size + 1), values).all()
        posts = [as_summary(row) for row in rows[:size]]
        has_older, has_newer = len(rows) > size, bool(posts and place.before)
    return Page(posts, posts[-1].cursor if has_older else None, posts[0].cursor if has_newer else None)


def as_summary(row: Row[Any]) -> PostSummary:
    return PostSummary(**summary_fields(row))


def as_text(row: Row[Any]) -> PostText:
    texts = {"html": row.html, "markdown": row.markdown, "cover_alt": row.cover_alt}
    return PostText(**summary_fields(row), updated_at=row.updated_at, **texts)


def summary_fields(row: Row[Any]) -> dict[str, Any]:  # Any: fields of many types
    return {
        "id": row.id,
        "slug": row.slug,
        "title": row.title,
        "summary": row.summary,
        "tags": tuple(row.tags),
        "cover": next(iter(row.images_url or ()), None),
        "created_at": row.created_at,
        "reading_time_minutes": row.reading_time_minutes,
        "author_username": row.username,
        "author_name": full_name(row.first_name, row.last_name) or row.username,
    }
