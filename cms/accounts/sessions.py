"""Sessions: who is signed in, in which browsers. Each function says when; the caller holds the transaction."""

from __future__ import annotations

import re
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from uuid import UUID, uuid4

from sqlalchemy import delete, select, update

from cms.accounts.models import Role, User, UserSession
from cms.accounts.permissions import ADMIN, PERMISSIONS, is_allowed, is_ever_allowed
from cms.accounts.queries import AnySession, full_name, has_second_factor
from cms.activity.services import Actor

LASTS = timedelta(days=30)
IDLE = timedelta(days=14)
TOUCHED_EVERY = timedelta(minutes=1)
PROOF_LASTS = timedelta(minutes=15)
SECRET = re.compile(r"[A-Za-z0-9_-]{43}")
LONGEST_BROWSER = 200
BATCH = 1000


@dataclass(frozen=True)
class Client:
    """Where a request comes from. browser: as it calls itself. address: of the network, None if unknown."""

    browser: str
    address: str | None


@dataclass(frozen=True)
class Person:
    """Whoever asks, as long as one request takes. roles: of the permission table.

    session_id: None for a program. token_id, scopes: of the token that it showed; None for whoever is signed in.
    is_protected: something besides the password is asked for at sign-in.
    """

    id: UUID
    username: str
    display_name: str
    email: str
    role: str
    roles: frozenset[str]
    session_id: UUID | None
    used_at: datetime
    proven_at: datetime
    is_protected: bool
    token_id: UUID | None = None
    scopes: frozenset[str] | None = None
    timezone: str | None = None

    @property
    def actor(self) -> Actor:
        """Return the person as the activity log names them."""
        return Actor(self.id, self.username)

    def may(self, permission: str, *, owner: UUID | None = None, state: str = "") -> bool:
        """Tell whether the person may do this to an object. owner: whose it is; state: the object's."""
        return self.is_in_scope(permission) and is_allowed(self.roles, permission, is_own=owner == self.id, state=state)

    def may_ever(self, permission: str) -> bool:
        """Tell whether there can be an object to which the person may do this: for menus, and before it was read."""
        return self.is_in_scope(permission) and is_ever_allowed(self.roles, permission)

    def is_in_scope(self, permission: str) -> bool:
        """Tell whether this is among what the token is for; without one nothing is left out."""
        return self.scopes is None or (permission in self.scopes and PERMISSIONS[permission].is_scope)


@dataclass(frozen=True)
class SessionShown:
    """A session as its owner sees it."""

    id: UUID
    browser: str
    address: str | None
    created_at: datetime
    used_at: datetime


def open_session(session: AnySession, user: User, *, client: Client, at: datetime) -> str:
    """Sign somebody in and return the secret that the browser is to keep; the table has only its hash. Flushes."""
    secret = secrets.token_urlsafe(32)
    session.add(
        UserSession(
            id=uuid4(), user_id=user.uuid, secret_hash=hash_secret(secret), browser=client.browser[:LONGEST_BROWSER],
            address=client.address, created_at=at, used_at=at, proven_at=at,
        )
    )  # fmt: skip
    session.flush()
    return secret


def find_person(session: AnySession, secret: str, *, admin_idle: timedelta, at: datetime) -> Person | None:
    """Return who is signed in by this secret, with the rights that they have at this moment. One statement.

    None for a secret that is none, was revoked or is too old, and for an account that was disabled.
    admin_idle: after so long without a request an administrator has to sign in again; others have 14 days.
    """
    if not SECRET.fullmatch(secret):
        return None
    columns = (
        User.uuid, User.username, User.first_name, User.last_name, User.email, User.role, User.timezone,
        Role.permissions, UserSession.id, UserSession.used_at, UserSession.proven_at,
        has_second_factor().label("is_protected"),
    )  # fmt: skip
    row = session.execute(
        select(*columns)
        .join(User, User.uuid == UserSession.user_id)
        .join(Role, Role.name == User.role)
        .where(UserSession.secret_hash == hash_secret(secret), User.is_active.is_(True))
        .where(UserSession.created_at > at - LASTS, UserSession.used_at > at - IDLE)
    ).one_or_none()
    if row is None or (ADMIN in row.permissions and row.used_at <= at - admin_idle):
        return None
    name = full_name(row.first_name, row.last_name) or row.username
    roles = frozenset(row.permissions)
    return Person(
        row.uuid, row.username, name, row.email, row.role, roles, row.id, used_at=row.used_at,
        proven_at=row.proven_at, is_protected=row.is_protected, timezone=row.timezone,
    )  # fmt: skip


def touch_session(session: AnySession, person: Person, *, client: Client, at: datetime) -> None:
    """Note that the session is in use, and from where."""
    own = update(UserSession).where(UserSession.id == person.session_id)
    session.execute(own.values(used_at=at, address=client.address, browser=client.browser[:LONGEST_BROWSER]))


def prove_session(session: AnySession, person: Person, *, at: datetime) -> None:
    """Note that the person just proved again who they are."""
    session.execute(update(UserSession).where(UserSession.id == person.session_id).values(proven_at=at, used_at=at))


def list_sessions(session: AnySession, user_id: UUID, *, at: datetime) -> list[SessionShown]:
    """Return where somebody is signed in, the last used first. One statement."""
    columns = [getattr(UserSession, name) for name in SessionShown.__dataclass_fields__]
    query = select(*columns).where(UserSession.user_id == user_id, UserSession.created_at > at - LASTS)
    return [SessionShown(*row) for row in session.execute(query.order_by(UserSession.used_at.desc()))]


def end_session(session: AnySession, user_id: UUID, session_id: UUID | None) -> bool:
    """Sign somebody out of one browser; False if they were not signed in there."""
    ended = delete(UserSession).where(UserSession.id == session_id, UserSession.user_id == user_id)
    return session.execute(ended.returning(UserSession.id)).one_or_none() is not None


def end_sessions(session: AnySession, user_id: UUID, *, but: UUID | None = None) -> int:
    """Sign somebody out everywhere, but for one session; returns how many were ended."""
    ended = delete(UserSession).where(UserSession.user_id == user_id)
    if but is not None:
        ended = ended.where(UserSession.id != but)
    return len(session.execute(ended.returning(UserSession.id)).all())


def prune_sessions(session: AnySession, *, at: datetime) -> int:
    """Remove up to 1,000 sessions that are too old to sign anybody in; returns how many. Call it until it returns 0."""
    is_old = (UserSession.used_at < at - IDLE) | (UserSession.created_at < at - LASTS)
    ids = session.scalars(select(UserSession.id).where(is_old).limit(BATCH)).all()
    session.execute(delete(UserSession).where(UserSession.id.in_(ids)))
    return len(ids)


def hash_secret(secret: str) -> str:
    """Return what is stored of a secret. It is random and long, so a fast hash is enough."""
    return sha256(secret.encode()).hexdigest()
