"""The states of posts: which ways there are, who may take them, and what readers then see."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
import sqlalchemy as sa

from cms.accounts.models import User
from cms.accounts.permissions import ADMIN, AUTHOR, CONTRIBUTOR, EDITOR, STATES, USER
from cms.accounts.sessions import Person
from cms.activity.models import ActivityLog
from cms.activity.notices import list_notices
from cms.activity.services import Actor
from cms.blogs.archive import list_months
from cms.blogs.beside import find_neighbours
from cms.blogs.drafts import PostDraft
from cms.blogs.editing import Seen, lock_post, save_post
from cms.blogs.errors import MoveRefused
from cms.blogs.jobs import empty
from cms.blogs.models import Blog, BlogVersion, Redirect
from cms.blogs.moving import Move, empty_trash, list_moves, move_post
from cms.blogs.queries import find_published_post
from cms.blogs.services import add_redirect
from cms.blogs.sitemap import list_part_starts, list_posts_of_part
from cms.blogs.states import TRANSITIONS, WAYS, state_of
from cms.extensions import db, transaction
from cms.jobs.kinds import JobRun
from cms.web.paging import Place
from tests.people import add_person
from tests.site import NOON, Site

NOW = datetime.now(UTC)
LATER = NOW + timedelta(hours=2)
ED = Actor(None, "ed")
BEFORE = NOW - timedelta(days=3)


@pytest.fixture(autouse=True)
def _context(site: Site) -> Iterator[None]:
    with site.app.app_context():
        yield


def written(site: Site, status: str, **fields: Any) -> Blog:
    return site.write("On lamps", status=status, created_at=fields.pop("created_at", BEFORE), **fields)


def move(blog: Blog, name: str, *, at: datetime = NOW, seen: int | None = None, **needs: Any) -> Blog:
    with transaction() as session:
        locked = lock_post(session, blog.id)
        assert locked is not None
        seen = locked.version if seen is None else seen
        move_post(session, locked, Move(name, **needs), seen=seen, by=ED, at=at, site_url="https://here.example")
    return stored(blog)


def stored(blog: Blog) -> Blog:
    db.session.expire_all()
    return db.session.get_one(Blog, blog.id)


NEEDS: dict[str, dict[str, Any]] = {"reason": {"reason": "too short"}, "time": {"publish_at": LATER}, "": {}}


def in_state(site: Site, state: str) -> Blog:
    if state == "scheduled":
        return written(site, "published", created_at=LATER)
    blog = written(site, "draft" if state == "trashed" else state)
    return move(blog, "trash") if state == "trashed" else blog


# --- the table ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("state", sorted(STATES - {""}))
@pytest.mark.parametrize("name", TRANSITIONS)
def test_each_way_leads_from_its_states_to_its_goal_and_from_no_other(site: Site, name: str, state: str):
    blog, way = in_state(site, state), TRANSITIONS[name]
    if state not in way.sources:
        with pytest.raises(MoveRefused, match=f"the post is {state}"):
            move(blog, name, **NEEDS[way.needs])
        assert state_of(stored(blog), NOW) == state
        return
    assert state_of(move(blog, name, **NEEDS[way.needs]), NOW) == (way.goal or "draft")


def test_every_state_can_be_reached_and_left():
    goals = {way.goal for way in WAYS} - {None}
    sources = set().union(*(way.sources for way in WAYS))
    assert goals == sources == STATES - {""}


def person(role: str, user_id: UUID) -> Person:
    times = {"used_at": NOW, "proven_at": NOW}
    return Person(user_id, role, role, "", role, frozenset({role}), uuid4(), **times, is_protected=True)


@pytest.mark.parametrize(
    ("role", "whose", "moves"),
    [
        (CONTRIBUTOR, "own", {"draft": "submit trash", "in_review": "withdraw trash", "trashed": "untrash"}),
        (CONTRIBUTOR, "others", {}),
        (USER, "own", {}),
        (
            AUTHOR, "own",
            {
                "draft": "submit publish schedule trash",
                "in_review": "publish schedule withdraw trash",
                "scheduled": "publish schedule unpublish trash",
                "published": "unpublish archive trash",
                "archived": "publish trash",
                "trashed": "untrash",
            },
        ),
        (AUTHOR, "others", {}),
    ],
)  # fmt: skip
def test_who_may_take_which_way(site: Site, role: str, whose: str, moves: dict[str, str]):
    somebody = person(role, site.ada.uuid if whose == "own" else uuid4())
    for state in sorted(STATES - {""}):
        offered = [way.name for way in list_moves(somebody, in_state(site, state), at=NOW)]
        assert offered == moves.get(state, "").split(), state


@pytest.mark.parametrize("role", [EDITOR, ADMIN])
def test_who_edits_may_take_every_way_of_everybodys_posts(site: Site, role: str):
    for state in sorted(STATES - {""}):
        offered = list_moves(person(role, uuid4()), in_state(site, state), at=NOW)
        assert offered == [way for way in WAYS if state in way.sources]


def test_a_contributor_cannot_take_out_of_the_trash_what_only_others_could_put_there(site: Site):
    blog = move(written(site, "published"), "trash")
    assert list_moves(person(CONTRIBUTOR, site.ada.uuid), blog, at=NOW) == []


def test_a_status_that_only_a_former_program_knew_is_a_draft(site: Site):
    blog = written(site, "draft")
    with transaction() as session:
        session.execute(sa.update(Blog).values(status="pending"))
    assert state_of(stored(blog), NOW) == "draft"
    assert state_of(move(blog, "publish"), NOW) == "published"


# --- publishing ---------------------------------------------------------------------------------------------------


def versions(blog: Blog) -> list[tuple[int, str]]:
    rows = db.session.execute(sa.select(BlogVersion.number, BlogVersion.kind).order_by(BlogVersion.number))
    return [tuple(row) for row in rows]


def test_what_is_published_is_a_version_and_has_the_date_of_now(site: Site):
    blog = move(written(site, "draft"), "publish")
    assert (blog.status, blog.created_at, blog.version) == ("published", NOW, 2)
    assert versions(blog) == [(1, "save"), (2, "publish")]


def test_what_was_public_before_keeps_its_date(site: Site):
    blog = written(site, "published")
    for name in ("archive", "publish", "unpublish", "publish"):
        move(blog, name)
    assert stored(blog).created_at == BEFORE


def test_a_date_in_the_past_can_be_given(site: Site):
    assert move(written(site, "draft"), "publish", publish_at=NOON).created_at == NOON


def test_nobody_publishes_a_text_that_they_have_not_seen(site: Site):
    blog = written(site, "in_review")
    with transaction() as session:
        locked = session.get_one(Blog, blog.id)
        author = Actor(site.ada.uuid, "ada")
        save_post(session, locked, PostDraft(title="On lamps", content="x"), seen=Seen(1), by=author, at=NOW)
    with pytest.raises(MoveRefused, match="version 2 was stored meanwhile"):
        move(blog, "publish", seen=1)
    assert stored(blog).status == "in_review"


@pytest.mark.parametrize("publish_at", [None, NOW, BEFORE])
def test_a_post_is_scheduled_for_a_time_to_come(site: Site, publish_at: datetime | None):
    with pytest.raises(MoveRefused, match="not to come"):
        move(written(site, "draft"), "schedule", publish_at=publish_at)


def test_a_post_is_not_returned_without_a_reason(site: Site):
    blog = written(site, "in_review")
    with pytest.raises(MoveRefused, match="no reason"):
        move(blog, "return", reason=" \n ")
    move(blog, "return", reason="too  short")
    entry = db.session.scalars(sa.select(ActivityLog)).one()
    assert (entry.action, entry.actor_name, entry.details) == ("blog.returned", "ed", {"reason": "too short"})


def notices(user: User) -> list[tuple[str, str]]:
    return [(each.kind, each.text) for each in list_notices(db.session, user.uuid, Place(), size=9).items]


def test_editors_are_told_what_is_handed_in_and_authors_what_became_of_it(site: Site):
    cleo = add_person(site.app, "cleo", CONTRIBUTOR)
    blog = move(written(site, "draft", author=cleo), "submit")
    assert notices(site.ada) == [("blog.submitted", "ed handed in “On lamps”")]
    assert notices(site.ben) == notices(cleo) == []
    move(blog, "return", reason="too short")
    move(blog, "publish")
    assert sorted(notices(cleo)) == [
        ("blog.published", "ed published “On lamps”"), ("blog.returned", "ed returned “On lamps”: too short")
    ]  # fmt: skip


def test_nobody_is_told_what_they_did_themselves(site: Site, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(globals(), "ED", Actor(site.ada.uuid, "ada"))
    for name in ("submit", "publish"):
        blog = move(written(site, "draft"), name)
    assert notices(site.ada) == []
    assert blog.status == "published"


# --- what readers see ---------------------------------------------------------------------------------------------


def test_a_scheduled_post_is_on_no_page_until_its_time_and_then_on_each(site: Site):
    site.write("Older", created_at=BEFORE - timedelta(days=1), tags=("lamps",))
    blog = site.write("Embargoed", created_at=LATER, tags=("lamps",), content="Lanterns.")
    with transaction() as session:
        add_redirect(session, "/old/", blog, at=NOW)
    client = site.app.test_client()
    pages = ["/", "/tag/lamps/", "/author/ada/", "/feed.xml", "/archive/", "/search?q=lanterns", "/sitemap-posts.xml"]
    for path in pages:
        assert "Embargoed" not in client.get(path).text, path
        assert "embargoed" not in client.get(path).text, path
    assert client.get("/embargoed/").status_code == client.get("/old/").status_code == 404
    older = find_published_post(db.session, "older")
    assert older is not None
    assert find_neighbours(db.session, older).newer is None
    assert [month.month for month in list_months(db.session)] == [older.created_at.month]
    assert list_part_starts(db.session, size=10) == [older.created_at]
    with transaction() as session:  # its time comes
        session.execute(sa.update(Blog).where(Blog.id == blog.id).values(created_at=BEFORE))
    assert client.get("/embargoed/").status_code == 200
    assert "Embargoed" in client.get("/").text
    assert "Embargoed" in client.get("/search?q=lanterns").text
    assert len(list_posts_of_part(db.session, since=None, before=None, limit=9)) == 2


@pytest.mark.parametrize("status", ["draft", "in_review", "archived", "trashed"])
def test_only_what_is_published_is_on_the_site(site: Site, status: str):
    site.write("On lamps", status=status, created_at=BEFORE)
    client = site.app.test_client()
    assert client.get("/on-lamps/").status_code == 404
    assert "On lamps" not in client.get("/").text


def test_what_was_on_the_site_and_is_in_the_trash_is_gone_and_what_never_was_is_not_known(site: Site):
    client = site.app.test_client()
    for title, status, code in (("Was here", "published", 410), ("A draft", "draft", 404)):
        move(site.write(title, status=status, created_at=BEFORE), "trash")
        assert client.get(f"/{title.lower().replace(' ', '-')}/").status_code == code


def test_old_addresses_of_what_is_in_the_trash_are_gone_too(site: Site):
    blog = site.write("Was here", created_at=BEFORE)
    with transaction() as session:
        add_redirect(session, "/old/", blog, at=NOW)
    client = site.app.test_client()
    assert client.get("/old/").status_code == 301
    move(blog, "trash")
    assert client.get("/old/").status_code == 410


def test_readers_who_do_not_see_the_cover_get_its_words(site: Site):
    site.write("On lamps", images_url=("/a.png",), cover_alt='A "lamp"')
    assert 'alt="A &#34;lamp&#34;"' in site.app.test_client().get("/on-lamps/").text


# --- the trash ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("state", ["draft", "in_review", "scheduled", "published", "archived"])
def test_what_is_taken_out_of_the_trash_is_what_it_was(site: Site, state: str):
    blog = in_state(site, state)
    trashed = move(blog, "trash")
    assert (trashed.status, trashed.trashed_at) == ("trashed", NOW)
    back = move(blog, "untrash")
    assert (state_of(back, NOW), back.trashed_at, back.trashed_from) == (state, None, None)


def test_a_scheduled_post_whose_time_passed_in_the_trash_does_not_appear_by_being_taken_out(site: Site):
    blog = move(in_state(site, "scheduled"), "trash")
    assert move(blog, "untrash", at=LATER + timedelta(hours=1)).status == "draft"


def test_the_trash_is_emptied_of_what_is_in_it_for_30_days_with_all_its_versions(site: Site):
    month = timedelta(days=30)
    old, young, kept = (site.write(title, created_at=BEFORE) for title in ("Old", "Young", "Kept"))
    with transaction() as session:
        add_redirect(session, "/old-address/", old, at=NOW)
    move(old, "unpublish")
    move(old, "trash", at=NOW - month)
    move(young, "trash", at=NOW - month + timedelta(hours=1))
    with transaction() as session:
        assert empty_trash(session, at=NOW - timedelta(days=1)) == 0
    empty(JobRun(uuid4(), {}, 1, report=lambda _share: None))
    assert set(db.session.scalars(sa.select(Blog.id))) == {young.id, kept.id}
    counted = [db.session.scalar(sa.select(sa.func.count()).select_from(table)) for table in (BlogVersion, Redirect)]
    assert counted == [0, 0]
