"""What can be wrong with what is recorded or told."""

from __future__ import annotations

from cms.errors import CmsError


class ActivityInvalid(CmsError):
    """What should be recorded cannot be; the use case is rolled back."""


class NoticeInvalid(CmsError):
    """What should be told to somebody cannot be; the use case is rolled back."""
