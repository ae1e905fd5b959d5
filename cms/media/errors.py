"""What can be wrong with a picture."""

from __future__ import annotations

from cms.errors import CmsError


class PictureRefused(CmsError):
    """The bytes are no picture that this site keeps; nothing was stored."""
