"""What writers and editors are told about posts."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import select

from cms.accounts.models import Role, User
from cms.accounts.permissions import IN_REVIEW, is_allowed
from cms.accounts.queries import AnySession
from cms.activity.notices import Notice, NoticeKind, Recipient, notice_kind, notify
from cms.activity.services import Actor
from cms.blogs.addresses import desk_path
from cms.blogs.models import Blog

SUBMITTED = notice_kind("blog.submitted", "A post is handed in for review")
RETURNED = notice_kind("blog.returned", "A post of mine is returned", by_mail=True)
PUBLISHED = notice_kind("blog.published", "A post of mine is published or scheduled by somebody else")
TITLE_SHOWN = 100
REASON_SHOWN = 300
REVIEWERS_TOLD = 100
WORDS = {"return": "returned", "publish": "published", "schedule": "scheduled"}


def list_told(session: AnySession, blog: Blog, move: str, *, by: Actor) -> tuple[NoticeKind, list[Recipient]] | None:
    """Return who is told that the post was sent along a way of the table, and as what; None if nobody is.

    Nobody is told what they did themselves.
    """
    if move == "submit":
        kind, people = SUBMITTED, list_reviewers(session)
    elif move in WORDS:
        kind, people = RETURNED if move == "return" else PUBLISHED, [session.get_one(User, blog.author_id)]
    else:
        return None
    recipients = [Recipient(each.uuid, each.email if each.password_hash else None) for each in people]
    return kind, [each for each in recipients if each.user_id != by.id]


def tell_of_move(
    session: AnySession, blog: Blog, move: str, *, by: Actor, reason: str, site_url: str, at: datetime
) -> None:
    """Tell those whom it concerns that the post was sent along a way of the table."""
    told = list_told(session, blog, move, by=by)
    if told is None:
        return
    kind, recipients = told
    text = f"{by.name} {WORDS.get(move, 'handed in')} “{blog.title[:TITLE_SHOWN]}”"
    notice = Notice(kind, f"{text}: {reason[:REASON_SHOWN]}" if reason else text, desk_path(blog.id))
    notify(session, recipients, notice, site_url=site_url, at=at)


def list_reviewers(session: AnySession) -> list[User]:
    """Return the people who may return or publish what is handed in, at most 100 of them."""
    roles = session.execute(select(Role.name, Role.permissions)).all()
    names = [role.name for role in roles if is_allowed(role.permissions, "post.review", state=IN_REVIEW)]
    people = select(User).where(User.role.in_(names), User.is_active.is_(True))
    return list(session.scalars(people.order_by(User.username).limit(REVIEWERS_TOLD)))
