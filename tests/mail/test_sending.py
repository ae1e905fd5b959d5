"""Mail to a real server: sent once, by the worker, also when the server was away or wants to be asked again."""

from __future__ import annotations

import stat
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from threading import Event
from uuid import UUID

import pytest
import sqlalchemy as sa
from flask import Flask

import cms.mail.jobs  # noqa: F401 - registers the kind
from cms.extensions import db, transaction
from cms.jobs.models import Job
from cms.jobs.worker import run_due
from cms.mail.messages import Mail
from cms.mail.services import send_mail
from tests.deploy.programs import run, settings_of_site
from tests.mail.servers import free_port, mail_server
from tests.site import NOON

HELLO = Mail("ada@example.org", "Hello", "One line.\n.\n..and another\n")


@pytest.fixture
def port() -> int:
    return free_port()


@pytest.fixture(autouse=True)
def _context(app: Flask, port: int):
    app.config["MAIL_URL"] = f"smtp+plain://127.0.0.1:{port}"
    with app.app_context():
        yield


@pytest.fixture
def work(app: Flask) -> Callable[[], None]:
    return lambda: run_due(app, stop=Event())


def store(mail: Mail = HELLO, **options: str) -> UUID | None:
    with transaction() as session:
        return send_mail(session, mail, at=datetime.now(UTC), **options)


def make_due() -> None:
    with transaction() as session:
        session.execute(sa.update(Job).values(due_at=NOON.replace(year=2020)))


def standing() -> tuple[str, str | None]:
    db.session.rollback()
    return tuple(db.session.execute(sa.select(Job.status, Job.error).where(Job.kind == "mail.send")).one())


def test_a_mail_arrives_once_and_its_text_is_forgotten(port: int, work):
    job_id = store()
    with mail_server(port) as server:
        work()
        work()
    (seen,) = server.arrived
    assert (seen["To"], seen["Subject"]) == ("ada@example.org", "Hello")
    assert seen["From"] == "A blog without fear <noreply@127.0.0.1>"
    assert seen["Message-ID"] == f"<{job_id}@127.0.0.1>"
    assert seen.get_content().replace("\r\n", "\n") == HELLO.text
    assert db.session.scalar(sa.select(Job.arguments).where(Job.kind == "mail.send")) == {}


def test_a_mail_of_a_use_case_that_is_rolled_back_is_never_sent(port: int, work):
    def give_up_in_the_middle() -> None:
        with transaction() as session:
            send_mail(session, HELLO, at=NOON)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        give_up_in_the_middle()
    with mail_server(port) as server:
        work()
    assert server.arrived == []


def test_of_two_mails_with_one_key_one_is_sent(port: int, work):
    assert store(key="published 1 ada") is not None
    assert store(key="published 1 ada") is None
    with mail_server(port) as server:
        work()
    assert len(server.arrived) == 1


def test_a_mail_waits_for_a_server_that_is_away(port: int, work):
    job_id = store()
    work()
    status, reason = standing()
    assert (status, reason.endswith("Connection refused")) == ("waiting", True)
    make_due()
    with mail_server(port) as server:
        work()
    assert [seen["Message-ID"] for seen in server.arrived] == [f"<{job_id}@127.0.0.1>"]
    assert standing() == ("done", None)


@pytest.mark.parametrize(
    ("recipient", "mail", "status", "reason"),
    [
        ("550 no such user", "250 OK", "failed", "it refuses the address: 550 no such user"),
        ("451 ask again later", "250 OK", "waiting", "it refuses the address: 451 ask again later"),
        ("250 OK", "554 looks like spam", "failed", "it refuses this mail: 554 looks like spam"),
        ("250 OK", "452 disk full", "waiting", "it says 452 disk full"),
    ],
)
def test_a_refusal_for_good_fails_at_once_and_another_is_tried_again(
    port: int, work, recipient: str, mail: str, status: str, reason: str
):
    store()
    with mail_server(port) as server:
        server.answer_to_recipient, server.answer_to_mail = recipient, mail
        work()
    assert standing() == (status, f"the mail server 127.0.0.1:{port} did not take the mail: {reason}")


def test_a_mail_that_would_come_two_days_late_fails(port: int, work):
    store()
    make_due()
    with mail_server(port) as server:
        work()
    assert server.arrived == []
    assert standing()[0] == "failed"


def test_a_mail_that_was_tried_before_is_sent_however_late(port: int, work):
    store()
    with transaction() as session:
        session.execute(sa.update(Job).values(attempts=3))
    make_due()
    with mail_server(port) as server:
        work()
    assert len(server.arrived) == 1


# --- a file, and the command -------------------------------------------------------------------------------------


def test_in_development_a_mail_is_a_file_that_its_owner_reads(app: Flask, work, tmp_path: Path):
    app.config["MAIL_URL"] = f"file:{tmp_path}/outbox"
    job_id = store()
    work()
    file = tmp_path / "outbox" / f"{job_id}.eml"
    assert "Subject: Hello" in file.read_text()
    assert [stat.S_IMODE(path.stat().st_mode) for path in (file, file.parent)] == [0o600, 0o700]


def test_the_command_says_who_took_the_mail_or_why_not(port: int, tmp_path: Path, migrated_url: str):
    settings = settings_of_site(
        tmp_path,
        DATABASE_URL=migrated_url,
        MAIL_URL=f"smtp+plain://127.0.0.1:{port}",
        MAIL_FROM="Ink <ink@example.org>",
    )
    command = [sys.executable, "manage.py", "send-test-mail", "ada@example.org"]
    with mail_server(port) as server:
        done = run(command, settings)
        server.answer_to_recipient = "550 no such user"
        refused = run(command, settings)
    assert (done.returncode, len(server.arrived)) == (0, 1), done.stdout
    assert f"127.0.0.1:{port} took a mail from Ink <ink@example.org> to ada@example.org" in done.stdout
    assert (refused.returncode, "550 no such user" in refused.stdout) == (1, True)
    assert "Traceback" not in refused.stdout
