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


class ProviderFailed(CmsError):
    """Signing in elsewhere came to nothing; nobody was signed in. what: for people; why: for the log alone."""


def sentence(refused: CmsError) -> str:
    """Return why something was refused as a page says it beside the field."""
    return joined(refused.why or refused.what, refused.hint)


def whole_sentence(refused: CmsError) -> str:
    """Return what was refused and why as a page says it above a form."""
    return joined(f"{refused.what}: {refused.why}" if refused.why else refused.what, refused.hint)


def joined(says: str, hint: str | None) -> str:
    return f"{says[0].upper()}{says[1:]}{f'; {hint}' if hint else ''}."
