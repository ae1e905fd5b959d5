"""Links in mails that work once: what every kind of them shares. The caller holds the transaction.

The mail has the token and the table its hash, so that whoever reads the table can use none. Using one removes its row
in one statement: of several at once, one gets it.
"""

from __future__ import annotations

import secrets
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Row, and_, delete, select

from cms.accounts.models import EmailConfirmation, Invitation, PasswordResetToken
from cms.accounts.queries import AnySession
from cms.accounts.sessions import SECRET, hash_secret

Kind = type[PasswordResetToken] | type[EmailConfirmation] | type[Invitation]
OF_AN_ACCOUNT = (PasswordResetToken, EmailConfirmation)
KINDS: tuple[Kind, ...] = (*OF_AN_ACCOUNT, Invitation)


def make_token() -> tuple[str, str]:
    """Return a token for a mail, and its hash for the table."""
    token = secrets.token_urlsafe(32)
    return token, hash_secret(token)


def find_token(session: AnySession, kind: Kind, token: str, *, at: datetime) -> Row[Any] | None:
    """Return the row of a token that would work at this moment, or None. Uses nothing up. One statement."""
    if not SECRET.fullmatch(token):
        return None
    return session.execute(select(*kind.__table__.columns).where(works(kind, token, at))).one_or_none()


def use_token(session: AnySession, kind: Kind, token: str, *, at: datetime) -> Row[Any] | None:
    """Remove the row of a token that works and return what it was; None if it does not work, or no more."""
    if not SECRET.fullmatch(token):
        return None
    used = delete(kind).where(works(kind, token, at)).returning(*kind.__table__.columns)
    return session.execute(used).one_or_none()


def works(kind: Kind, token: str, at: datetime) -> ColumnElement[bool]:
    return and_(kind.token_hash == hash_secret(token), kind.ends_at > at)


def end_links(session: AnySession, user_id: UUID) -> None:
    """Let all mails that are on their way to somebody lead nowhere."""
    for kind in OF_AN_ACCOUNT:
        session.execute(delete(kind).where(kind.user_id == user_id))


def prune_links(session: AnySession, *, at: datetime) -> None:
    """Remove those that no longer work, some days after; they are few, for asking is limited."""
    for kind in KINDS:
        session.execute(delete(kind).where(kind.ends_at < at - kind.KEPT))
