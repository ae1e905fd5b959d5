"""The versions of a post: listed, read, compared, annotated, restored."""

from __future__ import annotations

from typing import Literal
from uuid import UUID

from flask import abort
from pydantic import Field
from sqlalchemy.exc import NoResultFound

from cms.accounts.current import demand, get_current, now
from cms.accounts.queries import AnySession
from cms.api.answers import Answer, address_with, moment
from cms.api.blog_moves import Nothing
from cms.api.blog_rows import may_see
from cms.api.blogs import BlogShown, answer_with, lock_unchanged
from cms.api.operations import reads, writes
from cms.api.shapes import MOST, USUAL, Body, Items, Moment, Query, Shape, Text
from cms.blogs.comparing import Side, compare_posts
from cms.blogs.drafts import PostDraft
from cms.blogs.editing import NOTE_LIMIT, annotate_version, restore_version
from cms.blogs.models import Blog
from cms.blogs.states import state_of
from cms.blogs.versions import LARGEST_NUMBER, VersionShown, find_saved, list_versions, texts_of
from cms.extensions import db


class VersionListed(Shape):
    """A line of the list of versions."""

    number: int
    kind: Literal["publish", "save", "restore"]
    title: str
    note: str | None
    base: int | None = Field(description="The version that its writer had before them.")
    saved_by: str
    created_at: Moment


class VersionText(Shape):
    """The text of a version."""

    number: int
    title: str
    slug: str | None
    summary: str | None
    tags: list[str]
    images: list[str]
    cover_alt: str | None
    content: str


class FieldChange(Shape):
    """A field that differs."""

    field: str
    left: str
    right: str


class LineChange(Shape):
    """A line that differs; a side that is null has no such line. The words that differ stand in <del> and <ins>."""

    left_number: int | None
    left_html: str | None
    right_number: int | None
    right_html: str | None


class Diff(Shape):
    """What differs between two versions."""

    left: int
    right: int
    fields: list[FieldChange]
    lines: list[LineChange]


class VersionsQuery(Query):
    """Which versions."""

    limit: int = Field(USUAL, ge=1, le=MOST, description="How many items at most.")
    before: int | None = Field(None, ge=1, le=LARGEST_NUMBER, description="Versions with a smaller number.")


class DiffQuery(Query):
    """With what a version is compared."""

    to: int | None = Field(None, ge=1, le=LARGEST_NUMBER, description="Another version; without it the present one.")


class Note(Body):
    """What a reader of the list of versions should know; empty for nothing."""

    note: Text = Field(max_length=NOTE_LIMIT, examples=["Before the second half was cut."])


@reads("/blogs/<uuid:blog_id>/versions", "post.read", Items[VersionListed], query=VersionsQuery)
def list_blog_versions(query: VersionsQuery, blog_id: UUID) -> Answer:
    """List the saved versions of a post, the newest first."""
    blog = get_readable(blog_id)
    found = list_versions(db.session, blog.id, before=query.before, size=query.limit + 1)
    shown = found[: query.limit]
    older = address_with(before=str(shown[-1].number)) if len(found) > query.limit else None
    facts = {"items": [facts_of_version(each) for each in shown], "next": older, "prev": None}
    return Answer(facts, links={"next": older} if older else {})


@reads("/blogs/<uuid:blog_id>/versions/<int:number>", "post.read", VersionText)
def get_blog_version(_query: Query, blog_id: UUID, number: int) -> Answer:
    """Read one version."""
    texts = text_of(get_readable(blog_id), number)
    facts = {name: getattr(texts, name) for name in ("title", "slug", "summary", "cover_alt", "content")}
    return Answer({"number": number, **facts, "tags": list(texts.tags), "images": list(texts.images_url)})


@reads("/blogs/<uuid:blog_id>/versions/<int:number>/diff", "post.read", Diff, query=DiffQuery)
def compare_blog_versions(query: DiffQuery, blog_id: UUID, number: int) -> Answer:
    """Compare a version with a later one, or with what the post is now."""
    blog = get_readable(blog_id)
    left, right = sorted((number, query.to or blog.version))
    compared = compare_posts(text_of(blog, left), text_of(blog, right))
    fields = [{"field": each.label, "left": each.left, "right": each.right} for each in compared.fields]
    lines = [{**side("left", row.left), **side("right", row.right)} for row in compared.rows if row.is_changed]
    return Answer({"left": left, "right": right, "fields": fields, "lines": lines})


@writes(
    "POST", "/blogs/<uuid:blog_id>/versions/<int:number>/restore", "post.write", BlogShown, body=Nothing, matches=True
)
def restore_blog_version(session: AnySession, _sent: Nothing, blog_id: UUID, number: int) -> Answer:
    """Give the post the text of an earlier version, as a new one."""
    blog = lock_unchanged(session, blog_id, "post.write")
    if find_saved(session, blog.id, number) is None:
        raise NoResultFound
    restore_version(session, blog, number, by=get_current().actor, at=now())
    return answer_with(session, blog)


@writes("PUT", "/blogs/<uuid:blog_id>/versions/<int:number>/note", "post.write", BlogShown, body=Note, matches=True)
def annotate_blog_version(session: AnySession, sent: Note, blog_id: UUID, number: int) -> Answer:
    """Write another note to a version; the post stays as it is."""
    blog = lock_unchanged(session, blog_id, "post.write")
    if not annotate_version(session, blog, number, sent.note):
        raise NoResultFound
    return answer_with(session, blog)


def get_readable(blog_id: UUID) -> Blog:
    """Return the post for somebody who may read its versions; 404 if they may not even see it."""
    blog = db.session.get(Blog, blog_id)
    if blog is None or not may_see(get_current(), blog):
        abort(404)
    demand("post.read", owner=blog.author_id, state=state_of(blog, now()))
    return blog


def text_of(blog: Blog, number: int) -> PostDraft:
    """Return a version's text; the present one has no row as long as the post was never changed."""
    if version := find_saved(db.session, blog.id, number):
        return texts_of(version)
    return texts_of(blog) if number == blog.version else abort(404)


def facts_of_version(version: VersionShown) -> dict[str, object]:
    facts = {name: getattr(version, name) for name in ("number", "kind", "title", "note", "base")}
    return {**facts, "saved_by": version.saved_by_name, "created_at": moment(version.created_at)}


def side(name: str, line: Side | None) -> dict[str, object]:
    return {f"{name}_number": line.number if line else None, f"{name}_html": str(line.text) if line else None}
