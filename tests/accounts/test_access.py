"""Role by role, every address of the site is held against the permission table; a way around it is found."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest
import sqlalchemy as sa
from flask import Blueprint, Flask
from werkzeug.routing import IntegerConverter, Rule, UUIDConverter
from werkzeug.test import TestResponse

from cms.accounts.current import OPEN, authorize, needs, permission_of
from cms.accounts.models import Role, User
from cms.accounts.permissions import ADMIN, ROLES, USER, VISITOR, Permission, is_ever_allowed
from cms.extensions import transaction
from cms.web.origin import SAFE_METHODS
from tests.people import Program, Visit, add_person
from tests.site import Site, counted

# What stands in an address for what is not there: whoever may ask gets 404, whoever may not is refused before.
NOWHERE = {UUIDConverter: UUID(int=1), IntegerConverter: 1}


def list_holes(app: Flask) -> list[str]:
    """Return every address and method that the table does not answer for."""
    with app.app_context():
        return [
            f"{method} {rule}"
            for rule in app.url_map.iter_rules()
            for method in (rule.methods or set()) - {"OPTIONS"}
            if (permission := permission_of(rule.endpoint)) is None or permission.changes == (method in SAFE_METHODS)
        ]


def test_every_address_has_its_row_in_the_table_and_reading_and_changing_share_none(sqlite_app: Flask):
    assert list_holes(sqlite_app) == [], "mark the view with @needs(…), see CONTRIBUTING.md"


def test_a_hole_is_found_and_lets_nobody_in(sqlite_app: Flask):
    planted = Blueprint("planted", __name__)
    planted.add_url_rule("/planted-hole", "hole", lambda: "secret")
    planted.add_url_rule("/planted-change", "change", needs("account.change")(lambda: "changed"))
    planted.add_url_rule("/planted-reading", "reading", needs("site.see")(lambda: "changed"), methods=["POST"])
    sqlite_app.register_blueprint(planted)
    assert sorted(list_holes(sqlite_app)) == [
        "GET /planted-change", "GET /planted-hole", "HEAD /planted-change", "HEAD /planted-hole",
        "POST /planted-reading",
    ]  # fmt: skip
    visit = Visit(sqlite_app, add_person(sqlite_app, "root", ADMIN))
    answers = [visit.get("/planted-hole"), visit.get("/planted-change"), visit.post("/planted-reading")]
    assert [answer.status_code for answer in answers] == [403, 403, 403]


def test_open_blueprints_exist_and_have_nothing_that_changes(sqlite_app: Flask):
    assert OPEN - {"static"} <= sqlite_app.blueprints.keys()


# --- the matrix: role × address × token -------------------------------------------------------------------------


@dataclass(frozen=True)
class Asked:
    """One request of the matrix."""

    address: str
    method: str
    permission: Permission

    def expects(self, role: str) -> str:
        if VISITOR in self.permission.grants:
            return "in"
        if role == VISITOR:
            return "sign in"
        return "in" if is_ever_allowed({role}, self.permission.name) else "refused"


def list_requests(app: Flask) -> list[Asked]:
    with app.app_context():
        return [
            Asked(address_of(rule), method, permission_of(rule.endpoint))
            for rule in app.url_map.iter_rules()
            for method in sorted((rule.methods or set()) - {"OPTIONS", "HEAD"})
        ]


def address_of(rule: Rule) -> str:
    _, address = rule.build({name: NOWHERE.get(type(kind), "nothing") for name, kind in rule._converters.items()})
    return address


def verdict(answer: TestResponse) -> str:
    """Say what came of a request. A page that is not there, or a form with mistakes, was let in."""
    if answer.status_code == 401 or (answer.location or "").startswith("/account/sign-in?"):
        return "sign in"
    return "refused" if answer.status_code == 403 else "in"


def ask(app: Flask, asked: Asked, role: str, *, token: str | None = "own") -> str:
    """Ask as somebody who has this role and no other request before this one."""
    if role == VISITOR:
        return verdict(app.test_client().open(asked.address, method=asked.method))
    visit = Visit(app, add_person(app, f"p{uuid4().hex}", role))
    data = {"csrf": visit.token if token == "own" else token} if token else {}
    return verdict(visit.client.open(asked.address, method=asked.method, data=data))


@pytest.mark.parametrize("role", [VISITOR, *ROLES])
def test_each_role_gets_from_each_address_what_the_table_says(sqlite_app: Flask, role: str):
    requests = list_requests(sqlite_app)
    wrong = [
        f"{each.method} {each.address}: {got}, not {each.expects(role)}"
        for each in requests
        if (got := ask(sqlite_app, each, role)) != each.expects(role)
    ]
    assert wrong == []
    assert {each.expects(role) for each in requests} >= {"in"}


@pytest.mark.parametrize("role", ROLES)
def test_a_token_of_each_role_gets_what_the_role_may_but_for_what_wants_the_person(sqlite_app: Flask, role: str):
    program = Program(sqlite_app, add_person(sqlite_app, "cleo", role))
    wrong = []
    for each in list_requests(sqlite_app):
        is_open = VISITOR in each.permission.grants
        expected = each.expects(role) if is_open or each.permission.is_scope else "refused"
        if (got := verdict(program.open(each.address, each.method))) != expected:
            wrong.append(f"{each.method} {each.address}: {got}, not {expected}")
    assert wrong == []


def test_a_token_is_for_nothing_but_its_scopes(sqlite_app: Flask):
    person = add_person(sqlite_app, "cleo", ADMIN)
    requests = [each for each in list_requests(sqlite_app) if VISITOR not in each.permission.grants]
    for scope in sorted({each.permission.name for each in requests if each.permission.is_scope}):
        program = Program(sqlite_app, person, scopes=[scope])
        let_in = {each.permission.name for each in requests if verdict(program.open(each.address, each.method)) == "in"}
        assert let_in == {scope}
    program = Program(sqlite_app, person, scopes=[])
    assert {verdict(program.open(each.address, each.method)) for each in requests} == {"refused"}


@pytest.mark.parametrize("token", [None, "0" * 64, "é", "another's"])
def test_nothing_changes_for_an_admin_whose_request_has_no_token_of_this_session(sqlite_app: Flask, token: str | None):
    if token == "another's":
        token = Visit(sqlite_app, add_person(sqlite_app, "other", ADMIN)).token
    changing = [
        each for each in list_requests(sqlite_app) if each.permission.changes and VISITOR not in each.permission.grants
    ]
    assert {ask(sqlite_app, each, ADMIN, token=token) for each in changing} == {"refused"}


def test_the_matrix_notices_a_site_that_does_not_ask(sqlite_app: Flask):
    sqlite_app.before_request_funcs[None].remove(authorize)
    asked = next(each for each in list_requests(sqlite_app) if each.address == "/account/sign-out")
    assert ask(sqlite_app, asked, ADMIN, token=None) != "refused"


def test_what_is_dangerous_asks_for_the_password_once_more(sqlite_app: Flask):
    @needs("account.secure")
    def change() -> str:
        return "changed"

    sqlite_app.post("/planted-danger")(change)
    person = add_person(sqlite_app, "cleo", USER)
    stale = Visit(sqlite_app, person, at=datetime.now(UTC) - timedelta(minutes=16))
    answer = stale.post("/planted-danger")
    assert (answer.status_code, answer.location) == (303, "/account/confirm?next=/account/")
    assert Visit(sqlite_app, person).post("/planted-danger").text == "changed"


def test_a_role_that_changes_counts_from_the_next_request_on(app: Flask):
    person = add_person(app, "cleo", USER)
    visit = Visit(app, person)
    assert visit.get("/account/").status_code == 200
    with app.app_context(), transaction() as session:
        session.add(Role(name="nobody", permissions=[]))
        session.flush()
        session.execute(sa.update(User).values(role="nobody"))
    assert visit.get("/account/").status_code == 403


# --- what others may keep, and what it costs ------------------------------------------------------------------------


def test_a_page_for_one_person_is_kept_by_nobody_and_one_for_all_knows_no_cookie(site: Site):
    site.write("Post")
    visit = Visit(site.app, site.ben)
    private = visit.get("/account/")
    assert private.headers["Cache-Control"] == "no-store"
    assert "Cookie" in private.vary
    public = visit.get("/post/")
    assert "Cookie" not in public.vary
    assert public.data == site.app.test_client().get("/post/").data
    assert "Set-Cookie" not in public.headers


def test_a_signed_in_page_asks_for_session_person_and_role_in_one_statement(site: Site):
    visit = Visit(site.app, site.ben)
    with counted(site.app) as statements:
        visit.get("/account/confirm")
    assert len(statements.sent) == 1
    with counted(site.app) as statements:
        visit.get("/post/")
        site.app.test_client().get("/account/")
    assert not [each for each in statements.sent if "sessions" in each]
