"""Telling people: on the site, by mail, as each chose; once; and only they mark it read."""

from __future__ import annotations

from datetime import timedelta
from uuid import uuid4

import pytest
import sqlalchemy as sa

from cms.activity import notices
from cms.activity.errors import NoticeInvalid
from cms.activity.models import Notification
from cms.activity.notices import (
    Notice,
    NoticeKind,
    Recipient,
    count_unread,
    list_notices,
    list_preferences,
    mark_read,
    notify,
    prune_notices,
    set_preference,
)
from cms.extensions import db, transaction
from cms.jobs.models import Job
from cms.web.paging import Place
from tests.site import NOON, Site

RETURNED = NoticeKind("blog.returned", "A post of mine is returned")
ASKED = NoticeKind("review.asked", "A review is asked of me", by_mail=True)


@pytest.fixture(autouse=True)
def _context(site: Site, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(notices, "KINDS", {kind.name: kind for kind in (RETURNED, ASKED)})
    with site.app.app_context():
        yield


@pytest.fixture
def people(site: Site) -> list[Recipient]:
    return [Recipient(site.ada.uuid, "ada@example.org"), Recipient(site.ben.uuid, None)]


def tell(people: list[Recipient], kind: NoticeKind = RETURNED, *, at=NOON, **fields) -> int:
    notice = Notice(kind, **{"text": "Ben returned your post", "path": "/a-post/", **fields})
    with transaction() as session:
        return notify(session, people, notice, site_url="https://blog.example.org", at=at)


def mails() -> list[dict]:
    return list(db.session.scalars(sa.select(Job.arguments)))


def test_each_person_is_told_and_counts_what_is_unread(site: Site, people):
    assert tell(people) == 2
    (seen,) = list_notices(db.session, site.ada.uuid, Place(), size=9).items
    assert (seen.kind, seen.text, seen.path, seen.read_at) == (
        "blog.returned",
        "Ben returned your post",
        "/a-post/",
        None,
    )
    assert count_unread(db.session, site.ada.uuid) == count_unread(db.session, site.ben.uuid) == 1
    assert mails() == []


def test_a_kind_that_comes_by_mail_is_mailed_to_whoever_has_an_address(people):
    tell(people, ASKED, text="Ada asks <you>\nto review")
    (mail,) = mails()
    assert (mail["to"], mail["subject"]) == ("ada@example.org", "Ada asks <you> to review")
    assert "https://blog.example.org/a-post/" in mail["text"]


def test_everybody_is_told_as_they_chose(site: Site, people):
    ada, ben = site.ada.uuid, site.ben.uuid
    with transaction() as session:
        set_preference(session, ada, RETURNED, on_site=False, by_mail=True)
        set_preference(session, ben, RETURNED, on_site=True, by_mail=True)
        set_preference(session, ben, RETURNED, on_site=False, by_mail=False)
    assert tell(people) == 1
    assert (count_unread(db.session, ada), count_unread(db.session, ben)) == (0, 0)
    assert [mail["to"] for mail in mails()] == ["ada@example.org"]
    chosen = [(each.kind.name, each.on_site, each.by_mail) for each in list_preferences(db.session, ada)]
    assert chosen == [("blog.returned", False, True), ("review.asked", True, True)]


def test_nobody_is_told_the_same_thing_twice(people):
    assert [tell(people, ASKED, key="review 1"), tell(people, ASKED, key="review 1"), tell(people, ASKED)] == [2, 0, 2]
    assert len(mails()) == 2
    assert tell([people[0], people[0]]) == 1


def test_what_is_rolled_back_is_told_to_nobody(site: Site, people):
    def give_up_in_the_middle() -> None:
        with transaction() as session:
            notify(session, people, Notice(ASKED, "x"), site_url="https://x", at=NOON)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        give_up_in_the_middle()
    assert (count_unread(db.session, site.ada.uuid), mails()) == (0, [])


def test_only_their_own_notices_are_marked_as_read(site: Site, people):
    tell(people)
    tell(people)
    ada, ben = site.ada.uuid, site.ben.uuid
    first = list_notices(db.session, ada, Place(), size=1).items[0].id
    with transaction() as session:
        assert mark_read(session, ben, [first], at=NOON) == 0
        assert mark_read(session, ada, [first, uuid4()], at=NOON) == 1
        assert mark_read(session, ada, [first], at=NOON + timedelta(days=1)) == 0
    assert (count_unread(db.session, ada), count_unread(db.session, ben)) == (1, 2)
    with transaction() as session:
        assert mark_read(session, ada, None, at=NOON) == 1
    assert (count_unread(db.session, ada), count_unread(db.session, ben)) == (0, 2)


def test_the_count_stops_where_a_page_does_not_show_more(site: Site, people):
    for _ in range(5):
        tell(people[:1])
    assert count_unread(db.session, site.ada.uuid, at_most=3) == 3


@pytest.mark.parametrize(
    "wrong",
    [
        {"text": " "}, {"text": "x" * 501}, {"path": "https://evil.example"}, {"path": "//evil.example"}, {"path": ""},
        {"path": "/\\evil.example"}, {"path": "/a\nb"}, {"path": "/" + "x" * 500}, {"path": "a"},
    ],
)  # fmt: skip
def test_a_notice_without_words_or_that_leads_away_is_refused(people, wrong: dict[str, str]):
    with pytest.raises(NoticeInvalid):
        tell(people, **wrong)


def test_what_a_person_was_told_goes_with_them(site: Site, people):
    tell(people)
    with transaction() as session:
        set_preference(session, site.ada.uuid, RETURNED, on_site=True, by_mail=True)
        session.delete(session.get_one(type(site.ada), site.ada.uuid))
    assert set(db.session.scalars(sa.select(Notification.user_id))) == {site.ben.uuid}


def test_old_notices_go_and_unread_ones_stay_longer(site: Site, people):
    for days, is_read in [(91, True), (89, True), (91, False), (366, False)]:
        tell(people[:1], at=NOON - timedelta(days=days), text=f"{days} {is_read}")
        if is_read:
            with transaction() as session:
                mark_read(session, site.ada.uuid, None, at=NOON - timedelta(days=days))
    # what was marked above is also read; the two unread ones came after
    with transaction() as session:
        assert prune_notices(session, at=NOON) == 2
    assert set(db.session.scalars(sa.select(Notification.text))) == {"89 True", "91 False"}
