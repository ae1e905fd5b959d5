"""A copy of one's data, and deleting accounts: posts stay with somebody, the activity log keeps the name."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa
from flask import Flask

from cms.accounts.models import User, UserSession
from cms.accounts.permissions import ADMIN, AUTHOR
from cms.activity.models import ActivityLog
from cms.blogs.models import DRAFT, Blog
from cms.extensions import db
from tests.people import Visit, add_person
from tests.site import PASSWORD, Site, open_site, running, settings_for


@pytest.fixture
def cleo(app: Flask) -> User:
    return add_person(app, "cleo", AUTHOR, password=PASSWORD)


@pytest.fixture
def root(app: Flask) -> User:
    return add_person(app, "root", ADMIN, password=PASSWORD)


def usernames(app: Flask) -> set[str]:
    with app.app_context():
        return set(db.session.scalars(sa.select(User.username)))


def authors(app: Flask) -> list[str]:
    with app.app_context():
        query = sa.select(User.username).join(Blog, Blog.author_id == User.uuid).order_by(Blog.slug)
        return list(db.session.scalars(query))


def entries(app: Flask) -> list[tuple[object, ...]]:
    with app.app_context():
        columns = (ActivityLog.actor_name, ActivityLog.action, ActivityLog.actor_id.is_not(None))
        return [tuple(row) for row in db.session.execute(sa.select(*columns).order_by(ActivityLog.happened_at))]


# --- one's own ----------------------------------------------------------------------------------------------------


def test_a_copy_has_everything_of_ones_own_and_nothing_of_others(site: Site, cleo: User):
    site.write("Mine", author=cleo, status=DRAFT, content="My words.")
    site.write("Not mine")
    visit = Visit(site.app, cleo)
    visit.post("/account/", first_name="Cleo", bio="a lamp")
    answer = visit.get("/account/data.json")
    assert answer.headers["Content-Disposition"] == 'attachment; filename="my-data.json"'
    copy = json.loads(answer.text)
    assert [each["email"] for each in copy["account"]] == ["cleo@example.org"]
    assert [(each["title"], each["content"]) for each in copy["posts"]] == [("Mine", "My words.")]
    assert [each["action"] for each in copy["activity"]] == ["user.profile_changed"]
    assert [each["address"] for each in copy["sessions"]] == ["192.0.2.7"]
    assert copy["notifications"] == copy["notification_preferences"] == []
    assert "argon2" not in answer.text
    assert not {"password_hash", "secret_hash"} & {*copy["account"][0], *copy["sessions"][0]}


def test_a_copy_of_many_posts_is_whole(site: Site, cleo: User):
    for number in range(60):
        site.write(f"Post {number}", author=cleo)
    assert len(json.loads(Visit(site.app, cleo).get("/account/data.json").text)["posts"]) == 60


def test_whoever_has_no_posts_deletes_the_account_and_is_out_everywhere(site: Site, cleo: User):
    visit, other = Visit(site.app, cleo), Visit(site.app, cleo)
    visit.post("/account/", bio="a lamp")
    answer = visit.post("/account/delete", username="cleo")
    assert (answer.status_code, answer.location) == (303, "/")
    assert visit.client.get_cookie("session") is None
    assert usernames(site.app) == {"ada", "ben"}
    assert other.get("/account/").status_code == 303
    assert entries(site.app) == [("cleo", "user.profile_changed", False), ("cleo", "user.deleted", False)]
    with site.app.app_context():
        assert db.session.scalar(sa.select(sa.func.count()).select_from(UserSession)) == 0


@pytest.mark.parametrize("typed", ["", "CLEO", "ada"])
def test_it_has_to_be_meant(site: Site, cleo: User, typed: str):
    answer = Visit(site.app, cleo).post("/account/delete", username=typed)
    assert answer.status_code == 422
    assert "That is not your username" in answer.text
    assert "cleo" in usernames(site.app)


def test_whoever_has_posts_waits_until_an_admin_says_whom_they_go_to(site: Site, cleo: User):
    site.write("Mine", author=cleo)
    visit = Visit(site.app, cleo)
    assert "An administrator has to say whom they go to" in visit.get("/account/data").text
    answer = visit.post("/account/delete", username="cleo")
    assert answer.status_code == 422
    assert "An administrator has to say first" in answer.text
    assert authors(site.app) == ["cleo"]


def test_the_last_admin_stays(app: Flask, root: User):
    answer = Visit(app, root).post("/account/delete", username="root")
    assert answer.status_code == 422
    assert "nobody else who can sign in would be left" in answer.text
    assert usernames(app) == {"root"}


@pytest.fixture
def inheriting(migrated_url: str, tmp_path: Path) -> Iterator[Site]:
    with running(settings_for(migrated_url, tmp_path, POSTS_GO_TO="ada")) as app:
        yield open_site(app)


def test_posts_go_to_whom_the_setting_names(inheriting: Site):
    app, cleo = inheriting.app, add_person(inheriting.app, "cleo", AUTHOR)
    inheriting.write("Mine", author=cleo, status=DRAFT)
    visit = Visit(app, cleo)
    assert "Your posts (1) stay and go to ada." in visit.get("/account/data").text
    assert visit.post("/account/delete", username="cleo").status_code == 303
    assert authors(app) == ["ada"]
    assert [action for _, action, _ in entries(app)] == ["user.posts_handed_over", "user.deleted"]


def test_whom_the_setting_names_cannot_leave_posts_to_themselves(inheriting: Site):
    inheriting.write("Hers")
    assert Visit(inheriting.app, inheriting.ada).post("/account/delete", username="ada").status_code == 422
    assert authors(inheriting.app) == ["ada"]


# --- somebody else's ----------------------------------------------------------------------------------------------


def test_an_admin_says_whom_the_posts_go_to(site: Site, cleo: User, root: User):
    site.write("Mine", author=cleo)
    site.write("Draft", author=cleo, status=DRAFT)
    visit, path = Visit(site.app, root), f"/admin/people/{cleo.uuid}/delete"
    assert "Who gets the posts (2)" in visit.get(path).text
    assert visit.post(path, heir="ada").location == "/admin/people?done=deleted"
    assert authors(site.app) == ["ada", "ada"]
    assert "cleo" not in usernames(site.app)
    assert [entry[:2] for entry in entries(site.app)] == [("root", "user.posts_handed_over"), ("root", "user.deleted")]
    assert site.app.test_client().get("/mine/").status_code == 200


@pytest.mark.parametrize("heir", ["", "nobody", "cleo", "' OR 1=1"])
def test_posts_are_never_lost_with_their_author(site: Site, cleo: User, root: User, heir: str):
    site.write("Mine", author=cleo)
    answer = Visit(site.app, root).post(f"/admin/people/{cleo.uuid}/delete", heir=heir)
    assert answer.status_code == 422
    assert authors(site.app) == ["cleo"]
    assert entries(site.app) == []


def test_an_admin_cannot_delete_the_last_admin(app: Flask, root: User):
    answer = Visit(app, root).post(f"/admin/people/{root.uuid}/delete")
    assert answer.status_code == 422
    assert usernames(app) == {"root"}
