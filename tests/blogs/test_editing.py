"""Saving posts: nothing is stored over a text that its writer has not seen, and no text is lost."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from threading import Barrier
from typing import Any
from uuid import uuid4

import pytest
import sqlalchemy as sa

from cms.accounts.models import User
from cms.activity.models import ActivityLog
from cms.activity.services import Actor
from cms.blogs.drafts import PostDraft
from cms.blogs.editing import (
    Saved,
    Seen,
    annotate_version,
    autosave_post,
    lock_post,
    restore_version,
    save_post,
    start_post,
)
from cms.blogs.errors import PostChanged, PostInvalid
from cms.blogs.models import Blog, BlogVersion, Redirect
from cms.blogs.services import update_post
from cms.blogs.versions import find_autosave, find_version, list_versions, texts_of
from cms.extensions import db, transaction
from tests.people import add_person
from tests.site import NOON, Site

LATER = NOON + timedelta(days=1)
TEXT = PostDraft(title="On lamps", slug="on-lamps", content="one\n\ntwo\n\nthree")


@pytest.fixture(autouse=True)
def _context(site: Site) -> Iterator[None]:
    with site.app.app_context():
        yield


@pytest.fixture
def ada(site: Site) -> Actor:
    return Actor(site.ada.uuid, "ada")


@pytest.fixture
def ben(site: Site) -> Actor:
    return Actor(site.ben.uuid, "ben")


@pytest.fixture
def blog(site: Site) -> Blog:
    return site.write("On lamps", content=TEXT.content, status="draft")


def save(blog: Blog, by: Actor, *, seen: int, unsaved: int = 0, note: str | None = None, **fields: Any) -> Saved:
    with transaction() as session:
        locked = lock_post(session, blog.id)
        assert locked is not None
        known = Seen(seen, unsaved)
        return save_post(session, locked, replace(TEXT, **fields), seen=known, by=by, at=LATER, note=note)


def autosave(blog: Blog, by: Actor, *, unsaved: int = 0, **fields: Any) -> Saved:
    with transaction() as session:
        locked = lock_post(session, blog.id)
        assert locked is not None
        return autosave_post(session, locked, replace(TEXT, **fields), seen=Seen(1, unsaved), by=by, at=LATER)


def stored(blog: Blog) -> Blog:
    db.session.expire_all()
    return db.session.get_one(Blog, blog.id)


def numbers(blog: Blog) -> list[tuple[int, str, str]]:
    return [(each.number, each.kind, each.saved_by_name) for each in list_versions(db.session, blog.id)]


# --- saving -------------------------------------------------------------------------------------------------------


def test_a_save_is_a_numbered_version_and_the_text_before_it_is_kept(blog: Blog, ben: Actor):
    assert save(blog, ben, seen=1, content="new", note="shorter") == Saved(2, LATER, is_new=True)
    assert (stored(blog).version, stored(blog).content, stored(blog).content_html) == (2, "new", "<p>new</p>\n")
    assert numbers(blog) == [(2, "save", "ben"), (1, "save", "ada")]
    first, second = (find_version(db.session, blog.id, number) for number in (1, 2))
    assert first is not None and second is not None  # noqa: PT018
    assert (first.content, second.note, second.base) == (TEXT.content, "shorter", 1)


def test_a_save_without_a_change_makes_no_version(blog: Blog, ada: Actor):
    assert save(blog, ada, seen=1) == Saved(1, LATER, is_new=False)
    assert (numbers(blog), stored(blog).updated_at) == ([], None)


def test_a_save_over_a_newer_version_changes_nothing_and_gives_all_three_texts(blog: Blog, ada: Actor, ben: Actor):
    save(blog, ben, seen=1, content="one\n\ntwo\n\nTHREE")
    with pytest.raises(PostChanged) as refused:
        save(blog, ada, seen=1, content="ONE\n\ntwo\n\nthree", title="Lanterns")
    conflict = refused.value.conflict
    assert (conflict.base, conflict.mine.content) == (TEXT, "ONE\n\ntwo\n\nthree")
    assert (conflict.theirs.content, conflict.number, conflict.by) == ("one\n\ntwo\n\nTHREE", 2, "ben")
    assert (conflict.merged.content, conflict.merged.title) == ("ONE\n\ntwo\n\nTHREE", "Lanterns")
    assert conflict.contested == ()
    assert stored(blog).content == "one\n\ntwo\n\nTHREE"
    assert save(blog, ada, seen=2, content=conflict.merged.content).number == 3


def test_a_save_that_was_stored_already_succeeds_again(blog: Blog, ada: Actor):
    """A browser that got no answer sends the same once more."""
    save(blog, ada, seen=1, content="new")
    assert save(blog, ada, seen=1, content="new") == Saved(2, LATER, is_new=False)


def test_of_two_saves_at_the_same_moment_one_is_told_of_the_other(site: Site, blog: Blog, ada: Actor, ben: Actor):
    together = Barrier(2)

    def write(by: Actor) -> str:
        with site.app.app_context():
            together.wait(timeout=30)
            try:
                save(blog, by, seen=1, content=by.name)
            except PostChanged as changed:
                return changed.conflict.by
            finally:
                db.session.remove()
            return "stored"

    with ThreadPoolExecutor(2) as pool:
        answers = list(pool.map(write, (ada, ben)))
    winner = ("ada", "ben")[answers.index("stored")]
    assert sorted(answers) == sorted(["stored", winner])
    assert stored(blog).content == winner


def test_a_changed_import_is_a_newer_version_too(blog: Blog, ada: Actor):
    with transaction() as session:
        update_post(session, session.get_one(Blog, blog.id), replace(TEXT, content="imported"), at=LATER)
    with pytest.raises(PostChanged) as refused:
        save(blog, ada, seen=1, content="mine")
    assert (refused.value.conflict.base, refused.value.conflict.theirs.content) == (TEXT, "imported")


def test_a_save_keeps_status_and_date(site: Site, ada: Actor):
    published = site.write("On lamps", content="old")
    save(published, ada, seen=1, content="new")
    assert (stored(published).status, stored(published).created_at) == ("published", published.created_at)


def test_what_cannot_be_stored_changes_nothing(blog: Blog, ada: Actor):
    with pytest.raises(PostInvalid):
        save(blog, ada, seen=1, content="a\x00b")
    assert (stored(blog).version, numbers(blog)) == (1, [])


def test_saves_are_in_the_activity_log(blog: Blog, ada: Actor):
    save(blog, ada, seen=1, content="new")
    entry = db.session.scalars(sa.select(ActivityLog)).one()
    assert (entry.action, entry.object_id, entry.details) == (
        "blog.saved", str(blog.id), {"version": 2, "kind": "save"}
    )  # fmt: skip


# --- addresses ----------------------------------------------------------------------------------------------------


def paths() -> list[str]:
    return list(db.session.scalars(sa.select(Redirect.path)))


def test_the_address_of_a_draft_follows_its_title_and_leaves_nothing_behind(blog: Blog, ada: Actor):
    save(blog, ada, seen=1, title="On lanterns")
    assert (stored(blog).slug, paths()) == ("on-lanterns", [])


def test_an_address_that_somebody_chose_stays_whatever_the_title(blog: Blog, ada: Actor):
    save(blog, ada, seen=1, slug="light")
    save(blog, ada, seen=2, slug="light", title="On lanterns")
    assert stored(blog).slug == "light"


def test_a_published_post_keeps_its_address_and_another_one_leaves_a_redirect(site: Site, ada: Actor):
    blog = site.write("On lamps", content="x")
    save(blog, ada, seen=1, title="On lanterns")
    assert (stored(blog).slug, paths()) == ("on-lamps", [])
    save(blog, ada, seen=2, title="On lanterns", slug="lanterns")
    assert (stored(blog).slug, paths()) == ("lanterns", ["/on-lamps"])


# --- new posts ----------------------------------------------------------------------------------------------------


def test_a_new_post_is_stored_once_however_often_it_is_sent(ada: Actor):
    made_up = uuid4()
    for _ in range(2):
        with transaction() as session:
            blog = start_post(session, made_up, PostDraft(title="", content="words"), by=ada, at=NOON)
    assert (blog.id, blog.title, blog.slug, blog.status, blog.author_id) == (
        made_up, "Untitled", "untitled", "draft", ada.id
    )  # fmt: skip
    assert numbers(blog) == [(1, "save", "ada")]
    assert save(blog, ada, seen=1, title="On lamps", slug="untitled").number == 2
    assert stored(blog).slug == "on-lamps"


def test_a_new_post_that_arrives_twice_at_the_same_moment_is_one(site: Site, ada: Actor):
    together, made_up = Barrier(2), uuid4()

    def send(_number: int) -> None:
        with site.app.app_context():
            together.wait(timeout=30)
            with transaction() as session:
                start_post(session, made_up, TEXT, by=ada, at=NOON)
            db.session.remove()

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(send, range(2)))
    assert db.session.scalars(sa.select(Blog.slug)).all() == ["on-lamps"]


# --- autosaves ----------------------------------------------------------------------------------------------------


def test_an_autosave_leaves_the_post_alone_and_replaces_the_one_before(blog: Blog, ada: Actor):
    assert autosave(blog, ada, content="wor").number == 2
    assert autosave(blog, ada, content="words", unsaved=2).number == 3
    kept = db.session.scalars(sa.select(BlogVersion)).one()
    assert (kept.content, kept.kind, kept.base, kept.number) == ("words", "autosave", 1, 3)
    assert (stored(blog).content, stored(blog).version, numbers(blog)) == (TEXT.content, 1, [])


def test_an_unfinished_text_can_be_kept_without_title(blog: Blog, ada: Actor):
    autosave(blog, ada, title="", content="")
    kept = find_autosave(db.session, blog.id, ada.id)
    assert kept is not None
    assert (kept.title, kept.content) == ("", "")


def test_the_same_autosave_again_is_the_same(blog: Blog, ada: Actor):
    first = autosave(blog, ada, content="words")
    assert autosave(blog, ada, content="words") == replace(first, is_new=False)


def test_two_windows_of_one_person_do_not_overwrite_each_others_autosave(blog: Blog, ada: Actor):
    autosave(blog, ada, content="first window")
    with pytest.raises(PostChanged) as refused:
        autosave(blog, ada, content="second window")
    assert refused.value.conflict.theirs.content == "first window"
    assert refused.value.conflict.base == TEXT


def test_a_save_does_not_discard_what_another_window_of_its_writer_kept(blog: Blog, ada: Actor):
    autosave(blog, ada, content="one\n\ntwo\n\nTHREE")
    with pytest.raises(PostChanged) as refused:
        save(blog, ada, seen=1, content="ONE\n\ntwo\n\nthree")
    assert refused.value.conflict.merged.content == "ONE\n\ntwo\n\nTHREE"
    assert save(blog, ada, seen=1, unsaved=2, content="ONE\n\ntwo\n\nTHREE").number == 3


def test_each_person_has_an_autosave_of_their_own(blog: Blog, ada: Actor, ben: Actor):
    autosave(blog, ada, content="ada's")
    autosave(blog, ben, content="ben's")
    found = [find_autosave(db.session, blog.id, each.id) for each in (ada, ben)]
    assert [each and each.content for each in found] == ["ada's", "ben's"]


def test_a_save_takes_the_autosave_of_its_writer_along_and_nobody_elses(blog: Blog, ada: Actor, ben: Actor):
    autosave(blog, ada, content="ada's")
    autosave(blog, ben, content="ben's")
    assert save(blog, ada, seen=1, unsaved=2, content="ada's, whole").number == 4
    assert find_autosave(db.session, blog.id, ada.id) is None
    assert find_autosave(db.session, blog.id, ben.id) is not None


# --- restore ------------------------------------------------------------------------------------------------------


def restore(blog: Blog, number: int, by: Actor) -> Saved:
    with transaction() as session:
        return restore_version(session, session.get_one(Blog, blog.id), number, by=by, at=LATER)


def test_a_restored_version_is_a_new_one_and_address_and_status_stay(site: Site, ada: Actor, ben: Actor):
    blog = site.write("On lamps", content="old", tags=("a",), images_url=("/a.png",))
    save(blog, ada, seen=1, content="new", slug="light")
    assert restore(blog, 1, ben) == Saved(3, LATER, is_new=True)
    now = stored(blog)
    assert (now.content, now.tags, now.images_url) == ("old", ["a"], ["/a.png"])
    assert (now.slug, now.status, now.version) == ("light", "published", 3)
    assert numbers(blog)[0] == (3, "restore", "ben")
    assert find_version(db.session, blog.id, 3).base == 1  # type: ignore[union-attr]


def test_a_version_that_is_not_there_is_not_restored(blog: Blog, ada: Actor):
    with pytest.raises(PostInvalid, match="there is no version 7"):
        restore(blog, 7, ada)


def test_versions_are_listed_newest_first_a_page_at_a_time_and_can_be_annotated(blog: Blog, ada: Actor):
    for number in range(1, 6):
        save(blog, ada, seen=number, content=str(number))
    with transaction() as session:
        assert annotate_version(session, stored(blog), 3, " a  note ")
        assert not annotate_version(session, stored(blog), 9, "x")
    page = list_versions(db.session, blog.id, before=4, size=2)
    assert [(each.number, each.note) for each in page] == [(3, "a note"), (2, None)]


def test_a_version_keeps_everything_that_writers_write(blog: Blog, ada: Actor):
    whole = {
        "content": "# New", "summary": "S", "tags": ("a", "東京"), "images_url": ("/a.png", "/b.png"), "cover_alt": "A",
    }  # fmt: skip
    save(blog, ada, seen=1, **whole)
    version = find_version(db.session, blog.id, 2)
    assert version is not None
    assert texts_of(version) == replace(TEXT, **whole) == texts_of(stored(blog))  # type: ignore[arg-type]


def test_a_writer_whose_account_goes_at_that_moment_is_told_so(site: Site):
    gone = add_person(site.app, "gil", "author")

    def begin() -> None:
        with site.app.app_context(), transaction() as session:
            start_post(session, uuid4(), TEXT, by=Actor(gone.uuid, "gil"), at=NOON)

    with ThreadPoolExecutor(1) as pool:
        with transaction() as session:
            session.execute(sa.delete(User).where(User.uuid == gone.uuid))
            begun = pool.submit(begin)
        with pytest.raises(PostInvalid, match="your account is not there any more"):
            begun.result()
    assert db.session.scalar(sa.select(sa.func.count()).select_from(Blog)) == 0
