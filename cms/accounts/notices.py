"""Mails to the owner of an account about what opens it: the one way to notice that somebody else did it."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from flask import current_app

from cms.accounts.models import User
from cms.accounts.queries import AnySession
from cms.mail.services import send_mail, write_mail

UNDELIVERABLE = ".invalid"  # addresses of authors who were imported


def tell_owner(session: AnySession, user_id: UUID, what: str, *, at: datetime) -> None:
    """Let the worker send a mail about something that was done. what: a sentence. Flushes."""
    user = session.get_one(User, user_id)
    if user.email.endswith(UNDELIVERABLE):
        return
    url = f"{current_app.config['SITE_URL']}/account/security"
    mail = write_mail("accounts/mail/noticed.txt", to=user.email, username=user.username, what=what, at=at, url=url)
    send_mail(session, mail, at=at)
