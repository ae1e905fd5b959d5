"""The page on which a post is written: with a script that keeps every word, and without one."""

from __future__ import annotations

from contextlib import suppress
from datetime import datetime
from typing import Any
from uuid import UUID

from flask import Blueprint, abort, current_app, jsonify, redirect, request
from werkzeug.wrappers import Response

from cms.accounts.current import csrf_token, demand, get_current, needs, now
from cms.accounts.errors import whole_sentence
from cms.accounts.permissions import DRAFT, PUBLISHED, TRASHED
from cms.accounts.queries import AnySession
from cms.admin.frame import show_admin
from cms.admin.post_forms import PostForm, fields_of
from cms.admin.posts import STATE_NAMES
from cms.blogs.addresses import desk_path
from cms.blogs.comparing import FIELDS, compare_posts
from cms.blogs.desk import find_last_return
from cms.blogs.drafts import CONTENT_LIMIT_BYTES, PostDraft
from cms.blogs.editing import NOTHING, Saved, Seen, autosave_post, lock_post, save_post, start_post
from cms.blogs.errors import Conflict, MoveRefused, PostChanged, PostInvalid
from cms.blogs.models import Blog
from cms.blogs.moving import Move, list_moves, may_move, move_post
from cms.blogs.rendering import measure, render
from cms.blogs.states import TRANSITIONS, Transition, state_of
from cms.blogs.versions import discard_autosave, find_autosave, texts_of
from cms.extensions import db, transaction
from cms.web.errors import wants_json

PARTS_LIMIT = 5000
DATED = ("publish", "schedule")
FIELD_NAMES = {"images_url": "cover"}
LABELS = {**FIELDS, "content": "Text"}

pages = Blueprint("admin_editor", __name__, url_prefix="/admin/posts")
ENTRIES = ()


@pages.get("/<uuid:blog_id>")
@needs("post.read")
def show_editor(blog_id: UUID) -> Response:
    """Show the post with what its writer has not saved yet, or as it is stored: ``?stored``."""
    blog = db.session.get(Blog, blog_id)
    if blog is None:
        return show_form(None, blog_id, form_of(NOTHING, Seen(0))) if "new" in request.args else abort(404)
    person = demand("post.read", owner=blog.author_id, state=state_of(blog, now()))
    own = find_autosave(db.session, blog_id, person.id)
    if own is None or "stored" in request.args:
        known = Seen(blog.version, own.number if own else 0)
        return show_form(blog, blog_id, form_of(texts_of(blog), known, blog), unsaved=own)
    known = Seen(own.base or blog.version, own.number)
    return show_form(blog, blog_id, form_of(texts_of(own), known, blog), unsaved=own, shows_unsaved=True)


@pages.post("/<uuid:blog_id>")
@needs("post.write")
def do_save(blog_id: UUID) -> Response:
    """Save the post and send it along a way, if one is chosen; both or neither."""
    form, move = PostForm(request.form), request.form.get("move", "")
    if move and move not in TRANSITIONS:
        abort(400)
    if "preview" in request.form:
        return show_typed(blog_id, form)
    try:
        with transaction() as session:
            facts = save_and_move(session, blog_id, form, move)
    except PostChanged as changed:
        return show_conflict(blog_id, form, changed.conflict)
    except (PostInvalid, MoveRefused) as refused:
        return show_refused(blog_id, form, refused)
    return jsonify(facts) if wants_json() else redirect(f"{desk_path(blog_id)}?done={move or 'saved'}", 303)


@pages.post("/<uuid:blog_id>/autosave")
@needs("post.write")
def do_autosave(blog_id: UUID) -> Response:
    """Keep what is typed, without changing the post."""
    form, at = PostForm(request.form), now()
    try:
        with transaction() as session:
            blog = open_post(session, blog_id, form)
            saved = autosave_post(session, blog, form.draft(), seen=form.known, by=get_current().actor, at=at)
            facts = facts_of(saved, blog, at)
    except PostChanged as changed:
        return say("another_window", changed.what, status=409)
    except PostInvalid as refused:
        return say("invalid", whole_sentence(refused), status=422)
    return jsonify(facts)


@pages.post("/<uuid:blog_id>/discard")
@needs("post.write")
def do_discard(blog_id: UUID) -> Response:
    """Throw away what the writer has not saved."""
    with transaction() as session:
        discard_autosave(session, blog_id, get_current().id)
    return redirect(f"{desk_path(blog_id)}?done=discarded", 303)


@pages.post("/preview")
@needs("post.write")
def do_preview() -> Response:
    """Return the HTML of parts of a text, each rendered by itself, and how long each is for a reader."""
    sent = request.get_json(silent=True)
    parts = sent.get("parts") if isinstance(sent, dict) else None
    if not isinstance(parts, list) or len(parts) > PARTS_LIMIT or not all(isinstance(part, str) for part in parts):
        abort(400)
    if sum(map(len, parts)) > CONTENT_LIMIT_BYTES:
        abort(413)
    return jsonify([facts_of_part(render(part).html) for part in parts])


@pages.get("/session")
@needs("post.list")
def show_session() -> Response:
    """Return the token of forms: whoever had to sign in again meanwhile goes on writing with a new one."""
    session_id = get_current().session_id
    return jsonify(csrf=csrf_token(session_id) if session_id else "")


# --- writing ----------------------------------------------------------------------------------------------------


def open_post(session: AnySession, blog_id: UUID, form: PostForm) -> Blog:
    """Return the post locked, for somebody who may write it; one that is not there yet is begun with what is typed."""
    blog = lock_post(session, blog_id)
    if blog is None:
        if not form.is_new:
            abort(404)
        blog = start_post(session, blog_id, form.draft(), by=get_current().actor, at=now())
    demand("post.write", owner=blog.author_id, state=state_of(blog, now()))
    return blog


def save_and_move(session: AnySession, blog_id: UUID, form: PostForm, name: str) -> dict[str, Any]:
    """Do what the form says. Somebody who may not write the post may still send it along a way."""
    person, at = get_current(), now()
    blog, seen = lock_post(session, blog_id), form.known.version
    saved = None
    if not name or blog is None or person.may("post.write", owner=blog.author_id, state=state_of(blog, at)):
        blog = open_post(session, blog_id, form)
        note = form.note.data or None
        saved = save_post(session, blog, form.draft(), seen=form.known, by=person.actor, at=at, note=note)
        seen = saved.number
    if name:
        if not may_move(person, blog, TRANSITIONS[name], at=at):
            refuse_move(blog, TRANSITIONS[name], at=at)
        move = Move(name, form.reason.data or "", form.date() if name in DATED else None)
        move_post(session, blog, move, seen=seen, by=person.actor, at=at, site_url=current_app.config["SITE_URL"])
    return facts_of(saved, blog, at)


def refuse_move(blog: Blog, way: Transition, *, at: datetime) -> None:
    """Answer that it is too late, or that this person may not."""
    if state_of(blog, at) in way.sources:
        abort(403)
    raise MoveRefused(
        f"the post is {STATE_NAMES[state_of(blog, at)].lower()} by now",
        why="somebody else was faster",
        hint="nothing was changed",
    )


def facts_of(saved: Saved | None, blog: Blog, at: datetime) -> dict[str, Any]:  # Any: values of JSON
    """Return what was stored, for the script of the page."""
    number = saved.number if saved else blog.version
    when = (saved.at if saved else at).isoformat()
    return {"number": number, "at": when, "version": blog.version, "slug": blog.slug, "state": state_of(blog, at)}


def facts_of_part(safe: str) -> dict[str, Any]:  # Any: values of JSON
    length = measure(safe)
    return {"html": safe, "words": length.words + length.characters, "minutes": length.minutes}


def say(kind: str, text: str, *, status: int) -> Response:
    """Tell the script why nothing was stored."""
    answer = jsonify(kind=kind, text=text)
    answer.status_code = status
    return answer


# --- pages ------------------------------------------------------------------------------------------------------


def show_form(
    blog: Blog | None,
    blog_id: UUID,
    form: PostForm,
    *,
    status: int = 200,
    shows_preview: bool = False,
    **values: object,
) -> Response:
    """Show the post's form and what may be done with it."""
    person, at = get_current(), now()
    state = state_of(blog, at) if blog else DRAFT
    owner = blog.author_id if blog else person.id
    moves = [way for way in list_moves(person, blog, at=at) if blog or way.goal != TRASHED]
    may_write = person.may("post.write", owner=owner, state=state)
    return show_admin(
        "admin/editor.html",
        status=status,
        blog=blog,
        path=desk_path(blog_id),
        form=form,
        state=state,
        state_name=STATE_NAMES[state],
        moves=moves,
        may_write=may_write,
        returned=find_last_return(db.session, blog_id) if state == DRAFT else None,
        rendered=render(form.content.data or "") if shows_preview or not may_write else None,
        done=request.args.get("done"),
        **{"unsaved": None, "shows_unsaved": False, "problem": None, **values},
    )


def show_refused(blog_id: UUID, form: PostForm, refused: PostInvalid | MoveRefused) -> Response:
    """Show what was typed again, with what is wrong about it."""
    if wants_json():
        return say("invalid", whole_sentence(refused), status=422)
    name = FIELD_NAMES.get(refused.field, refused.field) if isinstance(refused, PostInvalid) else ""
    if name in form:
        form[name].errors = [whole_sentence(refused)]
    problem = None if name in form else whole_sentence(refused)
    return show_typed(blog_id, form, status=422, problem=problem)


def show_typed(blog_id: UUID, form: PostForm, *, status: int = 200, problem: str | None = None) -> Response:
    """Show what was typed, which is stored nowhere, with its preview."""
    blog = db.session.get(Blog, blog_id)
    if blog is None and not form.is_new:
        abort(404)
    if blog is not None:
        demand("post.read", owner=blog.author_id, state=state_of(blog, now()))
    return show_form(blog, blog_id, form, status=status, problem=problem, shows_preview=True)


def show_conflict(blog_id: UUID, form: PostForm, conflict: Conflict) -> Response:
    """Show both texts, what they go back to, and what becomes of them together; the writer's own is kept meanwhile."""
    if wants_json():
        return say("conflict", f"{conflict.by} stored version {conflict.number} meanwhile", status=409)
    known = keep_mine(blog_id, form, conflict)
    merged = form_of(conflict.merged, known)
    merged.note.data = form.note.data
    return show_admin(
        "admin/conflict.html",
        status=409,
        path=desk_path(blog_id),
        form=merged,
        conflict=conflict,
        mine=compare_posts(conflict.base, conflict.mine),
        theirs=compare_posts(conflict.base, conflict.theirs),
        labels=LABELS,
    )


def keep_mine(blog_id: UUID, form: PostForm, conflict: Conflict) -> Seen:
    """Keep the writer's text as one that is not saved, and return what they know once they saw the page."""
    if conflict.is_unsaved:
        return Seen(form.known.version, conflict.number)
    unsaved = form.known.unsaved
    with suppress(PostChanged), transaction() as session:
        blog = open_post(session, blog_id, form)
        by = get_current().actor
        unsaved = autosave_post(session, blog, conflict.mine, seen=form.known, by=by, at=now()).number
    return Seen(conflict.number, unsaved)


def form_of(draft: PostDraft, known: Seen, blog: Blog | None = None) -> PostForm:
    return PostForm(fields_of(draft, known, blog.created_at if blog and blog.status == PUBLISHED else None))
