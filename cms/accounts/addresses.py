"""E-mail addresses: confirming one's own, and changing it at both. The caller holds the transaction.

Nobody learns here whether an address has an account: only its owner's mail says so.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from enum import Enum
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError

from cms.accounts.errors import AccountExists
from cms.accounts.limits import Limit
from cms.accounts.models import EmailConfirmation, User
from cms.accounts.notices import UNDELIVERABLE
from cms.accounts.own_account import subject_of
from cms.accounts.queries import AnySession
from cms.accounts.services import check_email, refuse_taken
from cms.accounts.single_use import end_links, find_token, make_token, use_token
from cms.activity.services import Actor, record
from cms.mail.messages import address_of
from cms.mail.services import send_mail, write_mail

LASTS = timedelta(hours=24)
MAILS = Limit("email", 5, timedelta(hours=1))
PRESENT, OLD, NEW = "present", "old", "new"


class Confirmed(Enum):
    """What came of a link that worked."""

    PRESENT = "present"
    HALF = "half"
    CHANGED = "changed"
    TAKEN = "taken"


def ask_to_confirm(session: AnySession, user_id: UUID, *, site_url: str, at: datetime) -> None:
    """Send a mail whose link confirms the account's present address."""
    user = session.get_one(User, user_id)
    url = make_link(session, user, PRESENT, user.email, site_url=site_url, at=at)
    send_link(session, user, PRESENT, url, to=user.email, email=user.email, at=at)


def ask_to_change(session: AnySession, user_id: UUID, email: str, *, site_url: str, at: datetime) -> None:
    """Send a mail to the present address and one to the new; when both links were used, the address is changed.

    A change that was asked for before ends. If the new address has an account its owner is told so and gets no link;
    whoever asked waits for it in vain, and learns nothing. An address to which no mail can go, such as an imported
    author's, need not confirm. Raises AccountInvalid, MailInvalid for what is no address.
    """
    check_email(email)
    address_of(email)
    user = session.get_one(User, user_id, with_for_update={"key_share": True})
    end_links(session, user_id)
    if not user.email.endswith(UNDELIVERABLE):
        url = make_link(session, user, OLD, email, site_url=site_url, at=at)
        send_link(session, user, OLD, url, to=user.email, email=email, at=at)
    url = make_link(session, user, NEW, email, site_url=site_url, at=at)
    try:
        refuse_taken(session, "", email)
    except AccountExists:
        send_mail(session, write_mail("accounts/mail/address_in_use.txt", to=email), at=at)
    else:
        send_link(session, user, NEW, url, to=email, email=email, at=at)


def make_link(session: AnySession, user: User, step: str, email: str, *, site_url: str, at: datetime) -> str:
    """Store what a link confirms, and return it. email: the address that it is about."""
    token, token_hash = make_token()
    row = {"user_id": user.uuid, "email": email, "step": step, "ends_at": at + LASTS}
    session.add(EmailConfirmation(token_hash=token_hash, **row))
    return f"{site_url}/account/email/confirm/{token}"


def send_link(session: AnySession, user: User, step: str, url: str, *, to: str, email: str, at: datetime) -> None:
    values = {"username": user.username, "email": email, "step": step, "url": url}
    send_mail(session, write_mail("accounts/mail/confirm_email.txt", to=to, **values), at=at)


def find_address(session: AnySession, token: str, *, at: datetime) -> str | None:
    """Return the address that a link confirms, or None if it does not work. Uses nothing up. One statement."""
    row = find_token(session, EmailConfirmation, token, at=at)
    return row.email if row else None


def confirm_address(session: AnySession, token: str, *, at: datetime) -> Confirmed | None:
    """Take a link; None if it does not work. Locks the account, so that of two at once one is the second. Flushes."""
    used = use_token(session, EmailConfirmation, token, at=at)
    if used is None:
        return None
    fresh = {"populate_existing": True}
    user = session.get_one(User, used.user_id, with_for_update={"key_share": True}, execution_options=fresh)
    if not user.is_active:
        return None
    if used.step == PRESENT:
        return confirm_present(session, user, used.email, at=at)
    others = select(EmailConfirmation.step).where(EmailConfirmation.user_id == user.uuid)
    if session.scalar(others.where(EmailConfirmation.step != PRESENT)):
        return Confirmed.HALF
    return change_address(session, user, used.email, at=at)


def confirm_present(session: AnySession, user: User, email: str, *, at: datetime) -> Confirmed | None:
    if user.email != email:
        return None
    user.is_verified, user.updated_at = True, at
    record(session, "user.email_confirmed", actor=Actor(user.uuid, user.username), at=at, about=subject_of(user))
    return Confirmed.PRESENT


def change_address(session: AnySession, user: User, email: str, *, at: datetime) -> Confirmed:
    """Store the address that both confirmed, unless somebody else made an account with it since."""
    try:
        with session.begin_nested():
            refuse_taken(session, "", email, but=user.uuid)
            before, user.email, user.is_verified, user.updated_at = user.email, email, True, at
    except (AccountExists, IntegrityError):
        return Confirmed.TAKEN
    end_links(session, user.uuid)
    details = {"from": before, "to": email}
    actor = Actor(user.uuid, user.username)
    record(session, "user.email_changed", actor=actor, at=at, about=subject_of(user), details=details)
    return Confirmed.CHANGED
