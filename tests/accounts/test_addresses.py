"""E-mail addresses: confirmed by their owner, changed when both addresses agree."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa
from flask import Flask
from flask.testing import FlaskClient

from cms.accounts.addresses import confirm_address
from cms.accounts.models import EmailConfirmation, User
from cms.accounts.permissions import AUTHOR, USER
from cms.accounts.reset import SEND as SEND_RESET
from cms.activity.models import ActivityLog
from cms.extensions import db, transaction
from tests.accounts.mailbox import do_newest_job, list_mails, paths_to
from tests.people import Visit, add_person
from tests.site import PASSWORD

OLD, NEW = "cleo@example.org", "new@example.org"


@pytest.fixture
def cleo(app: Flask) -> User:
    return add_person(app, "cleo", AUTHOR, password=PASSWORD)


@pytest.fixture
def visit(app: Flask, cleo: User) -> Visit:
    return Visit(app, cleo)


def address_of(app: Flask) -> tuple[str, bool]:
    with app.app_context():
        return tuple(db.session.execute(sa.select(User.email, User.is_verified).filter_by(username="cleo")).one())


def ask(app: Flask, visit: Visit, email: str = NEW) -> tuple[list[str], list[str]]:
    """Ask for another address and return the links that went to the old and to the new one."""
    answer = visit.post("/account/email", email=email)
    assert (answer.status_code, answer.location) == (303, "/account/email?done=change")
    return paths_to(app, OLD), paths_to(app, email)


def test_an_address_is_confirmed_by_the_link_that_comes_to_it(app: Flask, visit: Visit, client: FlaskClient):
    assert "You have not confirmed it yet." in visit.get("/account/email").text
    assert visit.post("/account/email/confirm").status_code == 303
    [path] = paths_to(app, OLD)
    assert OLD in client.get(path).text
    assert address_of(app) == (OLD, False)
    assert "Your address is confirmed." in client.post(path).text
    assert address_of(app) == (OLD, True)
    assert [client.get(path).status_code, client.post(path).status_code] == [410, 410]
    assert "You have confirmed it." in visit.get("/account/email").text


@pytest.mark.parametrize("first", [0, 1])
def test_an_address_changes_when_both_have_confirmed_in_either_order(
    app: Flask, visit: Visit, client: FlaskClient, first: int
):
    [old], [new] = ask(app, visit)
    links = [old, new] if first == 0 else [new, old]
    assert "has to be confirmed too" in client.post(links[0]).text
    assert address_of(app) == (OLD, False)
    assert "The address is changed." in client.post(links[1]).text
    assert address_of(app) == (NEW, True)
    with app.app_context():
        entry = db.session.execute(sa.select(ActivityLog.actor_name, ActivityLog.action, ActivityLog.details)).one()
    assert tuple(entry) == ("cleo", "user.email_changed", {"from": OLD, "to": NEW})


def test_both_links_at_once_change_it_once(app: Flask, visit: Visit):
    [old], [new] = ask(app, visit)
    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(lambda path: app.test_client().post(path), [old, new] * 4))
    assert sorted(each.status_code for each in answers) == [200] * 2 + [410] * 6
    assert address_of(app) == (NEW, True)


def test_of_eight_at_once_with_one_link_one_wins(app: Flask, visit: Visit):
    visit.post("/account/email/confirm")
    [path] = paths_to(app, OLD)
    with ThreadPoolExecutor(8) as threads:
        codes = threads.map(lambda _: app.test_client().post(path).status_code, range(8))
        assert sorted(codes) == [200] + [410] * 7


def test_nobody_learns_from_it_whether_an_address_has_an_account(app: Flask, visit: Visit, client: FlaskClient):
    add_person(app, "new", USER)
    unknown = visit.post("/account/email", email="unknown@example.org")
    known = visit.post("/account/email", email=NEW)
    assert (known.status_code, known.location, known.data) == (unknown.status_code, unknown.location, unknown.data)
    assert paths_to(app, NEW) == []
    assert "It has an account already" in list_mails(app)[-1]["text"]
    assert "has to be confirmed too" in client.post(paths_to(app, OLD)[-1]).text
    assert address_of(app) == (OLD, False)


def test_an_address_that_got_an_account_in_the_meantime_stays_with_it(app: Flask, visit: Visit, client: FlaskClient):
    [old], [new] = ask(app, visit)
    client.post(old)
    add_person(app, "new", USER)
    assert "so nothing was changed" in client.post(new).text
    assert address_of(app) == (OLD, False)


def test_asking_again_ends_the_links_before(app: Flask, visit: Visit, client: FlaskClient):
    [first], _ = ask(app, visit)
    ask(app, visit, "other@example.org")
    assert client.get(first).status_code == 410


def test_a_new_password_ends_what_a_thief_asked_for(app: Flask, visit: Visit, client: FlaskClient):
    [old], [new] = ask(app, visit)
    typed = {"present": PASSWORD, "new": "another lamp on a mast", "again": "another lamp on a mast"}
    assert visit.post("/account/password", **typed).status_code == 303
    assert [client.post(path).status_code for path in (old, new)] == [410, 410]


def test_a_change_of_address_ends_the_mails_for_a_forgotten_password(app: Flask, visit: Visit, client: FlaskClient):
    [old], [new] = ask(app, visit)
    client.post("/account/reset", data={"login": "cleo"})
    do_newest_job(app, SEND_RESET)
    reset = paths_to(app, OLD)[-1]
    assert client.get(reset).status_code == 200
    client.post(old), client.post(new)
    assert client.get(reset).status_code == 410


def test_an_author_whose_address_does_not_exist_confirms_the_new_one_alone(
    app: Flask, visit: Visit, client: FlaskClient
):
    with app.app_context(), transaction() as session:
        session.execute(sa.update(User).values(email="cleo@import.invalid"))
    visit.post("/account/email", email=NEW)
    [path] = paths_to(app, NEW)
    assert "The address is changed." in client.post(path).text


def test_a_link_ends_after_a_day_and_with_the_account(app: Flask, visit: Visit, client: FlaskClient):
    visit.post("/account/email/confirm")
    [path] = paths_to(app, OLD)
    tomorrow = datetime.now(UTC) + timedelta(hours=24, minutes=1)
    with app.app_context():
        with transaction() as session:
            assert confirm_address(session, path.rpartition("/")[2], at=tomorrow) is None
        with transaction() as session:
            session.execute(sa.update(User).values(is_active=False))
    assert client.post(path).status_code == 410
    assert address_of(app) == (OLD, False)


@pytest.mark.parametrize("email", ["", "nothing", "a@b, c@d", "x" * 250 + "@b.org", "é@example.org"])
def test_what_is_no_address_is_refused_and_shown_again(app: Flask, visit: Visit, email: str):
    answer = visit.post("/account/email", email=email)
    assert answer.status_code == 422
    assert 'class="wrong"' in answer.text
    assert list_mails(app) == []


def test_a_change_wants_the_password_once_more_and_mails_are_limited(app: Flask, cleo: User):
    stale = Visit(app, cleo, at=datetime.now(UTC) - timedelta(minutes=16))
    assert "/account/confirm?" in stale.post("/account/email", email=NEW).location
    assert list_mails(app) == []
    visit = Visit(app, cleo)
    codes = [visit.post("/account/email/confirm").status_code for _ in range(6)]
    assert codes == [303] * 5 + [429]


def test_only_the_hash_of_a_link_is_kept_and_its_address_is_told_nobody(app: Flask, visit: Visit, client: FlaskClient):
    visit.post("/account/email/confirm")
    [path] = paths_to(app, OLD)
    with app.app_context():
        assert db.session.scalar(sa.select(EmailConfirmation.token_hash)) not in path
    headers = client.get(path).headers
    assert (headers["Cache-Control"], headers["Referrer-Policy"]) == ("no-store", "same-origin")
