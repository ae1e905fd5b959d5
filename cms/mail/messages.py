"""A mail as it is written, and as it travels: no line break reaches a header, whatever it was made of."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from email.errors import HeaderParseError
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime

from cms.mail.errors import MailInvalid

# One address and nothing else: no list, no name, no comment. Whether it exists the mail itself tells.
ADDRESS = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[\w.-]{1,190}")
SENDER = re.compile(rf'(?P<name>[^<>"]+?) *<(?P<named>{ADDRESS.pattern})>|(?P<bare>{ADDRESS.pattern})')
NOT_IN_A_LINE = re.compile(r"[\s\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]+")
NOT_IN_A_TEXT = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
LONGEST_SUBJECT = 200
LONGEST_TEXT = 200_000


@dataclass(frozen=True)
class Mail:
    """One mail to one person. subject: one line. text: plain text, lines ended by a line feed."""

    to: str
    subject: str
    text: str


def checked(mail: Mail) -> Mail:
    """Return the mail as it will be sent: subject in one line, text without control characters.

    Raises MailInvalid for what is no address, an empty subject, or a text of more than 200,000 characters.
    """
    address_of(mail.to)
    subject = NOT_IN_A_LINE.sub(" ", mail.subject).strip()[:LONGEST_SUBJECT].strip()
    text = NOT_IN_A_TEXT.sub("", mail.text.replace("\r\n", "\n").replace("\r", "\n")).strip()
    if not subject or not text or len(text) > LONGEST_TEXT:
        raise MailInvalid(
            f"the mail {subject[:60]!r} cannot be sent",
            why=f"its text has {len(text)} characters, of 1 to {LONGEST_TEXT}",
        )
    return Mail(mail.to, subject, text + "\n")


def build_message(mail: Mail, *, sender: Address, message_id: str, at: datetime) -> EmailMessage:
    """Return a checked mail as it goes to a server. message_id: without angle brackets; the same for each attempt."""
    message = EmailMessage(policy=SMTP)
    message["From"] = sender
    message["To"] = address_of(mail.to)
    message["Subject"] = mail.subject
    message["Date"] = format_datetime(at)
    message["Message-ID"] = f"<{message_id}>"
    message["Auto-Submitted"] = "auto-generated"  # asks holiday notices not to answer (RFC 3834)
    message.set_content(mail.text, charset="utf-8", cte="quoted-printable")
    return message


def parse_sender(text: str) -> Address:
    """Return the sender that MAIL_FROM names: an address, or a name and an address. Raises ValueError."""
    found = SENDER.fullmatch(text)
    try:
        if found and NOT_IN_A_LINE.sub(" ", text) == text:
            return address_of(found["named"] or found["bare"], name=found["name"] or "")
    except MailInvalid:
        pass
    raise ValueError("give an address such as blog@example.org, or: A blog <blog@example.org>")


def address_of(text: str, *, name: str = "") -> Address:
    """Return one address with its domain as servers know it: bücher.example is xn--bcher-kva.example.

    Raises MailInvalid.
    """
    try:
        if ADDRESS.fullmatch(text):
            local, _, domain = text.rpartition("@")
            return Address(display_name=name, addr_spec=f"{local}@{domain.encode('idna').decode('ascii')}")
    except (ValueError, HeaderParseError):  # two dots in a row, a label of 64 letters, and whatever else is no address
        pass
    raise MailInvalid(f"no mail can be sent to {text[:80]!r}", why="it is not one address like name@example.org")
