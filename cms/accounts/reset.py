"""Forgotten passwords: a mail whose link works once. Each function says when; the caller holds the transaction."""

from __future__ import annotations

from datetime import datetime, timedelta

from cms.accounts.limits import Limit, forget_tries
from cms.accounts.models import PasswordResetToken, User
from cms.accounts.notices import UNDELIVERABLE
from cms.accounts.own_account import change_password
from cms.accounts.queries import AnySession
from cms.accounts.sign_in import GUESSES_AT_ACCOUNT, find_by_login
from cms.accounts.single_use import find_token, make_token, use_token
from cms.activity.services import Actor
from cms.jobs.services import enqueue
from cms.mail.services import send_mail, write_mail

SEND = "accounts.send_reset"
LASTS = timedelta(hours=1)
MAILS = Limit("reset", 5, timedelta(hours=1))
MAILS_FROM_ADDRESS = Limit("reset-address", 20, timedelta(hours=1))


def ask_for_reset(session: AnySession, login: str, *, at: datetime) -> None:
    """Let the worker send a mail if there is such an account; whether there is, takes no time here."""
    enqueue(session, SEND, {"login": login}, at=at)


def send_reset(session: AnySession, login: str, *, site_url: str, at: datetime) -> None:
    """Send the mail, if an account with this username or e-mail address can sign in. Flushes."""
    user = find_by_login(session, login)
    if user is None or not user.is_active or user.email.endswith(UNDELIVERABLE):
        return
    token, token_hash = make_token()
    session.add(PasswordResetToken(token_hash=token_hash, user_id=user.uuid, ends_at=at + LASTS))
    url = f"{site_url}/account/reset/{token}"
    mail = write_mail("accounts/mail/reset.txt", to=user.email, username=user.username, url=url)
    send_mail(session, mail, at=at)


def is_reset_token(session: AnySession, token: str, *, at: datetime) -> bool:
    """Tell whether the token would work at this moment. One statement."""
    return find_token(session, PasswordResetToken, token, at=at) is not None


def reset_password(session: AnySession, token: str, password: str, *, at: datetime) -> bool:
    """Give the token's account a new password and end all its sessions; False if the token does not work.

    Of several at once with one token one succeeds. Other tokens of the account end too, and so does what strangers
    made the account wait for. Raises AccountInvalid if the password cannot be used; then the token stays.
    """
    used = use_token(session, PasswordResetToken, token, at=at)
    user = session.get(User, used.user_id) if used else None
    if user is None or not user.is_active:
        return False
    change_password(session, user.uuid, password, but=None, by=Actor(user.uuid, user.username), at=at)
    user.is_verified = True  # the link came to the account's address
    for login in (user.username, user.email):
        forget_tries(session, GUESSES_AT_ACCOUNT, login)
    return True
