"""What can be wrong with a mail."""

from __future__ import annotations

from cms.errors import CmsError


class MailInvalid(CmsError):
    """A mail cannot be written like this; nothing was stored or sent."""


class MailNotSent(CmsError):
    """The mail could not be handed to the server now; trying again later may help."""


class MailRefused(CmsError):
    """The server refuses this mail or this address for good."""
