"""Accounts and who their owners are elsewhere. Each function says when; the caller holds the transaction.

An account is found by issuer and subject alone, never by an e-mail address; it knows one identity at a time.
"""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import func, select

from cms.accounts.errors import AccountInvalid
from cms.accounts.identities import Identity
from cms.accounts.models import User
from cms.accounts.notices import tell_owner
from cms.accounts.own_account import subject_of
from cms.accounts.queries import AnySession
from cms.accounts.sessions import Person
from cms.activity.services import Actor, record

BY_PASSWORD = "email"  # noqa: S105 - what ``auth_provider`` says of whoever is known nowhere else


def find_connected(session: AnySession, identity: Identity) -> User | None:
    """Return the account that knows this identity, or None. One statement."""
    return session.scalar(
        select(User)
        .where(User.auth_provider == identity.provider, User.provider_id.in_(identity.names))
        .order_by(User.created_at)
        .limit(1)
    )


def find_place(session: AnySession, user_id: UUID) -> str | None:
    """Return the provider that opens an account, ``Provider.key``, or None. One statement."""
    query = select(User.auth_provider).where(User.uuid == user_id, User.provider_id.is_not(None))
    return session.scalar(query)


def connect(session: AnySession, user_id: UUID, identity: Identity, *, by: Actor, at: datetime) -> None:
    """Let the identity open the account from now on. Flushes.

    Of several accounts at once one gets it. Raises AccountInvalid if another account has it, or this one another.
    """
    wait_for_others(session, identity)
    user = session.get_one(User, user_id, with_for_update=True, populate_existing=True)
    owner = find_connected(session, identity)
    if owner is user:
        return
    if owner or user.provider_id:
        raise AccountInvalid(
            "the two cannot be connected",
            why="another account is connected with it" if owner else "your account is connected with another",
            hint="sign in to it and disconnect it under Security first",
        )
    user.auth_provider, user.provider_id, user.updated_at = identity.provider, identity.provider_id, at
    details = {"provider": identity.provider, "provider_id": identity.provider_id}
    record(session, "user.provider_connected", actor=by, at=at, about=subject_of(user), details=details)
    tell_owner(
        session,
        user.uuid,
        f"Your account was connected with {identity.place}, which signs you in to it from now on.",
        at=at,
    )


def disconnect(session: AnySession, person: Person, *, at: datetime) -> bool:
    """Let nothing but the account's own password and passkeys open it; False if nothing else did.

    Raises AccountInvalid if it has no password: nobody would get in any more.
    """
    user = session.get_one(User, person.id, with_for_update=True)
    if not user.provider_id:
        return False
    if user.password_hash is None:
        raise AccountInvalid(
            "the two were not disconnected",
            why="your account has no password",
            hint="sign out and let a mail be sent for a forgotten one, then come back",
        )
    details = {"provider": user.auth_provider, "provider_id": user.provider_id}
    user.auth_provider, user.provider_id, user.updated_at = BY_PASSWORD, None, at
    record(session, "user.provider_disconnected", actor=person.actor, at=at, about=subject_of(user), details=details)
    tell_owner(session, user.uuid, "Nobody can sign in to your account from elsewhere any more.", at=at)
    return True


def wait_for_others(session: AnySession, identity: Identity) -> None:
    """Let nobody else connect the same identity until the transaction ends; no constraint forbids two accounts.

    SQLite has one writer at a time anyway.
    """
    if session.get_bind().dialect.name == "postgresql":
        session.execute(select(func.pg_advisory_xact_lock(func.hashtext(identity.provider_id))))
