"""Making oneself an account, where the site is open to strangers."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
import sqlalchemy as sa
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from cms.accounts.invitations import SEND, invite
from cms.accounts.models import User
from cms.accounts.permissions import ADMIN, AUTHOR, USER
from cms.activity.services import Actor
from cms.extensions import db, transaction
from tests.accounts.mailbox import do_newest_job, list_mails, paths_to
from tests.people import add_person
from tests.site import PASSWORD, running, settings_for

DORA = "dora@example.org"
TYPED = {"username": "dora", "new": PASSWORD, "again": PASSWORD}


@pytest.fixture
def app(migrated_url: str, tmp_path: Path) -> Iterator[Flask]:
    with running(settings_for(migrated_url, tmp_path, REGISTRATION="open")) as made:
        yield made


def register(app: Flask, client: FlaskClient, email: str = DORA) -> TestResponse:
    answer = client.post("/account/register", data={"email": email})
    if answer.status_code == 303:
        do_newest_job(app, SEND)
    return answer


def account(app: Flask, username: str = "dora") -> tuple[str, str, bool]:
    with app.app_context():
        columns = (User.email, User.role, User.is_verified)
        return tuple(db.session.execute(sa.select(*columns).filter_by(username=username)).one())


def test_a_mail_leads_to_an_account_that_only_reads(app: Flask, client: FlaskClient):
    register(app, client)
    [path] = paths_to(app, DORA)
    assert client.post(path, data={**TYPED, "role": ADMIN}).status_code == 303
    assert account(app) == (DORA, USER, True)


def test_nobody_learns_whether_an_address_has_an_account(app: Flask, client: FlaskClient):
    add_person(app, "dora", AUTHOR)
    with app.app_context(), transaction() as session:
        session.execute(sa.update(User).values(email=DORA))
    known, unknown = register(app, client, "DORA@example.org"), register(app, client, "eve@example.org")
    assert (known.status_code, known.location, known.data) == (unknown.status_code, unknown.location, unknown.data)
    assert paths_to(app, DORA) == ["/account/sign-in", "/account/reset"]
    assert "has one already, with the username dora" in list_mails(app)[0]["text"]


def test_asking_twice_leaves_the_newest_link(app: Flask, client: FlaskClient):
    register(app, client)
    register(app, client, DORA.upper())
    first, second = [paths_to(app, to)[0] for to in (DORA, DORA.upper())]
    assert [client.get(path).status_code for path in (first, second)] == [410, 200]


def test_who_was_invited_keeps_the_role_that_was_meant(app: Flask, client: FlaskClient):
    root = add_person(app, "root", ADMIN)
    with app.app_context(), transaction() as session:
        by, site_url = Actor(root.uuid, root.username), "http://127.0.0.1:8000"
        invite(session, DORA, AUTHOR, by=by, site_url=site_url, at=datetime.now(UTC))
    register(app, client)
    assert client.post(paths_to(app, DORA)[-1], data=TYPED).status_code == 303
    assert account(app) == (DORA, AUTHOR, True)


@pytest.mark.parametrize("email", ["", "nothing", "a@b, c@d", "x" * 250 + "@b.org", "é@example.org", "a@b\r\nBcc: c@d"])
def test_what_is_no_address_is_refused(app: Flask, client: FlaskClient, email: str):
    answer = register(app, client, email)
    assert answer.status_code == 422
    assert 'class="wrong"' in answer.text


def test_asking_is_limited_by_address_and_by_network(app: Flask, client: FlaskClient):
    assert [register(app, client).status_code for _ in range(6)] == [303] * 5 + [429]
    answers = [client.post("/account/register", data={"email": f"n{number}@example.org"}) for number in range(15)]
    assert [each.status_code for each in answers] == [303] * 14 + [429]


def test_the_sign_in_page_leads_there(client: FlaskClient):
    assert 'href="/account/register"' in client.get("/account/sign-in").text
    assert client.get("/account/register").status_code == 200


def test_by_default_the_site_is_closed(sqlite_app: Flask):
    client = sqlite_app.test_client()
    assert client.get("/account/register").status_code == 404
    assert client.post("/account/register", data={"email": DORA}).status_code == 404
    assert "/account/register" not in client.get("/account/sign-in").text
