"""Why a service refused, as a program reads it."""

from __future__ import annotations

from typing import Any

from cms.accounts.errors import AccountExists, AccountInvalid, LastAdmin, whole_sentence
from cms.blogs.errors import MoveRefused, PostChanged, PostInvalid
from cms.errors import CmsError
from cms.mail.errors import MailInvalid
from cms.web.problems import Problem

REFUSALS: dict[type[CmsError], tuple[int, str]] = {
    PostInvalid: (422, "invalid"),
    AccountInvalid: (422, "invalid"),
    MailInvalid: (422, "invalid"),
    AccountExists: (409, "taken"),
    LastAdmin: (409, "last-admin"),
    MoveRefused: (409, "no-way"),
    PostChanged: (409, "unsaved-text"),
}
NAMES = {"images_url": "images"}  # what programs call a field, where services call it otherwise


def problem_of(refused: CmsError) -> Problem:
    """Return the problem that says what was refused, why, and what to do."""
    code, kind = REFUSALS[type(refused)]
    more: dict[str, Any] = {}
    if isinstance(refused, PostInvalid):
        field = NAMES.get(refused.field, refused.field)
        more["errors"] = [{"pointer": f"/{field}", "code": "invalid", "message": refused.what}]
    return Problem(code, kind, whole_sentence(refused), more=more)
