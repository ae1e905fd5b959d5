"""Writing mail. The caller holds the transaction: a mail of what is rolled back is never sent."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from flask import render_template

from cms.jobs.services import AnySession, enqueue
from cms.mail.messages import Mail, checked

SEND = "mail.send"


def write_mail(template: str, *, to: str, **values: object) -> Mail:
    """Return the mail that a template makes: its first line is the subject, what follows is the text.

    template: such as "accounts/mail/reset.txt"; it should extend "mail/frame.txt". Needs an application context.
    """
    subject, _, text = render_template(template, **values).lstrip().partition("\n")
    return Mail(to, subject, text)


def send_mail(session: AnySession, mail: Mail, *, at: datetime, key: str | None = None) -> UUID | None:
    """Let the worker send a mail after the transaction's end. Flushes.

    key: of two mails with one key only the first is sent. Returns the job's id, or None if there was one with this key.
    Raises MailInvalid.
    """
    mail = checked(mail)
    return enqueue(session, SEND, {"to": mail.to, "subject": mail.subject, "text": mail.text}, at=at, key=key)
