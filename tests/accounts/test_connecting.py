"""Accounts and who their owners are elsewhere: connecting the two, making one, and letting go."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from cms.accounts.connections import connect, find_connected
from cms.accounts.errors import AccountInvalid
from cms.accounts.identities import Identity
from cms.accounts.invitations import invite
from cms.accounts.models import Invitation, User, UserSession
from cms.activity.models import ActivityLog
from cms.activity.services import Actor
from cms.extensions import db, transaction
from tests.accounts.mailbox import list_mails
from tests.accounts.provider import Provider
from tests.accounts.travels import APP, address_in, column, come_back, connected, is_refused, protect, travel
from tests.people import Visit, add_person
from tests.site import PASSWORD, running, settings_for


@pytest.fixture
def app(migrated_url: str, tmp_path: Path, provider: Provider) -> Iterator[Flask]:
    with running(settings_for(migrated_url, tmp_path, **provider.settings)) as made:
        yield made


@pytest.fixture
def cleo(app: Flask) -> User:
    return add_person(app, "cleo", "author", password=PASSWORD)


# --- who is not -----------------------------------------------------------------------------------------------------


def test_an_address_alone_opens_nothing_but_its_password_connects_the_two(
    app: Flask, cleo: User, client: FlaskClient, provider: Provider
):
    assert travel(client, provider, next="/account/email").location == "/account/elsewhere/unknown"
    page = client.get("/account/elsewhere/unknown").text
    assert "There is an account with the address <strong>cleo@example.org" in page
    assert column(app, UserSession.id) == []
    typed = {"login": "cleo@example.org", "password": "wrong"}
    assert client.post("/account/elsewhere/unknown", data=typed).status_code == 422
    answer = client.post("/account/elsewhere/unknown", data=typed | {"password": PASSWORD})
    assert answer.location == "/account/email"
    assert (column(app, User.auth_provider), column(app, User.provider_id)) == (["oidc"], [f"{provider.url} 4711"])
    assert "user.provider_connected" in column(app, ActivityLog.action)
    assert "was connected with the Lighthouse" in list_mails(app)[-1]["text"]
    assert travel(app.test_client(), provider).location == "/account/"


def test_the_two_are_connected_after_the_second_factor_and_not_before(
    app: Flask, cleo: User, client: FlaskClient, provider: Provider
):
    protect(app, cleo)
    travel(client, provider)
    answer = client.post("/account/elsewhere/unknown", data={"login": "cleo", "password": PASSWORD})
    assert answer.location == "/account/second-factor"
    assert column(app, User.provider_id) == [None]
    assert client.post("/account/second-factor", data={"code": APP.now()}).location == "/account/"
    assert column(app, User.provider_id) == [f"{provider.url} 4711"]


def test_an_address_that_the_provider_does_not_vouch_for_tells_nobody_that_it_has_an_account(
    app: Flask, cleo: User, client: FlaskClient, provider: Provider
):
    pages = []
    for email in ("cleo@example.org", "eve1@example.org"):
        provider.user = {"sub": "1", "email": email, "email_verified": False}
        travel(client, provider)
        pages.append(client.get("/account/elsewhere/unknown").text.replace(email, "EMAIL"))
    assert pages[0] == pages[1]


def test_guessing_there_is_counted_as_at_the_sign_in(app: Flask, cleo: User, client: FlaskClient, provider: Provider):
    travel(client, provider)
    wrong = {"login": "cleo", "password": "wrong"}
    codes = [client.post("/account/elsewhere/unknown", data=wrong).status_code for _ in range(11)]
    assert codes == [422] * 10 + [429]
    assert client.post("/account/sign-in", data=wrong).status_code == 429


def test_where_people_are_invited_nobody_makes_an_account(app: Flask, client: FlaskClient, provider: Provider):
    travel(client, provider)
    assert "New accounts are by invitation only." in client.get("/account/elsewhere/unknown").text
    assert client.post("/account/elsewhere/join", data={"username": "cleo"}).status_code == 404
    assert column(app, User.username) == []


def test_where_the_site_is_open_the_address_makes_an_account_with_a_name(open_app: Flask, provider: Provider):
    client = open_app.test_client()
    provider.user |= {"preferred_username": "cleo.m"}
    travel(client, provider)
    assert 'value="cleo.m"' in client.get("/account/elsewhere/unknown").text
    for taken in ("", "not a name"):
        assert client.post("/account/elsewhere/join", data={"username": taken}).status_code == 422
    assert client.post("/account/elsewhere/join", data={"username": "cleo.m"}).location == "/account/"
    assert "sign in as <strong>cleo.m" in client.get("/account/").text
    with open_app.app_context():
        user = db.session.scalars(sa.select(User)).one()
        assert (user.email, user.is_verified, user.role) == ("cleo@example.org", True, "user")
        assert (user.password_hash, user.provider_id) == (None, f"{provider.url} 4711")
    assert client.post("/account/sign-in", data={"login": "cleo.m", "password": PASSWORD}).status_code == 422
    assert travel(open_app.test_client(), provider).location == "/account/"


def test_an_account_made_there_has_the_role_of_its_invitation(open_app: Flask, provider: Provider):
    root = add_person(open_app, "root", "admin")
    with open_app.app_context(), transaction() as session:
        by = Actor(root.uuid, "root")
        invite(session, "Cleo@example.org", "editor", by=by, site_url="http://x", at=datetime.now(UTC))
    client = open_app.test_client()
    travel(client, provider)
    client.post("/account/elsewhere/join", data={"username": "cleo"})
    assert sorted(column(open_app, User.role)) == ["admin", "editor"]
    assert column(open_app, Invitation.id) == []


def test_without_an_address_that_the_provider_vouches_for_nobody_makes_an_account(open_app: Flask, provider: Provider):
    client = open_app.test_client()
    for user in (
        {"sub": "1"},
        {"sub": "1", "email": "eve@example.org"},
        {"sub": "1", "email": "x", "email_verified": 1},
    ):
        provider.user = user
        travel(client, provider)
        assert "has not confirmed your address" in client.get("/account/elsewhere/unknown").text
        assert client.post("/account/elsewhere/join", data={"username": "eve"}).status_code == 404
    assert column(open_app, User.username) == []


def test_of_eight_at_once_one_account_is_made(migrated_url: str, tmp_path: Path, provider: Provider):
    settings = settings_for(migrated_url, tmp_path, REGISTRATION="open", **provider.settings)
    with running(settings) as app:
        client = app.test_client()
        travel(client, provider)
        secret = client.get_cookie("sign-in").value

        def try_it(number: int) -> str | None:
            browser = app.test_client()
            browser.set_cookie("sign-in", secret)
            return browser.post("/account/elsewhere/join", data={"username": f"cleo{number}"}).location

        with ThreadPoolExecutor(8) as threads:
            places = list(threads.map(try_it, range(8)))
        assert places.count("/account/") == 1
        assert len(column(app, User.uuid)) == 1


def test_the_pages_are_for_whoever_came_back_alone(app: Flask, client: FlaskClient):
    assert client.get("/account/elsewhere/unknown").location == "/account/sign-in"
    for path in ("unknown", "join"):
        assert client.post(f"/account/elsewhere/{path}", data={"username": "x"}).location == "/account/sign-in"


# --- one's own account ----------------------------------------------------------------------------------------------


def go_from(visit: Visit, provider: Provider) -> TestResponse:
    return come_back(visit.client, provider.consent(address_in(visit.post("/account/elsewhere/oidc/connect"))))


def test_somebody_signed_in_connects_the_two_and_disconnects_them(app: Flask, cleo: User, provider: Provider):
    visit = Visit(app, cleo)
    assert "Connect with the Lighthouse" in visit.get("/account/security").text
    assert go_from(visit, provider).location == "/account/security?done=connected"
    assert "signs you in to this account" in visit.get("/account/security").text
    assert travel(app.test_client(), provider).location == "/account/"
    assert visit.post("/account/elsewhere/disconnect").location == "/account/security?done=disconnected"
    assert (column(app, User.auth_provider), column(app, User.provider_id)) == (["email"], [None])
    assert visit.post("/account/elsewhere/disconnect").status_code == 404
    assert travel(app.test_client(), provider).location == "/account/elsewhere/unknown"
    actions = column(app, ActivityLog.action)
    assert {"user.provider_connected", "user.provider_disconnected"} <= set(actions)
    texts = [mail["text"] for mail in list_mails(app)]
    assert "from elsewhere any more" in texts[-1]


def test_connecting_asks_for_the_password_once_more(app: Flask, cleo: User):
    stale = Visit(app, cleo, at=datetime.now(UTC) - timedelta(hours=1))
    for path in ("oidc/connect", "disconnect"):
        assert stale.post(f"/account/elsewhere/{path}").location.startswith("/account/confirm?")


def test_what_somebody_began_another_does_not_finish(app: Flask, cleo: User, provider: Provider):
    ben = Visit(app, add_person(app, "ben", "author"))
    visit = Visit(app, cleo)
    answer = provider.consent(address_in(visit.post("/account/elsewhere/oidc/connect")))
    ben.client.set_cookie("sign-in", visit.client.get_cookie("sign-in").value)
    assert is_refused(come_back(ben.client, answer))
    answer = provider.consent(address_in(visit.post("/account/elsewhere/oidc/connect")))
    visit.client.delete_cookie("session")
    assert is_refused(come_back(visit.client, answer))
    assert set(column(app, User.provider_id)) == {None}


@pytest.mark.parametrize(("place", "found"), [("google", None), ("github", "cleo"), ("email", None), ("oidc", None)])
def test_what_an_adopted_site_kept_without_an_issuer_counts_for_its_provider_alone(
    app: Flask, cleo: User, place: str, found: str | None
):
    connected(app, cleo, "4711", place)
    identity = Identity("github", "GitHub", "https://github.com 4711", cleo.email, is_confirmed=True, username="cleo")
    with app.app_context():
        user = find_connected(db.session, identity)
        assert (user and user.username) == found


@pytest.mark.parametrize("taken", ["by another", "by itself"])
def test_an_identity_has_one_account_and_an_account_one_identity(
    app: Flask, cleo: User, client: FlaskClient, provider: Provider, taken: str
):
    connected(app, add_person(app, "ben", "author") if taken == "by another" else cleo, f"{provider.url} 4711")
    provider.user["sub"] = "4711" if taken == "by another" else "1"
    answer = go_from(Visit(app, cleo), provider)
    assert answer.status_code == 422
    assert "The two cannot be connected" in answer.text


def test_an_account_that_got_another_identity_meanwhile_is_not_connected_anew(
    app: Flask, cleo: User, client: FlaskClient, provider: Provider
):
    travel(client, provider)
    protect(app, cleo)
    typed = {"login": "cleo", "password": PASSWORD}
    client.post("/account/elsewhere/unknown", data=typed)
    connected(app, cleo, f"{provider.url} 1")
    answer = client.post("/account/second-factor", data={"code": APP.now()})
    assert answer.status_code == 422
    assert "your account is connected with another" in answer.text
    assert column(app, User.provider_id) == [f"{provider.url} 1"]


def test_of_eight_accounts_at_once_one_gets_the_identity(app: Flask, provider: Provider):
    users = [add_person(app, f"cleo{number}", "author") for number in range(8)]
    identity = Identity("oidc", "X", f"{provider.url} 4711", None, is_confirmed=False, username="")

    def try_it(user: User) -> bool:
        by = Actor(user.uuid, user.username)
        try:
            with app.app_context(), transaction() as session:
                connect(session, user.uuid, identity, by=by, at=datetime.now(UTC))
        except AccountInvalid:
            return False
        return True

    with ThreadPoolExecutor(8) as threads:
        assert sum(threads.map(try_it, users)) == 1
    assert len([each for each in column(app, User.provider_id) if each]) == 1


def test_whoever_has_no_password_stays_connected(app: Flask, provider: Provider):
    ben = add_person(app, "ben", "author")
    connected(app, ben, f"{provider.url} 4711")
    visit = Visit(app, ben)
    assert visit.post("/account/elsewhere/disconnect").location == "/account/security?done=needs-password"
    assert "Your account has no password" in visit.get("/account/security?done=needs-password").text
    assert column(app, User.provider_id) == [f"{provider.url} 4711"]
