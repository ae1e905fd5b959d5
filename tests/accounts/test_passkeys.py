"""Passkeys: added, named, removed; as second factor, and instead of the password."""

from __future__ import annotations

import html
import json
import re
from concurrent.futures import ThreadPoolExecutor
from copy import deepcopy
from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from cms.accounts.models import Passkey, RecoveryCode, User
from cms.accounts.passkeys import MOST
from cms.activity.models import ActivityLog
from cms.extensions import db, transaction
from cms.jobs.models import Job
from tests.accounts.authenticator import Authenticator
from tests.people import Visit, add_person
from tests.site import PASSWORD

OPTIONS = re.compile(r'data-options="([^"]+)"')
SEALED = re.compile(r'name="sealed" value="([^"]+)"')


@pytest.fixture
def cleo(app: Flask) -> User:
    return add_person(app, "cleo", "author", password=PASSWORD)


@pytest.fixture
def key(app: Flask, cleo: User) -> Authenticator:
    """Return a passkey of Cleo's."""
    made = Authenticator()
    assert add(Visit(app, cleo), made).status_code == 201
    return made


def options_of(page: str) -> str:
    return html.unescape(OPTIONS.search(page)[1])


def add(visit: Visit, key: Authenticator, **typed: str) -> TestResponse:
    page = visit.get("/account/passkeys/new").text
    answer = key.create(options_of(page))
    return visit.post(
        "/account/passkeys/new", **{"name": "Phone", "answer": answer, "sealed": SEALED.search(page)[1], **typed}
    )


def begin(client: FlaskClient) -> str:
    return client.post("/account/passkeys/begin").text


def show(client: FlaskClient, answer: str, **fields: str) -> TestResponse:
    return client.post("/account/passkeys/sign-in", data={"answer": answer, **fields})


def sign_in(client: FlaskClient, key: Authenticator, **fields: str) -> TestResponse:
    return show(client, key.get(begin(client)), **fields)


def give_password(client: FlaskClient) -> str:
    """Give the password, and return what the page after it asks a passkey to sign."""
    client.post("/account/sign-in", data={"login": "cleo", "password": PASSWORD, "next": "/account/security"})
    return options_of(client.get("/account/second-factor").text)


def finish(client: FlaskClient, answer: str) -> TestResponse:
    return client.post("/account/passkeys/second-factor", data={"answer": answer})


def column(app: Flask, what: sa.orm.InstrumentedAttribute[object]) -> list[object]:
    with app.app_context():
        return list(db.session.scalars(sa.select(what)).all())


# --- adding and removing --------------------------------------------------------------------------------------------


def test_a_passkey_is_added_with_recovery_codes_and_the_owner_is_told(app: Flask, cleo: User):
    visit, elsewhere = Visit(app, cleo), Visit(app, cleo)
    answer = add(visit, Authenticator())
    assert answer.status_code == 201
    assert "Recovery codes" in answer.text
    assert "Phone</strong> – a passkey" in visit.get("/account/security").text
    assert elsewhere.get("/account/").status_code == 303
    assert "The passkey “Phone” was added." in column(app, Job.arguments)[0]["text"]
    assert add(visit, Authenticator()).location == "/account/security?done=passkey"


@pytest.mark.parametrize(
    "wrong",
    [
        {"answer": ""}, {"answer": "{}"}, {"answer": "x" * 30_000}, {"answer": "null"}, {"answer": "[]"},
        {"sealed": ""}, {"sealed": "x"}, {"name": ""}, {"name": "a\x01b"}, {"answer": '{"id": "é"}'},
        {"answer": "[" * 9000},
    ],
)  # fmt: skip
def test_a_passkey_that_is_not_right_is_not_added(app: Flask, cleo: User, wrong: dict[str, str]):
    assert add(Visit(app, cleo), Authenticator(), **wrong).status_code == 422
    assert column(app, Passkey.id) == []


@pytest.mark.parametrize("key", [Authenticator(origin="https://evil.example"), Authenticator(host="evil.example")])
def test_a_passkey_of_another_site_is_not_added(app: Flask, cleo: User, key: Authenticator):
    assert add(Visit(app, cleo), key).status_code == 422


def test_an_answer_to_somebody_elses_page_is_not_taken(app: Flask, cleo: User):
    page = Visit(app, add_person(app, "ben", "author")).get("/account/passkeys/new").text
    typed = {"answer": Authenticator().create(options_of(page)), "sealed": SEALED.search(page)[1]}
    assert add(Visit(app, cleo), Authenticator(), **typed).status_code == 422


def test_a_passkey_belongs_to_one_account_and_an_account_has_at_most_20(app: Flask, cleo: User, key: Authenticator):
    ben = Visit(app, add_person(app, "ben", "author"))
    assert "It belongs to an account already." in add(ben, key).text
    visit = Visit(app, cleo)
    codes = [add(visit, Authenticator()).status_code for _ in range(MOST)]
    assert codes == [303] * (MOST - 1) + [422]


def test_the_last_passkey_takes_its_paper_along_and_somebody_elses_stays(app: Flask, cleo: User, key: Authenticator):
    [own] = column(app, Passkey.id)
    assert Visit(app, add_person(app, "ben", "admin")).post(f"/account/passkeys/{own}/remove").status_code == 404
    visit = Visit(app, cleo)
    assert visit.post(f"/account/passkeys/{own}/remove").location == "/account/security?done=passkey-removed"
    assert column(app, RecoveryCode.user_id) == []
    assert visit.post(f"/account/passkeys/{own}/remove").status_code == 404
    assert {"user.passkey_added", "user.passkey_removed"} <= set(column(app, ActivityLog.action))


def test_adding_and_removing_ask_for_the_password_once_more(app: Flask, cleo: User, key: Authenticator):
    stale = Visit(app, cleo, at=datetime.now(UTC) - timedelta(hours=1))
    for answer in (
        stale.get("/account/passkeys/new"),
        stale.post("/account/passkeys/new"),
        stale.post(f"/account/passkeys/{column(app, Passkey.id)[0]}/remove"),
    ):
        assert answer.location.startswith("/account/confirm?")


# --- instead of the password ----------------------------------------------------------------------------------------


def test_a_passkey_signs_in_without_name_and_password(app: Flask, key: Authenticator, client: FlaskClient):
    options = json.loads(begin(client))
    assert (options["userVerification"], options.get("allowCredentials", [])) == ("required", [])
    answer = sign_in(client, key, next="/account/security")
    assert (answer.status_code, answer.location) == (303, "/account/security")
    assert client.get("/account/").status_code == 200
    assert client.get_cookie("sign-in") is None
    assert {"by": "passkey"} in column(app, ActivityLog.details)
    assert "last used on" in client.get("/account/security").text


def test_a_passkey_that_does_not_count_signs_in_again_and_again(app: Flask, cleo: User, client: FlaskClient):
    synced = Authenticator(count=None)
    add(Visit(app, cleo), synced)
    assert [sign_in(client, synced).status_code for _ in range(3)] == [303] * 3


def test_an_answer_counts_once_and_only_for_what_was_asked(key: Authenticator, client: FlaskClient):
    answer = key.get(begin(client))
    begin(client)
    assert show(client, answer).status_code == 422
    answer = key.get(begin(client))
    cookie = client.get_cookie("sign-in").value
    assert show(client, answer).status_code == 303
    client.set_cookie("sign-in", cookie)
    assert show(client, answer).status_code == 422


def test_a_copy_of_a_passkey_is_noticed_by_its_count(key: Authenticator, client: FlaskClient):
    copy = deepcopy_of(key)
    assert sign_in(client, key).status_code == 303
    assert sign_in(client, copy).status_code == 422


def deepcopy_of(key: Authenticator) -> Authenticator:
    return Authenticator(count=deepcopy(key.count), key_id=key.key_id, key=key.key)


def test_whoever_is_not_there_in_person_or_on_another_site_is_not_signed_in(
    app: Flask, key: Authenticator, client: FlaskClient
):
    for wrong in ({"verifies": False}, {"origin": "https://evil.example"}, {"host": "evil.example"}):
        other = Authenticator(**{"count": 100, "key_id": key.key_id, "key": key.key, **wrong})
        assert sign_in(client, other).status_code == 422
    assert sign_in(client, Authenticator(key_id=key.key_id)).status_code == 422
    assert sign_in(client, Authenticator()).status_code == 422
    for answer in ("", "{}", "null", "[1]", "é", "x" * 30_000):
        begin(client)
        assert show(client, answer).status_code == 422
    assert client.get_cookie("session") is None


def test_a_disabled_account_is_not_signed_in_by_its_passkey(app: Flask, key: Authenticator, client: FlaskClient):
    with app.app_context(), transaction() as session:
        session.execute(sa.update(User).values(is_active=False))
    assert sign_in(client, key).status_code == 422


def test_of_eight_at_once_with_one_answer_one_wins(app: Flask, key: Authenticator, client: FlaskClient):
    answer = key.get(begin(client))
    cookie = client.get_cookie("sign-in").value

    def attempt(_number: int) -> int:
        browser = app.test_client()
        browser.set_cookie("sign-in", cookie)
        return show(browser, answer).status_code

    with ThreadPoolExecutor(8) as threads:
        assert sorted(threads.map(attempt, range(8))) == [303] + [422] * 7


# --- as second factor -----------------------------------------------------------------------------------------------


def test_after_the_password_a_passkey_is_asked_for_and_leads_to_the_page(
    app: Flask, key: Authenticator, client: FlaskClient
):
    options = give_password(client)
    assert [each["id"] for each in json.loads(options)["allowCredentials"]] == column(app, Passkey.credential_id)
    assert client.get("/account/").status_code == 303
    answer = finish(client, key.get(options))
    assert (answer.status_code, answer.location) == (303, "/account/security")
    assert client.get("/account/").status_code == 200


def test_as_second_factor_a_touch_is_enough(app: Flask, cleo: User, client: FlaskClient):
    touch = Authenticator(verifies=False)
    assert add(Visit(app, cleo), touch).status_code == 201
    assert finish(client, touch.get(give_password(client))).status_code == 303


def test_somebody_elses_passkey_is_no_second_factor(app: Flask, key: Authenticator, client: FlaskClient):
    theirs = Authenticator()
    add(Visit(app, add_person(app, "ben", "admin")), theirs)
    assert finish(client, theirs.get(give_password(client))).status_code == 422
    assert finish(client, key.get(give_password(client))).status_code == 303


def test_an_answer_to_another_step_is_no_second_factor_and_tries_are_counted(key: Authenticator, client: FlaskClient):
    old = key.get(give_password(client))
    codes = []
    for _ in range(6):
        give_password(client)
        codes.append(finish(client, old).status_code)
    assert codes == [422] * 5 + [429]
    assert finish(FlaskClient(client.application), old).location == "/account/sign-in"
