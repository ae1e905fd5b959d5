"""Handing mail to servers that want TLS and a password; settings that name no server; checks."""

from __future__ import annotations

from pathlib import Path

import pytest

from cms.checks.registry import registry
from cms.mail import checks as _checks  # noqa: F401 - registers them
from cms.mail.delivery import deliver
from cms.mail.errors import MailNotSent
from cms.mail.messages import Mail, build_message, parse_sender
from config import load_config
from tests.mail.servers import PASSWORD, free_port, mail_server, make_certificate
from tests.site import NOON

HELLO = Mail("ada@example.org", "Hello", "One line.\n")
QUOTED = "p%40ss%3Aword%2F%25"


@pytest.fixture
def port() -> int:
    return free_port()


def send(url: str) -> None:
    message = build_message(HELLO, sender=parse_sender("blog@example.org"), message_id="1@example.org", at=NOON)
    deliver(message, url)


def test_name_and_password_are_given_after_starttls(port: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    certificate, context = make_certificate(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    with mail_server(port, tls=context) as server:
        send(f"smtp://blog:{QUOTED}@127.0.0.1:{port}")
        with pytest.raises(MailNotSent, match="did not take the mail") as refused:
            send(f"smtp://blog:wrong-{QUOTED}@127.0.0.1:{port}")
    assert len(server.arrived) == 1
    assert "name and password: 535" in refused.value.why
    assert PASSWORD not in str(refused.value)


def test_a_server_whose_certificate_nobody_knows_gets_neither_password_nor_mail(port: int, tmp_path: Path):
    _, context = make_certificate(tmp_path)
    with mail_server(port, tls=context) as server, pytest.raises(MailNotSent) as refused:
        send(f"smtp://blog:{QUOTED}@127.0.0.1:{port}")
    assert "CERTIFICATE_VERIFY_FAILED" in refused.value.why
    assert server.arrived == []


def test_a_server_without_tls_gets_no_mail_unless_the_setting_says_plain(port: int):
    with mail_server(port) as server:
        with pytest.raises(MailNotSent) as refused:
            send(f"smtp://127.0.0.1:{port}")
        assert "STARTTLS" in refused.value.why
        assert "smtp+plain://" in refused.value.hint
        send(f"smtp+plain://127.0.0.1:{port}")
    assert len(server.arrived) == 1


@pytest.mark.parametrize(
    "value",
    [
        "mail.example.org",
        "smtp://",
        "smtp://h:port",
        "smtp://h/x",
        "http://h",
        "smtp://h?a=b",
        "file:",
        "file://h/x",
        "smtp://u:ü@h",
    ],
)
def test_an_address_of_no_server_is_refused_without_showing_it(value: str):
    with pytest.raises(Exception, match="MAIL_URL") as refused:
        load_config({"MAIL_URL": value})
    assert "its value (not shown)" in refused.value.why
    assert value not in refused.value.why


@pytest.mark.parametrize("value", ["nobody", "a@b.org\nBcc: c@d.org", "a@b.org, c@d.org"])
def test_a_sender_that_is_none_is_refused(value: str):
    with pytest.raises(Exception, match="MAIL_FROM"):
        load_config({"MAIL_FROM": value})


def found(url: str) -> list[str]:
    findings = registry.run(["mail"], deploy=True, given={"config": load_config({"MAIL_URL": url})})
    return [problem.id for problem in findings.problems]


def test_checks_find_mail_that_reaches_nobody_or_everybody(port: int):
    assert found("file:instance/mail") == found("console:") == ["mail.W001"]
    assert found("smtp+plain://mail.invalid:25") == ["mail.W002", "mail.W003"]
    assert found(f"smtp+plain://127.0.0.1:{port}") == ["mail.W003"]
    with mail_server(port):
        assert found(f"smtp+plain://127.0.0.1:{port}") == []
