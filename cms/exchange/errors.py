"""What can be wrong with content from elsewhere."""

from __future__ import annotations

from cms.errors import CmsError


class FileUnusable(CmsError):
    """One file cannot be imported; the others can.

    line: where in the file, counted from 1; None if no single line is to blame.
    """

    def __init__(self, what: str, *, line: int | None = None, why: str | None = None, hint: str | None = None) -> None:
        super().__init__(what, why=why, hint=hint)
        self.line = line
