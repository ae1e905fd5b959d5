"""Reads about people."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias
from uuid import UUID

from sqlalchemy import ColumnElement, exists, or_, orm, select

from cms.accounts.models import Passkey, SecondFactor, User

# Any: Flask-SQLAlchemy's registry of sessions, or a plain session
AnySession: TypeAlias = orm.Session | orm.scoped_session[Any]


@dataclass(frozen=True)
class AuthorPage:
    """What an author's page says about them."""

    uuid: UUID
    username: str
    display_name: str
    bio: str | None
    website: str | None
    picture: str | None


def find_user(session: AnySession, username: str) -> User | None:
    """Return the account with exactly this username, or None."""
    return session.scalar(select(User).where(User.username == username))


def find_author(session: AnySession, username: str) -> AuthorPage | None:
    """Return what the public may know about the person with this username, or None. One statement."""
    row = session.execute(
        select(
            User.uuid, User.username, User.first_name, User.last_name, User.bio, User.website, User.profile_picture
        ).where(User.username == username)
    ).one_or_none()
    if row is None:
        return None
    return AuthorPage(
        row.uuid,
        row.username,
        full_name(row.first_name, row.last_name) or row.username,
        row.bio,
        row.website,
        row.profile_picture if (row.profile_picture or "").startswith(("/media/", "https://")) else None,
    )


def full_name(first_name: str | None, last_name: str | None) -> str:
    return " ".join(part for part in (first_name, last_name) if part)


def has_second_factor() -> ColumnElement[bool]:
    """Return, for a statement that reads users, whether something besides the password is asked for."""
    return or_(*(exists().where(table.user_id == User.uuid) for table in (SecondFactor, Passkey)))
