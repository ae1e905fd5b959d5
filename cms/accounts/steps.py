"""Signing in that takes more than one request: what was shown already is kept under a secret that the browser has.

Each function says when; the caller holds the transaction.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import ColumnElement, and_, delete, select

from cms.accounts.models import SignInStep
from cms.accounts.queries import AnySession
from cms.accounts.sessions import BATCH, SECRET, hash_secret

STEP_LASTS = timedelta(minutes=10)
SECOND_FACTOR = "second_factor"


@dataclass(frozen=True)
class Step:
    """A step that is under way. user_id: whose password was right; None where nobody is known yet."""

    user_id: UUID | None
    details: Mapping[str, str]


def begin_step(
    session: AnySession, kind: str, *, user_id: UUID | None, details: Mapping[str, str], at: datetime
) -> str:
    """Store a step for ten minutes and return the secret that the browser is to keep; the table has only its hash."""
    secret = secrets.token_urlsafe(32)
    row = SignInStep(
        secret_hash=hash_secret(secret), kind=kind, user_id=user_id, details=dict(details), ends_at=at + STEP_LASTS
    )
    session.add(row)
    session.flush()
    return secret


def find_step(session: AnySession, kind: str, secret: str, *, at: datetime) -> Step | None:
    """Return the step of this kind, if it is still under way. One statement."""
    if not SECRET.fullmatch(secret):
        return None
    row = session.execute(select(SignInStep.user_id, SignInStep.details).where(is_open(kind, secret, at))).one_or_none()
    return Step(row.user_id, row.details) if row else None


def take_step(session: AnySession, kind: str, secret: str, *, at: datetime) -> Step | None:
    """Return the step and end it: of several at once one gets it."""
    taken = delete(SignInStep).where(is_open(kind, secret, at)).returning(SignInStep.user_id, SignInStep.details)
    row = session.execute(taken).one_or_none()
    return Step(row.user_id, row.details) if row else None


def is_open(kind: str, secret: str, at: datetime) -> ColumnElement[bool]:
    return and_(SignInStep.secret_hash == hash_secret(secret), SignInStep.kind == kind, SignInStep.ends_at > at)


def end_steps(session: AnySession, user_id: UUID) -> None:
    """Let somebody begin again wherever they are about to sign in."""
    session.execute(delete(SignInStep).where(SignInStep.user_id == user_id))


def prune_steps(session: AnySession, *, at: datetime) -> int:
    """Remove up to 1,000 steps that are over; returns how many. Call it until it returns 0."""
    hashes = session.scalars(select(SignInStep.secret_hash).where(SignInStep.ends_at < at).limit(BATCH)).all()
    session.execute(delete(SignInStep).where(SignInStep.secret_hash.in_(hashes)))
    return len(hashes)
