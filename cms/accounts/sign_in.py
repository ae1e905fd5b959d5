"""Signing in by name and password. What a stranger learns is the same for every account, and for none."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import func, select, update

from cms.accounts.limits import Limit
from cms.accounts.models import User
from cms.accounts.passwords import hash_password, is_outdated, is_password
from cms.accounts.queries import AnySession
from cms.accounts.sessions import Client, open_session
from cms.activity.services import Actor, Subject, record

# Guessing from one place, from many at one account, and from one place at many accounts.
GUESSES = Limit("sign-in", 10, timedelta(minutes=5))
GUESSES_AT_ACCOUNT = Limit("sign-in-account", 100, timedelta(hours=1))
GUESSES_FROM_ADDRESS = Limit("sign-in-address", 50, timedelta(minutes=5))


@dataclass(frozen=True)
class Proven:
    """An account whose password was given. password_hash: the one it was compared with."""

    user_id: UUID
    password_hash: str
    is_outdated: bool


def check_password(session: AnySession, login: str, password: str) -> Proven | None:
    """Return whose username or e-mail address and password these are, or None; takes as long for either.

    Reads only, and outside of a transaction: the 20 ms that comparing takes would keep SQLite's writers waiting.
    """
    user = find_by_login(session, login)
    if not is_password(password, user.password_hash if user and user.is_active else None):
        return None
    assert user is not None and user.password_hash is not None  # noqa: S101, PT018 - for mypy: a hash was compared
    return Proven(user.uuid, user.password_hash, is_outdated(user.password_hash))


def find_by_login(session: AnySession, login: str) -> User | None:
    """Return the account with this username or e-mail address, whatever the case of the letters. One statement."""
    column = User.email if "@" in login else User.username
    exact_first = select(User).where(func.lower(column) == login.lower()).order_by(column != login).limit(1)
    return session.scalar(exact_first)


def sign_in(session: AnySession, proven: Proven, password: str, *, client: Client, at: datetime) -> str | None:
    """Open a session and return its secret; None if password or account changed since it was compared. Flushes.

    A hash of another strength than is agreed now is replaced.
    """
    same = (User.uuid == proven.user_id, User.password_hash == proven.password_hash, User.is_active.is_(True))
    user = session.scalar(select(User).where(*same).with_for_update().execution_options(populate_existing=True))
    if user is None:
        return None
    if proven.is_outdated:
        session.execute(update(User).where(User.uuid == user.uuid).values(password_hash=hash_password(password)))
    secret = open_session(session, user, client=client, at=at)
    about = Subject("user", str(user.uuid), user.username)
    record(session, "user.signed_in", actor=Actor(user.uuid, user.username), at=at, about=about)
    return secret
