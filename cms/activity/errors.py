"""What can be wrong with what is recorded."""

from __future__ import annotations

from cms.errors import CmsError


class ActivityInvalid(CmsError):
    """What should be recorded cannot be; the use case is rolled back."""
