"""Invitations: sent by an admin, accepted once, with the role that was meant."""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
import sqlalchemy as sa
from flask import Flask
from flask.testing import FlaskClient

from cms.accounts.invitations import accept_invitation
from cms.accounts.models import Invitation, User
from cms.accounts.permissions import ADMIN, AUTHOR, EDITOR
from cms.accounts.single_use import prune_links
from cms.activity.models import ActivityLog
from cms.extensions import db, transaction
from tests.accounts.mailbox import PATH, list_mails
from tests.people import Visit, add_person
from tests.site import PASSWORD, counted

DORA = {"username": "dora", "new": PASSWORD, "again": PASSWORD}


@pytest.fixture
def root(app: Flask) -> User:
    return add_person(app, "root", ADMIN, password=PASSWORD)


@pytest.fixture
def visit(app: Flask, root: User) -> Visit:
    return Visit(app, root)


def list_links(app: Flask) -> list[str]:
    return [path for mail in list_mails(app) for path in PATH.findall(mail["text"])]


def invite(app: Flask, visit: Visit, email: str = "dora@example.org", role: str = AUTHOR) -> str:
    """Send an invitation and return the path in the mail."""
    answer = visit.post("/admin/invitations", email=email, role=role)
    assert (answer.status_code, answer.location) == (303, "/admin/invitations?done=sent")
    return list_links(app)[-1]


def invitation_id(app: Flask) -> str:
    with app.app_context():
        return str(db.session.scalars(sa.select(Invitation.id)).one())


def test_an_invitation_makes_an_account_with_its_role_and_a_confirmed_address(
    app: Flask, visit: Visit, client: FlaskClient
):
    path = invite(app, visit, "Dora@Example.org", EDITOR)
    assert "dora@example.org" in client.get(path).text
    assert client.get(path).status_code == 200
    answer = client.post(path, data=DORA)
    assert (answer.status_code, answer.location) == (303, "/account/sign-in?done=joined")
    with app.app_context():
        dora = db.session.scalars(sa.select(User).filter_by(username="dora")).one()
        assert (dora.email, dora.role, dora.is_verified) == ("dora@example.org", EDITOR, True)
    signed_in = client.post("/account/sign-in", data={"login": "dora", "password": PASSWORD})
    assert signed_in.status_code == 303


def test_a_link_works_once(app: Flask, visit: Visit, client: FlaskClient):
    path = invite(app, visit)
    assert client.post(path, data=DORA).status_code == 303
    assert client.get(path).status_code == 410
    assert client.post(path, data={**DORA, "username": "eve"}).status_code == 410


def test_of_eight_at_once_with_one_link_one_wins(app: Flask, visit: Visit):
    path = invite(app, visit)

    def attempt(number: int) -> int:
        return app.test_client().post(path, data={**DORA, "username": f"dora{number}"}).status_code

    with ThreadPoolExecutor(8) as threads:
        assert sorted(threads.map(attempt, range(8))) == [303] + [410] * 7
    with app.app_context():
        assert db.session.scalar(sa.select(sa.func.count()).select_from(User)) == 2


@pytest.mark.parametrize(
    "typed",
    [
        {"username": "ROOT"}, {"username": "a b"}, {"username": ""}, {"new": "short", "again": "short"},
        {"again": "another"}, {"new": "dora1234", "again": "dora1234"}, {"role": ADMIN, "username": "x" * 51},
    ],
)  # fmt: skip
def test_what_cannot_be_an_account_does_not_use_the_link_up(
    app: Flask, visit: Visit, client: FlaskClient, typed: dict[str, str]
):
    path = invite(app, visit)
    answer = client.post(path, data={**DORA, **typed})
    assert answer.status_code == 422
    assert 'class="wrong"' in answer.text
    assert client.post(path, data=DORA).status_code == 303


def test_nothing_but_name_and_password_is_taken_from_who_accepts(app: Flask, visit: Visit, client: FlaskClient):
    client.post(invite(app, visit), data={**DORA, "role": ADMIN, "email": "eve@example.org"})
    with app.app_context():
        assert db.session.execute(sa.select(User.role, User.email).filter_by(username="dora")).one() == (
            AUTHOR, "dora@example.org",
        )  # fmt: skip


def test_a_link_ends_after_a_week_and_is_kept_a_month_to_be_sent_again(app: Flask, visit: Visit, client: FlaskClient):
    token = invite(app, visit).rpartition("/")[2]
    now = datetime.now(UTC)
    with app.app_context(), transaction() as session:
        later = now + timedelta(days=7, minutes=1)
        assert accept_invitation(session, token, username="dora", password=PASSWORD, at=later) is None
        session.execute(sa.update(Invitation).values(ends_at=now - timedelta(days=1)))
        prune_links(session, at=now)
    assert "over since" in visit.get("/admin/invitations").text
    assert visit.post(f"/admin/invitations/{invitation_id(app)}/send").status_code == 303
    assert client.post(list_links(app)[-1], data=DORA).status_code == 303
    with app.app_context(), transaction() as session:
        session.add(
            Invitation(token_hash="0", email="x", role=AUTHOR, created_at=now, ends_at=now - timedelta(days=31))
        )
        session.flush()
        prune_links(session, at=now)
        assert session.scalar(sa.select(sa.func.count()).select_from(Invitation)) == 0


def test_a_second_mail_ends_the_first_ones_link(app: Flask, visit: Visit, client: FlaskClient):
    first = invite(app, visit)
    visit.post(f"/admin/invitations/{invitation_id(app)}/send")
    second = list_links(app)[-1]
    third = invite(app, visit, role=EDITOR)
    assert [client.get(path).status_code for path in (first, second, third)] == [410, 410, 200]


def test_a_revoked_invitation_leads_nowhere(app: Flask, visit: Visit, client: FlaskClient):
    path = invite(app, visit)
    revoke = f"/admin/invitations/{invitation_id(app)}/revoke"
    assert visit.post(revoke).location == "/admin/invitations?done=revoked"
    assert client.post(path, data=DORA).status_code == 410
    assert visit.post(revoke).status_code == 404


@pytest.mark.parametrize(("change", "typed"), [("role", {"role": EDITOR}), ("disable", {})])
def test_whom_somebody_invited_stays_out_when_they_lose_their_rights(
    app: Flask, visit: Visit, client: FlaskClient, change: str, typed: dict[str, str]
):
    rogue = add_person(app, "rogue", ADMIN)
    path = invite(app, Visit(app, rogue), role=ADMIN)
    assert visit.post(f"/admin/people/{rogue.uuid}/{change}", **typed).status_code == 303
    assert client.post(path, data=DORA).status_code == 410


@pytest.mark.parametrize(
    "typed",
    [
        {"email": "nothing"}, {"email": "a@b, c@d"}, {"email": "a@b\r\nBcc: c@d"}, {"role": "king"}, {"role": ""},
        {"email": "ROOT@example.org"}, {"email": "x" * 250 + "@b.org"}, {"email": "é@example.org"},
    ],
)  # fmt: skip
def test_what_cannot_be_invited_is_refused_and_shown_again(app: Flask, visit: Visit, typed: dict[str, str]):
    answer = visit.post("/admin/invitations", **{"email": "dora@example.org", "role": AUTHOR, **typed})
    assert answer.status_code == 422
    assert 'role="alert"' in answer.text
    assert list_links(app) == []


def test_only_the_hash_of_a_link_is_kept_and_its_address_is_told_nobody(app: Flask, visit: Visit, client: FlaskClient):
    path = invite(app, visit)
    with app.app_context():
        assert db.session.scalar(sa.select(Invitation.token_hash)) not in path
    headers = client.get(path).headers
    assert (headers["Cache-Control"], headers["Referrer-Policy"]) == ("no-store", "same-origin")


@pytest.mark.parametrize("token", ["x", "a" * 43, "a" * 44, "' OR 1=1 --"])
def test_a_made_up_link_is_over(client: FlaskClient, token: str):
    assert client.get(f"/account/invitation/{token}").status_code == 410
    assert client.post(f"/account/invitation/{token}", data=DORA).status_code == 410


def test_who_invited_whom_is_in_the_activity_log(app: Flask, visit: Visit, client: FlaskClient):
    invite(app, visit)
    visit.post(f"/admin/invitations/{invitation_id(app)}/send")
    client.post(list_links(app)[-1], data=DORA)
    invite(app, visit, "eve@example.org")
    visit.post(f"/admin/invitations/{invitation_id(app)}/revoke")
    with app.app_context():
        columns = (ActivityLog.actor_name, ActivityLog.action, ActivityLog.object_name)
        entries = [tuple(row) for row in db.session.execute(sa.select(*columns).order_by(ActivityLog.happened_at))]
    assert entries == [
        ("root", "user.invited", "dora@example.org"),
        ("root", "user.invited_again", "dora@example.org"),
        ("dora", "user.joined", "dora"),
        ("root", "user.invited", "eve@example.org"),
        ("root", "user.invitation_revoked", "eve@example.org"),
    ]


def test_the_list_goes_by_key_and_asks_no_more_when_it_is_long(app: Flask, root: User, visit: Visit):
    def ask(path: str) -> tuple[str, int]:
        with counted(app) as statements:
            page = visit.get(path).text
        return page, len(statements.sent)

    _, before = ask("/admin/invitations")
    now = datetime.now(UTC)
    with app.app_context(), transaction() as session:
        for number in range(30):
            name, made = f"n{number:02}", now - timedelta(minutes=number)
            row = {"email": f"{name}@example.org", "role": AUTHOR, "invited_by": root.uuid, "created_at": made}
            session.add(Invitation(id=uuid4(), token_hash=name, ends_at=now + timedelta(days=1), **row))
    page, count = ask("/admin/invitations")
    assert count == before <= 6
    older = re.search(r'rel="next" href="([^"]+)"', page)[1]
    rest, _ = ask(f"/admin/invitations{older}")
    assert re.findall(r"<strong>(n\d\d)@", page + rest) == [f"n{number:02}" for number in range(30)]
