"""Signing in and out, by the pages."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa
from argon2 import PasswordHasher
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from cms.accounts.models import User, UserSession
from cms.accounts.sessions import Client, end_sessions, find_person, open_session, prune_sessions
from cms.activity.models import ActivityLog
from cms.extensions import db, transaction
from tests.people import HERE, Visit, add_person
from tests.site import PASSWORD, running, settings_for

HALF_AN_HOUR = timedelta(minutes=30)


@pytest.fixture
def cleo(app: Flask) -> User:
    return add_person(app, "Cleo", "author", password=PASSWORD)


def sign_in(client: FlaskClient, login: str, password: str = PASSWORD, **fields: str) -> TestResponse:
    return client.post("/account/sign-in", data={"login": login, "password": password, **fields})


def count_sessions(app: Flask) -> int:
    with app.app_context():
        return db.session.scalar(sa.select(sa.func.count()).select_from(UserSession))


@pytest.mark.parametrize("login", ["Cleo", "cleo", "Cleo@example.org", " CLEO@EXAMPLE.ORG "])
def test_a_person_signs_in_by_name_or_address_and_comes_to_the_page_asked_for(
    cleo: User, client: FlaskClient, login: str
):
    asked = client.get("/account/")
    assert (asked.status_code, asked.location) == (303, "/account/sign-in?next=/account/")
    answer = sign_in(client, login, next="/account/")
    assert (answer.status_code, answer.location) == (303, "/account/")
    assert "sign in as <strong>Cleo" in client.get("/account/").text


def test_the_cookie_is_kept_from_scripts_and_other_sites_and_its_secret_is_not_stored(
    app: Flask, cleo: User, client: FlaskClient
):
    cookie = sign_in(client, "cleo").headers["Set-Cookie"]
    assert {"HttpOnly", "SameSite=Lax", "Path=/"} <= set(cookie.split("; "))
    secret = client.get_cookie("session").value
    with app.app_context():
        assert secret not in str(db.session.execute(sa.select(UserSession.__table__)).one())


def test_over_https_the_cookie_belongs_to_this_host_alone(migrated_sqlite_url: str, tmp_path):
    with running(settings_for(migrated_sqlite_url, tmp_path, SITE_URL="https://example.org")) as app:
        add_person(app, "cleo", "author", password=PASSWORD)
        cookie = sign_in(app.test_client(), "cleo").headers["Set-Cookie"]
    assert cookie.startswith("__Host-session=")
    assert "Secure" in cookie


@pytest.mark.parametrize(("login", "password"), [("cleo", "another lamp"), ("nobody", PASSWORD), ("ada", PASSWORD)])
def test_a_refusal_is_the_same_whether_there_is_such_an_account_or_not(
    site, cleo: User, client: FlaskClient, login: str, password: str
):
    answer = sign_in(client, login, password)
    assert answer.status_code == 422
    assert "This name and this password do not belong together." in answer.text
    assert password not in answer.text
    assert client.get_cookie("session") is None


def test_a_disabled_account_cannot_sign_in_and_is_signed_out_at_once(app: Flask, cleo: User, client: FlaskClient):
    visit = Visit(app, cleo)
    with app.app_context(), transaction() as session:
        session.execute(sa.update(User).values(is_active=False))
    assert visit.get("/account/").status_code == 303
    assert sign_in(client, "cleo").status_code == 422


def test_a_hash_of_less_strength_is_replaced_at_sign_in(app: Flask, cleo: User, client: FlaskClient):
    weak = PasswordHasher(time_cost=1, memory_cost=1024, parallelism=1).hash(PASSWORD)
    with app.app_context(), transaction() as session:
        session.execute(sa.update(User).values(password_hash=weak))
    assert sign_in(client, "cleo").status_code == 303
    with app.app_context():
        assert db.session.scalar(sa.select(User.password_hash)).startswith("$argon2id$v=19$m=19456,t=2,p=1$")


@pytest.mark.parametrize("stored", ["$2b$12$abcdefghijklmnopqrstuv", "plain", None])
def test_a_hash_that_is_none_of_ours_lets_nobody_in(app: Flask, cleo: User, client: FlaskClient, stored: str | None):
    with app.app_context(), transaction() as session:
        session.execute(sa.update(User).values(password_hash=stored))
    assert sign_in(client, "cleo", stored or PASSWORD).status_code == 422


def test_signing_in_again_ends_the_session_that_was_there(app: Flask, cleo: User, client: FlaskClient):
    sign_in(client, "cleo")
    before = client.get_cookie("session").value
    sign_in(client, "cleo")
    assert client.get_cookie("session").value != before
    assert count_sessions(app) == 1


def test_signing_out_ends_the_session_for_whoever_has_the_cookie(app: Flask, cleo: User):
    visit = Visit(app, cleo)
    secret = visit.client.get_cookie("session").value
    assert visit.post("/account/sign-out").status_code == 303
    assert visit.client.get_cookie("session") is None
    visit.client.set_cookie("session", secret)
    assert visit.get("/account/").status_code == 303
    assert count_sessions(app) == 0


def test_a_sign_in_is_written_into_the_activity_log(app: Flask, cleo: User, client: FlaskClient):
    sign_in(client, "cleo")
    with app.app_context():
        entry = db.session.execute(sa.select(ActivityLog.action, ActivityLog.actor_name)).one()
    assert tuple(entry) == ("user.signed_in", "Cleo")


def test_a_broken_cookie_is_nobody(app: Flask, client: FlaskClient):
    for secret in ("", "x", "a" * 43, "é" * 43, "a" * 3000, "%00", '"quoted"'):
        client.set_cookie("session", secret)
        assert client.get("/account/").status_code == 303


def test_nobody_is_sent_to_another_site_after_signing_in(cleo: User, client: FlaskClient):
    assert sign_in(client, "cleo", next="//evil.example").location == "/account/"


# --- how long a session lasts -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("role", "opened", "used", "found"),
    [
        ("author", 29, 13, "cleo"),
        ("author", 31, 0, None),
        ("author", 20, 15, None),
        ("admin", 1, 0.02, "cleo"),
        ("admin", 1, 0.03, None),
    ],
)
def test_a_session_ends_when_it_is_old_or_was_not_used(
    app: Flask, role: str, opened: float, used: float, found: str | None
):
    now = datetime.now(UTC)
    user = add_person(app, "cleo", role)
    with app.app_context():
        with transaction() as session:
            secret = open_session(session, user, client=HERE, at=now - timedelta(days=opened))
            session.execute(sa.update(UserSession).values(used_at=now - timedelta(days=used)))
        person = find_person(db.session, secret, admin_idle=HALF_AN_HOUR, at=now)
    assert (person and person.username) == found


def test_a_session_in_use_is_noted_with_its_address_but_not_at_each_request(app: Flask, cleo: User):
    visit = Visit(app, cleo, at=datetime.now(UTC) - timedelta(hours=1))

    def last_used() -> datetime:
        with app.app_context():
            return db.session.scalar(sa.select(UserSession.used_at))

    visit.get("/account/")
    first = last_used()
    assert datetime.now(UTC) - first < timedelta(minutes=1)
    visit.get("/account/")
    assert last_used() == first


def test_old_sessions_are_removed_and_others_stay(app: Flask, cleo: User):
    now = datetime.now(UTC)
    with app.app_context(), transaction() as session:
        for days in (1, 15, 40):
            open_session(session, cleo, client=HERE, at=now - timedelta(days=days))
        assert prune_sessions(session, at=now) == 2
        assert prune_sessions(session, at=now) == 0


def test_all_sessions_but_one_can_be_ended(app: Flask, cleo: User):
    with app.app_context(), transaction() as session:
        secrets = [open_session(session, cleo, client=Client("x" * 999, None), at=datetime.now(UTC)) for _ in range(3)]
        at = datetime.now(UTC)
        kept = find_person(session, secrets[0], admin_idle=HALF_AN_HOUR, at=at)
        assert end_sessions(session, cleo.uuid, but=kept.session_id) == 2
        found = [find_person(session, secret, admin_idle=HALF_AN_HOUR, at=at) for secret in secrets]
    assert [each is not None for each in found] == [True, False, False]


# --- limits -------------------------------------------------------------------------------------------------------


def test_guessing_at_one_account_is_slowed_and_says_when_to_go_on(cleo: User, client: FlaskClient):
    codes = [sign_in(client, "cleo", "wrong").status_code for _ in range(10)]
    assert set(codes) == {422}
    answer = sign_in(client, "cleo")
    assert answer.status_code == 429
    assert 0 < int(answer.headers["Retry-After"]) <= 300


def test_a_stranger_elsewhere_does_not_lock_the_owner_out(cleo: User, client: FlaskClient):
    for _ in range(12):
        client.post(
            "/account/sign-in", data={"login": "cleo", "password": "x"}, environ_base={"REMOTE_ADDR": "192.0.2.9"}
        )
    assert sign_in(client, "cleo").status_code == 303


def test_success_lets_the_count_begin_again(cleo: User, client: FlaskClient):
    for _ in range(2):
        for _ in range(8):
            sign_in(client, "cleo", "wrong")
        assert sign_in(client, "cleo").status_code == 303


# --- asking again -------------------------------------------------------------------------------------------------


def test_the_password_is_asked_for_again_and_once_given_is_proof(app: Flask, cleo: User):
    visit = Visit(app, cleo, at=datetime.now(UTC) - timedelta(hours=1))
    assert visit.post("/account/confirm", password="wrong").status_code == 422
    answer = visit.post("/account/confirm", password=PASSWORD, next="/account/")
    assert (answer.status_code, answer.location) == (303, "/account/")
    with app.app_context():
        assert datetime.now(UTC) - db.session.scalar(sa.select(UserSession.proven_at)) < timedelta(minutes=1)
