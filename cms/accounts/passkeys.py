"""Passkeys: adding, showing and removing them. Each function says when; the caller holds the transaction."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID, uuid4

from sqlalchemy import delete, func, select, update

from cms.accounts.authenticators import name_of_key, new_challenge, read_count, read_new_key
from cms.accounts.errors import AccountInvalid
from cms.accounts.limits import Limit
from cms.accounts.models import Passkey, User
from cms.accounts.notices import tell_owner
from cms.accounts.own_account import subject_of
from cms.accounts.queries import AnySession, has_second_factor
from cms.accounts.second_factor import forget_useless_codes, replace_recovery_codes
from cms.accounts.services import checked_name
from cms.accounts.sessions import Client, Person, end_sessions
from cms.accounts.sign_in import let_in
from cms.accounts.steps import SECOND_FACTOR, begin_step, take_step
from cms.activity.services import record

MOST = 20
PASSKEY = "passkey"  # the step of signing in by it alone
ASKED_FROM_ADDRESS = Limit("passkey-address", 100, timedelta(minutes=5))


@dataclass(frozen=True)
class PasskeyShown:
    """A passkey as its owner sees it."""

    id: UUID
    name: str
    created_at: datetime
    used_at: datetime | None


def list_passkeys(session: AnySession, user_id: UUID) -> list[PasskeyShown]:
    """Return somebody's passkeys, the newest first. One statement."""
    columns = [getattr(Passkey, name) for name in PasskeyShown.__dataclass_fields__]
    query = select(*columns).where(Passkey.user_id == user_id).order_by(Passkey.created_at.desc(), Passkey.id)
    return [PasskeyShown(*row) for row in session.execute(query)]


def list_credentials(session: AnySession, user_id: UUID) -> list[str]:
    """Return the ids by which somebody's passkeys know themselves. One statement."""
    return list(session.scalars(select(Passkey.credential_id).where(Passkey.user_id == user_id)))


def add_passkey(
    session: AnySession, person: Person, name: str, *, answer: str, challenge: str, at: datetime
) -> list[str]:
    """Store a passkey that was just made, and return recovery codes if nothing but the password was asked for before.

    Flushes. Every other session of the person ends. Raises AccountInvalid for an answer that is not right, a passkey
    that is known already, a name that cannot be one, and the 21st passkey.
    """
    key = read_new_key(answer, challenge)
    if key is None:
        raise AccountInvalid(
            "the passkey was not added", why="what the browser sent is not right", hint="try once more"
        )
    user = session.get_one(User, person.id, with_for_update=True)
    check_room(session, user.uuid, key.credential_id)
    is_first = not session.scalar(select(has_second_factor()).where(User.uuid == user.uuid))
    name = checked_name(name.strip()) or "Passkey"
    row = Passkey(id=uuid4(), user_id=user.uuid, name=name, created_at=at, **vars(key))
    session.add(row)
    session.flush()
    end_sessions(session, user.uuid, but=person.session_id)
    record(session, "user.passkey_added", actor=person.actor, at=at, about=subject_of(user), details={"name": name})
    tell_owner(session, user.uuid, f"The passkey “{name}” was added.", at=at)
    return replace_recovery_codes(session, user.uuid) if is_first else []


def check_room(session: AnySession, user_id: UUID, credential_id: str) -> None:
    """Raise AccountInvalid for a passkey that somebody has already, and for one too many."""
    if session.scalar(select(Passkey.id).where(Passkey.credential_id == credential_id)):
        raise AccountInvalid("the passkey was not added", why="it belongs to an account already")
    if (session.scalar(select(func.count()).where(Passkey.user_id == user_id)) or 0) >= MOST:
        raise AccountInvalid("the passkey was not added", why=f"an account has at most {MOST}", hint="remove one first")


def remove_passkey(session: AnySession, person: Person, passkey_id: UUID, *, at: datetime) -> bool:
    """Remove one of the person's own passkeys; False if they have no such."""
    own = delete(Passkey).where(Passkey.id == passkey_id, Passkey.user_id == person.id)
    name = session.scalar(own.returning(Passkey.name))
    if name is None:
        return False
    forget_useless_codes(session, person.id)
    about = subject_of(session.get_one(User, person.id))
    record(session, "user.passkey_removed", actor=person.actor, at=at, about=about, details={"name": name})
    tell_owner(session, person.id, f"The passkey “{name}” was removed.", at=at)
    return True


def begin_passkey(session: AnySession, *, at: datetime) -> tuple[str, str]:
    """Begin to sign somebody in whom nobody knows yet; returns the secret of the step, and what is to be signed."""
    challenge = new_challenge()
    return begin_step(session, PASSKEY, user_id=None, details={"challenge": challenge}, at=at), challenge


def sign_in_by_passkey(
    session: AnySession, step_secret: str, answer: str, *, client: Client, at: datetime
) -> str | None:
    """Open a session for the owner of a passkey and return its secret; None if the answer is not right. Flushes.

    The passkey has seen to it that its owner is there, so it is two factors. Each step takes one answer.
    """
    step = take_step(session, PASSKEY, step_secret, at=at)
    user_id = step and use_passkey(session, answer, step.details["challenge"], is_alone=True, at=at)
    user = session.get(User, user_id) if user_id else None
    return let_in(session, user, by="passkey", client=client, at=at) if user and user.is_active else None


def finish_by_passkey(
    session: AnySession, step_secret: str, answer: str, *, client: Client, at: datetime
) -> str | None:
    """Open a session for whose password was right a moment ago; None if the passkey is not theirs. Flushes.

    Each step takes one answer: after a wrong one the password is asked for again. Raises AccountInvalid as ``let_in``.
    """
    step = take_step(session, SECOND_FACTOR, step_secret, at=at)
    user_id = step and use_passkey(session, answer, step.details["challenge"], is_alone=False, at=at)
    user = session.get(User, user_id) if step and user_id == step.user_id else None
    if step is None or user is None or not user.is_active:
        return None
    return let_in(session, user, by="passkey", client=client, at=at, about=step.details)


def use_passkey(session: AnySession, answer: str, challenge: str, *, is_alone: bool, at: datetime) -> UUID | None:
    """Return whose passkey answered, and remember its count; None if the answer is not right."""
    named = name_of_key(answer)
    key = session.scalar(select(Passkey).where(Passkey.credential_id == named)) if named else None
    if key is None:
        return None
    before = key.sign_count
    count = read_count(answer, challenge, public_key=key.public_key, sign_count=before, is_alone=is_alone)
    if count is None:
        return None
    same = update(Passkey).where(Passkey.id == key.id, Passkey.sign_count == before)
    return session.scalar(same.values(sign_count=count, used_at=at).returning(Passkey.user_id))
