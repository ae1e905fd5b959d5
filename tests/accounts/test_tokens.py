"""API tokens: made, shown once, used, removed."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
import sqlalchemy as sa
from flask import Flask
from werkzeug.test import TestResponse

from cms.accounts.errors import AccountInvalid
from cms.accounts.models import ApiToken, User
from cms.accounts.sessions import Person
from cms.accounts.tokens import MOST, NEVER, WRONG_TOKENS, create_token, prune_tokens
from cms.activity.models import ActivityLog
from cms.extensions import db, transaction
from cms.jobs.models import Job
from tests.people import Program, Visit, add_person
from tests.site import PASSWORD, counted

MADE = re.compile(r'value="(cms_[0-9a-f]{8}_[A-Za-z0-9_-]{43})"')
READING = "account.see"


@pytest.fixture
def cleo(app: Flask) -> User:
    return add_person(app, "cleo", "author", password=PASSWORD)


@pytest.fixture
def visit(app: Flask, cleo: User) -> Visit:
    return Visit(app, cleo)


def make(visit: Visit, **typed: object) -> TestResponse:
    return visit.post("/account/tokens/new", **{"name": "Reader", "scopes": [READING], "days": 30, **typed})


def show(app: Flask, token: str, path: str = "/account/", **headers: str) -> TestResponse:
    return app.test_client().get(path, headers={"Authorization": f"Bearer {token}", **headers})


def person_of(user: User) -> Person:
    roles, times = frozenset({user.role}), {"used_at": NEVER, "proven_at": NEVER}
    return Person(user.uuid, user.username, "", user.email, user.role, roles, uuid4(), **times, is_protected=False)


def column(app: Flask, what: sa.ColumnElement[object] | sa.orm.InstrumentedAttribute[object]) -> list[object]:
    with app.app_context():
        return list(db.session.scalars(sa.select(what)).all())


def test_a_token_is_shown_once_works_and_is_stored_as_a_hash(app: Flask, visit: Visit):
    answer = make(visit)
    assert (answer.status_code, answer.headers["Cache-Control"]) == (201, "no-store")
    token = MADE.search(answer.text)[1]
    assert "sign in as <strong>cleo" in show(app, token).text
    assert token not in visit.get("/account/security").text
    assert token[:12] in visit.get("/account/security").text
    with app.app_context():
        assert token not in str(db.session.execute(sa.select(ApiToken.__table__)).one())


def test_the_owner_is_told_and_the_log_knows(app: Flask, visit: Visit):
    make(visit)
    [mail] = [each for each in column(app, Job.arguments) if each["to"] == "cleo@example.org"]
    assert "The API token “Reader” was made for your account." in mail["text"]
    assert column(app, ActivityLog.action) == ["user.token_created"]
    assert column(app, ActivityLog.details) == [{"scopes": [READING], "days": 30}]


@pytest.mark.parametrize(
    ("typed", "says"),
    [
        ({"name": ""}, "This is needed."),
        ({"name": " "}, "It has no name; give one"),
        ({"name": "a\x01b"}, "holds a control character"),
        ({"scopes": []}, "Choose what it may do."),
        ({"scopes": ["account.secure"]}, "not"),
        ({"scopes": ["nothing.such"]}, "not"),
        ({"days": 10_000}, "Not a valid choice"),
        ({"days": "x"}, "Not a valid choice"),
    ],
)
def test_a_token_that_cannot_be_made_is_not(app: Flask, visit: Visit, typed: dict[str, object], says: str):
    answer = make(visit, **typed)
    assert answer.status_code == 422
    assert says in answer.text
    assert column(app, ApiToken.id) == []


@pytest.mark.parametrize("scopes", [["account.change"], ["account.secure"], ["site.see"], [READING, "x.y"], []])
def test_no_scope_is_given_that_needs_the_person_or_is_no_right_of_theirs(app: Flask, cleo: User, scopes: list[str]):
    with app.app_context(), pytest.raises(AccountInvalid), transaction() as session:
        create_token(session, person_of(cleo), "x", scopes=scopes, days=7, at=datetime.now(UTC))


def test_an_account_has_no_more_than_20_tokens(app: Flask, visit: Visit, cleo: User):
    for _ in range(MOST):
        Program(app, cleo)
    answer = make(visit)
    assert answer.status_code == 422
    assert "An account has at most 20; remove one first." in answer.text


def test_a_token_is_made_only_by_somebody_who_just_proved_who_they_are(app: Flask, cleo: User):
    visit = Visit(app, cleo, at=datetime.now(UTC) - timedelta(hours=1))
    for answer in (visit.get("/account/tokens/new"), make(visit)):
        assert (answer.status_code, answer.location.partition("?")[0]) == (303, "/account/confirm")
    assert column(app, ApiToken.id) == []


@pytest.mark.parametrize("shown", ["", "x", "cms_00000000_" + "a" * 43, "é", "cms_" + "0" * 999], ids=str.__len__)
def test_a_token_that_is_none_is_refused_and_does_not_fall_back_on_the_cookie(app: Flask, visit: Visit, shown: str):
    answer = visit.get("/account/", headers={"Authorization": f"Bearer {shown}".encode().decode("latin-1")})
    assert answer.status_code == 401
    assert answer.www_authenticate.type == "bearer"
    assert answer.www_authenticate.parameters == {"error": "invalid_token"}
    assert answer.headers["Cache-Control"] == "no-store"


def test_another_kind_of_authorization_is_not_ours_to_judge(visit: Visit):
    assert visit.get("/account/", auth=("guest", "of the proxy")).status_code == 200


def test_a_program_needs_no_form_of_ours_and_its_cookies_do_not_count(app: Flask, cleo: User):
    admin = Visit(app, add_person(app, "root", "admin"))
    program = Program(app, cleo, scopes=[READING])
    program.client = admin.client
    assert "sign in as <strong>cleo" in program.open("/account/").text
    assert program.open("/account/").headers["Vary"] == "Cookie, Authorization"
    assert 'name="csrf"' not in program.open("/account/").text
    assert program.open("/account/sign-out", "POST", data={"csrf": admin.token}).status_code == 403


def test_a_token_that_is_over_or_removed_or_whose_owner_is_disabled_does_not_work(app: Flask, cleo: User, visit: Visit):
    over, removed, kept = Program(app, cleo, days=-1), Program(app, cleo), Program(app, cleo)
    with app.app_context():
        removed_id = db.session.scalar(sa.select(ApiToken.id).where(ApiToken.prefix == removed.shown[:12]))
    assert visit.post(f"/account/tokens/{removed_id}/remove").location == "/account/security?done=token"
    assert [each.open("/account/").status_code for each in (over, removed, kept)] == [401, 401, 200]
    with app.app_context(), transaction() as session:
        session.execute(sa.update(User).values(is_active=False))
    assert kept.open("/account/").status_code == 401


def test_somebody_elses_token_cannot_be_removed(app: Flask, visit: Visit):
    program = Program(app, add_person(app, "ben", "admin"))
    [theirs] = column(app, ApiToken.id)
    assert visit.post(f"/account/tokens/{theirs}/remove").status_code == 404
    assert program.open("/account/").status_code == 200


def test_a_token_loses_what_its_owner_may_no_longer_do(app: Flask, cleo: User):
    program = Program(app, cleo)
    assert program.open("/account/").status_code == 200
    with app.app_context(), transaction() as session:
        session.execute(sa.text("INSERT INTO roles (name, permissions) VALUES ('nobody', '[]')"))
        session.execute(sa.update(User).values(role="nobody"))
    assert program.open("/account/").status_code == 403


def test_its_last_use_is_written_once_a_minute(app: Flask, cleo: User):
    program = Program(app, cleo)
    program.open("/account/")
    [first] = column(app, ApiToken.used_at)
    assert datetime.now(UTC) - first < timedelta(minutes=1)
    with counted(app) as statements:
        program.open("/account/confirm")
        assert program.open("/account/").status_code == 200
    assert not [each for each in statements.sent if each.startswith("UPDATE")]
    with app.app_context(), transaction() as session:
        session.execute(sa.update(ApiToken).values(used_at=first - timedelta(minutes=2)))
    program.open("/account/")
    assert column(app, ApiToken.used_at)[0] >= first


def test_guessing_is_slowed_and_whoever_has_a_token_goes_on(app: Flask, cleo: User):
    codes = {show(app, "x").status_code for _ in range(WRONG_TOKENS.times)}
    assert codes == {401}
    assert show(app, "x").status_code == 429
    assert Program(app, cleo).open("/account/").status_code == 200


def test_tokens_that_are_over_are_removed(app: Flask, cleo: User):
    Program(app, cleo, days=-1)
    kept = Program(app, cleo)
    with app.app_context(), transaction() as session:
        assert [prune_tokens(session, at=datetime.now(UTC)) for _ in range(2)] == [1, 0]
    assert kept.open("/account/").status_code == 200
