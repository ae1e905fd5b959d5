"""Reads for those who write: posts in every state, by whom, and what was last done about one."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Row, Select, and_, or_, select

from cms.accounts.models import User
from cms.accounts.permissions import PUBLISHED, SCHEDULED
from cms.accounts.queries import AnySession, full_name
from cms.activity.keyset import read_page
from cms.activity.models import ActivityLog
from cms.blogs.models import Blog
from cms.blogs.queries import NOW
from cms.blogs.search import find_posts, words_of
from cms.blogs.states import state_of
from cms.web.paging import Cursor, Page, Place

FOUND = 100  # posts that a search shows


@dataclass(frozen=True)
class DeskFilter:
    """Which posts of all. words: of the title, or of the text of what is published; state: "" for every one."""

    words: str = ""
    state: str = ""
    author_id: UUID | None = None


@dataclass(frozen=True)
class DeskPost:
    """A post as the list of those who write shows it."""

    id: UUID
    title: str
    slug: str
    status: str
    created_at: datetime
    updated_at: datetime | None
    trashed_at: datetime | None
    version: int
    author_id: UUID
    author_name: str

    @property
    def cursor(self) -> Cursor:
        return Cursor(self.created_at, self.id)

    def state(self, at: datetime) -> str:
        return state_of(self, at)


def list_desk_posts(
    session: AnySession, which: DeskFilter, place: Place, *, size: int, language: str
) -> Page[DeskPost]:
    """Return a page of posts, newest first; of a search at most 100 at once. Up to two statements, on indexes.

    language: as ``search.language_of`` returns it.
    """
    query = posts(which)
    if which.words:
        query, place, size = query.where(holds(session, which.words, language)), Place(), FOUND
    return read_page(session, query, place, key=(Blog.created_at, Blog.id), size=size, show=as_desk_post)


def posts(which: DeskFilter) -> Select[Any]:  # Any: the columns are read by name
    query = select(
        Blog.id, Blog.title, Blog.slug, Blog.status, Blog.created_at, Blog.updated_at, Blog.trashed_at, Blog.version,
        Blog.author_id, User.username, User.first_name, User.last_name,
    ).join(User, User.uuid == Blog.author_id)  # fmt: skip
    if which.author_id is not None:
        query = query.where(Blog.author_id == which.author_id)
    return query.where(is_in(which.state)) if which.state else query


def is_in(state: str) -> ColumnElement[bool]:
    """Return the condition for a state of ``state_of``."""
    if state == SCHEDULED:
        return and_(Blog.status == PUBLISHED, Blog.created_at > NOW)
    if state == PUBLISHED:
        return and_(Blog.status == PUBLISHED, Blog.created_at <= NOW)
    return Blog.status == state


def holds(session: AnySession, typed: str, language: str) -> ColumnElement[bool]:
    """Return the condition for posts with these words: of published ones the index knows the text, of others the title
    is read, of which there are few.
    """
    found = find_posts(session, words_of(typed), language=language)
    in_title = and_(Blog.status != PUBLISHED, Blog.title.icontains(typed, autoescape=True))
    return or_(Blog.id.in_(found), in_title)


def as_desk_post(row: Row[Any]) -> DeskPost:
    fields = {name: getattr(row, name) for name in DeskPost.__dataclass_fields__ if name != "author_name"}
    return DeskPost(**fields, author_name=full_name(row.first_name, row.last_name) or row.username)


@dataclass(frozen=True)
class Return:
    """That a post was returned to its author."""

    by: str
    reason: str
    at: datetime


def find_last_return(session: AnySession, blog_id: UUID) -> Return | None:
    """Return by whom the post was returned last, why and when, unless something else was done with its state since.

    One statement, on an index.
    """
    last = (
        select(ActivityLog.action, ActivityLog.actor_name, ActivityLog.details, ActivityLog.happened_at)
        .where(ActivityLog.object_type == "blog", ActivityLog.object_id == str(blog_id))
        .where(ActivityLog.action != "blog.saved")
        .order_by(ActivityLog.happened_at.desc())
        .limit(1)
    )
    row = session.execute(last).one_or_none()
    if row is None or row.action != "blog.returned":
        return None
    return Return(row.actor_name, row.details.get("reason", ""), row.happened_at)
