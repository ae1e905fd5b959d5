"""The second factor: an app's codes, recovery codes, and what asks for them."""

from __future__ import annotations

import json
import re
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyotp
import pytest
import sqlalchemy as sa
from click.testing import CliRunner, Result
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from cms.accounts.codes import find_step, hash_recovery_code
from cms.accounts.current import needs
from cms.accounts.models import RecoveryCode, SecondFactor, SignInStep, User, UserSession
from cms.accounts.own_account import change_password
from cms.accounts.permissions import ADMIN, ALL, AUTHOR, PERMISSIONS, Permission
from cms.accounts.sealing import seal, unseal
from cms.accounts.second_factor import RECOVERY_CODES, purpose
from cms.accounts.steps import SECOND_FACTOR, begin_step, prune_steps, take_step
from cms.activity.models import ActivityLog
from cms.activity.services import Actor
from cms.extensions import db, transaction
from cms.jobs.models import Job
from cms.management.base import load_command
from tests.people import Program, Visit, add_person
from tests.site import PASSWORD, running, settings_for

APP = pyotp.TOTP("JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP")
RECOVERY = "abcd-efgh-ijkl-mn23"
CODE = re.compile(r"<code>([a-z2-7]{4}(?:-[a-z2-7]{4}){3})</code>")
HALF_MINUTE = timedelta(seconds=30)


def protect(app: Flask, user: User, *, last_step: int = 0) -> User:
    """Give somebody the app of these tests, and one recovery code."""
    with app.app_context(), transaction() as session:
        sealed = seal(APP.secret, about=purpose(user.uuid))
        now = datetime.now(UTC)
        session.add(SecondFactor(user_id=user.uuid, sealed_secret=sealed, last_step=last_step, created_at=now))
        session.add(RecoveryCode(code_hash=hash_recovery_code(user.uuid, RECOVERY), user_id=user.uuid))
    return user


@pytest.fixture
def cleo(app: Flask) -> User:
    return add_person(app, "cleo", "author", password=PASSWORD)


@pytest.fixture
def protected(app: Flask, cleo: User) -> User:
    return protect(app, cleo)


def give_password(client: FlaskClient, **fields: str) -> TestResponse:
    return client.post("/account/sign-in", data={"login": "cleo", "password": PASSWORD, **fields})


def give_code(client: FlaskClient, code: str) -> TestResponse:
    return client.post("/account/second-factor", data={"code": code})


def is_signed_in(client: FlaskClient) -> bool:
    return client.get("/account/").status_code == 200


def column(app: Flask, what: sa.orm.InstrumentedAttribute[object]) -> list[object]:
    with app.app_context():
        return list(db.session.scalars(sa.select(what)).all())


def mails(app: Flask) -> str:
    return "\n".join(each["text"] for each in column(app, Job.arguments))


# --- signing in -----------------------------------------------------------------------------------------------------


def test_the_password_alone_opens_nothing_and_the_code_after_it_leads_to_the_page_asked_for(
    app: Flask, protected: User, client: FlaskClient
):
    answer = give_password(client, next="/account/security")
    assert (answer.status_code, answer.location) == (303, "/account/second-factor")
    assert not is_signed_in(client)
    assert "The six digits that your app shows" in client.get(answer.location).text
    answer = give_code(client, APP.now())
    assert (answer.status_code, answer.location) == (303, "/account/security")
    assert is_signed_in(client)
    assert client.get_cookie("sign-in") is None
    assert column(app, SignInStep.kind) == []
    assert column(app, ActivityLog.details) == [{"by": "code"}]


def test_the_step_is_kept_from_scripts_and_its_secret_is_not_stored(app: Flask, protected: User, client: FlaskClient):
    cookie = give_password(client).headers["Set-Cookie"]
    assert {"HttpOnly", "SameSite=Lax", "Path=/", "Max-Age=600"} <= set(cookie.split("; "))
    assert client.get_cookie("sign-in").value not in column(app, SignInStep.secret_hash)


@pytest.mark.parametrize("typed", ["{code}", " {code} ", "{spaced}", "{code}\u00a0"])
def test_a_code_may_be_typed_with_spaces_and_counts_once_however_it_is_typed(
    app: Flask, protected: User, client: FlaskClient, typed: str
):
    code = APP.now()
    give_password(client)
    assert give_code(client, typed.format(code=code, spaced=f"{code[:3]} {code[3:]}")).status_code == 303
    give_password(client)
    assert give_code(client, code).status_code == 422
    assert give_code(client, f"{code[:3]} {code[3:]}").status_code == 422


@pytest.mark.parametrize(
    "code", ["000000", "12345", "1234567", "", "x" * 101, "１２３４５６", "abcd-efgh-ijkl-mn24", "é"]
)
def test_a_wrong_code_opens_nothing(app: Flask, protected: User, client: FlaskClient, code: str):
    assert code != APP.now()
    give_password(client)
    assert give_code(client, code).status_code == 422
    assert not is_signed_in(client)


def test_a_recovery_code_stands_in_once_and_the_owner_is_told(app: Flask, protected: User, client: FlaskClient):
    give_password(client)
    assert give_code(client, RECOVERY.upper().replace("-", " ")).status_code == 303
    assert is_signed_in(client)
    assert "A recovery code was used to sign in. 0 are left." in mails(app)
    give_password(client)
    assert give_code(client, RECOVERY).status_code == 422
    assert "user.recovery_code_used" in column(app, ActivityLog.action)


@pytest.mark.parametrize("kind", ["app", "recovery"])
def test_of_eight_at_once_with_one_code_one_wins(app: Flask, protected: User, kind: str):
    """Each with a step of its own, as eight browsers have them, so that the code alone decides."""
    code = APP.now() if kind == "app" else RECOVERY
    with app.app_context(), transaction() as session:
        steps = [
            begin_step(session, SECOND_FACTOR, user_id=protected.uuid, details={"next": "/"}, at=datetime.now(UTC))
            for _ in range(8)
        ]

    def attempt(step: str) -> int:
        client = app.test_client()
        client.set_cookie("sign-in", step)
        return give_code(client, code).status_code

    with ThreadPoolExecutor(8) as threads:
        codes = sorted(threads.map(attempt, steps))
    assert codes[0] == 303
    assert set(codes[1:]) <= {422, 429}
    assert len(column(app, UserSession.id)) == 1


def test_of_eight_at_once_with_one_step_one_gets_a_session(app: Flask, protected: User):
    with app.app_context(), transaction() as session:
        secret = begin_step(session, SECOND_FACTOR, user_id=protected.uuid, details={}, at=datetime.now(UTC))

    def attempt(_number: int) -> bool:
        with app.app_context(), transaction() as session:
            return take_step(session, SECOND_FACTOR, secret, at=datetime.now(UTC)) is not None

    with ThreadPoolExecutor(8) as threads:
        assert sum(threads.map(attempt, range(8))) == 1


def test_guessing_codes_is_slowed_and_the_right_one_must_wait_too(app: Flask, protected: User, client: FlaskClient):
    give_password(client)
    assert [give_code(client, "000000").status_code for _ in range(5)] == [422] * 5
    assert give_code(client, APP.now()).status_code == 429
    give_password(client)
    assert give_code(client, APP.now()).status_code == 429


def test_nobody_without_the_password_can_use_the_tries_up(app: Flask, protected: User, client: FlaskClient):
    for secret in ("", "x", "a" * 43):
        client.set_cookie("sign-in", secret)
        assert give_code(client, "000000").location == "/account/sign-in"
        assert client.get("/account/second-factor").location == "/account/sign-in"


def test_a_step_ends_after_ten_minutes_and_when_the_password_is_changed_or_the_account_disabled(
    app: Flask, protected: User, client: FlaskClient
):
    give_password(client)
    with app.app_context(), transaction() as session:
        session.execute(sa.update(User).values(is_active=False))
    assert give_code(client, APP.now()).status_code == 422
    with app.app_context(), transaction() as session:
        session.execute(sa.update(User).values(is_active=True))
    give_password(client)
    with app.app_context(), transaction() as session:
        by, at = Actor(protected.uuid, "cleo"), datetime.now(UTC)
        change_password(session, protected.uuid, "another lamp on a mast", but=None, by=by, at=at)
    assert give_code(client, APP.now()).location == "/account/sign-in"
    with app.app_context(), transaction() as session:
        at = datetime.now(UTC)
        secret = begin_step(session, SECOND_FACTOR, user_id=protected.uuid, details={}, at=at)
        later = at + timedelta(minutes=10)
        assert take_step(session, SECOND_FACTOR, secret, at=later) is None
        assert take_step(session, "another kind", secret, at=at) is None
        assert [prune_steps(session, at=later + HALF_MINUTE) for _ in range(2)] == [1, 0]


def test_a_secret_sealed_with_another_key_lets_nobody_in_and_the_paper_still_does(
    app: Flask, protected: User, client: FlaskClient
):
    app.config["SECRET_KEY"] = "another key, as after a change of the setting"
    give_password(client)
    assert give_code(client, APP.now()).status_code == 422
    assert give_code(client, RECOVERY).status_code == 303


# --- codes and seals ------------------------------------------------------------------------------------------------


def test_a_code_counts_for_half_a_minute_before_and_after():
    at = datetime(2026, 11, 28, 12, 0, 0, tzinfo=UTC)
    codes = [APP.at(at + timedelta(seconds=seconds)) for seconds in (-61, -30, 0, 30, 61)]
    assert [find_step(APP.secret, code, at=at) is not None for code in codes] == [False, True, True, True, False]


def test_what_is_sealed_is_read_for_the_same_purpose_alone_and_not_in_the_database(app: Flask, protected: User):
    assert APP.secret not in column(app, SecondFactor.sealed_secret)[0]
    with app.app_context():
        sealed = seal("text", about="one")
        assert (unseal(sealed, about="one"), unseal(sealed, about="two")) == ("text", None)
        assert unseal(sealed[:-2] + "AA", about="one") is None
        assert [unseal(broken, about="one") for broken in ("", "x", "é", "=" * 99)] == [None] * 4
        assert seal("text", about="one") != sealed


# --- setting it up --------------------------------------------------------------------------------------------------


def read_form(visit: Visit) -> tuple[pyotp.TOTP, str]:
    """Return the app that reads the page's picture, and what the form keeps."""
    page = visit.get("/account/second-factor/app").text
    assert "<svg" in page
    address = re.search(r'href="(otpauth://[^"]+)"', page)[1].replace("&amp;", "&")
    return pyotp.parse_uri(address), re.search(r'name="sealed" value="([^"]+)"', page)[1]


def test_an_app_is_set_up_with_its_first_code_which_does_not_count_again(app: Flask, cleo: User, client: FlaskClient):
    visit, elsewhere = Visit(app, cleo), Visit(app, cleo)
    theirs, sealed = read_form(visit)
    assert (theirs.name, theirs.issuer) == ("cleo", "A blog without fear")
    code = theirs.now()
    answer = visit.post("/account/second-factor/app", sealed=sealed, code=code)
    assert answer.status_code == 201
    paper = CODE.findall(answer.text)
    assert len(paper) == len(set(paper)) == RECOVERY_CODES
    assert visit.get("/account/").status_code == 200
    assert elsewhere.get("/account/").status_code == 303
    give_password(client)
    assert give_code(client, code).status_code == 422
    assert give_code(client, paper[0]).status_code == 303
    assert f"{RECOVERY_CODES - 1} recovery codes are left" in visit.get("/account/security").text
    assert "An app was set up" in mails(app)
    assert not set(paper) & set(column(app, RecoveryCode.code_hash))


@pytest.mark.parametrize(
    "typed", [{"code": "000000"}, {"code": ""}, {"sealed": ""}, {"sealed": "x"}, {"sealed": "ben"}]
)
def test_an_app_whose_code_is_wrong_or_that_was_begun_by_another_is_not_set_up(
    app: Flask, cleo: User, typed: dict[str, str]
):
    visit = Visit(app, cleo)
    theirs, sealed = read_form(visit)
    if typed == {"sealed": "ben"}:
        theirs, sealed = read_form(Visit(app, add_person(app, "ben", "author")))
        typed = {}
    answer = visit.post("/account/second-factor/app", **{"sealed": sealed, "code": theirs.now(), **typed})
    assert answer.status_code == 422
    assert column(app, SecondFactor.user_id) == []


def test_another_app_takes_the_place_of_the_first(app: Flask, protected: User, client: FlaskClient):
    visit = Visit(app, protected)
    theirs, sealed = read_form(visit)
    assert visit.post("/account/second-factor/app", sealed=sealed, code=theirs.now()).status_code == 201
    give_password(client)
    assert give_code(client, APP.now()).status_code == 422
    assert give_code(client, RECOVERY).status_code == 422
    assert give_code(client, theirs.at(datetime.now(UTC) + HALF_MINUTE)).status_code == 303


def test_new_recovery_codes_end_those_from_before(app: Flask, protected: User, client: FlaskClient):
    answer = Visit(app, protected).post("/account/second-factor/recovery-codes")
    assert len(CODE.findall(answer.text)) == RECOVERY_CODES
    give_password(client)
    assert give_code(client, RECOVERY).status_code == 422
    assert give_code(client, CODE.findall(answer.text)[-1]).status_code == 303


def test_an_app_is_turned_off_and_its_paper_with_it(app: Flask, protected: User, client: FlaskClient):
    visit = Visit(app, protected)
    assert visit.post("/account/second-factor/app/remove").location == "/account/security?done=app-removed"
    assert give_password(client).location == "/account/"
    assert column(app, RecoveryCode.user_id) == []
    assert visit.post("/account/second-factor/app/remove").status_code == 404
    assert visit.post("/account/second-factor/recovery-codes").status_code == 404
    assert "no longer asked for" in mails(app)


@pytest.mark.parametrize("path", ["app", "app/remove", "recovery-codes"])
def test_what_changes_the_second_factor_asks_for_the_password_once_more(app: Flask, protected: User, path: str):
    stale = Visit(app, protected, at=datetime.now(UTC) - timedelta(hours=1))
    answer = stale.post(f"/account/second-factor/{path}")
    assert answer.location.startswith("/account/confirm?")
    assert column(app, RecoveryCode.user_id) == [protected.uuid]


# --- whom it is asked of --------------------------------------------------------------------------------------------


def test_a_role_that_needs_it_sees_its_own_account_and_nothing_else_before_it_is_set_up(
    migrated_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    row = Permission("members.see", changes=False, grants={ADMIN: ALL, AUTHOR: ALL})
    monkeypatch.setitem(PERMISSIONS, row.name, row)
    with running(settings_for(migrated_url, tmp_path, SECOND_FACTOR_ROLES="admin,editor")) as app:
        app.add_url_rule("/members", "members", needs("members.see")(lambda: "in"))
        admin, author = add_person(app, "root", "admin"), add_person(app, "cleo", "author")
        visit, program = Visit(app, admin), Program(app, admin)
        assert visit.get("/members").location == "/account/security?done=needed"
        assert "Your role needs a second factor" in visit.get("/account/security").text
        assert visit.get("/account/second-factor/app").status_code == 200
        assert program.open("/members").status_code == 403
        assert Visit(app, author).get("/members").text == "in"
        protect(app, admin)
        assert (visit.get("/members").text, program.open("/members").text) == ("in", "in")


# --- the command ----------------------------------------------------------------------------------------------------


def test_an_operator_lets_somebody_who_lost_everything_sign_in_again(app: Flask, protected: User, client: FlaskClient):
    def reset(*arguments: str) -> Result:
        with app.app_context():
            return CliRunner().invoke(load_command("reset-second-factor"), list(arguments))

    assert reset("cleo").exit_code == 4
    done = reset("CLEO@example.org", "--yes", "--json")
    assert json.loads(done.stdout) == {"username": "cleo", "was_set_up": True}
    assert give_password(client).location == "/account/"
    assert "nothing was changed" in reset("cleo", "--yes").stdout
    assert reset("nobody", "--yes").exit_code == 1
    assert "user.second_factor_reset" in column(app, ActivityLog.action)
    assert "An operator of the site removed your second factor." in mails(app)
