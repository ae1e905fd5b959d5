"""A mail on its way out: who it is from, which id it has."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from email.headerregistry import Address
from typing import Any
from urllib.parse import urlsplit

from cms.mail.delivery import Delivered, deliver
from cms.mail.messages import Mail, build_message, parse_sender


def send_now(mail: Mail, config: Mapping[str, Any], *, identity: str, at: datetime) -> Delivered:  # Any: settings
    """Hand a checked mail over now. identity: what makes its Message-ID; the same for each attempt.

    Raises MailNotSent, MailRefused.
    """
    sender = sender_of(config)
    message = build_message(mail, sender=sender, message_id=f"{identity}@{sender.domain}", at=at)
    return deliver(message, config["MAIL_URL"])


def sender_of(config: Mapping[str, Any]) -> Address:  # Any: same
    """Return MAIL_FROM, or by default the site's name at noreply@ its host."""
    if config["MAIL_FROM"]:
        return parse_sender(config["MAIL_FROM"])
    host = urlsplit(config["SITE_URL"]).hostname or "localhost"
    return Address(display_name=" ".join(config["SITE_NAME"].split()), username="noreply", domain=host)
