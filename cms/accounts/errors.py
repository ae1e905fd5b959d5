"""What can be wrong with an account."""

from __future__ import annotations

from cms.errors import CmsError


class AccountInvalid(CmsError):
    """A field of an account cannot be stored; nothing was changed."""


class AccountExists(CmsError):
    """Another account has the username or the e-mail address; nothing was changed."""


class LastAdmin(CmsError):
    """Nobody would be left who may run the site; nothing was changed."""


class AccountUnknown(CmsError):
    """Nobody has this username or e-mail address; nothing was changed."""
