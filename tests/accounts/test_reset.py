"""Forgotten passwords."""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from threading import Event

import pytest
import sqlalchemy as sa
from flask import Flask
from flask.testing import FlaskClient

from cms.accounts import jobs as accounts_jobs
from cms.accounts.limits import count_try
from cms.accounts.models import PasswordResetToken, User, UserSession
from cms.accounts.own_account import change_password
from cms.accounts.reset import SEND, reset_password
from cms.accounts.sign_in import GUESSES_AT_ACCOUNT
from cms.activity.services import Actor
from cms.extensions import db, transaction
from cms.jobs.kinds import JobRun, kinds
from cms.jobs.models import Job
from tests.people import Visit, add_person
from tests.site import PASSWORD

NEW = {"new": "another lamp on a mast", "again": "another lamp on a mast"}
LINK = re.compile(r"http://127\.0\.0\.1:8000(/account/reset/[A-Za-z0-9_-]{43})\n")


@pytest.fixture
def cleo(app: Flask) -> User:
    return add_person(app, "cleo", "author", password=PASSWORD)


def ask(app: Flask, client: FlaskClient, login: str = "cleo") -> list[str]:
    """Ask for a mail, do the job, and return the paths in the mails that were to be sent."""
    assert accounts_jobs
    answer = client.post("/account/reset", data={"login": login})
    assert (answer.status_code, answer.location) == (303, "/account/reset?sent=1")
    with app.app_context():
        asked = db.session.scalars(sa.select(Job).where(Job.kind == SEND).order_by(Job.created_at)).all()[-1]
        run = JobRun(asked.id, asked.arguments, attempt=1, report=lambda _: None, is_stopping=Event().is_set)
        kinds.find(SEND).run(run)
        mails = db.session.scalars(sa.select(Job.arguments).where(Job.kind == "mail.send")).all()
    return [LINK.search(mail["text"])[1] for mail in mails]


def sign_in(client: FlaskClient, password: str) -> int:
    return client.post("/account/sign-in", data={"login": "cleo", "password": password}).status_code


@pytest.mark.parametrize("login", ["cleo", "CLEO@example.org"])
def test_a_mail_leads_to_a_new_password_once(app: Flask, cleo: User, client: FlaskClient, login: str):
    visit = Visit(app, cleo)
    [path] = ask(app, client, login)
    assert client.get(path).status_code == client.get(path).status_code == 200
    assert client.post(path, data=NEW).location == "/account/sign-in?done=reset"
    assert visit.get("/account/").status_code == 303
    assert (sign_in(client, PASSWORD), sign_in(client, NEW["new"])) == (422, 303)
    assert client.get(path).status_code == 410
    assert client.post(path, data=NEW).status_code == 410


def test_nobody_learns_whether_there_is_an_account(app: Flask, cleo: User, client: FlaskClient):
    with app.app_context(), transaction() as session:
        session.execute(sa.update(User).values(is_active=False))
    assert ask(app, client, "nobody") == ask(app, client, "no@example.org") == ask(app, client, "cleo") == []
    assert "If there is such an account" in client.get("/account/reset?sent=1").text


def test_an_imported_author_has_no_address_for_a_mail(app: Flask, cleo: User, client: FlaskClient):
    with app.app_context(), transaction() as session:
        session.execute(sa.update(User).values(email="cleo@import.invalid"))
    assert ask(app, client) == []


def test_the_token_is_not_in_the_database(app: Flask, cleo: User, client: FlaskClient):
    [path] = ask(app, client)
    with app.app_context():
        assert db.session.scalar(sa.select(PasswordResetToken.token_hash)) not in path


@pytest.mark.parametrize(
    "typed", [{"new": "short", "again": "short"}, {"new": "Password1", "again": "Password1"}, {**NEW, "again": "x"}]
)
def test_a_password_that_cannot_be_taken_does_not_use_the_link_up(
    app: Flask, cleo: User, client: FlaskClient, typed: dict[str, str]
):
    [path] = ask(app, client)
    assert client.post(path, data=typed).status_code == 422
    assert client.post(path, data=NEW).status_code == 303


def test_a_link_ends_after_an_hour_and_when_the_password_is_changed(app: Flask, cleo: User, client: FlaskClient):
    [path] = ask(app, client)
    token = path.rpartition("/")[2]
    later = datetime.now(UTC) + timedelta(minutes=61)
    with app.app_context(), transaction() as session:
        assert not reset_password(session, token, NEW["new"], at=later)
        by = Actor(cleo.uuid, cleo.username)
        change_password(session, cleo.uuid, "yet another lamp", but=None, by=by, at=datetime.now(UTC))
    assert client.get(path).status_code == 410


@pytest.mark.parametrize("token", ["x", "a" * 43, "a" * 44, "%00", "' OR 1=1 --"])
def test_a_made_up_token_is_a_link_that_is_over(client: FlaskClient, token: str):
    answer = client.get(f"/account/reset/{token}")
    assert answer.status_code in {400, 410}


def test_of_eight_at_once_with_one_link_one_wins(app: Flask, cleo: User, client: FlaskClient):
    [path] = ask(app, client)

    def attempt(number: int) -> int:
        typed = {"new": f"lamp {number} on a mast", "again": f"lamp {number} on a mast"}
        return app.test_client().post(path, data=typed).status_code

    with ThreadPoolExecutor(8) as threads:
        assert sorted(threads.map(attempt, range(8))) == [303] + [410] * 7


def test_asking_is_limited_and_a_locked_out_owner_gets_in_through_it(app: Flask, cleo: User, client: FlaskClient):
    [path] = ask(app, client)
    with app.app_context(), transaction() as session:
        for _ in range(GUESSES_AT_ACCOUNT.times):
            count_try(session, GUESSES_AT_ACCOUNT, "cleo", at=datetime.now(UTC))
    assert sign_in(client, PASSWORD) == 429
    assert client.post(path, data=NEW).status_code == 303
    assert sign_in(client, NEW["new"]) == 303
    codes = [client.post("/account/reset", data={"login": "cleo"}).status_code for _ in range(5)]
    assert codes == [303] * 4 + [429]


def test_its_address_is_told_to_no_other_site_and_kept_by_nobody(app: Flask, cleo: User, client: FlaskClient):
    [path] = ask(app, client)
    headers = client.get(path).headers
    assert (headers["Cache-Control"], headers["Referrer-Policy"]) == ("no-store", "same-origin")
    with app.app_context():
        assert db.session.scalar(sa.select(sa.func.count()).select_from(UserSession)) == 0
