"""The pages on which admins see people and change what they may do."""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from uuid import uuid4

import pytest
import sqlalchemy as sa
from flask import Flask

from cms.accounts.errors import LastAdmin
from cms.accounts.models import Role, User
from cms.accounts.people import PeopleFilter, change_role, list_people
from cms.accounts.permissions import ADMIN, AUTHOR, EDITOR, USER
from cms.activity.models import ActivityLog
from cms.activity.services import Actor
from cms.extensions import db, transaction
from cms.web.paging import Place
from tests.people import Visit, add_person
from tests.site import NOON, PASSWORD, counted

ROW = re.compile(r'<a href="/admin/people/[0-9a-f-]{36}"><strong>([^<]+)</strong>')


@pytest.fixture
def root(app: Flask) -> User:
    return add_person(app, "root", ADMIN, password=PASSWORD)


@pytest.fixture
def visit(app: Flask, root: User) -> Visit:
    return Visit(app, root)


@pytest.fixture
def cleo(app: Flask) -> User:
    return add_person(app, "cleo", AUTHOR, password=PASSWORD)


def state_of(app: Flask, user: User) -> tuple[str, bool]:
    with app.app_context():
        return tuple(db.session.execute(sa.select(User.role, User.is_active).where(User.uuid == user.uuid)).one())


def add_many(app: Flask, count: int) -> None:
    """Store accounts, each a minute older than the one before."""
    with app.app_context(), transaction() as session:
        for number in range(count):
            at = NOON - timedelta(minutes=number + 1)
            name = f"p{number:03}"
            row = {"username": name, "email": f"{name}@example.org", "role": USER, "created_at": at}
            session.add(User(uuid=uuid4(), **row))


# --- the list -----------------------------------------------------------------------------------------------------


def test_everybody_is_on_one_of_the_pages_once_the_newest_first(app: Flask, visit: Visit):
    add_many(app, 60)
    path, seen = "/admin/people", []
    while path:
        page = visit.get(path).text
        seen += ROW.findall(page)
        older = re.search(r'rel="next" href="([^"]+)"', page)
        path = older and "/admin/people" + older[1].replace("&amp;", "&")
    assert seen == ["root", *(f"p{number:03}" for number in range(60))]


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ("q=cleo", ["cleo"]), ("q=CLEO@example", ["cleo"]), ("q=ng", ["Dora Ng"]), ("q=dora+ng", ["Dora Ng"]),
        ("q=dora+cleo", []), ("q=%25", []), ("q=_", []), ("q=o", ["Dora Ng", "cleo", "root"]),
        ("role=editor", ["Dora Ng"]), ("q=cleo&role=editor", []), ("role=nothing", []), ("q=%27+OR+1%3D1+--", []),
    ],
)  # fmt: skip
def test_people_are_found_by_every_word_and_by_role(app: Flask, visit: Visit, cleo: User, asked: str, found: list[str]):
    dora = add_person(app, "dora", EDITOR)
    with app.app_context(), transaction() as session:
        session.execute(sa.update(User).where(User.uuid == dora.uuid).values(first_name="Dora", last_name="Ng"))
    assert sorted(ROW.findall(visit.get(f"/admin/people?{asked}").text)) == found


def test_the_next_page_keeps_what_was_asked_for(app: Flask, visit: Visit):
    add_many(app, 30)
    page = visit.get("/admin/people?q=p0&role=user").text
    assert 'href="?q=p0&amp;role=user&amp;before=' in page


def test_no_page_asks_more_on_a_bigger_site(app: Flask, visit: Visit, cleo: User):
    def count(path: str) -> int:
        with counted(app) as statements:
            assert visit.get(path).status_code == 200
        return len(statements.sent)

    paths = ["/admin/", "/admin/people", f"/admin/people/{cleo.uuid}"]
    before = [count(path) for path in paths]
    add_many(app, 60)
    for _ in range(20):
        Visit(app, cleo).post("/account/", bio="a lamp")
    assert [count(path) for path in paths] == before
    assert max(before) <= 6


# --- changing somebody --------------------------------------------------------------------------------------------


def test_another_role_counts_at_once_and_ends_the_sessions(app: Flask, visit: Visit, cleo: User):
    other = Visit(app, cleo)
    answer = visit.post(f"/admin/people/{cleo.uuid}/role", role=EDITOR)
    assert (answer.status_code, answer.location) == (303, f"/admin/people/{cleo.uuid}?done=role")
    assert state_of(app, cleo) == (EDITOR, True)
    assert other.get("/account/").status_code == 303
    assert "The role is changed." in visit.get(answer.location).text


def test_a_disabled_account_is_out_at_once_and_comes_back_when_it_is_enabled(app: Flask, visit: Visit, cleo: User):
    other, credentials = Visit(app, cleo), {"login": "cleo", "password": PASSWORD}
    assert visit.post(f"/admin/people/{cleo.uuid}/disable").status_code == 303
    assert other.get("/account/").status_code == 303
    assert other.client.post("/account/sign-in", data=credentials).status_code == 422
    assert visit.post(f"/admin/people/{cleo.uuid}/enable").status_code == 303
    assert other.client.post("/account/sign-in", data=credentials).status_code == 303


def test_somebody_is_signed_out_everywhere(app: Flask, visit: Visit, cleo: User):
    others = [Visit(app, cleo), Visit(app, cleo)]
    assert visit.post(f"/admin/people/{cleo.uuid}/sign-out").status_code == 303
    assert [other.get("/account/").status_code for other in others] == [303, 303]
    assert visit.get("/account/").status_code == 200


def test_each_change_is_in_the_activity_log_once_with_who_and_what(app: Flask, visit: Visit, cleo: User):
    Visit(app, cleo)
    for change in ("sign-out", "disable", "disable", "enable", "enable"):
        visit.post(f"/admin/people/{cleo.uuid}/{change}")
    for _ in range(2):
        visit.post(f"/admin/people/{cleo.uuid}/role", role=EDITOR)
    with app.app_context():
        columns = (ActivityLog.actor_name, ActivityLog.action, ActivityLog.object_name, ActivityLog.details)
        entries = [tuple(row) for row in db.session.execute(sa.select(*columns).order_by(ActivityLog.happened_at))]
    assert entries == [
        ("root", "user.sessions_ended", "cleo", {"sessions_ended": 1}),
        ("root", "user.disabled", "cleo", {"sessions_ended": 0}),
        ("root", "user.enabled", "cleo", {}),
        ("root", "user.role_changed", "cleo", {"from": AUTHOR, "to": EDITOR, "sessions_ended": 0}),
    ]


def test_a_role_that_is_not_there_changes_nothing(app: Flask, visit: Visit, cleo: User):
    for role in ("", "king", "ADMIN", "a" * 999):
        assert visit.post(f"/admin/people/{cleo.uuid}/role", role=role).status_code == 422
    assert state_of(app, cleo) == (AUTHOR, True)


@pytest.mark.parametrize("change", ["role", "disable", "enable", "sign-out", "crown"])
def test_nobody_is_there_under_a_made_up_id(visit: Visit, change: str):
    assert visit.post(f"/admin/people/{uuid4()}/{change}", role=EDITOR).status_code == 404
    assert visit.get(f"/admin/people/{uuid4()}").status_code == 404


# --- somebody is always left --------------------------------------------------------------------------------------


@pytest.mark.parametrize(("change", "typed"), [("role", {"role": EDITOR}), ("disable", {})])
def test_the_last_who_can_run_the_site_stays(app: Flask, root: User, visit: Visit, change: str, typed: dict[str, str]):
    imported = add_person(app, "imported", ADMIN)  # has no password, so it would not help
    answer = visit.post(f"/admin/people/{root.uuid}/{change}", **typed)
    assert answer.status_code == 422
    assert "nobody else who can sign in would be left" in answer.text
    assert state_of(app, root) == (ADMIN, True)
    assert visit.post(f"/admin/people/{imported.uuid}/{change}", **typed).status_code == 303


def test_a_role_with_the_same_rights_under_another_name_counts(app: Flask, root: User, visit: Visit):
    with app.app_context(), transaction() as session:
        session.add(Role(name="superadmin", permissions=[ADMIN]))
    assert visit.post(f"/admin/people/{root.uuid}/role", role="superadmin").status_code == 303
    assert Visit(app, root).post(f"/admin/people/{root.uuid}/role", role=EDITOR).status_code == 422


def test_of_eight_admins_who_demote_each_other_at_once_one_is_left(app: Flask):
    admins = [add_person(app, f"admin{number}", ADMIN, password=PASSWORD) for number in range(8)]

    def demote(user: User) -> bool:
        with app.app_context():
            try:
                with transaction() as session:
                    change_role(session, user.uuid, EDITOR, by=Actor(None, "test"), at=NOON)
            except LastAdmin:
                return False
            return True

    with ThreadPoolExecutor(8) as threads:
        assert sorted(threads.map(demote, admins)) == [False] + [True] * 7
    with app.app_context():
        assert len(list_people(db.session, PeopleFilter(role=ADMIN), Place(), size=10).items) == 1
