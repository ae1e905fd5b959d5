"""Checks of the mail: does it reach anybody."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from cms.checks.messages import Problem, warning
from cms.checks.registry import register
from cms.mail.delivery import connected
from cms.mail.errors import MailNotSent

if TYPE_CHECKING:
    from config import Config

TO_NOBODY = {"file", "console"}
HERE = {"localhost", "127.0.0.1", "::1"}


@register("mail", deploy=True)
def check_mail_is_sent(config: Config) -> list[Problem]:
    """mail.W001: mail goes into files or onto the screen and reaches nobody."""
    if urlsplit(config.MAIL_URL).scheme not in TO_NOBODY:
        return []
    cure = "set MAIL_URL, such as smtp://user:password@mail.example.org:587, then try `manage.py send-test-mail`"
    return [warning("mail.W001", "mail is not sent to anybody", why=f"MAIL_URL is {config.MAIL_URL}", hint=cure)]


@register("mail", deploy=True)
def check_mail_is_encrypted(config: Config) -> list[Problem]:
    """mail.W002: mail, and the password of the mail server, cross the network unencrypted."""
    parts = urlsplit(config.MAIL_URL)
    if parts.scheme != "smtp+plain" or parts.hostname in HERE:
        return []
    text = f"mail goes to {parts.hostname} without encryption"
    return [warning("mail.W002", text, hint="begin MAIL_URL with smtp:// (STARTTLS) or smtps://")]


@register("mail", deploy=True)
def check_mail_server(config: Config) -> list[Problem]:
    """mail.W003: the mail server does not answer, or does not take our name and password."""
    if urlsplit(config.MAIL_URL).scheme in TO_NOBODY:
        return []
    try:
        with connected(config.MAIL_URL):
            return []
    except MailNotSent as error:
        return [warning("mail.W003", error.what, why=error.why, hint=error.hint or "check MAIL_URL")]
