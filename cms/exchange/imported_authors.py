"""Which account an author's name in a file means."""

from __future__ import annotations

import re
from datetime import datetime

from slugify import slugify
from sqlalchemy import func, select

from cms.accounts.models import User
from cms.accounts.queries import AnySession
from cms.accounts.services import find_or_create_author

USERNAME_LIMIT = 50
CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
HYPHENATED = re.compile(r"[a-z]+(?:[-_][a-z]+)+")


def author_account(session: AnySession, name: str, *, at: datetime) -> User:
    """Return the account that the name means, whatever the case of its letters, or a new one that cannot sign in.

    Flushes. Raises AccountInvalid.
    """
    username = username_of(name)
    known = session.scalar(select(User).where(func.lower(User.username).in_({username, name.lower()})).limit(1))
    return known or find_or_create_author(session, username, display_name=display_name_of(name), at=at)


def username_of(name: str) -> str:
    """Return the name as a username: `Jane O'Doe` is `jane-odoe`, `mbland` itself."""
    return slugify(name.replace("'", ""), max_length=USERNAME_LIMIT).strip("-") or "author"


def display_name_of(name: str) -> str:
    """Return what readers see: `jane-doe` is Jane Doe, a nickname and a full name are themselves."""
    name = " ".join(CONTROL.sub(" ", name).split())
    if HYPHENATED.fullmatch(name):
        return " ".join(part.capitalize() for part in re.split("[-_]", name))
    return name
