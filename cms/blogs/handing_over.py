"""What becomes of posts whose author goes, and giving authors their own. The caller holds the transaction."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import func, select, update

from cms.accounts.queries import AnySession
from cms.activity.services import Actor, Subject, record
from cms.blogs.models import Blog

BATCH = 50


def count_posts(session: AnySession, author_id: UUID) -> int:
    """Return how many posts somebody has, in whatever state. One statement."""
    return session.scalar(select(func.count()).select_from(Blog).where(Blog.author_id == author_id)) or 0


def hand_over_posts(session: AnySession, author_id: UUID, *, to: UUID, by: Actor, at: datetime) -> int:
    """Make somebody else the author of all posts of a person; returns how many. What was written stays as it is."""
    moved = update(Blog).where(Blog.author_id == author_id).values(author_id=to).returning(Blog.id)
    count = len(session.execute(moved).all())
    if count:
        about = Subject("user", str(author_id))
        record(session, "user.posts_handed_over", actor=by, at=at, about=about, details={"to": to, "posts": count})
    return count


def iterate_posts_of(session: AnySession, author_id: UUID) -> Iterator[Mapping[str, Any]]:  # Any: values of columns
    """Yield every post of somebody with its text, 50 a statement: memory stays the same, however many there are."""
    columns = (
        Blog.id, Blog.slug, Blog.title, Blog.summary, Blog.content, Blog.tags, Blog.status, Blog.images_url,
        Blog.created_at, Blog.updated_at,
    )  # fmt: skip
    query = select(*columns).where(Blog.author_id == author_id).order_by(Blog.id).limit(BATCH)
    rows = session.execute(query).all()
    while rows:
        yield from (row._asdict() for row in rows)
        rows = session.execute(query.where(Blog.id > rows[-1].id)).all()
