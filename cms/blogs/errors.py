"""What can be wrong with a post."""

from __future__ import annotations

from cms.errors import CmsError


class PostInvalid(CmsError):
    """A field of a post cannot be stored; nothing was changed.

    field: the name of the field in ``PostDraft``.
    """

    def __init__(self, field: str, what: str, *, why: str | None = None, hint: str | None = None) -> None:
        super().__init__(what, why=why, hint=hint)
        self.field = field
