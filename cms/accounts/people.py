"""What whoever runs the site sees of people, and does about them. The caller holds the transaction.

A new role and a disabled account end all sessions of the person. Somebody is always left who may change people.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Row, Select, delete, func, or_, select

from cms.accounts.errors import AccountInvalid, LastAdmin
from cms.accounts.models import Invitation, Role, User
from cms.accounts.own_account import subject_of
from cms.accounts.permissions import ROLES, is_ever_allowed
from cms.accounts.queries import AnySession, full_name
from cms.accounts.sessions import end_sessions
from cms.accounts.single_use import end_links
from cms.accounts.steps import end_steps
from cms.activity.keyset import read_page
from cms.activity.services import Actor, record
from cms.web.paging import Cursor, Page, Place

RIGHT_THAT_STAYS = "people.change"
LONGEST_SEARCH = 200


@dataclass(frozen=True)
class RoleShown:
    """A role that people may have."""

    name: str
    description: str


@dataclass(frozen=True)
class PersonShown:
    """An account as lists show it. can_sign_in: whether anything opens it; nothing an imported author's."""

    id: UUID
    username: str
    display_name: str
    email: str
    role: str
    is_active: bool
    is_verified: bool
    can_sign_in: bool
    created_at: datetime

    @property
    def cursor(self) -> Cursor:
        return Cursor(self.created_at, self.id)


@dataclass(frozen=True)
class PeopleFilter:
    """Which people: those whose names or e-mail address hold every word, and who have the role."""

    words: str = ""
    role: str = ""


COLUMNS = (
    User.uuid, User.username, User.first_name, User.last_name, User.email, User.role, User.is_active,
    User.is_verified, or_(User.password_hash.is_not(None), User.provider_id.is_not(None)).label("can_sign_in"),
    User.created_at,
)  # fmt: skip


def list_people(session: AnySession, which: PeopleFilter, place: Place, *, size: int) -> Page[PersonShown]:
    """Return a page of the people who fit, the newest account first. One statement."""
    return read_page(session, filtered(which), place, key=(User.created_at, User.uuid), size=size, show=shown)


def find_shown(session: AnySession, user_id: UUID) -> PersonShown | None:
    """Return one account, or None if there is none. One statement."""
    row = session.execute(select(*COLUMNS).where(User.uuid == user_id)).one_or_none()
    return shown(row) if row else None


def list_roles(session: AnySession) -> list[RoleShown]:
    """Return every role, those with the most rights first. One statement."""
    roles = session.execute(select(Role.name, Role.description, Role.permissions)).all()
    return [RoleShown(each.name, each.description) for each in sorted(roles, key=rank)]


def rank(role: Row[Any]) -> tuple[int, str]:
    return (min((ROLES.index(each) for each in role.permissions if each in ROLES), default=len(ROLES)), role.name)


def filtered(which: PeopleFilter) -> Select[Any]:  # Any: the columns are read by name
    query = select(*COLUMNS)
    for word in which.words[:LONGEST_SEARCH].split():
        query = query.where(has_word(word))
    return query.where(User.role == which.role) if which.role else query


def has_word(word: str) -> ColumnElement[bool]:
    texts = (User.username, User.email, User.first_name, User.last_name)
    return or_(*(text.icontains(word, autoescape=True) for text in texts))


def shown(row: Row[Any]) -> PersonShown:
    return PersonShown(
        row.uuid, row.username, full_name(row.first_name, row.last_name) or row.username, row.email, row.role,
        row.is_active, row.is_verified, row.can_sign_in, row.created_at,
    )  # fmt: skip


# --- changing them ------------------------------------------------------------------------------------------------


def change_role(session: AnySession, user_id: UUID, role: str, *, by: Actor, at: datetime) -> None:
    """Give somebody another role; they have to sign in again, and their invitations end.

    Locks the accounts of those who may change people, then this one. Raises AccountInvalid for a role that is not
    there, LastAdmin if nobody would be left who may change people; NoResultFound if there is no such account.
    """
    user = lock_user(session, user_id)
    if session.get(Role, role) is None:
        raise AccountInvalid("this role is not there", why="another administrator may have removed it")
    if user.role == role:
        return
    if role not in list_strong_roles(session):
        refuse_last(session, user)
    before, user.role, user.updated_at = user.role, role, at
    ended = end_reach(session, user_id)
    details = {"from": before, "to": role, "sessions_ended": ended}
    record(session, "user.role_changed", actor=by, at=at, about=subject_of(user), details=details)


def disable_account(session: AnySession, user_id: UUID, *, by: Actor, at: datetime) -> None:
    """Let somebody sign in no more, and sign them out everywhere; what they wrote stays, their invitations end.

    Locks and raises as ``change_role`` does.
    """
    user = lock_user(session, user_id)
    if not user.is_active:
        return
    refuse_last(session, user)
    user.is_active, user.updated_at = False, at
    ended = end_reach(session, user_id)
    record(session, "user.disabled", actor=by, at=at, about=subject_of(user), details={"sessions_ended": ended})


def enable_account(session: AnySession, user_id: UUID, *, by: Actor, at: datetime) -> None:
    """Let somebody sign in again. Raises NoResultFound if there is no such account."""
    user = lock_user(session, user_id)
    if user.is_active:
        return
    user.is_active, user.updated_at = True, at
    record(session, "user.enabled", actor=by, at=at, about=subject_of(user))


def sign_out_everywhere(session: AnySession, user_id: UUID, *, by: Actor, at: datetime) -> None:
    """End all sessions of somebody. Raises NoResultFound if there is no such account."""
    user = session.get_one(User, user_id)
    ended = end_sessions(session, user_id)
    record(session, "user.sessions_ended", actor=by, at=at, about=subject_of(user), details={"sessions_ended": ended})


def delete_account(session: AnySession, user_id: UUID, *, by: Actor, at: datetime) -> None:
    """Remove an account with all that is its own; the activity log keeps its name. Its posts have to be moved before.

    Nobody can write for it any more once ``lock_user(…, to_delete=True)`` was called, so call that before moving them.
    Raises LastAdmin, NoResultFound.
    """
    user = session.get_one(User, user_id)
    refuse_last(session, user)
    record(session, "user.deleted", actor=by, at=at, about=subject_of(user))
    session.flush()
    session.execute(delete(User).where(User.uuid == user_id))


def end_reach(session: AnySession, user_id: UUID) -> int:
    """End somebody's sessions, links in mails and invitations; returns how many sessions."""
    end_links(session, user_id)
    end_steps(session, user_id)
    session.execute(delete(Invitation).where(Invitation.invited_by == user_id))
    return end_sessions(session, user_id)


def lock_user(session: AnySession, user_id: UUID, *, to_delete: bool = False) -> User:
    """Return the account, locked after those who may change people, in one order for all: nobody waits in a circle.

    to_delete: also against new rows of other tables that refer to it.
    """
    session.execute(strong(session).with_for_update(key_share=True)).all()
    fresh = {"populate_existing": True}
    return session.get_one(User, user_id, with_for_update={"key_share": not to_delete}, execution_options=fresh)


def refuse_last(session: AnySession, user: User) -> None:
    """Raise LastAdmin if nobody but this person may change people and can sign in. After ``lock_user``."""
    others = strong(session).where(User.uuid != user.uuid).order_by(None).with_only_columns(func.count())
    if user.role in list_strong_roles(session) and not session.scalar(others):
        raise LastAdmin(
            f"{user.username} stays as they are",
            why="nobody else who can sign in would be left to run the site",
            hint="make somebody else an administrator first; nothing was changed",
        )


def strong(session: AnySession) -> Select[Any]:  # Any: a UUID
    """Return the query for those who may change people and can sign in."""
    can_sign_in = (User.is_active.is_(True), User.password_hash.is_not(None))
    return select(User.uuid).where(User.role.in_(list_strong_roles(session)), *can_sign_in).order_by(User.uuid)


def list_strong_roles(session: AnySession) -> list[str]:
    roles = session.execute(select(Role.name, Role.permissions))
    return [each.name for each in roles if is_ever_allowed(each.permissions, RIGHT_THAT_STAYS)]
