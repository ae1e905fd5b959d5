"""The versions of a post: listed, compared side by side, annotated, restored."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from flask import Blueprint, abort, redirect, request
from werkzeug.wrappers import Response

from cms.accounts.current import demand, get_current, needs, now
from cms.accounts.queries import AnySession
from cms.admin.frame import show_admin
from cms.blogs.addresses import desk_path
from cms.blogs.comparing import compare_posts
from cms.blogs.drafts import PostDraft
from cms.blogs.editing import NOTE_LIMIT, annotate_version, lock_post, restore_version
from cms.blogs.errors import PostInvalid
from cms.blogs.models import Blog
from cms.blogs.states import state_of
from cms.blogs.versions import find_saved, list_versions, texts_of
from cms.extensions import db, transaction

PAGE_SIZE = 50
KIND_NAMES = {"publish": "Published", "save": "Saved", "restore": "Restored"}
ENTRIES = ()

pages = Blueprint("admin_versions", __name__, url_prefix="/admin/posts/<uuid:blog_id>/versions")


@dataclass(frozen=True)
class Text:
    """A version to compare."""

    number: int
    draft: PostDraft


@pages.get("")
@needs("post.read")
def show_versions(blog_id: UUID) -> Response:
    blog = get_readable(blog_id)
    versions = list_versions(db.session, blog_id, before=request.args.get("before", type=int), size=PAGE_SIZE + 1)
    return show_admin(
        "admin/versions.html",
        blog=blog,
        path=desk_path(blog_id),
        versions=versions[:PAGE_SIZE],
        older=versions[PAGE_SIZE - 1].number if len(versions) > PAGE_SIZE else None,
        kinds=KIND_NAMES,
        may_write=get_current().may("post.write", owner=blog.author_id, state=state_of(blog, now())),
        note_limit=NOTE_LIMIT,
        done=request.args.get("done"),
    )


@pages.get("/<int:number>")
@needs("post.read")
def show_comparison(blog_id: UUID, number: int) -> Response:
    """Show a version beside another one: ``?with=7``, or the present one."""
    blog = get_readable(blog_id)
    left, right = get_text(blog, number), get_text(blog, request.args.get("with", blog.version, type=int))
    if left.number > right.number:
        left, right = right, left
    return show_admin(
        "admin/version.html",
        blog=blog,
        path=desk_path(blog_id),
        left=left,
        right=right,
        compared=compare_posts(left.draft, right.draft),
        may_write=get_current().may("post.write", owner=blog.author_id, state=state_of(blog, now())),
    )


@pages.post("/<int:number>/restore")
@needs("post.write")
def do_restore(blog_id: UUID, number: int) -> Response:
    person = get_current()
    try:
        with transaction() as session:
            restore_version(session, lock_writable(session, blog_id), number, by=person.actor, at=now())
    except PostInvalid:
        abort(404)
    return redirect(f"{desk_path(blog_id)}?stored&done=restored", 303)


@pages.post("/<int:number>/note")
@needs("post.write")
def do_annotate(blog_id: UUID, number: int) -> Response:
    with transaction() as session:
        blog = lock_writable(session, blog_id)
        if not annotate_version(session, blog, number, request.form.get("note", "")[:NOTE_LIMIT]):
            abort(404)
    return redirect(f"{desk_path(blog_id)}/versions?done=note", 303)


def get_readable(blog_id: UUID) -> Blog:
    blog = db.session.get(Blog, blog_id) or abort(404)
    demand("post.read", owner=blog.author_id, state=state_of(blog, now()))
    return blog


def lock_writable(session: AnySession, blog_id: UUID) -> Blog:
    blog = lock_post(session, blog_id) or abort(404)
    demand("post.write", owner=blog.author_id, state=state_of(blog, now()))
    return blog


def get_text(blog: Blog, number: int) -> Text:
    """Return a version's text; the present one has no row as long as the post was never changed."""
    if version := find_saved(db.session, blog.id, number):
        return Text(number, texts_of(version))
    return Text(number, texts_of(blog)) if number == blog.version else abort(404)
