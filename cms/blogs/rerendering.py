"""Stored HTML for posts that have none, or that of another edition of the renderer."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import bindparam, func, select, update

from cms.blogs.models import Blog
from cms.blogs.rendering import RENDERER_VERSION, render
from cms.extensions import db, transaction

BATCH_POSTS = 200


@dataclass(frozen=True)
class Stale:
    """A post whose HTML is to be made."""

    id: UUID
    content: str


Watch = Callable[[Iterable[list[Stale]], int], Iterable[list[Stale]]]


@dataclass(frozen=True, kw_only=True)
class RenderReport:
    """How many posts had no HTML of this edition, and how many of those have it now.

    The rest was edited or deleted meanwhile; editing renders.
    """

    renderer_version: int
    found: int
    rendered: int
    dry_run: bool

    def __str__(self) -> str:
        if self.dry_run:
            return f"{self.found} posts would be rendered (dry run: nothing was changed)"
        return f"{self.rendered} of {self.found} posts rendered by edition {self.renderer_version} of the renderer"


def render_stored_posts(*, dry_run: bool = False, watch: Watch = lambda batches, _length: batches) -> RenderReport:
    """Render every post whose stored HTML is missing or of another edition, 200 in a transaction.

    It can be stopped at any time; the next run does the rest. Rendering happens outside the transaction, and a post
    that is edited meanwhile keeps what its editor stored. ``updated_at`` does not change: the text does not.
    watch: sees the batches go by, and is told how many to expect.
    """
    found = db.session.scalar(select(func.count()).select_from(Blog).where(is_stale())) or 0
    rendered = 0
    if not dry_run:
        for batch in watch(stale_batches(), math.ceil(found / BATCH_POSTS)):
            rendered += store_html(batch)
    return RenderReport(renderer_version=RENDERER_VERSION, found=found, rendered=rendered, dry_run=dry_run)


def is_stale() -> Any:  # Any: an SQL expression
    return (
        Blog.renderer_version.is_distinct_from(RENDERER_VERSION)
        | Blog.content_html.is_(None)
        | Blog.content_text.is_(None)
    )


def stale_batches() -> Iterator[list[Stale]]:
    """Yield the posts in order of their id, each once, though rendering takes them out of the result."""
    after: UUID | None = None
    while True:
        wanted = select(Blog.id, Blog.content).where(is_stale()).order_by(Blog.id).limit(BATCH_POSTS)
        rows = db.session.execute(wanted if after is None else wanted.where(Blog.id > after)).all()
        if not rows:
            return
        yield [Stale(row.id, row.content) for row in rows]
        after = rows[-1].id


def store_html(batch: list[Stale]) -> int:
    """Render a batch and store it; returns how many posts still had the text that was rendered."""
    values = [
        {"stale_id": post.id, "stale_content": post.content}
        | {"content_" + name: value for name, value in asdict(render(post.content)).items()}
        for post in batch
    ]
    statement = (
        update(Blog)
        .where(Blog.id == bindparam("stale_id"), Blog.content == bindparam("stale_content"))
        .values(
            content_html=bindparam("content_html"),
            content_text=bindparam("content_text"),
            word_count=bindparam("content_word_count"),
            reading_time_minutes=bindparam("content_reading_time_minutes"),
            renderer_version=RENDERER_VERSION,
        )
    )
    with transaction() as session:
        return int(session.connection().execute(statement, values).rowcount)
