"""Posts: read by everybody as far as they are public, written by whoever may."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Literal
from uuid import UUID, uuid4

from flask import abort, request
from pydantic import Field
from sqlalchemy import select

from cms.accounts.current import demand, find_current, get_current, now
from cms.accounts.models import User
from cms.accounts.permissions import DRAFT, TRASHED
from cms.accounts.queries import AnySession
from cms.accounts.sessions import Person
from cms.activity.models import ActivityLog
from cms.api.answers import Answer, chosen, moment, paged, wanted
from cms.api.blog_rows import PostRow, etag_of_post, facts_of, find_post, html_of, list_rows, may_see
from cms.api.operations import reads, writes
from cms.api.shapes import Body, Chosen, Items, Line, Listed, Moment, Named, Shape, Text
from cms.blogs.drafts import (
    ALT_LIMIT,
    IMAGES_LIMIT,
    SLUG_LIMIT,
    SUMMARY_LIMIT,
    TAGS_LIMIT,
    TITLE_LIMIT,
    PostDraft,
    checked_content,
)
from cms.blogs.editing import NOTE_LIMIT, Seen, lock_post, save_post, start_post
from cms.blogs.models import Blog
from cms.blogs.rendering import render
from cms.blogs.states import state_of
from cms.blogs.versions import texts_of
from cms.extensions import db
from cms.web.problems import Problem

State = Literal["draft", "in_review", "scheduled", "published", "archived", "trashed"]
Parts = Literal["content", "html", "content,html", "html,content"]


class BlogShown(Shape):
    """A post."""

    id: UUID = Field(examples=["5f3c1c0e-8a53-4c0a-9d55-0d8e6f1b2a34"])
    url: str | None = Field(description="Its path on the site, once it is published.", examples=["/a-lamp-on-a-mast/"])
    slug: str = Field(examples=["a-lamp-on-a-mast"])
    title: str = Field(examples=["A lamp on a mast"])
    summary: str | None
    state: State
    tags: list[str] = Field(examples=[["harbours", "light"]])
    images: list[str] = Field(description="Addresses of pictures, the cover first.")
    cover_alt: str | None = Field(description="What the cover shows, in words.")
    author: Named
    version: int = Field(description="Which number of its versions the text has.", examples=[3])
    word_count: int
    reading_time_minutes: int
    created_at: Moment = Field(description="Its date: since when it is or will be public, else when it was begun.")
    updated_at: Moment | None
    trashed_at: Moment | None
    content: str = Field(None, description="Markdown.", examples=["Lit at *dusk*."])  # type: ignore[assignment]
    html: str = Field(None, description="The text as the page shows it; only if asked for.")  # type: ignore[assignment]


KNOWN = frozenset(BlogShown.model_fields)


class BlogQuery(Chosen):
    """The parameters of one post."""

    include: Literal["html"] | None = Field(None, description="`html`: the text as the page shows it.")


class BlogsQuery(Listed):
    """Which posts, and how much of each."""

    include: Parts | None = Field(None, description="`content` (Markdown), `html`, or both with a comma between them.")
    state: State | None = Field(None, description="Without it every state but the trash.")
    author: Line | None = Field(None, description="A username.")
    tag: Line | None = Field(None, description="Exactly this tag.")
    slug: Line | None = None
    since: Moment | None = Field(None, description="Posts of this date or a later one.")
    until: Moment | None = Field(None, description="Posts of an earlier date.")


FILTERS = ("state", "author", "tag", "slug", "since", "until")


class BlogNew(Body):
    """A post to begin, as a draft. Without a slug one is made from the title."""

    title: Text = Field(min_length=1, max_length=TITLE_LIMIT, examples=["A lamp on a mast"])
    content: Text = Field("", description="Markdown, at most 1 MiB.", examples=["Lit at *dusk*."])
    slug: Text | None = Field(None, max_length=SLUG_LIMIT)
    summary: Text | None = Field(None, max_length=SUMMARY_LIMIT)
    tags: list[Text] = Field(default_factory=list, max_length=TAGS_LIMIT, examples=[["harbours"]])
    images: list[Text] = Field(default_factory=list, max_length=IMAGES_LIMIT)
    cover_alt: Text | None = Field(None, max_length=ALT_LIMIT)


class BlogPatch(Body):
    """What to change of a post; what is left out stays, null takes away (RFC 7396)."""

    title: Text = Field("", min_length=1, max_length=TITLE_LIMIT, examples=["A lamp on two masts"])
    content: Text = ""
    slug: Text = Field("", min_length=1, max_length=SLUG_LIMIT)
    summary: Text | None = Field(None, max_length=SUMMARY_LIMIT)
    tags: list[Text] | None = Field(None, max_length=TAGS_LIMIT)
    images: list[Text] | None = Field(None, max_length=IMAGES_LIMIT)
    cover_alt: Text | None = Field(None, max_length=ALT_LIMIT)
    note: Text | None = Field(None, max_length=NOTE_LIMIT, description="For the list of versions.")


class Rendered(Shape):
    """Markdown as the page of a post shows it."""

    html: str
    word_count: int
    reading_time_minutes: int


class Markdown(Body):
    """A text to look at, which is stored nowhere."""

    content: Text = Field(examples=["Lit at *dusk*."])


# --- reading ------------------------------------------------------------------------------------------------------


@reads("/blogs", "site.see", Items[BlogShown], query=BlogsQuery)
def list_blogs(query: BlogsQuery) -> Answer:
    """List posts, the newest first: the published ones, and with a token those that its owner may read."""
    filters = {name: value for name in FILTERS if (value := getattr(query, name)) is not None}
    parts = set((query.include or "").split(","))
    person = find_asking()
    page = list_rows(db.session, filters, person, query.place, size=query.limit, with_texts=parts != {""})

    def show(item: PostRow) -> dict[str, Any]:  # Any: values of JSON
        return chosen(with_texts(facts_of(item.row), item.row, parts), query.fields, KNOWN)

    if query.fields is not None:
        wanted(query.fields, KNOWN)  # also of a list with nothing in it
    return paged(page, show)


@reads("/blogs/<uuid:blog_id>", "site.see", BlogShown, query=BlogQuery, etag=True)
def get_blog(query: BlogQuery, blog_id: UUID) -> Answer:
    """Read one post with its Markdown."""
    row = find_post(db.session, blog_id, find_asking()) or abort(404)
    facts = facts_of(row)
    etag = etag_of_post(facts)
    shown = with_texts(facts, row, {"content", query.include or ""})
    return Answer(chosen(shown, query.fields, KNOWN), etag)


@writes("POST", "/rendered", "post.write", Rendered, body=Markdown)
def render_markdown(_session: AnySession, sent: Markdown) -> Answer:
    """Show what becomes of a text on its page; nothing is stored."""
    made = render(checked_content(sent.content))
    lengths = {"word_count": made.word_count, "reading_time_minutes": made.reading_time_minutes}
    return Answer({"html": made.html, **lengths})


def find_asking() -> Person | None:
    """Return whose token or session was sent, None for anybody: whoever shows nothing costs no statement."""
    return find_current() if request.authorization or request.cookies else None


def with_texts(facts: dict[str, Any], row: Any, parts: set[str]) -> dict[str, Any]:  # Any: values of JSON, a row
    if "content" in parts:
        facts["content"] = row.content
    if "html" in parts:
        facts["html"] = html_of(row)
    return facts


# --- writing ------------------------------------------------------------------------------------------------------


@writes("POST", "/blogs", "post.write", BlogShown, body=BlogNew, status=201)
def create_blog(session: AnySession, sent: BlogNew) -> Answer:
    """Begin a post, as a draft of whoever asks."""
    person = get_current()
    draft = PostDraft(
        title=sent.title, content=sent.content, slug=sent.slug, summary=sent.summary, tags=tuple(sent.tags),
        images_url=tuple(sent.images), cover_alt=sent.cover_alt,
    )  # fmt: skip
    blog = start_post(session, uuid4(), draft, by=person.actor, at=now())
    return replace(answer_with(session, blog), location=f"/api/v1/blogs/{blog.id}")


@writes("PATCH", "/blogs/<uuid:blog_id>", "post.write", BlogShown, body=BlogPatch, matches=True)
def change_blog(session: AnySession, sent: BlogPatch, blog_id: UUID) -> Answer:
    """Change the text of a post, as a new version of it."""
    blog = lock_unchanged(session, blog_id, "post.write")
    values = {name: getattr(sent, name) for name in sent.model_fields_set - {"note"}}
    if "images" in values:
        values["images_url"] = values.pop("images")
    draft = replace(texts_of(blog), **{name: as_stored(value, name) for name, value in values.items()})
    save_post(session, blog, draft, seen=Seen(blog.version), by=get_current().actor, at=now(), note=sent.note)
    return answer_with(session, blog)


def as_stored(value: Any, name: str) -> Any:  # Any: values of JSON
    return tuple(value or ()) if name in {"tags", "images_url"} else value


def lock_unchanged(session: AnySession, blog_id: UUID, permission: str) -> Blog:
    """Return the post, locked, for somebody who may do this and has seen it as it is now.

    404 if they may not even see it, 403, and 412 if somebody changed it since. Out of the trash: whoever could have put
    it there.
    """
    blog, person = lock_post(session, blog_id), get_current()
    if blog is None or not may_see(person, blog):
        abort(404)
    state = state_of(blog, now())
    if state == TRASHED and permission == "post.trash":
        state = blog.trashed_from or DRAFT
    demand(permission, owner=blog.author_id, state=state)
    refuse_stale(session, blog)
    return blog


def refuse_stale(session: AnySession, blog: Blog) -> None:
    """Answer 412 with who changed the post since, when, and where the difference is shown."""
    current = etag_of_post(facts_of(blog, author_of(session, blog)))
    if request.if_match.contains(current):
        return
    seen = next((number for tag in request.if_match.as_set() if (number := tag.partition(".")[0]).isdecimal()), None)
    last = session.execute(
        select(ActivityLog.actor_name, ActivityLog.action, ActivityLog.happened_at)
        .where(ActivityLog.object_type == "blog", ActivityLog.object_id == str(blog.id))
        .order_by(ActivityLog.happened_at.desc())
        .limit(1)
    ).one_or_none()
    path = f"/api/v1/blogs/{blog.id}"
    more = {
        "current_etag": f'"{current}"',
        "current_version": blog.version,
        "changed_by": last.actor_name if last else None,
        "changed_at": moment(last.happened_at) if last else None,
        "change": last.action if last else None,
        "diff": f"{path}/versions/{seen}/diff" if seen and seen != str(blog.version) else None,
    }
    detail = "The post is not as you have seen it. Read it again, and put both together. Nothing was changed."
    raise Problem(412, "changed-meanwhile", detail, more=more, headers={"ETag": f'"{current}"'})


def author_of(session: AnySession, blog: Blog) -> User:
    return session.get_one(User, blog.author_id)


def answer_with(session: AnySession, blog: Blog) -> Answer:
    facts = facts_of(blog, author_of(session, blog))
    etag = etag_of_post(facts)
    return Answer({**facts, "content": blog.content}, etag)
