"""The states of a post and the ways between them: one table, which is asked together with that of permissions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from cms.accounts.permissions import ARCHIVED, DRAFT, IN_REVIEW, PUBLISHED, SCHEDULED, STATES, TRASHED


@dataclass(frozen=True)
class Transition:
    """One way from some states to another.

    title: what the button says. goal: None is where the post was before. permission: of the table, for the state that
    the post is in. action: what the activity log calls it. needs: what must be given with it, "reason" or "time".
    """

    name: str
    title: str
    sources: frozenset[str]
    goal: str | None
    permission: str
    action: str
    needs: str = ""


def states(*names: str) -> frozenset[str]:
    return frozenset(names)


UNPUBLISHED = states(DRAFT, IN_REVIEW, SCHEDULED, ARCHIVED)
UNDECIDED = states(DRAFT, IN_REVIEW, SCHEDULED)
KEPT = STATES - {"", TRASHED}
WAYS = (
    Transition("submit", "Hand in for review", states(DRAFT), IN_REVIEW, "post.submit", "blog.submitted"),
    Transition("return", "Return to the author", states(IN_REVIEW), DRAFT, "post.review", "blog.returned", "reason"),
    Transition("publish", "Publish", UNPUBLISHED, PUBLISHED, "post.publish", "blog.published"),
    Transition("schedule", "Schedule", UNDECIDED, SCHEDULED, "post.publish", "blog.scheduled", "time"),
    Transition("withdraw", "Make it a draft again", states(IN_REVIEW), DRAFT, "post.submit", "blog.withdrawn"),
    Transition(
        "unpublish", "Take it off the site", states(SCHEDULED, PUBLISHED), DRAFT, "post.publish", "blog.unpublished"
    ),
    Transition("archive", "Archive", states(PUBLISHED), ARCHIVED, "post.publish", "blog.archived"),
    Transition("trash", "Move to the trash", KEPT, TRASHED, "post.trash", "blog.trashed"),
    Transition("untrash", "Take out of the trash", states(TRASHED), None, "post.trash", "blog.untrashed"),
)
TRANSITIONS: Mapping[str, Transition] = {each.name: each for each in WAYS}


class Stated(Protocol):
    """A post, or what a list shows of one."""

    @property
    def status(self) -> str: ...

    @property
    def created_at(self) -> datetime: ...


def state_of(post: Stated, at: datetime) -> str:
    """Return the state that a post is in at this moment.

    A post is scheduled as long as its date is to come, without anybody doing anything when it does. A status that only
    a former program of the site knew is on no page, as a draft is.
    """
    if post.status == PUBLISHED:
        return SCHEDULED if post.created_at > at else PUBLISHED
    return post.status if post.status in STATES else DRAFT
