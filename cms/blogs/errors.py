"""What can be wrong with a post."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from cms.errors import CmsError

if TYPE_CHECKING:
    from cms.blogs.drafts import PostDraft


class PostInvalid(CmsError):
    """A field of a post cannot be stored; nothing was changed.

    field: the name of the field in ``PostDraft``.
    """

    def __init__(self, field: str, what: str, *, why: str | None = None, hint: str | None = None) -> None:
        super().__init__(what, why=why, hint=hint)
        self.field = field


@dataclass(frozen=True)
class Conflict:
    """Two texts that go back to one: what was the base of both, the writer's own, and the one that is stored.

    merged: all changes of both. contested: the fields in which both changed the same; merged then has the writer's own,
    and of the content both, between marks. number, by, at: of the stored text. is_unsaved: that is what another window
    of the writer kept, not the post's own.
    """

    base: PostDraft
    mine: PostDraft
    theirs: PostDraft
    merged: PostDraft
    contested: tuple[str, ...]
    number: int
    by: str
    at: datetime
    is_unsaved: bool


class PostChanged(CmsError):
    """Somebody stored another text since the writer saw the post; nothing was changed."""

    def __init__(self, conflict: Conflict) -> None:
        super().__init__(
            f"{conflict.by} stored version {conflict.number} meanwhile",
            why="your text goes back to an earlier version",
            hint="put both together; your text is kept until you do",
        )
        self.conflict = conflict


class MoveRefused(CmsError):
    """The post is in a state from which this way does not lead, or what it needs is missing; nothing was changed."""
