"""Signing in elsewhere, step by step. Each function says when; the caller holds the transaction.

Going to a provider is a step, and so is coming back as somebody whom no account here knows: an e-mail address that a
provider names opens no account. Whoever has one types its password once, others make one where that is open to them.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import delete

from cms.accounts.connections import connect, find_connected
from cms.accounts.errors import AccountInvalid
from cms.accounts.identities import Attempt, Identity, identity_of
from cms.accounts.invitations import find_promise
from cms.accounts.limits import Limit
from cms.accounts.models import Invitation
from cms.accounts.own_account import subject_of
from cms.accounts.providers import Provider
from cms.accounts.queries import AnySession
from cms.accounts.services import create_user
from cms.accounts.sessions import Client
from cms.accounts.sign_in import Opened, open_or_ask
from cms.accounts.steps import begin_step, take_step
from cms.activity.services import Actor, record

AWAY, UNKNOWN = "away", "unknown"  # at the provider; back from there, and not known here
TRIES_FROM_ADDRESS = Limit("elsewhere-address", 100, timedelta(minutes=5))


def begin_elsewhere(
    session: AnySession, provider: Provider, attempt: Attempt, *, user_id: UUID | None, next_path: str, at: datetime
) -> str:
    """Note that somebody goes to a provider, and return the secret of the step. user_id: who wants to be connected."""
    details = {"key": provider.key, "next": next_path, **vars(attempt)}
    return begin_step(session, AWAY, user_id=user_id, details=details, at=at)


def sign_in_elsewhere(
    session: AnySession, identity: Identity, *, next_path: str, client: Client, at: datetime
) -> Opened | None:
    """Open a session for whom the provider named, or ask for the second factor; None if no account knows them.

    Flushes. Raises AccountInvalid if the account is disabled.
    """
    user = find_connected(session, identity)
    if user is None:
        return None
    if not user.is_active:
        raise AccountInvalid("nobody can sign in to this account", hint="ask whoever runs the site")
    return open_or_ask(session, user, by=identity.provider, next_path=next_path, client=client, at=at)


def begin_unknown(session: AnySession, identity: Identity, *, next_path: str, at: datetime) -> str:
    """Note that somebody came back whom no account knows, and return the secret of the step."""
    details = {**identity.as_details(), "next": next_path}
    return begin_step(session, UNKNOWN, user_id=None, details=details, at=at)


def join_elsewhere(
    session: AnySession, step_secret: str, username: str, *, client: Client, at: datetime
) -> Opened | None:
    """Make an account without a password for somebody whose address the provider confirmed, and open it. Flushes.

    None if the step is over: of several at once one succeeds. Raises AccountInvalid, AccountExists; then the
    transaction has to be rolled back, and the step stays.
    """
    step = take_step(session, UNKNOWN, step_secret, at=at)
    identity = identity_of(step.details) if step else None
    if step is None or identity is None or identity.own_email is None:
        return None
    email = identity.own_email
    role, _ = find_promise(session, email, at=at)
    user = create_user(session, username=username, email=email, password=None, role=role, at=at)
    user.is_verified = True
    session.execute(delete(Invitation).where(Invitation.email == email.lower()))
    by = Actor(user.uuid, user.username)
    record(session, "user.joined", actor=by, at=at, about=subject_of(user), details={"role": role})
    connect(session, user.uuid, identity, by=by, at=at)
    return open_or_ask(session, user, by=identity.provider, next_path=step.details["next"], client=client, at=at)
