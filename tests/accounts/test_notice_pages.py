"""The pages on which people read what they were told, and choose how."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
import sqlalchemy as sa
from flask import Flask

from cms.accounts.models import User
from cms.accounts.permissions import AUTHOR
from cms.activity.models import Notification
from cms.activity.notices import KINDS, Notice, NoticeKind, Recipient, notify
from cms.extensions import db, transaction
from tests.accounts.mailbox import list_mails
from tests.people import Visit, add_person
from tests.site import NOON, counted

KIND = NoticeKind("test.told", "Somebody told me something", by_mail=True)


@pytest.fixture(autouse=True)
def _kind(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(KINDS, KIND.name, KIND)


@pytest.fixture
def cleo(app: Flask) -> User:
    return add_person(app, "cleo", AUTHOR)


@pytest.fixture
def visit(app: Flask, cleo: User) -> Visit:
    return Visit(app, cleo)


def tell(app: Flask, user: User, count: int = 1) -> None:
    with app.app_context(), transaction() as session:
        for number in range(count):
            notice = Notice(KIND, f"<b>Notice</b> {number}", path="/archive/")
            at = NOON + timedelta(minutes=number)
            notify(session, [Recipient(user.uuid, user.email)], notice, site_url="http://127.0.0.1:8000", at=at)


def count_unread(app: Flask) -> int:
    with app.app_context():
        return db.session.scalar(sa.select(sa.func.count()).where(Notification.read_at.is_(None)))


def ids_in(page: str) -> list[str]:
    return re.findall(r'name="id" value="([0-9a-f-]{36})"', page)


def test_what_somebody_was_told_is_shown_the_newest_first_and_as_text(app: Flask, visit: Visit, cleo: User):
    tell(app, cleo, 30)
    page = visit.get("/account/notifications").text
    older = re.search(r'rel="next" href="([^"]+)"', page)[1]
    numbers = re.findall(
        r"&lt;b&gt;Notice&lt;/b&gt; (\d+)</a>", page + visit.get(f"/account/notifications{older}").text
    )
    assert [int(number) for number in numbers] == list(range(29, -1, -1))


def test_one_is_marked_as_read_and_then_all(app: Flask, visit: Visit, cleo: User):
    tell(app, cleo, 3)
    first = ids_in(visit.get("/account/notifications").text)[0]
    assert visit.post("/account/notifications/read", id=first).location == "/account/notifications?done=read"
    assert count_unread(app) == 2
    assert visit.post("/account/notifications/read").status_code == 303
    assert count_unread(app) == 0
    assert "Mark all as read" not in visit.get("/account/notifications").text


def test_somebody_elses_notices_are_neither_shown_nor_marked(app: Flask, visit: Visit, cleo: User):
    tell(app, cleo)
    other = Visit(app, add_person(app, "dora", AUTHOR))
    assert "Nothing to tell you." in other.get("/account/notifications").text
    [identity] = ids_in(visit.get("/account/notifications").text)
    other.post("/account/notifications/read", id=identity)
    other.post("/account/notifications/read")
    assert count_unread(app) == 1


def test_a_broken_id_is_refused(visit: Visit):
    assert visit.post("/account/notifications/read", id="x").status_code == 400


def test_what_somebody_chose_counts_from_then_on(app: Flask, visit: Visit, cleo: User):
    page = visit.get("/account/notifications/preferences").text
    assert len(re.findall(r'value="test.told" checked', page)) == 2
    answer = visit.post("/account/notifications/preferences", on_site="test.told")
    assert answer.location == "/account/notifications/preferences?done=stored"
    page = visit.get("/account/notifications/preferences").text
    assert re.findall(r'name="(\w+)" value="test.told" checked', page) == ["on_site"]
    tell(app, cleo)
    assert list_mails(app) == []
    assert count_unread(app) == 1
    visit.post("/account/notifications/preferences", by_mail="test.told")
    tell(app, cleo)
    assert len(list_mails(app)) == 1
    assert count_unread(app) == 1


def test_a_kind_that_nobody_knows_is_not_stored(app: Flask, visit: Visit):
    assert visit.post("/account/notifications/preferences", on_site="no.kind").status_code == 303
    assert "no.kind" not in visit.get("/account/notifications/preferences").text


def test_a_long_list_asks_no_more(app: Flask, visit: Visit, cleo: User):
    def count() -> int:
        with counted(app) as statements:
            visit.get("/account/notifications")
        return len(statements.sent)

    before = count()
    tell(app, cleo, 30)
    assert count() == before == 2
