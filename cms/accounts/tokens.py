"""API tokens: what programs show instead of a password. Each function says when; the caller holds the transaction."""

from __future__ import annotations

import re
import secrets
from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

from sqlalchemy import delete, func, select, update

from cms.accounts.errors import AccountInvalid
from cms.accounts.limits import Limit
from cms.accounts.models import ApiToken, Role, User
from cms.accounts.notices import tell_owner
from cms.accounts.permissions import list_scopes
from cms.accounts.queries import AnySession, full_name, has_second_factor
from cms.accounts.services import checked_name
from cms.accounts.sessions import BATCH, Person, hash_secret
from cms.activity.services import Subject, record

TOKEN = re.compile(r"cms_[0-9a-f]{8}_[A-Za-z0-9_-]{43}")
PREFIX_LENGTH = len("cms_12345678")
MOST = 20
DAYS = (7, 30, 90, 365)
NEVER = datetime(1970, 1, 1, tzinfo=UTC)
# Only what fails is counted: programs behind one address do not stand in each other's way.
WRONG_TOKENS = Limit("token", 50, timedelta(minutes=5))


@dataclass(frozen=True)
class TokenShown:
    """A token as its owner sees it; what it says is not known to anybody any more. used_at: to the minute."""

    id: UUID
    name: str
    prefix: str
    scopes: list[str]
    created_at: datetime
    ends_at: datetime
    used_at: datetime | None


def create_token(
    session: AnySession, person: Person, name: str, *, scopes: Collection[str], days: int, at: datetime
) -> str:
    """Store a token and return it; from then on it can only be recognized. Its owner gets a mail. Flushes.

    scopes: permissions that a token may be for and that the person has. days: one of ``DAYS``.
    Raises AccountInvalid for a name that cannot be one, scopes that cannot be given, and the 21st token.
    """
    given = sorted(set(scopes))
    if not name or not (name := str(checked_name(name))).strip():
        raise AccountInvalid("the token cannot be made", why="it has no name", hint="give one that you will know again")
    check_scopes(person, given)
    session.execute(select(User.uuid).where(User.uuid == person.id).with_for_update())
    if count_tokens(session, person.id) >= MOST:
        raise AccountInvalid("the token cannot be made", why=f"an account has at most {MOST}", hint="remove one first")
    token = f"cms_{secrets.token_hex(4)}_{secrets.token_urlsafe(32)}"
    row = ApiToken(
        id=uuid4(), user_id=person.id, name=name, prefix=token[:PREFIX_LENGTH], secret_hash=hash_secret(token),
        scopes=given, created_at=at, ends_at=at + timedelta(days=days),
    )  # fmt: skip
    session.add(row)
    session.flush()
    about = Subject("api_token", str(row.id), name)
    details = {"scopes": given, "days": days}
    record(session, "user.token_created", actor=person.actor, at=at, about=about, details=details)
    tell_owner(session, person.id, f"The API token “{name}” was made for your account.", at=at)
    return token


def check_scopes(person: Person, scopes: Collection[str]) -> None:
    """Raise AccountInvalid if a token of the person may not be for all of this."""
    if not scopes:
        raise AccountInvalid("the token cannot be made", why="it is for nothing", hint="choose what it may do")
    if unknown := set(scopes) - {each.name for each in list_scopes(person.roles)}:
        raise AccountInvalid(f"the token cannot be for {min(unknown)[:60]!r}", why="you may not do that yourself")


def count_tokens(session: AnySession, user_id: UUID) -> int:
    return session.scalar(select(func.count()).where(ApiToken.user_id == user_id)) or 0


def find_bearer(session: AnySession, token: str, *, at: datetime) -> Person | None:
    """Return whose token this is, with what is left of its scopes by the rights of this moment. One statement.

    None for one that is none, was removed or is over, and for an account that was disabled.
    """
    if not TOKEN.fullmatch(token):
        return None
    columns = (
        User.uuid, User.username, User.first_name, User.last_name, User.email, User.role, Role.permissions,
        ApiToken.id, ApiToken.scopes, ApiToken.used_at, has_second_factor().label("is_protected"),
    )  # fmt: skip
    row = session.execute(
        select(*columns)
        .join(User, User.uuid == ApiToken.user_id)
        .join(Role, Role.name == User.role)
        .where(ApiToken.secret_hash == hash_secret(token), ApiToken.ends_at > at, User.is_active.is_(True))
    ).one_or_none()
    if row is None:
        return None
    return Person(
        row.uuid, row.username, full_name(row.first_name, row.last_name) or row.username, row.email, row.role,
        frozenset(row.permissions), session_id=None, used_at=row.used_at or NEVER, proven_at=NEVER,
        is_protected=row.is_protected, token_id=row.id, scopes=frozenset(row.scopes),
    )  # fmt: skip


def touch_token(session: AnySession, token_id: UUID, *, at: datetime) -> None:
    """Note that the token is in use."""
    session.execute(update(ApiToken).where(ApiToken.id == token_id).values(used_at=at))


def list_tokens(session: AnySession, user_id: UUID) -> list[TokenShown]:
    """Return somebody's tokens, the newest first. One statement."""
    columns = [getattr(ApiToken, name) for name in TokenShown.__dataclass_fields__]
    query = select(*columns).where(ApiToken.user_id == user_id).order_by(ApiToken.created_at.desc(), ApiToken.id)
    return [TokenShown(*row) for row in session.execute(query)]


def remove_token(session: AnySession, person: Person, token_id: UUID, *, at: datetime) -> bool:
    """Remove one of the person's own tokens; False if they have no such."""
    own = delete(ApiToken).where(ApiToken.id == token_id, ApiToken.user_id == person.id)
    name = session.scalar(own.returning(ApiToken.name))
    if name is None:
        return False
    record(session, "user.token_removed", actor=person.actor, at=at, about=Subject("api_token", str(token_id), name))
    return True


def prune_tokens(session: AnySession, *, at: datetime) -> int:
    """Remove up to 1,000 tokens that are over; returns how many. Call it until it returns 0."""
    ids = session.scalars(select(ApiToken.id).where(ApiToken.ends_at < at).limit(BATCH)).all()
    session.execute(delete(ApiToken).where(ApiToken.id.in_(ids)))
    return len(ids)
