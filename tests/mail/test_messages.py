"""A mail as it travels: nothing that it was made of becomes a header."""

from __future__ import annotations

import email
from email.policy import default

import pytest
from flask import Flask
from hypothesis import given
from hypothesis import strategies as st

from cms.mail.errors import MailInvalid
from cms.mail.messages import Mail, build_message, checked, parse_sender
from cms.mail.services import write_mail
from tests.site import NOON

HEADERS = [
    "From", "To", "Subject", "Date", "Message-ID", "Auto-Submitted", "Content-Type", "Content-Transfer-Encoding",
    "MIME-Version",
]  # fmt: skip
ANY_TEXT = st.text(st.characters() | st.sampled_from('\r\n\0:<>,"\\= \t\x0b\x85\u2028\u202e'), max_size=120)


def travelled(mail: Mail, name: str = "A blog") -> email.message.EmailMessage:
    sender = parse_sender(f"{name} <blog@example.org>")
    sent = build_message(mail, sender=sender, message_id="1@example.org", at=NOON).as_bytes()
    assert b"\n" not in sent.replace(b"\r\n", b"")
    return email.message_from_bytes(sent, policy=default)


@given(subject=ANY_TEXT, text=ANY_TEXT)
def test_whatever_subject_and_text_are_made_of_no_header_is_added(subject: str, text: str):
    try:
        mail = checked(Mail("ada@example.org", subject, text))
    except MailInvalid:
        return
    seen = travelled(mail)
    assert seen.keys() == HEADERS
    assert (seen["To"], seen["From"]) == ("ada@example.org", "A blog <blog@example.org>")
    assert " ".join(seen["Subject"].split()) == " ".join(mail.subject.split())
    assert seen.get_content().strip().splitlines() == mail.text.strip().splitlines()


@given(ANY_TEXT)
def test_what_is_not_one_address_is_refused(text: str):
    for to in (text, f"ada@example.org{text}", f"{text}ada@example.org"):
        try:
            mail = checked(Mail(to, "s", "t"))
        except MailInvalid:
            continue
        assert to.count("@") == 1
        assert not set(to) & set("\r\n\0,<> ")
        assert travelled(mail).keys() == HEADERS


@pytest.mark.parametrize(
    "to",
    ["", "ada", "@example.org", "ada@", "a@b@c", "ada@example.org\nBcc: all@example.org", "ada@example.org, b@c.d",
     "Ada <ada@example.org>", "ada@example.org\r", "a" * 65 + "@example.org", "ada@exa mple.org"],
)  # fmt: skip
def test_addresses_that_would_reach_somebody_else_are_refused(to: str):
    with pytest.raises(MailInvalid):
        checked(Mail(to, "s", "t"))


@pytest.mark.parametrize("mail", [("", "t"), ("\r\n", "t"), ("s", ""), ("s", "\x00"), ("s", "x" * 200_001)])
def test_a_mail_without_words_or_without_end_is_refused(mail: tuple[str, str]):
    with pytest.raises(MailInvalid):
        checked(Mail("ada@example.org", *mail))


def test_words_of_every_language_arrive():
    seen = travelled(
        checked(Mail("ada@bücher.example", "Grüße aus 東京 " * 5, "Zeile eins\r\nzwei\n.\n\n終")), "Blög, Ünï"
    )
    assert seen["To"].addresses[0].addr_spec == "ada@xn--bcher-kva.example"
    assert seen["Subject"] == ("Grüße aus 東京 " * 5).strip()
    assert seen["From"].addresses[0].display_name == "Blög, Ünï"
    assert seen.get_content().replace("\r\n", "\n") == "Zeile eins\nzwei\n.\n\n終\n"


def test_a_template_gives_subject_and_text_and_escapes_nothing(sqlite_app: Flask):
    sqlite_app.jinja_env.globals["site_name"] = "Ink & <Paper>"
    with sqlite_app.app_context():
        mail = write_mail("mail/test.txt", to="ada@example.org")
    assert mail.subject == "Mail from Ink & <Paper> arrives"
    assert mail.text.lstrip().startswith("This is a test.")
    assert mail.text.rstrip().endswith("-- \nInk & <Paper>\nhttp://127.0.0.1:8000")


@pytest.mark.parametrize(
    "text", ["x", "a@b\nBcc: c@d", "A\r\nB <a@b.org>", "<a@b.org>, <c@d.org>", "a@b..org", "a@" + "x" * 64 + ".org"]
)
def test_what_cannot_be_a_sender_is_refused(text: str):
    with pytest.raises(ValueError):
        parse_sender(text)
