"""Invitations: a mail whose link makes an account with a role. The caller holds the transaction, and says when.

Registering is inviting oneself: whoever asks gets a link at the address, so that every account has one that works.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import Row, delete, select, update
from sqlalchemy.dialects import postgresql, sqlite

from cms.accounts.errors import AccountInvalid
from cms.accounts.limits import Limit
from cms.accounts.models import Invitation, Role, User
from cms.accounts.own_account import subject_of
from cms.accounts.permissions import USER
from cms.accounts.queries import AnySession
from cms.accounts.services import check_email, create_user, refuse_taken
from cms.accounts.sign_in import find_by_login
from cms.accounts.single_use import find_token, make_token, use_token
from cms.activity.keyset import read_page
from cms.activity.services import Actor, Subject, record
from cms.jobs.services import enqueue
from cms.mail.messages import address_of
from cms.mail.services import send_mail, write_mail
from cms.web.paging import Cursor, Page, Place

LASTS = timedelta(days=7)
SEND = "accounts.send_registration"
MAILS = Limit("register", 5, timedelta(hours=1))
MAILS_FROM_ADDRESS = Limit("register-address", 20, timedelta(hours=1))


@dataclass(frozen=True)
class InvitationShown:
    """An invitation that nobody accepted yet. invited_by: the username."""

    id: UUID
    email: str
    role: str
    invited_by: str | None
    created_at: datetime
    ends_at: datetime

    @property
    def cursor(self) -> Cursor:
        return Cursor(self.created_at, self.id)


def list_invitations(session: AnySession, place: Place, *, size: int) -> Page[InvitationShown]:
    """Return a page of the invitations that are open or were over not long ago, the newest first. One statement."""
    columns = (Invitation.id, Invitation.email, Invitation.role, User.username.label("invited_by"))
    query = select(*columns, Invitation.created_at, Invitation.ends_at).outerjoin(
        User, User.uuid == Invitation.invited_by
    )
    return read_page(session, query, place, key=(Invitation.created_at, Invitation.id), size=size, show=shown)


def shown(row: Row[Any]) -> InvitationShown:
    return InvitationShown(*row)


def find_invitation(session: AnySession, token: str, *, at: datetime) -> InvitationShown | None:
    """Return the invitation of a link that works at this moment, or None. Uses nothing up. One statement."""
    row = find_token(session, Invitation, token, at=at)
    return InvitationShown(row.id, row.email, row.role, None, row.created_at, row.ends_at) if row else None


def invite(session: AnySession, email: str, role: str, *, by: Actor, site_url: str, at: datetime) -> None:
    """Send an invitation; one that this address had before ends. Flushes.

    Raises AccountInvalid for what is no address or no role, AccountExists if the address has an account, MailInvalid.
    """
    check_email(email)
    if session.get(Role, role) is None:
        raise AccountInvalid("this role is not there", why="another administrator may have removed it")
    refuse_taken(session, "", email)
    invitation_id, token = store(session, email, role, by=by.id, at=at)
    send_invitation(session, email, token, inviter=by.name, site_url=site_url, at=at)
    record(
        session,
        "user.invited",
        actor=by,
        at=at,
        about=Subject("invitation", str(invitation_id), email),
        details={"role": role},
    )


def store(session: AnySession, email: str, role: str, *, by: UUID | None, at: datetime) -> tuple[UUID, str]:
    """Store an invitation in place of one that the address had; returns its id and its token."""
    token, token_hash = make_token()
    invitation_id = uuid4()
    row = {"id": invitation_id, "email": email.lower(), "role": role, "invited_by": by, "token_hash": token_hash}
    insert = postgresql.insert if session.get_bind().dialect.name == "postgresql" else sqlite.insert
    made = insert(Invitation).values(row | {"created_at": at, "ends_at": at + LASTS})
    session.execute(made.on_conflict_do_update(index_elements=["email"], set_=dict(made.excluded.items())))
    return invitation_id, token


def ask_for_account(session: AnySession, email: str, *, at: datetime) -> None:
    """Let the worker send a mail to whoever wants an account; whether there is one, takes no time here.

    Raises AccountInvalid, MailInvalid for what is no address.
    """
    check_email(email)
    address_of(email)
    enqueue(session, SEND, {"email": email}, at=at)


def send_registration(session: AnySession, email: str, *, site_url: str, at: datetime) -> None:
    """Send the link; to whoever has an account, that they have one. An open invitation keeps its role. Flushes."""
    if (user := find_by_login(session, email)) is not None:
        mail = write_mail("accounts/mail/has_account.txt", to=user.email, username=user.username, site_url=site_url)
        send_mail(session, mail, at=at)
        return
    role, by = find_promise(session, email, at=at)
    _, token = store(session, email, role, by=by, at=at)
    send_invitation(session, email, token, inviter=None, site_url=site_url, at=at)


def find_promise(session: AnySession, email: str, *, at: datetime) -> tuple[str, UUID | None]:
    """Return the role that an address will have, and who invited it, if anybody did. One statement."""
    open_ones = select(Invitation.role, Invitation.invited_by).where(Invitation.ends_at > at)
    found = session.execute(open_ones.where(Invitation.email == email.lower())).one_or_none()
    return (found.role, found.invited_by) if found else (USER, None)


def send_again(session: AnySession, invitation_id: UUID, *, by: Actor, site_url: str, at: datetime) -> bool:
    """Send a new link, which lasts from now on; the one before ends. False if there is no such invitation."""
    token, token_hash = make_token()
    renewed = update(Invitation).where(Invitation.id == invitation_id).values(token_hash=token_hash, ends_at=at + LASTS)
    email: str | None = session.scalar(renewed.returning(Invitation.email))
    if email is not None:
        send_invitation(session, email, token, inviter=by.name, site_url=site_url, at=at)
        record(session, "user.invited_again", actor=by, at=at, about=Subject("invitation", str(invitation_id), email))
    return email is not None


def revoke_invitation(session: AnySession, invitation_id: UUID, *, by: Actor, at: datetime) -> bool:
    """End an invitation. False if there is no such one, perhaps because it was accepted."""
    revoked = delete(Invitation).where(Invitation.id == invitation_id)
    email: str | None = session.scalar(revoked.returning(Invitation.email))
    if email is not None:
        about = Subject("invitation", str(invitation_id), email)
        record(session, "user.invitation_revoked", actor=by, at=at, about=about)
    return email is not None


def send_invitation(
    session: AnySession, email: str, token: str, *, inviter: str | None, site_url: str, at: datetime
) -> None:
    url = f"{site_url}/account/invitation/{token}"
    send_mail(session, write_mail("accounts/mail/invitation.txt", to=email, inviter=inviter, url=url), at=at)


def accept_invitation(session: AnySession, token: str, *, username: str, password: str, at: datetime) -> User | None:
    """Make the account that a link promises, with its address confirmed by it; None if the link does not work. Flushes.

    Of several at once one succeeds. Raises AccountInvalid, AccountExists; then the transaction has to be rolled back,
    and the link stays.
    """
    found = use_token(session, Invitation, token, at=at)
    if found is None:
        return None
    user = create_user(session, username=username, email=found.email, password=password, role=found.role, at=at)
    user.is_verified = True
    details = {"role": found.role, "invited": found.invited_by is not None}
    record(session, "user.joined", actor=Actor(user.uuid, username), at=at, about=subject_of(user), details=details)
    return user
