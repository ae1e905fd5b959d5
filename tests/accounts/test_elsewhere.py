"""Signing in elsewhere, by the pages, with a provider that really signs."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
import sqlalchemy as sa
from flask import Flask
from flask.testing import FlaskClient

from cms.accounts.identities import Identity
from cms.accounts.models import SignInStep, User, UserSession
from cms.activity.models import ActivityLog
from cms.extensions import db, transaction
from tests.accounts.provider import Provider
from tests.accounts.travels import APP, column, come_back, connected, is_refused, leave, protect, travel
from tests.people import add_person
from tests.site import PASSWORD, running, settings_for


@pytest.fixture
def app(migrated_url: str, tmp_path: Path, provider: Provider) -> Iterator[Flask]:
    with running(settings_for(migrated_url, tmp_path, **provider.settings)) as made:
        yield made


@pytest.fixture
def cleo(app: Flask) -> User:
    return add_person(app, "cleo", "author", password=PASSWORD)


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
