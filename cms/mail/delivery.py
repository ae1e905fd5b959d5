"""Handing a mail over: to a server, into a file, or onto the screen, as MAIL_URL says.

The standard library's smtplib: Flask-Mailman would add templates of settings for the same three ways, and its last
release is of 2024.
"""

from __future__ import annotations

import os
import smtplib
import ssl
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from email.message import EmailMessage
from pathlib import Path
from urllib.parse import SplitResult, unquote, urlsplit

from cms.database.target import ROOT
from cms.mail.errors import MailNotSent, MailRefused

TIMEOUT_S = 15
PORTS = {"smtp": 587, "smtps": 465, "smtp+plain": 25}
REFUSED_FOR_GOOD = 500


@dataclass(frozen=True)
class Delivered:
    """Where a mail went: "mail.example.org:587", or a file."""

    place: str


def deliver(message: EmailMessage, url: str) -> Delivered:
    """Hand the mail over and return where it went.

    Raises MailNotSent if trying again may help, MailRefused if the server wants neither this mail nor to see it again.
    """
    parts = urlsplit(url)
    if parts.scheme == "console":
        sys.stderr.write(f"{message.as_string()}\n")
        return Delivered("the console")
    if parts.scheme == "file":
        return write_file(message, ROOT / parts.path)
    with connected(url) as server:
        try:
            server.send_message(message)
        except smtplib.SMTPException as error:
            raise explain(error, place_of(parts)) from error
    return Delivered(place_of(parts))


def write_file(message: EmailMessage, folder: Path) -> Delivered:
    """Write the mail where only this user reads it; a second attempt at the same mail replaces the first."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    file = folder / f"{str(message['Message-ID']).strip('<>').partition('@')[0]}.eml"
    part = file.with_suffix(".part")
    try:
        with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600), "wb") as stream:
            stream.write(message.as_bytes())
        part.replace(file)
    except OSError as error:
        raise MailNotSent(f"the mail could not be written to {file}", why=error.strerror) from error
    return Delivered(str(file))


@contextmanager
def connected(url: str) -> Iterator[smtplib.SMTP]:
    """Yield a server that took our name and password; ``smtp`` begins with STARTTLS or not at all.

    Raises MailNotSent.
    """
    parts = urlsplit(url)
    host, port = str(parts.hostname), parts.port or PORTS[parts.scheme]
    trusted = ssl.create_default_context()
    try:
        if parts.scheme == "smtps":
            server: smtplib.SMTP = smtplib.SMTP_SSL(host, port, timeout=TIMEOUT_S, context=trusted)
        else:
            server = smtplib.SMTP(host, port, timeout=TIMEOUT_S)
    except (OSError, smtplib.SMTPException) as error:
        raise explain(error, place_of(parts)) from error
    with server:
        try:
            if parts.scheme == "smtp":
                server.starttls(context=trusted)
            if parts.username:
                server.login(unquote(parts.username), unquote(parts.password or ""))
        except (OSError, smtplib.SMTPException) as error:
            raise explain(error, place_of(parts)) from error
        yield server


def explain(error: Exception, place: str) -> MailNotSent | MailRefused:
    """Return what an error of the library means for a mail, in words; passwords are in none of them."""
    what = f"the mail server {place} did not take the mail"
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        (code, answer) = next(iter(error.recipients.values()))
        kind = MailRefused if code >= REFUSED_FOR_GOOD else MailNotSent
        return kind(what, why=f"it refuses the address: {code} {said(answer)}")
    if isinstance(error, smtplib.SMTPAuthenticationError):
        why = f"it refuses our name and password: {error.smtp_code} {said(error.smtp_error)}"
        return MailNotSent(what, why=why, hint="check MAIL_URL; write @ as %40 and : as %3A in the password")
    if isinstance(error, smtplib.SMTPDataError) and error.smtp_code >= REFUSED_FOR_GOOD:
        return MailRefused(what, why=f"it refuses this mail: {error.smtp_code} {said(error.smtp_error)}")
    if isinstance(error, smtplib.SMTPResponseException):
        return MailNotSent(what, why=f"it says {error.smtp_code} {said(error.smtp_error)}", hint="check MAIL_FROM")
    if isinstance(error, smtplib.SMTPNotSupportedError):
        hint = "smtps:// if it speaks TLS from the start; smtp+plain:// for a server in your own network without TLS"
        return MailNotSent(what, why=str(error), hint=hint)
    return MailNotSent(what, why=str(error) or type(error).__name__, hint="does it run, is MAIL_URL right?")


def said(answer: bytes | str) -> str:
    text = answer.decode("utf-8", "replace") if isinstance(answer, bytes) else answer
    return " ".join(text.split())


def place_of(parts: SplitResult) -> str:
    """Return host and port, without name and password."""
    return f"{parts.hostname}:{parts.port or PORTS[parts.scheme]}"
