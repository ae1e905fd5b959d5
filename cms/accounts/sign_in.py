"""Signing in by name and password. What a stranger learns is the same for every account, and for none."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import func, select, update

from cms.accounts.authenticators import new_challenge
from cms.accounts.connections import connect
from cms.accounts.errors import AccountUnknown
from cms.accounts.identities import Identity, identity_of
from cms.accounts.limits import Limit
from cms.accounts.models import User
from cms.accounts.own_account import subject_of
from cms.accounts.passwords import hash_password, is_outdated, is_password
from cms.accounts.queries import AnySession, has_second_factor
from cms.accounts.sessions import Client, open_session
from cms.accounts.steps import SECOND_FACTOR, begin_step, take_step
from cms.activity.services import Actor, record

NOTHING: Mapping[str, str] = {}
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


def get_by_login(session: AnySession, login: str) -> User:
    """Return the account with this username or e-mail address, whatever the case. Raises AccountUnknown."""
    user = find_by_login(session, login)
    if user is None:
        raise AccountUnknown(f"there is no account {login[:60]!r}", hint="give a username or an e-mail address")
    return user


@dataclass(frozen=True)
class Opened:
    """What somebody opened. secret: of a session, or of a step that asks for more."""

    secret: str
    is_session: bool


def sign_in(
    session: AnySession,
    proven: Proven,
    password: str,
    *,
    next_path: str,
    client: Client,
    at: datetime,
    identity: Identity | None = None,
) -> Opened | None:
    """Open a session, or ask for the second factor; None if password or account changed since it was compared.

    A hash of another strength than is agreed now is replaced. next_path: where to go after a second factor.
    identity: who they are elsewhere, to be connected with the account. Flushes. Raises AccountInvalid if it cannot be.
    """
    same = (User.uuid == proven.user_id, User.password_hash == proven.password_hash, User.is_active.is_(True))
    user = session.scalar(select(User).where(*same).with_for_update().execution_options(populate_existing=True))
    if user is None:
        return None
    if proven.is_outdated:
        session.execute(update(User).where(User.uuid == user.uuid).values(password_hash=hash_password(password)))
    about = identity.as_details() if identity else {}
    return open_or_ask(session, user, by="password", next_path=next_path, client=client, at=at, about=about)


def open_or_ask(
    session: AnySession,
    user: User,
    *,
    by: str,
    next_path: str,
    client: Client,
    at: datetime,
    about: Mapping[str, str] = NOTHING,
) -> Opened:
    """Open a session for whoever showed one thing, or the step that asks for the second. about: see ``let_in``."""
    if session.scalar(select(has_second_factor()).where(User.uuid == user.uuid)):
        details = {"next": next_path, "challenge": new_challenge(), **about}
        return Opened(begin_step(session, SECOND_FACTOR, user_id=user.uuid, details=details, at=at), is_session=False)
    return Opened(let_in(session, user, by=by, client=client, at=at, about=about), is_session=True)


def finish_sign_in(session: AnySession, step_secret: str, *, by: str, client: Client, at: datetime) -> str | None:
    """Open a session after the second factor and return its secret; None if the step is over or the account disabled.

    by: what was shown. Of several at once one gets a session. Flushes. Raises AccountInvalid as ``let_in`` does.
    """
    step = take_step(session, SECOND_FACTOR, step_secret, at=at)
    user = session.get(User, step.user_id) if step else None
    if step is None or user is None or not user.is_active:
        return None
    return let_in(session, user, by=by, client=client, at=at, about=step.details)


def let_in(
    session: AnySession, user: User, *, by: str, client: Client, at: datetime, about: Mapping[str, str] = NOTHING
) -> str:
    """Open a session and return its secret. Flushes.

    about: the details of the last step; an identity among them is connected with the account. Raises AccountInvalid if
    it is another's by now.
    """
    actor = Actor(user.uuid, user.username)
    if identity := identity_of(about):
        connect(session, user.uuid, identity, by=actor, at=at)
    secret = open_session(session, user, client=client, at=at)
    record(session, "user.signed_in", actor=actor, at=at, about=subject_of(user), details={"by": by})
    return secret
