"""The list of posts for those who write: what is in which state, found by words, many sent along one way at once."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID, uuid4

from flask import Blueprint, abort, current_app, redirect, request
from werkzeug.wrappers import Response

from cms.accounts.current import get_current, needs, now
from cms.accounts.permissions import ARCHIVED, DRAFT, IN_REVIEW, PUBLISHED, SCHEDULED, TRASHED
from cms.accounts.sessions import Person
from cms.admin.frame import menu_entry, show_admin
from cms.blogs.addresses import desk_path
from cms.blogs.desk import DeskFilter, list_desk_posts
from cms.blogs.editing import lock_post
from cms.blogs.errors import MoveRefused
from cms.blogs.moving import Move, may_move, move_post
from cms.blogs.search import language_of
from cms.blogs.states import TRANSITIONS
from cms.extensions import db, transaction
from cms.web.paging import place_of_request

PAGE_SIZE = 50
STATE_NAMES = {
    DRAFT: "Draft", IN_REVIEW: "In review", SCHEDULED: "Scheduled", PUBLISHED: "Published", ARCHIVED: "Archived",
    TRASHED: "Trash",
}  # fmt: skip
BULK = ("submit", "publish", "unpublish", "archive", "trash", "untrash")
ENTRIES = (menu_entry("Posts", "/admin/posts", "post.list", about="Write, review, schedule and publish"),)

pages = Blueprint("admin_posts", __name__, url_prefix="/admin/posts")


@pages.get("")
@needs("post.list")
def show_posts() -> Response:
    return show_list()


@pages.post("")
@needs("post.submit")
def do_move_many() -> Response:
    """Send each of the chosen posts along one way, if it leads there and the person may; the others stay."""
    move = request.form.get("move", "")
    if move not in BULK:
        abort(400)
    chosen = dict.fromkeys(request.form.getlist("post", type=UUID)[:PAGE_SIZE])
    done = sum(move_one(blog_id, move) for blog_id in chosen)
    return show_list(Moved(TRANSITIONS[move].title, done, len(chosen) - done))


@pages.get("/new")
@needs("post.list")
def show_new() -> Response:
    """Make up the id of a post: nothing is stored before something is written, and then once, however often sent."""
    return redirect(f"{desk_path(uuid4())}?new", 303)


@dataclass(frozen=True)
class Moved:
    """How many posts were sent along a way, and how many could not be."""

    title: str
    done: int
    left: int


def move_one(blog_id: UUID, name: str) -> bool:
    """Send one post along the way in a transaction of its own; False if that cannot be."""
    person, site_url = get_current(), current_app.config["SITE_URL"]
    try:
        with transaction() as session:
            blog = lock_post(session, blog_id)
            if blog is None or not may_move(person, blog, TRANSITIONS[name], at=now()):
                return False
            move_post(session, blog, Move(name), seen=blog.version, by=person.actor, at=now(), site_url=site_url)
    except MoveRefused:
        return False
    return True


def show_list(moved: Moved | None = None) -> Response:
    which = filter_of_request(get_current())
    posts = list_desk_posts(
        db.session, which, place_of_request(), size=PAGE_SIZE, language=language_of(current_app.config["SITE_LANGUAGE"])
    )
    return show_admin(
        "admin/posts.html",
        posts=posts,
        which=which,
        moved=moved,
        states=STATE_NAMES,
        ways=[TRANSITIONS[name] for name in BULK],
        mine="mine" in request.args,
        sees_all=sees_all(get_current()),
        at=now(),
    )


def filter_of_request(person: Person) -> DeskFilter:
    """Return which posts are asked for; who may read only their own sees only those."""
    state = request.args.get("state", "")
    own = person.id if "mine" in request.args or not sees_all(person) else None
    return DeskFilter(request.args.get("q", "").strip()[:200], state if state in STATE_NAMES else "", own)


def sees_all(person: Person) -> bool:
    return person.may("post.read", state=DRAFT)
