"""Reads for the archive: which months have posts, and the posts of a year or month."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

import sqlalchemy as sa

from cms.accounts.queries import AnySession
from cms.blogs.models import Blog
from cms.blogs.queries import NOW, PostSummary, published, read_page
from cms.web.paging import Page, Place


@dataclass(frozen=True)
class Period:
    """A year up to 9998, or a month of it, in UTC."""

    year: int
    month: int | None = None

    @property
    def begin(self) -> datetime:
        return datetime(self.year, self.month or 1, 1, tzinfo=UTC)

    @property
    def end(self) -> datetime:
        """The moment after its last."""
        if self.month and self.month < 12:  # noqa: PLR2004
            return datetime(self.year, self.month + 1, 1, tzinfo=UTC)
        return datetime(self.year + 1, 1, 1, tzinfo=UTC)


# From the newest post to the newest before its month, and so on: one probe of the index for each month, however many
# posts there are.
MONTHS = """
    WITH RECURSIVE months (at) AS (
        SELECT max(created_at) FROM blogs WHERE status = 'published' AND created_at <= :now
        UNION ALL
        SELECT (SELECT max(created_at) FROM blogs WHERE status = 'published' AND created_at < {begin})
        FROM months WHERE at IS NOT NULL
    )
    SELECT at FROM months WHERE at IS NOT NULL
"""
BEGIN = {"postgresql": "date_trunc('month', at, 'UTC')", "sqlite": "strftime('%Y-%m-01 00:00:00.000000', at)"}
STATEMENTS = {
    dialect: sa.text(MONTHS.format(begin=begin)).bindparams(NOW).columns(at=Blog.created_at.type)
    for dialect, begin in BEGIN.items()
}


def list_months(session: AnySession) -> list[Period]:
    """Return the months with published posts, newest first. One statement."""
    moments = session.scalars(STATEMENTS[session.get_bind().dialect.name])
    return [Period(moment.year, moment.month) for moment in moments]


def list_posts_of_period(session: AnySession, period: Period, place: Place, *, size: int) -> Page[PostSummary]:
    """Return a page of the published posts of a year or month. One statement."""
    query = published().where(Blog.created_at >= period.begin, Blog.created_at < period.end)
    return read_page(session, query, place, size=size)
