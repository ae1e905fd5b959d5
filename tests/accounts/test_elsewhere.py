"""Signing in elsewhere, by the pages, with a provider that really signs."""

from __future__ import annotations

import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from html import unescape
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pyotp
import pytest
import sqlalchemy as sa
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from cms.accounts.connections import connect
from cms.accounts.errors import AccountInvalid
from cms.accounts.identities import Identity
from cms.accounts.invitations import invite
from cms.accounts.models import Invitation, SecondFactor, SignInStep, User, UserSession
from cms.accounts.sealing import seal
from cms.accounts.second_factor import purpose
from cms.activity.models import ActivityLog
from cms.activity.services import Actor
from cms.extensions import db, transaction
from tests.accounts.mailbox import list_mails
from tests.accounts.provider import Provider, open_provider
from tests.people import Visit, add_person
from tests.site import PASSWORD, running, settings_for

APP = pyotp.TOTP("JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP")


@pytest.fixture
def provider() -> Iterator[Provider]:
    with open_provider() as opened:
        yield opened


@pytest.fixture
def app(migrated_url: str, tmp_path: Path, provider: Provider) -> Iterator[Flask]:
    with running(settings_for(migrated_url, tmp_path, **provider.settings)) as made:
        yield made


@pytest.fixture
def open_app(migrated_sqlite_url: str, tmp_path: Path, provider: Provider) -> Iterator[Flask]:
    """Return a site on which people may make themselves accounts."""
    settings = settings_for(migrated_sqlite_url, tmp_path, REGISTRATION="open", **provider.settings)
    with running(settings) as made:
        yield made


@pytest.fixture
def cleo(app: Flask) -> User:
    return add_person(app, "cleo", "author", password=PASSWORD)


def leave(client: FlaskClient, key: str = "oidc", **fields: str) -> str:
    """Begin to sign in elsewhere and return the address that the page leads to."""
    page = client.post(f"/account/elsewhere/{key}/begin", data=fields)
    return address_in(page)


def address_in(page: TestResponse) -> str:
    assert page.status_code == 200, page.text
    return unescape(re.search(r'http-equiv="refresh" content="0; url=([^"]+)"', page.text)[1])


def come_back(client: FlaskClient, answer: dict[str, str], key: str = "oidc") -> TestResponse:
    """Return from the provider, and press the button of the page."""
    page = client.get(f"/account/elsewhere/{key}/callback", query_string=answer)
    assert page.status_code == 200, page.text
    shown = dict(re.findall(r'type="hidden" name="(\w+)" value="([^"]*)"', page.text))
    return client.post(f"/account/elsewhere/{key}/callback", data={k: unescape(v) for k, v in shown.items()})


def travel(client: FlaskClient, provider: Provider, key: str = "oidc", **fields: str) -> TestResponse:
    return come_back(client, provider.consent(leave(client, key, **fields)), key)


def connected(app: Flask, user: User, provider_id: str, place: str = "oidc") -> None:
    with app.app_context(), transaction() as session:
        named = {"auth_provider": place, "provider_id": provider_id}
        session.execute(sa.update(User).where(User.uuid == user.uuid).values(named))


def column(app: Flask, column: sa.ColumnElement) -> list:
    with app.app_context():
        return list(db.session.scalars(sa.select(column)))


# --- who is known here ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("key", ["oidc", "github"])
def test_whoever_is_connected_is_signed_in_and_comes_to_the_page_asked_for(
    app: Flask, cleo: User, client: FlaskClient, provider: Provider, key: str
):
    connected(app, cleo, f"{provider.url} 4711", key)
    answer = travel(client, provider, key, next="/account/email")
    assert (answer.status_code, answer.location) == (303, "/account/email")
    assert "sign in as <strong>cleo" in client.get("/account/").text
    assert column(app, SignInStep.kind) == []
    with app.app_context():
        [details] = db.session.scalars(sa.select(ActivityLog.details).filter_by(action="user.signed_in"))
    assert details == {"by": key}


def test_the_address_says_what_is_asked_for_and_keeps_the_secrets_to_itself(
    app: Flask, client: FlaskClient, provider: Provider
):
    asked = parse_qs(urlsplit(leave(client)).query)
    assert asked["redirect_uri"] == ["http://127.0.0.1:8000/account/elsewhere/oidc/callback"]
    assert asked["scope"] == ["openid email profile"]
    with app.app_context():
        [details] = db.session.scalars(sa.select(SignInStep.details))
    assert (details["state"], details["nonce"]) == (asked["state"][0], asked["nonce"][0])
    assert details["verifier"] not in str(asked)
    assert client.get_cookie("sign-in").value not in str(details)


def test_the_second_factor_is_asked_for_as_after_a_password(
    app: Flask, cleo: User, client: FlaskClient, provider: Provider
):
    connected(app, cleo, f"{provider.url} 4711")
    protect(app, cleo)
    assert travel(client, provider, next="/account/email").location == "/account/second-factor"
    assert client.get("/account/").status_code == 303
    answer = client.post("/account/second-factor", data={"code": APP.now()})
    assert answer.location == "/account/email"
    assert client.get("/account/").status_code == 200


def protect(app: Flask, user: User) -> None:
    with app.app_context(), transaction() as session:
        sealed = seal(APP.secret, about=purpose(user.uuid))
        session.add(SecondFactor(user_id=user.uuid, sealed_secret=sealed, last_step=0, created_at=datetime.now(UTC)))


def test_a_disabled_account_stays_closed(app: Flask, cleo: User, client: FlaskClient, provider: Provider):
    connected(app, cleo, f"{provider.url} 4711")
    with app.app_context(), transaction() as session:
        session.execute(sa.update(User).values(is_active=False))
    answer = travel(client, provider)
    assert answer.status_code == 422
    assert "Nobody can sign in to this account; ask whoever runs the site." in answer.text
    assert column(app, UserSession.id) == []


def test_the_session_that_was_there_ends(app: Flask, cleo: User, client: FlaskClient, provider: Provider):
    connected(app, cleo, f"{provider.url} 4711")
    for _ in range(2):
        travel(client, provider)
    assert len(column(app, UserSession.id)) == 1


def test_sites_that_were_adopted_may_have_left_the_issuer_out_where_there_is_but_one():
    def names(issuer: str) -> list[str]:
        return Identity("x", "X", f"{issuer} 4711", None, is_confirmed=False, username="").names

    assert names("https://accounts.google.com") == ["https://accounts.google.com 4711", "4711"]
    assert names("https://github.com") == ["https://github.com 4711", "4711"]
    assert names("https://login.example.org") == ["https://login.example.org 4711"]


@pytest.mark.parametrize("wrong", ["4711", "https://elsewhere.example 4711", "{url} 4712", "{url}/ 4711"])
def test_nobody_is_taken_for_somebody_of_another_issuer_or_subject(
    app: Flask, cleo: User, client: FlaskClient, provider: Provider, wrong: str
):
    connected(app, cleo, wrong.format(url=provider.url))
    assert travel(client, provider).location == "/account/elsewhere/unknown"
    assert column(app, UserSession.id) == []


@pytest.mark.parametrize("path", ["//evil.example", "/\\evil.example", "https://evil.example", "/a\nb", ""])
def test_nobody_is_sent_to_another_site_afterwards(
    app: Flask, cleo: User, client: FlaskClient, provider: Provider, path: str
):
    connected(app, cleo, f"{provider.url} 4711")
    assert travel(client, provider, next=path).location == "/account/"


# --- once, and in the browser where it began ------------------------------------------------------------------------


def is_refused(answer: TestResponse) -> bool:
    return answer.status_code == 422 and "begun in another browser" in answer.text


@pytest.mark.parametrize("change", ["no state", "another's state", "no cookie", "another provider", "too late"])
def test_an_answer_counts_for_the_attempt_that_it_belongs_to(
    app: Flask, cleo: User, client: FlaskClient, provider: Provider, change: str
):
    connected(app, cleo, f"{provider.url} 4711")
    answer, key = provider.consent(leave(client)), "oidc"
    if change == "no state":
        del answer["state"]
    elif change == "another's state":
        answer["state"] = provider.consent(leave(app.test_client()))["state"]
    elif change == "no cookie":
        client.delete_cookie("sign-in")
    elif change == "another provider":
        key = "github"
    else:
        with app.app_context(), transaction() as session:
            session.execute(sa.update(SignInStep).values(ends_at=datetime.now(UTC) - timedelta(seconds=1)))
    assert is_refused(come_back(client, answer, key))
    assert column(app, UserSession.id) == []


def test_an_answer_counts_once_even_if_it_was_wrong(app: Flask, cleo: User, client: FlaskClient, provider: Provider):
    connected(app, cleo, f"{provider.url} 4711")
    answer = provider.consent(leave(client))
    assert come_back(client, {**answer, "code": "wrong"}).status_code == 422
    assert is_refused(come_back(client, answer))


def test_a_code_that_was_used_is_not_taken_again(app: Flask, cleo: User, client: FlaskClient, provider: Provider):
    connected(app, cleo, f"{provider.url} 4711")
    used = provider.consent(leave(client))
    assert come_back(client, used).status_code == 303
    stranger = app.test_client()
    replayed = {**provider.consent(leave(stranger)), "code": used["code"]}
    assert "did not take its own answer back" in come_back(stranger, replayed).text


def test_of_eight_at_once_with_one_answer_one_is_signed_in(app: Flask, cleo: User, client: FlaskClient, provider):
    connected(app, cleo, f"{provider.url} 4711")
    answer, secret = provider.consent(leave(client)), client.get_cookie("sign-in").value

    def try_it(_: int) -> int:
        browser = app.test_client()
        browser.set_cookie("sign-in", secret)
        return browser.post("/account/elsewhere/oidc/callback", data=answer).status_code

    with ThreadPoolExecutor(8) as threads:
        codes = list(threads.map(try_it, range(8)))
    assert sorted(codes) == [303] + [422] * 7
    assert len(column(app, UserSession.id)) == 1
    assert provider.asked.count("/token") == 1


def test_looking_at_the_address_uses_nothing_up(app: Flask, cleo: User, client: FlaskClient, provider: Provider):
    connected(app, cleo, f"{provider.url} 4711")
    answer = provider.consent(leave(client))
    client.get("/account/elsewhere/oidc/callback", query_string=answer)
    assert "/token" not in provider.asked
    assert come_back(client, answer).status_code == 303


def test_whoever_says_no_at_the_provider_is_told_so(app: Flask, client: FlaskClient):
    answer = client.get("/account/elsewhere/oidc/callback?error=access_denied&state=x")
    assert answer.status_code == 422
    assert "You were not signed in there." in answer.text
    assert "access_denied" not in answer.text


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


# --- which there are ------------------------------------------------------------------------------------------------


def test_only_what_is_set_up_is_offered(sqlite_app: Flask, open_app: Flask):
    page = sqlite_app.test_client().get("/account/sign-in").text
    assert "elsewhere" not in page
    assert sqlite_app.test_client().post("/account/elsewhere/oidc/begin").status_code == 404
    assert sqlite_app.test_client().get("/account/elsewhere/oidc/callback?code=x").status_code == 404
    page = open_app.test_client().get("/account/sign-in?next=/account/email").text
    assert "Sign in with the Lighthouse" in page
    assert "Sign in with GitHub" in page
    assert "Google" not in page


def test_going_there_too_often_from_one_place_is_slowed(sqlite_app: Flask, provider: Provider):
    sqlite_app.config.update(provider.settings)
    client = sqlite_app.test_client()
    codes = [client.post("/account/elsewhere/github/begin").status_code for _ in range(101)]
    assert codes == [200] * 100 + [429]
