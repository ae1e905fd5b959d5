"""What people change about their own accounts. Each function says who and when; the caller holds the transaction."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date, datetime
from urllib.parse import urlsplit
from uuid import UUID

from sqlalchemy import select

from cms.accounts.errors import AccountInvalid
from cms.accounts.models import User
from cms.accounts.passwords import hash_password
from cms.accounts.queries import AnySession
from cms.accounts.services import check_new_password, checked_name
from cms.accounts.sessions import end_sessions
from cms.accounts.single_use import end_links
from cms.accounts.steps import end_steps
from cms.accounts.time_zones import list_time_zones
from cms.activity.services import Actor, Subject, record
from cms.web.logs import escaped

LONGEST_BIO = 160
LONGEST_WEBSITE = 500
LONGEST_GENDER = 50
PHONE = re.compile(r"[+]?[0-9 ()./-]{2,19}")
EARLIEST_BIRTHDAY = date(1800, 1, 1)


@dataclass(frozen=True)
class Profile:
    """What people tell about themselves; None where they tell nothing. Names, bio and website are for everybody."""

    first_name: str | None
    last_name: str | None
    bio: str | None
    website: str | None
    country: str | None
    timezone: str | None
    date_of_birth: str | None
    gender: str | None
    phone_number: str | None


def change_profile(session: AnySession, user_id: UUID, profile: Profile, *, by: Actor, at: datetime) -> None:
    """Store what somebody tells about themselves. Raises AccountInvalid."""
    user = session.get_one(User, user_id)
    user.first_name, user.last_name = checked_name(profile.first_name), checked_name(profile.last_name)
    user.bio, user.website = checked_line(profile.bio, longest=LONGEST_BIO), checked_website(profile.website)
    user.country, user.timezone = checked_name(profile.country), checked_timezone(profile.timezone)
    user.date_of_birth, user.phone_number = (
        checked_birthday(profile.date_of_birth, at=at),
        checked_phone(profile.phone_number),
    )
    user.gender = checked_line(profile.gender, longest=LONGEST_GENDER)
    user.updated_at = at
    record(session, "user.profile_changed", actor=by, at=at, about=subject_of(user))


def read_profile(session: AnySession, user_id: UUID) -> Profile:
    user = session.get_one(User, user_id)
    return Profile(**{name: getattr(user, name) for name in Profile.__dataclass_fields__})


def find_picture_of(session: AnySession, user_id: UUID) -> str | None:
    """Return the address of somebody's picture, or None. One statement."""
    return session.scalar(select(User.profile_picture).where(User.uuid == user_id))


def change_picture(session: AnySession, user_id: UUID, url: str | None, *, by: Actor, at: datetime) -> None:
    """Store the address of somebody's picture in the store of pictures; None for no picture."""
    user = session.get_one(User, user_id)
    user.profile_picture, user.updated_at = url, at
    record(session, "user.picture_changed", actor=by, at=at, about=subject_of(user))


def change_password(
    session: AnySession, user_id: UUID, password: str, *, but: UUID | None, by: Actor, at: datetime
) -> int:
    """Give an account a new password and end its sessions, but for one; returns how many were ended.

    Mails that are on their way, and signing in half-way, lead nowhere from then on.

    Raises AccountInvalid if the password cannot be used.
    """
    user = session.get_one(User, user_id, with_for_update=True)
    check_new_password(password, user.username, user.email)
    user.password_hash, user.updated_at = hash_password(password), at
    end_links(session, user_id)
    end_steps(session, user_id)
    ended = end_sessions(session, user_id, but=but)
    record(session, "user.password_changed", actor=by, at=at, about=subject_of(user), details={"sessions_ended": ended})
    return ended


def subject_of(user: User) -> Subject:
    """Return the account as the activity log names it."""
    return Subject("user", str(user.uuid), user.username)


def checked_line(text: str | None, *, longest: int) -> str | None:
    """Return the text in one line. Raises AccountInvalid if it is too long."""
    line = escaped(" ".join((text or "").split()))
    if len(line) > longest:
        raise AccountInvalid("this is too long", why=f"it has {len(line)} characters, of at most {longest}")
    return line or None


def checked_birthday(text: str | None, *, at: datetime) -> str | None:
    """Return a day of the past as 1815-12-10. Raises AccountInvalid for what is none."""
    text = (text or "").strip()
    if not text:
        return None
    try:
        day = date.fromisoformat(text)
    except ValueError:
        day = date.max
    if not EARLIEST_BIRTHDAY <= day <= at.date():
        raise AccountInvalid(f"{text[:20]!r} is no date of birth", hint="write it as 1815-12-10")
    return day.isoformat()


def checked_phone(text: str | None) -> str | None:
    """Return a telephone number as it was typed. Raises AccountInvalid for what is none."""
    number = " ".join((text or "").split())
    if number and not PHONE.fullmatch(number):
        raise AccountInvalid(f"{number[:30]!r} is no telephone number", hint="write it as +44 20 7946 0000")
    return number or None


def checked_timezone(name: str | None) -> str | None:
    """Return the name of a time zone, None for UTC. Raises AccountInvalid for one that there is not."""
    if name and name not in list_time_zones():
        raise AccountInvalid(f"{name[:60]!r} is no time zone", hint="choose one of the list")
    return name or None


def checked_website(address: str | None) -> str | None:
    """Return the address if it leads to a page; its link is shown to everybody. Raises AccountInvalid."""
    address = (address or "").strip()
    if not address:
        return None
    try:
        parts = urlsplit(address)
        is_page = parts.scheme in {"http", "https"} and bool(parts.hostname)
    except ValueError:
        is_page = False
    if not is_page or len(address) > LONGEST_WEBSITE or address != escaped(address) or " " in address:
        raise AccountInvalid(f"{address[:60]!r} is no address of a page", hint="begin it with https://")
    return address
