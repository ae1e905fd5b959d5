"""Moving a post from one state to another, along the ways of ``states.py``. The caller holds the transaction."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import delete, select

from cms.accounts.permissions import ARCHIVED, DRAFT, IN_REVIEW, PUBLISHED, SCHEDULED, TRASHED
from cms.accounts.queries import AnySession
from cms.accounts.sessions import Person
from cms.activity.services import Actor, record
from cms.blogs.drafts import checked_line
from cms.blogs.editing import subject
from cms.blogs.errors import MoveRefused
from cms.blogs.models import Blog
from cms.blogs.notices import tell_of_move
from cms.blogs.states import TRANSITIONS, WAYS, Transition, state_of
from cms.blogs.versions import PUBLISH, Origin, keep, keep_former, next_number, texts_of, was_public

REASON_LIMIT = 500
TRASH_KEPT = timedelta(days=30)
BATCH = 100


def list_moves(person: Person, blog: Blog | None, *, at: datetime) -> list[Transition]:
    """Return the ways that this person may send the post at this moment. blog: None for one that they begin."""
    return [each for each in WAYS if may_move(person, blog, each, at=at)]


def may_move(person: Person, blog: Blog | None, transition: Transition, *, at: datetime) -> bool:
    """Tell whether the way begins where the post is, and this person may send it there.

    Out of the trash: whoever could have put it there.
    """
    state = state_of(blog, at) if blog else DRAFT
    asked = (blog.trashed_from or DRAFT) if blog and state == TRASHED else state
    owner = blog.author_id if blog else person.id
    return state in transition.sources and person.may(transition.permission, owner=owner, state=asked)


@dataclass(frozen=True)
class Move:
    """A way of the table, and what it needs.

    reason: why the post is returned. publish_at: the date of the post; one to come schedules it, None is now for a post
    that never was public, and else the date that it had.
    """

    name: str
    reason: str = ""
    publish_at: datetime | None = None


def move_post(
    session: AnySession, blog: Blog, move: Move, *, seen: int, by: Actor, at: datetime, site_url: str
) -> None:
    """Send the post along a way of the table, and tell those whom it concerns. Flushes.

    seen: the version that the person had before them: nobody makes a text public that they have not read.
    site_url: what the link in a mail stands on. Raises MoveRefused, PostInvalid for a reason that cannot be stored.
    """
    transition = TRANSITIONS[move.name]
    if state_of(blog, at) not in transition.sources:
        raise MoveRefused(
            f"the post is {state_of(blog, at)}, and this does not lead on from there",
            why="somebody else may have been faster",
            hint="look at it again; nothing was changed",
        )
    if transition.goal in (PUBLISHED, SCHEDULED) and seen != blog.version:
        raise MoveRefused(
            f"version {blog.version} was stored meanwhile",
            why=f"you have seen version {seen}",
            hint="look at it again; nothing was changed",
        )
    reason = checked_line("reason", move.reason, REASON_LIMIT)
    if transition.needs == "reason" and not reason:
        raise MoveRefused("no reason is given", why="its author has to know what to do", hint="nothing was changed")
    if transition.needs == "time" and (move.publish_at is None or move.publish_at <= at):
        raise MoveRefused("that time is not to come", hint="choose a later one; nothing was changed")
    if transition.goal in (PUBLISHED, SCHEDULED):
        publish(session, blog, Origin(by, at, PUBLISH, blog.version), move.publish_at)
    elif transition.goal == TRASHED:
        blog.trashed_from, blog.trashed_at, blog.status = state_of(blog, at), at, TRASHED
    else:
        if blog.status == PUBLISHED:
            keep_former(session, blog, texts_of(blog))
        blog.status = transition.goal or status_before_trash(blog, at)
        blog.trashed_from = blog.trashed_at = None
    details = {"reason": reason} if reason else {}
    record(session, transition.action, actor=by, at=at, about=subject(blog), details=details)
    session.flush()
    tell_of_move(session, blog, move.name, by=by, reason=reason, site_url=site_url, at=at)


def publish(session: AnySession, blog: Blog, origin: Origin, publish_at: datetime | None) -> None:
    """Let the post appear at its date, and keep what appears as a version."""
    if publish_at is not None:
        blog.created_at = publish_at
    elif blog.created_at > origin.at or not was_public(session, blog):
        blog.created_at = origin.at
    texts = texts_of(blog)
    keep_former(session, blog, texts)
    blog.status = PUBLISHED
    session.flush()
    blog.version = next_number(session, blog)
    keep(session, blog, texts, origin, number=blog.version)


def status_before_trash(blog: Blog, at: datetime) -> str:
    """Return the status to take up again. A post that was scheduled for what is past by now becomes a draft."""
    if blog.trashed_from == SCHEDULED:
        return PUBLISHED if blog.created_at > at else DRAFT
    return blog.trashed_from if blog.trashed_from in (IN_REVIEW, PUBLISHED, ARCHIVED) else DRAFT


def empty_trash(session: AnySession, *, at: datetime) -> int:
    """Remove up to 100 posts that were put into the trash 30 days ago, with their versions; returns how many.

    Call it in a transaction of its own until it returns 0.
    """
    old = select(Blog.id).where(Blog.status == TRASHED, Blog.trashed_at < at - TRASH_KEPT).limit(BATCH)
    ids = session.scalars(old).all()
    session.execute(delete(Blog).where(Blog.id.in_(ids)))
    return len(ids)
