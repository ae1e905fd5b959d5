"""What to read next: the posts before and after one, and those near it that share its tags."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import CompoundSelect, Label, Select, bindparam, func, literal, select, union_all

from cms.accounts.queries import AnySession
from cms.blogs.models import Blog
from cms.blogs.queries import IS_PUBLIC, KEY, PLACE, PostSummary, newest_first, oldest_first, values_of

NEAR = 40  # posts on either side that are looked at for shared tags, so that no post's page costs more on a larger site
RELATED = 3


@dataclass(frozen=True)
class Neighbour:
    """Another post."""

    slug: str
    title: str


@dataclass(frozen=True)
class Neighbours:
    """What to read next: the next older and the next newer post, None at either end, and related ones."""

    older: Neighbour | None
    newer: Neighbour | None
    related: tuple[Neighbour, ...]


def find_neighbours(session: AnySession, post: PostSummary) -> Neighbours:
    """Return the published posts next to this one, and up to three of the 80 around it that share most tags.

    One statement.
    """
    values = values_of(post.cursor)
    if post.tags:
        statement = WITH_RELATED[session.get_bind().dialect.name]
        values |= {"tags": list(post.tags)}
    else:
        statement = NEIGHBOURS
    rows = session.execute(statement, values).all()
    beside = {row.side: Neighbour(row.slug, row.title) for row in rows if row.side != "related"}
    related = [Neighbour(row.slug, row.title) for row in rows if row.side == "related"]
    others = [each for each in related if each not in beside.values()]
    return Neighbours(beside.get("older"), beside.get("newer"), tuple(others[:RELATED]))


# --- the statements ---------------------------------------------------------------------------------------------

COLUMNS = (Blog.slug, Blog.title, Blog.tags, Blog.created_at)


def side(name: str, limit: int) -> Select[Any]:  # Any: the columns are read by name
    posts = select(*COLUMNS, literal(name).label("side")).where(IS_PUBLIC).limit(limit)
    return newest_first(posts.where(KEY < PLACE)) if name == "older" else oldest_first(posts.where(KEY > PLACE))


def beside() -> list[Select[Any]]:
    found = [side(name, 1).subquery() for name in ("older", "newer")]
    return [select(each.c.slug, each.c.title, each.c.side) for each in found]


def related(dialect: str) -> Select[Any]:
    """Return the select of posts around that share a tag, the most shared first."""
    around = [side(name, NEAR).subquery() for name in ("older", "newer")]
    near = union_all(*(select(each.c.slug, each.c.title, each.c.tags, each.c.created_at) for each in around)).subquery()
    shared = count_shared(near.c.tags, dialect)
    ranked = select(near.c.slug, near.c.title, near.c.created_at, shared).subquery()
    # Two more than are shown: the posts before and after may be among them.
    best = (
        select(ranked.c.slug, ranked.c.title)
        .where(ranked.c.shared > 0)
        .order_by(ranked.c.shared.desc(), ranked.c.created_at.desc())
        .limit(RELATED + 2)
        .subquery()
    )
    return select(best.c.slug, best.c.title, literal("related").label("side"))


def count_shared(tags: Any, dialect: str) -> Label[int]:  # Any: a column of JSON
    if dialect == "postgresql":
        each = func.jsonb_array_elements_text(tags).table_valued("value").render_derived()
    else:
        each = func.json_each(tags).table_valued("value")
    of_post = each.c.value.in_(bindparam("tags", expanding=True))
    return select(func.count()).select_from(each).where(of_post).scalar_subquery().label("shared")


NEIGHBOURS: CompoundSelect[Any] = union_all(*beside())
WITH_RELATED: dict[str, CompoundSelect[Any]] = {
    dialect: union_all(*beside(), related(dialect)) for dialect in ("sqlite", "postgresql")
}
