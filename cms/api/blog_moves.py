"""The ways of a post from one state to another, each an address of its own below the post's."""

from __future__ import annotations

from uuid import UUID

from flask import current_app
from pydantic import Field

from cms.accounts.current import get_current, now
from cms.accounts.queries import AnySession
from cms.api.answers import Answer
from cms.api.blogs import BlogShown, answer_with, lock_unchanged
from cms.api.operations import View, writes
from cms.api.shapes import Body, Moment, Text
from cms.blogs.moving import REASON_LIMIT, Move, move_post
from cms.blogs.states import WAYS, Transition


class Nothing(Body):
    """An empty object, or no body at all."""


class Reason(Body):
    """What the author should know."""

    reason: Text = Field(min_length=1, max_length=REASON_LIMIT, examples=["The second half says the same again."])


class Date(Body):
    """When the post appears, or the date under which it does."""

    publish_at: Moment = Field(examples=["2036-08-22T14:30:00Z"])


class DateOrNow(Body):
    """The date under which the post appears."""

    publish_at: Moment | None = Field(None, description="Without it now, or the date that it once appeared under.")


def body_of(way: Transition) -> type[Body]:
    if way.name == "publish":
        return DateOrNow
    by_need: dict[str, type[Body]] = {"reason": Reason, "time": Date}
    return by_need.get(way.needs, Nothing)


def declare(way: Transition) -> None:
    """Make the way an operation."""

    def send(session: AnySession, sent: Body, blog_id: UUID) -> Answer:
        blog = lock_unchanged(session, blog_id, way.permission)
        person = get_current()
        move = Move(way.name, getattr(sent, "reason", ""), getattr(sent, "publish_at", None))
        move_post(
            session, blog, move, seen=blog.version, by=person.actor, at=now(), site_url=current_app.config["SITE_URL"]
        )
        return answer_with(session, blog)

    view: View = send
    view.__name__ = f"{way.name}_blog"
    view.__doc__ = f"{way.title}."
    writes("POST", f"/blogs/<uuid:blog_id>/{way.name}", way.permission, BlogShown, body=body_of(way), matches=True)(
        view
    )


for each in WAYS:
    declare(each)
