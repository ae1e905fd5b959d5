"""The command `manage.py send-test-mail`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import click

from cms.management.base import command

if TYPE_CHECKING:
    from flask import Flask


@dataclass(frozen=True)
class MailSent:
    """To whom a mail went, from whom, and where it was handed over."""

    to: str
    sender: str
    place: str

    def __str__(self) -> str:
        return f"{self.place} took a mail from {self.sender} to {self.to}"


@command
@click.argument("address")
def send_test_mail(app: Flask, *, address: str) -> MailSent:
    """Send a mail at once, without the worker, and say what the mail server answers."""
    import uuid
    from datetime import UTC, datetime

    from cms.mail.messages import checked
    from cms.mail.sending import send_now, sender_of
    from cms.mail.services import write_mail

    mail = checked(write_mail("mail/test.txt", to=address))
    delivered = send_now(mail, app.config, identity=str(uuid.uuid4()), at=datetime.now(UTC))
    return MailSent(address, str(sender_of(app.config)), delivered.place)
