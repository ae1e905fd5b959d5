"""Reads for the sitemap: where its parts begin, and the addresses in one of them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, select

from cms.accounts.queries import AnySession
from cms.blogs.models import Blog
from cms.blogs.queries import IS_PUBLIC


@dataclass(frozen=True)
class PostAddress:
    """A published post: where it is, and when it last changed."""

    slug: str
    changed_at: datetime


def list_part_starts(session: AnySession, *, size: int) -> list[datetime]:
    """Return the dates at which the parts of ``size`` posts begin, oldest first; none without posts.

    Posts of the same moment stay together. One statement, which reads no row: it walks the index of dates.
    """
    number = func.row_number().over(order_by=Blog.created_at).label("number")
    numbered = select(Blog.created_at, number).where(IS_PUBLIC).subquery()
    starts = select(numbered.c.created_at).where(numbered.c.number % size == 1).order_by(numbered.c.number)
    return list(dict.fromkeys(session.scalars(starts)))


def list_posts_of_part(
    session: AnySession, *, since: datetime | None, before: datetime | None, limit: int
) -> list[PostAddress]:
    """Return the published posts from one date on, that included, until before another, oldest first. One statement."""
    query = select(Blog.slug, Blog.created_at, Blog.updated_at).where(IS_PUBLIC)
    if since:
        query = query.where(Blog.created_at >= since)
    if before:
        query = query.where(Blog.created_at < before)
    rows = session.execute(query.order_by(Blog.created_at, Blog.id).limit(limit))
    return [PostAddress(row.slug, max(row.created_at, row.updated_at or row.created_at)) for row in rows]
