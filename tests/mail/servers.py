"""A real mail server on loopback that keeps what it is given, and can refuse it."""

from __future__ import annotations

import email
import socket
import ssl
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.message import EmailMessage
from email.policy import default
from pathlib import Path
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, LoginPassword

PASSWORD = "p@ss:word/%"


@dataclass
class MailServer:
    """What arrived; what it answers to a recipient ("250 OK", "550 no such user") and to a mail."""

    port: int
    arrived: list[EmailMessage] = field(default_factory=list)
    answer_to_recipient: str = "250 OK"
    answer_to_mail: str = "250 OK"

    async def handle_RCPT(self, _server: Any, _session: Any, envelope: Any, address: str, _options: Any) -> str:  # noqa: N802
        if self.answer_to_recipient.startswith("250"):
            envelope.rcpt_tos.append(address)
        return self.answer_to_recipient

    async def handle_DATA(self, _server: Any, _session: Any, envelope: Any) -> str:  # noqa: N802
        if self.answer_to_mail.startswith("250"):
            self.arrived.append(email.message_from_bytes(envelope.content, policy=default))
        return self.answer_to_mail


def check_password(_server: Any, _session: Any, _envelope: Any, _mechanism: str, given: LoginPassword) -> AuthResult:
    return AuthResult(success=given.password.decode() == PASSWORD, handled=False)


@contextmanager
def mail_server(port: int, *, tls: ssl.SSLContext | None = None) -> Iterator[MailServer]:
    """Serve mail; with a certificate only after STARTTLS, name and password."""
    server = MailServer(port)
    strict = {
        "tls_context": tls, "require_starttls": True, "auth_required": True, "authenticator": check_password,
    }  # fmt: skip
    controller = Controller(server, hostname="127.0.0.1", port=port, **(strict if tls else {}))
    controller.start()
    try:
        yield server
    finally:
        controller.stop()


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


def make_certificate(folder: Path) -> tuple[Path, ssl.SSLContext]:
    """Return a certificate for 127.0.0.1 that nobody trusts by itself, and a server's context with it."""
    certificate, key = folder / "certificate.pem", folder / "key.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj", "/CN=127.0.0.1",
         "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", key, "-out", certificate],
        check=True, capture_output=True,
    )  # fmt: skip
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate, key)
    return certificate, context
