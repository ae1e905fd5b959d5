"""The pages of one's own account."""

from __future__ import annotations

from datetime import UTC

import pytest
import sqlalchemy as sa
from flask import Flask
from flask.testing import FlaskClient

from cms.accounts.browsers import name_of_browser
from cms.accounts.models import User, UserSession
from cms.accounts.time_zones import zone_called
from cms.activity.models import ActivityLog, Notification
from cms.extensions import db, transaction
from tests.people import HERE, Visit, add_person
from tests.site import NOON, PASSWORD

NEW = "another lamp on a mast"


@pytest.fixture
def cleo(app: Flask) -> User:
    return add_person(app, "cleo", "author", password=PASSWORD)


@pytest.fixture
def visit(app: Flask, cleo: User) -> Visit:
    return Visit(app, cleo)


def profile_of(app: Flask) -> tuple[str | None, ...]:
    with app.app_context():
        return tuple(db.session.execute(sa.select(User.first_name, User.last_name, User.bio, User.website)).one())


def count_sessions(app: Flask) -> int:
    with app.app_context():
        return db.session.scalar(sa.select(sa.func.count()).select_from(UserSession))


def change(visit: Visit, present: str = PASSWORD, new: str = NEW, again: str | None = None):
    return visit.post("/account/password", present=present, new=new, again=again or new)


def test_a_profile_is_stored_and_shown_again(app: Flask, visit: Visit):
    typed = {"first_name": "Cleo", "last_name": "Ng", "bio": "Writes <b>\nlamps", "website": "https://cleo.example/"}
    assert visit.post("/account/", **typed).location == "/account/?done=profile"
    assert profile_of(app) == ("Cleo", "Ng", "Writes <b> lamps", "https://cleo.example/")
    page = visit.get("/account/?done=profile").text
    assert "Writes &lt;b&gt; lamps" in page
    assert "Your profile is stored." in page


def test_what_only_the_owner_sees_is_stored_and_comes_with_their_data(app: Flask, visit: Visit):
    typed = {
        "date_of_birth": "1984-02-29",
        "gender": "not  told",
        "phone_number": "+44 20 7946-0000",
        "country": "Wales",
    }
    assert visit.post("/account/", **typed).status_code == 303
    page, download = visit.get("/account/").text, visit.get("/account/data.json").text
    for stored in ("1984-02-29", "not told", "+44 20 7946-0000"):
        assert f'value="{stored}"' in page
        assert stored in download
        assert stored not in visit.get("/author/cleo/").text


@pytest.mark.parametrize(
    "wrong",
    [
        {"date_of_birth": "1984-02-30"}, {"date_of_birth": "29.2.1984"}, {"date_of_birth": "2999-01-01"},
        {"date_of_birth": "0001-01-01"}, {"gender": "x" * 51}, {"phone_number": "call me"},
        {"phone_number": "+" + "1" * 20}, {"phone_number": "１２３"},
        {"first_name": "x" * 101}, {"bio": "x" * 161}, {"website": "javascript:alert(1)"}, {"website": "//evil"},
        {"website": "https://"}, {"website": "http://[x"}, {"website": "https://a b"}, {"last_name": "a\x1bb"},
        {"website": "https://" + "a" * 500},
    ],
)  # fmt: skip
def test_what_cannot_be_stored_is_shown_again_with_what_is_wrong(app: Flask, visit: Visit, wrong: dict[str, str]):
    answer = visit.post("/account/", **wrong)
    assert answer.status_code == 422
    assert 'class="wrong"' in answer.text
    assert profile_of(app) == (None, None, None, None)


def test_nothing_but_the_fields_of_the_form_can_be_changed(app: Flask, visit: Visit):
    visit.post("/account/", role="admin", username="root", is_verified="1", email="x@y.example", password_hash="x")
    with app.app_context():
        user = db.session.scalars(sa.select(User)).one()
        assert (user.role, user.username, user.is_verified, user.email) == (
            "author", "cleo", False, "cleo@example.org"
        )  # fmt: skip
        assert user.password_hash.startswith("$argon2id$")


def test_a_new_password_counts_and_ends_every_other_session(app: Flask, visit: Visit, cleo: User, client: FlaskClient):
    other = Visit(app, cleo)
    assert change(visit).location == "/account/security?done=password"
    assert visit.get("/account/").status_code == 200
    assert other.get("/account/").status_code == 303
    for password, status in ((PASSWORD, 422), (NEW, 303)):
        assert client.post("/account/sign-in", data={"login": "cleo", "password": password}).status_code == status
    with app.app_context():
        actions = db.session.scalars(sa.select(ActivityLog.action).order_by(ActivityLog.happened_at)).all()
    assert actions == ["user.password_changed", "user.signed_in"]


@pytest.mark.parametrize(
    ("typed", "says"),
    [
        ({"present": "wrong"}, "That is not your password."),
        ({"new": "short"}, "It has 5 characters"),
        ({"new": "Password123"}, "It is among those that everybody tries first"),
        ({"new": "cleo12345"}, "It is among those that everybody tries first"),
        ({"again": "something else"}, "The two are not the same."),
        ({"present": ""}, "This is needed."),
    ],
)
def test_a_password_that_cannot_be_taken_changes_nothing(app: Flask, visit: Visit, typed: dict[str, str], says: str):
    answer = change(visit, **typed)
    assert answer.status_code == 422
    assert says in answer.text
    assert NEW not in answer.text
    assert change(visit).status_code == 303


def test_guessing_the_present_password_in_an_open_session_is_slowed(visit: Visit):
    assert [change(visit, present="wrong").status_code for _ in range(11)] == [422] * 10 + [429]


def test_sessions_are_listed_and_one_or_all_others_can_be_ended(app: Flask, visit: Visit, cleo: User):
    others = [Visit(app, cleo) for _ in range(3)]
    page = visit.get("/account/security").text
    assert page.count("Firefox on Linux</strong>") == 4
    assert page.count("this one") == 1
    first = page.split("/account/sessions/")[1].split("/")[0]
    assert visit.post(f"/account/sessions/{first}/end").status_code == 303
    assert sum(other.get("/account/").status_code == 303 for other in others) == 1
    visit.post("/account/sessions/end-others")
    assert count_sessions(app) == 1
    assert visit.get("/account/").status_code == 200


def test_somebody_elses_session_is_not_there(app: Flask, visit: Visit):
    ben = Visit(app, add_person(app, "ben", "admin"))
    page = visit.get("/account/security").text
    assert "/account/sessions/" not in page.replace("/account/sessions/end-others", "")
    with app.app_context():
        other = db.session.scalar(sa.select(UserSession.id).join(User).where(User.username == "ben"))
    assert visit.post(f"/account/sessions/{other}/end").status_code == 404
    assert ben.get("/account/").status_code == 200


@pytest.mark.parametrize(
    ("text", "name"),
    [
        (HERE.browser, "Firefox on Linux"),
        ("Mozilla/5.0 (iPhone; CPU iPhone OS 19_0 like Mac OS X) Version/19.0 Safari/604.1", "Safari on iPhone"),
        ("Mozilla/5.0 (Windows NT 10.0) Chrome/150.0 Safari/537.36 Edg/150.0", "Edge on Windows"),
        ("Mozilla/5.0 (Linux; Android 16) Chrome/150.0 Mobile Safari/537.36", "Chrome on Android"),
        ("curl/8.0", "Another program"),
        ("", "Another program"),
    ],
)
def test_a_browser_is_called_by_a_name_that_people_know(text: str, name: str):
    assert name_of_browser(text) == name


# --- the time zone ------------------------------------------------------------------------------------------------


def test_times_are_shown_in_the_zone_that_somebody_chose(app: Flask, visit: Visit, cleo: User):
    with app.app_context(), transaction() as session:
        late = NOON.replace(hour=23, minute=5)
        session.add(Notification(user_id=cleo.uuid, kind="test.told", text="Told", created_at=late))
    assert "22 August 2026, 23:05" in visit.get("/account/notifications").text
    assert visit.post("/account/", timezone="Asia/Tokyo").status_code == 303
    assert "23 August 2026, 08:05" in visit.get("/account/notifications").text
    assert '<option selected value="Asia/Tokyo">' in visit.get("/account/").text
    assert visit.post("/account/", timezone="").status_code == 303
    assert "22 August 2026, 23:05" in visit.get("/account/notifications").text


@pytest.mark.parametrize("name", ["Mars/Olympus", "../../etc/passwd", "UTC\x00", "Etc/GMT+1", "a" * 999])
def test_a_zone_that_is_not_in_the_list_is_refused(app: Flask, visit: Visit, name: str):
    assert visit.post("/account/", timezone=name).status_code in {400, 422}
    with app.app_context():
        assert db.session.scalar(sa.select(User.timezone)) is None


def test_a_zone_that_this_machine_does_not_know_is_utc():
    assert zone_called("Mars/Olympus") is zone_called(None) is UTC
