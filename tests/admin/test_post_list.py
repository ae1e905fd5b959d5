"""The list of posts for those who write."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from flask import Flask

from cms.accounts.models import User
from cms.blogs.models import Blog
from cms.extensions import db
from tests.people import Visit, add_person
from tests.site import Site, counted

LATER = datetime.now(UTC) + timedelta(hours=2)


@pytest.fixture
def cleo(site: Site) -> User:
    return add_person(site.app, "cleo", "author")


@pytest.fixture
def eve(site: Site) -> Visit:
    return Visit(site.app, site.ada)


def status_of(app: Flask, blog: Blog) -> str:
    with app.app_context():
        return db.session.get_one(Blog, blog.id).status


def listed(visit: Visit, query: str = "") -> list[str]:
    page = visit.get(f"/admin/posts{query}").text
    return [part.partition("<")[0] for part in page.split("<strong>")[1:]]


def test_who_edits_sees_every_post_and_an_author_their_own(site: Site, cleo: User, eve: Visit):
    site.write("Ada's")
    site.write("Cleo's", author=cleo, status="draft")
    assert listed(eve) == ["Cleo&#39;s", "Ada&#39;s"]
    assert listed(eve, "?mine=1") == ["Ada&#39;s"]
    assert listed(Visit(site.app, cleo)) == ["Cleo&#39;s"]


def test_posts_are_found_by_state(site: Site, eve: Visit):
    for status in ("draft", "in_review", "published", "archived", "trashed"):
        site.write(status, status=status)
    site.write("scheduled", created_at=LATER)
    for state in ("draft", "in_review", "scheduled", "published", "archived", "trashed"):
        assert listed(eve, f"?state={state}") == [state]
    assert len(listed(eve, "?state=nonsense")) == 6


def test_posts_are_found_by_words_of_the_title_and_published_ones_by_those_of_the_text(site: Site, eve: Visit):
    site.write("One", content="About lanterns.")
    site.write("Lanterns, a draft", status="draft", content="Else.")
    site.write("100%_", status="draft")
    site.write("Other", content="Nothing.")
    assert listed(eve, "?q=lanterns") == ["Lanterns, a draft", "One"]
    assert listed(eve, "?q=100%25_") == ["100%_"]
    assert listed(eve, "?q=lanterns&state=draft") == ["Lanterns, a draft"]


def test_a_list_has_pages_and_every_page_costs_the_same(site: Site, eve: Visit, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("cms.admin.posts.PAGE_SIZE", 2)
    for number in range(5):
        site.write(f"Post {number}")
    first = eve.get("/admin/posts").text
    older = first.partition('rel="next" href="')[2].partition('"')[0].replace("&amp;", "&")
    with counted(site.app) as seen:
        second = eve.get(f"/admin/posts{older}").text
    assert ("Post 2" in second, "Post 1" in second, "Post 0" in second) == (True, True, False)
    assert len([each for each in seen.sent if each.startswith("SELECT")]) <= 3


def move(visit: Visit, name: str, *posts: Blog | UUID) -> str:
    ids = [str(post.id if isinstance(post, Blog) else post) for post in posts]
    return visit.post("/admin/posts", move=name, post=ids).text


def test_many_posts_are_sent_along_one_way_and_those_that_cannot_be_stay(site: Site, cleo: User, eve: Visit):
    draft, published = site.write("A", status="draft"), site.write("B")
    answer = move(eve, "archive", draft, published, UUID(int=1))
    assert "Archive: 1 done, 2 left as they were." in answer
    assert [status_of(site.app, post) for post in (draft, published)] == ["draft", "archived"]


def test_nobody_sends_others_posts_anywhere_without_the_right_to(site: Site, cleo: User):
    post = site.write("Ada's", status="draft")
    assert "0 done, 1 left" in move(Visit(site.app, cleo), "trash", post)
    assert status_of(site.app, post) == "draft"


def test_only_ways_that_need_nothing_more_can_be_taken_by_many(site: Site, eve: Visit):
    assert eve.post("/admin/posts", move="return", post=str(site.write("A", status="in_review").id)).status_code == 400
