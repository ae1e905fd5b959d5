"""What can be done with accounts. Each function says when; the caller holds the transaction."""

from __future__ import annotations

import re
from datetime import datetime
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.exc import IntegrityError

from cms.accounts.errors import AccountExists, AccountInvalid
from cms.accounts.models import User
from cms.accounts.passwords import hash_password, is_common
from cms.accounts.queries import AnySession, find_user

__all__ = ["AccountExists", "AccountInvalid", "create_user", "find_or_create_author"]

USERNAME = re.compile(r"(?!\.+$)[A-Za-z0-9._-]{1,50}")  # "." and ".." could not end an address
# Sanity only: whether an address exists, a mail to it tells.
EMAIL = re.compile(r"[^\s@<>\x00-\x1f\x7f-\x9f]+@[^\s@<>\x00-\x1f\x7f-\x9f]+")
USERNAME_LIMIT = 50
EMAIL_LIMIT = 255
NAME_LIMIT = 100
PASSWORD_SHORTEST = 8
PASSWORD_LONGEST = 1000
CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")


def create_user(
    session: AnySession,
    *,
    username: str,
    email: str,
    password: str | None,
    at: datetime,
    role: str = "user",
    first_name: str | None = None,
    last_name: str | None = None,
) -> User:
    """Store a new account and return it; without a password nobody can sign in to it. Flushes.

    Raises AccountInvalid, AccountExists (also when only the case of the letters differs).
    """
    check_account(username, email, password)
    refuse_taken(session, username, email)
    user = User(
        username=username,
        email=email,
        password_hash=None if password is None else hash_password(password),
        role=role,
        first_name=checked_name(first_name),
        last_name=checked_name(last_name),
        created_at=at,
    )
    session.add(user)
    try:
        session.flush()
    except IntegrityError as error:
        raise AccountExists("the username or the e-mail address was taken at this moment") from error
    return user


def find_or_create_author(session: AnySession, username: str, *, display_name: str, at: datetime) -> User:
    """Return the account with this username, else the oldest whose letters differ in case only, else a new one.

    A new one belongs to an author who was imported and cannot sign in.

    display_name: its first word becomes the first name, the rest the last name. Flushes.
    Raises AccountInvalid if the username cannot be one.
    """
    alike = select(User).where(func.lower(User.username) == username.lower()).order_by(User.created_at).limit(1)
    if (user := find_user(session, username) or session.scalar(alike)) is not None:
        return user
    first, _, last = " ".join(display_name.split()).partition(" ")
    return create_user(
        session,
        username=username,
        email=f"{username}@import.invalid",
        role="author",
        password=None,
        at=at,
        first_name=first[:NAME_LIMIT] or None,
        last_name=last[:NAME_LIMIT] or None,
    )


def check_account(username: str, email: str, password: str | None) -> None:
    """Raise AccountInvalid with the first reason found; a password is never part of the message."""
    if not USERNAME.fullmatch(username):
        raise AccountInvalid(
            f"the username {username[:60]!r} cannot be used",
            why=f"it has {len(username)} characters",
            hint="use 1 to 50 letters a-z, digits, dots, hyphens and underscores",
        )
    check_email(email)
    if password is not None:
        check_new_password(password, username, email)


def check_email(email: str) -> None:
    """Raise AccountInvalid for what is no address."""
    if len(email) > EMAIL_LIMIT or not EMAIL.fullmatch(email):
        raise AccountInvalid(
            f"{email[:60]!r} is not an e-mail address",
            why=f"it has {len(email)} characters" if len(email) > EMAIL_LIMIT else "a name, @ and a host are needed",
            hint=f"give one like name@example.org, of at most {EMAIL_LIMIT} characters",
        )


def check_new_password(password: str, username: str, email: str) -> None:
    """Raise AccountInvalid for one that is too short, too long, or what everybody tries first."""
    hint = "choose one of {} to {} characters; a few words in a row are easy to remember"
    if not PASSWORD_SHORTEST <= len(password) <= PASSWORD_LONGEST:
        raise AccountInvalid(
            "the password cannot be used",
            why=f"it has {len(password)} characters",
            hint=hint.format(PASSWORD_SHORTEST, PASSWORD_LONGEST),
        )
    if is_common(password, username, email):
        raise AccountInvalid(
            "the password cannot be used",
            why="it is among those that everybody tries first",
            hint=hint.format(PASSWORD_SHORTEST, PASSWORD_LONGEST),
        )


def checked_name(value: str | None) -> str | None:
    if value and (CONTROL.search(value) or len(value) > NAME_LIMIT):
        raise AccountInvalid(
            f"the name {value[:60]!r} cannot be used",
            why=f"it has {len(value)} characters, of at most {NAME_LIMIT}, or holds a control character",
        )
    return value or None


def refuse_taken(session: AnySession, username: str, email: str, *, but: UUID | None = None) -> None:
    """Raise AccountExists if the username or e-mail belongs to somebody, whatever the case of the letters.

    but: whose they may be.
    """
    same_name = func.lower(User.username) == username.lower()
    same_email = func.lower(User.email) == email.lower()
    query = select(User.username, User.email).where(same_name | same_email)
    taken = session.execute((query.where(User.uuid != but) if but else query).limit(1)).first()
    if taken is None:
        return
    if taken.username.lower() == username.lower():
        raise AccountExists(f"the username {taken.username} is taken", hint="choose another; nothing was changed")
    raise AccountExists(f"the e-mail address {taken.email} has an account", hint="nothing was changed")
