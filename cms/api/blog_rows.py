"""What programs read of posts: those that everybody may see, and of the others what the one who asks may.

Each statement is built once for each set of filters: building it anew would cost more than running it.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any
from uuid import UUID

from sqlalchemy import Row, Select, bindparam, or_, select

from cms.accounts.models import User
from cms.accounts.permissions import DRAFT, TRASHED
from cms.accounts.queries import AnySession, full_name
from cms.accounts.sessions import Person
from cms.api.answers import etag_of, moment
from cms.blogs.addresses import post_path
from cms.blogs.desk import is_in
from cms.blogs.models import Blog
from cms.blogs.queries import IS_PUBLIC, KEY, PLACE, has_tag_on_postgresql, has_tag_on_sqlite, values_of
from cms.blogs.rendering import RENDERER_VERSION, render
from cms.blogs.states import state_of
from cms.web.paging import Cursor, Page, Place

COLUMNS = (
    Blog.id, Blog.slug, Blog.title, Blog.summary, Blog.status, Blog.tags, Blog.images_url, Blog.cover_alt, Blog.version,
    Blog.word_count, Blog.reading_time_minutes, Blog.created_at, Blog.updated_at, Blog.trashed_at, Blog.trashed_from,
    Blog.author_id, User.username, User.first_name, User.last_name,
)  # fmt: skip
TEXTS = (Blog.content, Blog.content_html, Blog.renderer_version)
Found = Row[Any]  # Any: the columns are read by name


class PostRow:
    """A row with its place in the list."""

    __slots__ = ("cursor", "row")

    def __init__(self, row: Found) -> None:
        self.row = row
        self.cursor = Cursor(row.created_at, row.id)


def find_post(session: AnySession, blog_id: UUID, person: Person | None) -> Found | None:
    """Return the post if this person, or None for anybody, may see it. One statement."""
    row = session.execute(ONE, {"id": blog_id}).one_or_none()
    return row if row is not None and may_see(person, row) else None


def may_see(person: Person | None, row: Any) -> bool:  # Any: a row, or a Blog
    """Tell whether the post is on the site, or the person may read it where it is."""
    state = state_of(row, datetime.now(UTC))
    return state == "published" or (person is not None and person.may("post.read", owner=row.author_id, state=state))


def list_rows(
    session: AnySession, filters: Mapping[str, Any], person: Person | None, place: Place, *, size: int, with_texts: bool
) -> Page[PostRow]:
    """Return a page of what the person may see, the newest first; the trash only if it is asked for. One statement.

    filters: values by the names of ``FILTERS``.
    """
    if person is None or not person.may_ever("post.read"):
        reach = "public"
    else:
        reach = "all" if person.may("post.read", state=DRAFT) else "own"
    # A tag's condition is another one on each engine, so statements that have it are not kept.
    named = frozenset(name for name in filters if name != "tag")
    query = statement(named, reach, filters.get("state"), is_forward=place.after is not None, with_texts=with_texts)
    if (tag := filters.get("tag")) is not None:
        is_sqlite = session.get_bind().dialect.name == "sqlite"
        query = query.where(has_tag_on_sqlite(tag) if is_sqlite else has_tag_on_postgresql(tag))
    values = {"me": person.id if person else None, "size": size + 1, **{name: filters[name] for name in named}}
    cursor = place.after or place.before
    query = query if cursor is None else query.where(KEY > PLACE if place.after else KEY < PLACE)
    found = session.execute(query, {**values, **(values_of(cursor) if cursor else {})}).all()
    rows = [PostRow(row) for row in found[:size]]
    has_more, has_fewer = len(found) > size, bool(rows and cursor)
    if place.after:
        rows, has_more, has_fewer = rows[::-1], has_fewer, has_more
    return Page(rows, rows[-1].cursor if has_more else None, rows[0].cursor if has_fewer else None)


CONDITIONS = {
    "author": User.username == bindparam("author"),
    "slug": Blog.slug == bindparam("slug"),
    "since": Blog.created_at >= bindparam("since", type_=Blog.created_at.type),
    "until": Blog.created_at < bindparam("until", type_=Blog.created_at.type),
}


@lru_cache(maxsize=256)
def statement(
    named: frozenset[str], reach: str, state: str | None, *, is_forward: bool, with_texts: bool
) -> Select[Any]:  # Any: the columns are read by name
    query = select(*COLUMNS, *(TEXTS if with_texts else ())).join(User, User.uuid == Blog.author_id)
    if reach == "public":
        query = query.where(IS_PUBLIC)
    elif reach == "own":
        query = query.where(or_(IS_PUBLIC, Blog.author_id == bindparam("me", type_=Blog.author_id.type)))
    query = query.where(*(CONDITIONS[name] for name in sorted(named - {"state"})))
    query = query.where(is_in(state) if state else Blog.status != TRASHED)
    order = (Blog.created_at, Blog.id) if is_forward else (Blog.created_at.desc(), Blog.id.desc())
    return query.order_by(*order).limit(bindparam("size"))


ONE = (
    select(*COLUMNS, *TEXTS)
    .join(User, User.uuid == Blog.author_id)
    .where(Blog.id == bindparam("id", type_=Blog.id.type))
)

# --- as facts -----------------------------------------------------------------------------------------------------


def facts_of(row: Any, author: Any = None) -> dict[str, Any]:  # Any: a row with its author's names, or a Blog and them
    """Return what programs are told of a post, without its text."""
    author = author or row
    state = state_of(row, datetime.now(UTC))
    name = full_name(author.first_name, author.last_name) or author.username
    return {
        "id": str(row.id),
        "url": post_path(row.slug) if state == "published" else None,
        "slug": row.slug,
        "title": row.title,
        "summary": row.summary,
        "state": state,
        "tags": row.tags,
        "images": row.images_url or [],
        "cover_alt": row.cover_alt,
        "author": {"id": str(row.author_id), "username": author.username, "name": name},
        "version": row.version,
        "word_count": row.word_count,
        "reading_time_minutes": row.reading_time_minutes,
        "created_at": moment(row.created_at),
        "updated_at": moment(row.updated_at),
        "trashed_at": moment(row.trashed_at),
    }


def etag_of_post(facts: Mapping[str, Any]) -> str:
    """Return the version and what stands for everything else of a post's state; of the text the version is enough."""
    return f"{facts['version']}.{etag_of(facts)}"


def html_of(row: Any) -> str:  # Any: a row, or a Blog
    is_fresh = row.content_html is not None and row.renderer_version == RENDERER_VERSION
    return str(row.content_html) if is_fresh else render(row.content).html
