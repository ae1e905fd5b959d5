"""The search index as a whole: what it lacks, and making it anew."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from cms.blogs.models import PUBLISHED, Blog
from cms.extensions import db, transaction

BATCH_POSTS = 200
# Triggers write the index, so that no model describes it.
INDEX = sa.table("blog_search", sa.column("blog_id", sa.Uuid))
SETTINGS = sa.table("blog_search_settings", sa.column("id"), sa.column("language"))

Watch = Callable[[Iterable[list[UUID]], int], Iterable[list[UUID]]]


@dataclass(frozen=True, kw_only=True)
class IndexReport:
    """How many published posts there are, how many were put into the index anew, and of which language it is."""

    posts: int
    indexed: int
    language: str
    dry_run: bool

    def __str__(self) -> str:
        if self.dry_run:
            return f"{self.posts} posts would be indexed as {self.language} (dry run: nothing was changed)"
        return f"{self.indexed} posts indexed as {self.language}"


def reindex(*, language: str, dry_run: bool = False, watch: Watch = lambda batches, _length: batches) -> IndexReport:
    """Put every published post into the index anew, 200 in a transaction, while the site goes on.

    It can be stopped at any time; the next run begins anew. ``updated_at`` does not change.
    language: as ``cms.blogs.search.language_of`` returns it; for PostgreSQL, which knows the forms of words.
    """
    posts = db.session.scalar(sa.select(sa.func.count()).select_from(Blog).where(Blog.status == PUBLISHED)) or 0
    indexed = 0
    if not dry_run:
        set_language(language)
        for batch in watch(batches(), math.ceil(posts / BATCH_POSTS)):
            indexed += index_batch(batch)
    return IndexReport(posts=posts, indexed=indexed, language=language, dry_run=dry_run)


def read_language(connection: sa.Connection) -> str:
    """Return PostgreSQL's name for the language of the index."""
    return connection.scalar(sa.select(SETTINGS.c.language)) or "english"


def set_language(language: str) -> None:
    with transaction() as session:
        if session.get_bind().dialect.name == "postgresql":
            row = postgresql.insert(SETTINGS).values(id=1, language=language)
            session.execute(row.on_conflict_do_update(index_elements=[SETTINGS.c.id], set_={"language": language}))


def batches() -> Iterator[list[UUID]]:
    """Yield the ids of the published posts in order."""
    after: UUID | None = None
    while True:
        wanted = sa.select(Blog.id).where(Blog.status == PUBLISHED).order_by(Blog.id).limit(BATCH_POSTS)
        ids = list(db.session.scalars(wanted if after is None else wanted.where(Blog.id > after)))
        if not ids:
            return
        yield ids
        after = ids[-1]


def index_batch(ids: list[UUID]) -> int:
    """Take the posts out of the index and let the trigger put them in: it runs whenever a title is written."""
    with transaction() as session:
        session.execute(sa.delete(INDEX).where(INDEX.c.blog_id.in_(ids)))
        return int(session.connection().execute(
            sa.update(Blog).where(Blog.id.in_(ids), Blog.status == PUBLISHED).values(title=Blog.title)
        ).rowcount)  # fmt: skip


def count_missing(connection: sa.Connection) -> int:
    """Return how many published posts the index lacks. One statement, which reads every post's id."""
    posts = sa.table("blogs", sa.column("id"), sa.column("status"))
    has_entry = sa.exists().where(INDEX.c.blog_id == posts.c.id)
    missing = sa.select(sa.func.count()).select_from(posts).where(posts.c.status == PUBLISHED, ~has_entry)
    return int(connection.scalar(missing) or 0)
