"""Writing a post by its form, as browsers without a script do, and what the script asks."""

from __future__ import annotations

from typing import Any
from uuid import UUID, uuid4

import pytest
import sqlalchemy as sa
from werkzeug.test import TestResponse

from cms.accounts.models import User
from cms.blogs.models import Blog, BlogVersion
from cms.extensions import db, transaction
from tests.people import Visit, add_person
from tests.site import Site

JSON = {"Accept": "application/json"}


@pytest.fixture
def eve(site: Site) -> Visit:
    return Visit(site.app, site.ada)


@pytest.fixture
def carl(site: Site) -> User:
    return add_person(site.app, "carl", "contributor")


@pytest.fixture
def blog(site: Site) -> Blog:
    return site.write("On lamps", content="one\n\ntwo\n\nthree", status="draft", images_url=("/a.png", "/b.png"))


def path(blog: Blog | UUID) -> str:
    return f"/admin/posts/{blog.id if isinstance(blog, Blog) else blog}"


def fields(**typed: Any) -> dict[str, Any]:
    known = {"seen": "1", "unsaved": "0", "title": "On lamps", "content": "one\r\n\r\ntwo\r\n\r\nthree"}
    return {**known, "slug": "on-lamps", "cover": "/a.png", "pictures": "/b.png", **typed}


def ask(visit: Visit, address: str, **typed: Any) -> TestResponse:
    data = {"csrf": visit.token, **fields(**typed)}
    return visit.client.post(address, data=data, headers=JSON)


def stored(site: Site, blog: Blog | UUID) -> Blog:
    with site.app.app_context():
        found = db.session.get_one(Blog, blog.id if isinstance(blog, Blog) else blog)
        db.session.expunge(found)
        return found


# --- the form -----------------------------------------------------------------------------------------------------


def test_a_form_that_is_sent_as_it_came_changes_nothing(site: Site, eve: Visit, blog: Blog):
    page = eve.get(path(blog))
    assert page.status_code == 200
    assert "one\n\ntwo\n\nthree</textarea>" in page.text.replace("\r\n", "\n")
    assert eve.post(path(blog), **fields()).status_code == 303
    assert (stored(site, blog).version, stored(site, blog).images_url) == (1, ["/a.png", "/b.png"])


def test_what_is_typed_is_saved_as_a_version_with_its_note(site: Site, eve: Visit, blog: Blog):
    typed = fields(
        content="new", tags="a\n\nb, c", summary="S", cover="/c.png", cover_alt="A lamp", note="shorter", pictures=""
    )
    assert eve.post(path(blog), **typed).headers["Location"] == f"{path(blog)}?done=saved"
    now = stored(site, blog)
    assert (now.content, now.tags, now.summary, now.images_url, now.cover_alt) == (
        "new", ["a", "b, c"], "S", ["/c.png"], "A lamp"
    )  # fmt: skip
    with site.app.app_context():
        assert db.session.scalar(sa.select(BlogVersion.note).where(BlogVersion.number == 2)) == "shorter"


def test_what_cannot_be_stored_is_shown_again_with_the_reason(site: Site, eve: Visit, blog: Blog):
    answer = eve.post(path(blog), **fields(title="", content="my words", cover="javascript:x"))
    assert answer.status_code == 422
    assert "my words" in answer.text
    assert "The title is empty" in answer.text
    assert stored(site, blog).version == 1


def test_a_new_post_is_begun_by_its_first_save_and_the_address_is_made_from_the_title(site: Site, eve: Visit):
    address = eve.get("/admin/posts/new").headers["Location"]
    assert eve.get(address).status_code == 200
    made_up = UUID(address.partition("?")[0].rpartition("/")[2])
    with site.app.app_context():
        assert db.session.get(Blog, made_up) is None
    typed = fields(seen="0", slug="", cover="", pictures="", move="publish")
    assert eve.post(path(made_up), **typed).headers["Location"].endswith("?done=publish")
    assert (stored(site, made_up).slug, stored(site, made_up).status) == ("on-lamps", "published")


def test_a_post_that_nobody_made_up_is_not_there(eve: Visit):
    assert eve.get(path(uuid4())).status_code == 404
    assert eve.post(path(uuid4()), **fields()).status_code == 404


def test_the_preview_without_a_script_stores_nothing(site: Site, eve: Visit, blog: Blog):
    answer = eve.post(path(blog), **fields(content="*new* <script>alert(1)</script>", preview="1"))
    assert "<em>new</em>" in answer.text
    assert "<script>alert" not in answer.text
    assert stored(site, blog).version == 1


def test_the_date_of_a_schedule_is_in_the_writers_time_zone(site: Site, eve: Visit, blog: Blog):
    typed = fields(publish_at="2222-07-01T09:30", zone="Europe/Berlin", move="schedule")
    assert eve.post(path(blog), **typed).headers["Location"].endswith("?done=schedule")
    assert stored(site, blog).created_at.isoformat() == "2222-07-01T07:30:00+00:00"
    assert "2222-07-01T07:30" in eve.get(path(blog)).text


@pytest.mark.parametrize("wrong", [{"publish_at": "tomorrow"}, {"zone": "Nowhere/Else"}, {"zone": "../../etc/passwd"}])
def test_a_date_that_is_none_is_refused_and_nothing_is_saved(site: Site, eve: Visit, blog: Blog, wrong: dict[str, str]):
    typed = {"publish_at": "2222-07-01T09:30", "content": "new", "move": "schedule", **wrong}
    answer = eve.post(path(blog), **fields(**typed))
    assert (answer.status_code, stored(site, blog).version) == (422, 1)
    assert "is no date" in answer.text


# --- who may ------------------------------------------------------------------------------------------------------


def test_an_author_is_not_shown_others_drafts_and_cannot_write_them(site: Site, blog: Blog, carl: User):
    visit = Visit(site.app, carl)
    for address in (path(blog), f"{path(blog)}/versions", f"{path(blog)}/versions/1"):
        assert visit.get(address).status_code == 403
    for address in (path(blog), f"{path(blog)}/autosave", f"{path(blog)}/versions/1/restore"):
        assert visit.post(address, **fields(content="mine")).status_code == 403
    assert stored(site, blog).content == blog.content


def test_a_contributor_cannot_publish_and_nothing_else_of_the_form_is_done_then(site: Site, carl: User):
    own = site.write("On lamps", content="old", status="draft", author=carl)
    visit = Visit(site.app, carl)
    assert visit.post(path(own), **fields(content="new", move="publish")).status_code == 403
    assert (stored(site, own).status, stored(site, own).content) == ("draft", "old")
    assert 'value="publish"' not in visit.get(path(own)).text
    assert visit.post(path(own), **fields(content="new", cover="", pictures="", move="submit")).status_code == 303
    assert (stored(site, own).status, stored(site, own).content) == ("in_review", "new")


def test_what_an_editor_made_public_its_contributor_reads_only(site: Site, carl: User):
    own = site.write("On lamps", content="old", author=carl)
    visit = Visit(site.app, carl)
    page = visit.get(path(own))
    assert page.status_code == 200
    assert "<textarea" not in page.text
    assert visit.post(path(own), **fields(content="new")).status_code == 403


def test_a_post_in_the_trash_can_only_be_taken_out(site: Site, eve: Visit, blog: Blog):
    eve.post(path(blog), **fields(move="trash"))
    page = eve.get(path(blog)).text
    assert "<textarea" not in page
    assert 'value="untrash"' in page
    assert eve.post(path(blog), **fields(content="new")).status_code == 403
    assert eve.post(path(blog), **fields(move="untrash")).status_code == 303
    assert stored(site, blog).status == "draft"


def test_a_way_that_somebody_else_closed_is_explained(site: Site, eve: Visit, blog: Blog):
    eve.post(path(blog), **fields(move="submit"))
    answer = eve.post(path(blog), **fields(move="submit"))
    assert answer.status_code == 422
    assert "The post is in review by now" in answer.text


def test_a_returned_post_shows_its_author_why(site: Site, eve: Visit, carl: User):
    own = site.write("On lamps", content="old", status="in_review", author=carl)
    eve.post(path(own), **fields(content="old", cover="", pictures="", move="return", reason="Too <b>short</b>"))
    assert "Too &lt;b&gt;short&lt;/b&gt;" in Visit(site.app, carl).get(path(own)).text


# --- conflicts ----------------------------------------------------------------------------------------------------


def test_a_save_over_a_newer_version_shows_all_texts_and_their_merge(site: Site, eve: Visit, blog: Blog):
    eve.post(path(blog), **fields(content="one\n\ntwo\n\nTHREE"))
    answer = eve.post(path(blog), **fields(content="ONE\n\ntwo\n\nthree"))
    assert answer.status_code == 409
    for text in ("ONE\n\ntwo\n\nTHREE", "ONE\n\ntwo\n\nthree", "one\n\ntwo\n\nTHREE", "one\n\ntwo\n\nthree"):
        assert f"{text}</textarea>" in answer.text.replace("\r\n", "\n")
    assert 'name="seen" type="hidden" value="2"' in answer.text
    assert stored(site, blog).content == "one\n\ntwo\n\nTHREE"


def test_the_writers_own_text_is_kept_while_the_conflict_is_looked_at(site: Site, eve: Visit, blog: Blog):
    eve.post(path(blog), **fields(content="one\n\ntwo\n\nTHREE"))
    page = eve.post(path(blog), **fields(content="ONE\n\ntwo\n\nthree")).text
    assert "ONE\n\ntwo\n\nthree</textarea>" in eve.get(path(blog)).text.replace("\r\n", "\n")
    unsaved = page.partition('name="unsaved" type="hidden" value="')[2].partition('"')[0]
    merged = fields(seen="2", unsaved=unsaved, content="ONE\n\ntwo\n\nTHREE")
    assert eve.post(path(blog), **merged).status_code == 303
    assert stored(site, blog).content == "ONE\n\ntwo\n\nTHREE"
    with site.app.app_context():
        assert db.session.scalars(sa.select(BlogVersion.id).where(BlogVersion.kind == "autosave")).all() == []


# --- what the script asks -----------------------------------------------------------------------------------------


def test_an_autosave_is_answered_with_its_number_and_time_and_shown_when_its_writer_comes_back(
    site: Site, eve: Visit, blog: Blog
):
    answer = ask(eve, f"{path(blog)}/autosave", content="unfinished")
    assert answer.json is not None
    assert (answer.json["number"], answer.json["version"], answer.json["state"]) == (2, 1, "draft")
    assert stored(site, blog).content == blog.content
    assert "unfinished</textarea>" in eve.get(path(blog)).text
    assert "unfinished</textarea>" not in eve.get(f"{path(blog)}?stored").text
    eve.post(f"{path(blog)}/discard")
    assert "unfinished" not in eve.get(path(blog)).text


def test_the_first_autosave_begins_a_new_post_and_the_next_one_goes_on(site: Site, eve: Visit):
    made_up = uuid4()
    new = {"slug": "", "cover": "", "pictures": "", "title": ""}
    first = ask(eve, f"{path(made_up)}/autosave", **new, seen="0", content="wor")
    assert (first.status_code, stored(site, made_up).title) == (200, "Untitled")
    for seen in ("0", "1"):  # the first answer may be lost on its way
        answer = ask(eve, f"{path(made_up)}/autosave", **new, seen=seen, content=f"words {seen}", unsaved="9")
        assert answer.status_code == 200
    saved = ask(eve, path(made_up), **{**new, "title": "On lamps"}, seen="1", unsaved="9", content="words")
    assert saved.json is not None
    assert (saved.json["slug"], stored(site, made_up).content) == ("on-lamps", "words")


def test_another_window_is_told_by_both_ways_to_save(eve: Visit, blog: Blog):
    ask(eve, f"{path(blog)}/autosave", content="first window")
    answer = ask(eve, f"{path(blog)}/autosave", content="second window")
    assert (answer.status_code, answer.json and answer.json["kind"]) == (409, "another_window")
    assert ask(eve, path(blog), content="second window").json == {
        "kind": "conflict", "text": "ada stored version 2 meanwhile"
    }  # fmt: skip
    page = eve.post(path(blog), **fields(content="second window")).text
    assert "Another window of yours" in page
    assert "first window</textarea>" in page


def test_the_script_is_told_why_something_cannot_be_stored(eve: Visit, blog: Blog):
    for address in (path(blog), f"{path(blog)}/autosave"):
        answer = ask(eve, address, content="a\x01b")
        assert answer.status_code == 422
        assert answer.json is not None
        assert "control character" in answer.json["text"]


def test_parts_of_a_text_are_rendered_as_readers_would_see_them(eve: Visit):
    headers = {"X-CSRF-Token": eve.token, **JSON}
    parts = ["# One\n\n<script>alert(1)</script>two", ""]
    answer = eve.client.post("/admin/posts/preview", json={"parts": parts}, headers=headers)
    first, second = answer.json or [None, None]
    assert "<script" not in first["html"]
    assert (first["words"], round(first["minutes"] * 230)) == (2, 2)
    assert (second["html"], second["words"]) == ("", 0)


@pytest.mark.parametrize("sent", [{}, {"parts": "x"}, {"parts": [1]}, [1], {"parts": ["x"] * 5001}])
def test_what_is_no_list_of_parts_is_refused(eve: Visit, sent: Any):
    headers = {"X-CSRF-Token": eve.token}
    assert eve.client.post("/admin/posts/preview", json=sent, headers=headers).status_code == 400


def test_json_that_is_nested_deeply_is_refused(eve: Visit):
    headers = {"X-CSRF-Token": eve.token, "Content-Type": "application/json"}
    assert eve.client.post("/admin/posts/preview", data=b"[" * 100_000, headers=headers).status_code == 400


def test_a_writer_who_signed_in_again_gets_the_token_of_the_new_session(eve: Visit):
    assert eve.get("/admin/posts/session").json == {"csrf": eve.token}


def test_a_post_of_the_longest_length_goes_through_the_form(site: Site, eve: Visit, blog: Blog):
    longest = "x" * (1 << 20)
    assert eve.post(path(blog), **fields(content=longest)).status_code == 303
    assert stored(site, blog).content == longest


# --- versions -----------------------------------------------------------------------------------------------------


def test_versions_are_listed_compared_annotated_and_restored(site: Site, eve: Visit, blog: Blog):
    eve.post(path(blog), **fields(content="one\n\nTWO <b>\n\nthree", note="<i>louder</i>"))
    page = eve.get(f"{path(blog)}/versions").text
    assert "Version 2" in page
    assert "&lt;i&gt;louder&lt;/i&gt;" in page
    compared = eve.get(f"{path(blog)}/versions/1").text
    assert "<ins>TWO &lt;b&gt;</ins>" in compared
    assert "<del>two</del>" in compared
    eve.post(f"{path(blog)}/versions/1/note", note="first")
    assert "first" in eve.get(f"{path(blog)}/versions").text
    assert eve.post(f"{path(blog)}/versions/1/restore").status_code == 303
    assert (stored(site, blog).content, stored(site, blog).version) == (blog.content, 3)


def test_the_text_of_a_post_that_was_never_changed_can_be_looked_at(eve: Visit, blog: Blog):
    assert eve.get(f"{path(blog)}/versions").status_code == 200
    assert "Both are the same" in eve.get(f"{path(blog)}/versions/1").text


def test_unsaved_texts_are_nobody_elses(site: Site, eve: Visit, blog: Blog):
    ask(eve, f"{path(blog)}/autosave", content="my secret")
    other = Visit(site.app, add_person(site.app, "ed", "editor"))
    assert "my secret" not in other.get(path(blog)).text
    for address in ("versions", "versions/1", "versions/2"):
        assert "my secret" not in other.get(f"{path(blog)}/{address}").text
    assert other.get(f"{path(blog)}/versions/2").status_code == 404
    assert other.post(f"{path(blog)}/versions/2/restore").status_code == 404


def test_versions_that_are_not_there_are_not_found(eve: Visit, blog: Blog):
    for address in ("versions/7", "versions/1?with=7"):
        assert eve.get(f"{path(blog)}/{address}").status_code == 404
    for address in ("versions/7/restore", "versions/7/note"):
        assert eve.post(f"{path(blog)}/{address}", note="x").status_code == 404


def test_a_long_list_of_versions_has_pages(site: Site, eve: Visit, blog: Blog, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("cms.admin.versions.PAGE_SIZE", 2)
    for number in range(1, 5):
        eve.post(path(blog), **fields(seen=str(number), content=str(number)))
    page = eve.get(f"{path(blog)}/versions").text
    assert "?before=4" in page
    assert "Version 3" in eve.get(f"{path(blog)}/versions?before=4").text


def test_a_post_whose_status_only_an_older_program_knew_is_a_draft(site: Site, eve: Visit, blog: Blog):
    with site.app.app_context(), transaction() as session:
        session.execute(sa.update(Blog).values(status="pending"))
    assert "Draft" in eve.get(path(blog)).text
    assert eve.post(path(blog), **fields(content="new")).status_code == 303
    assert stored(site, blog).status == "draft"


NO_NUMBERS = ["9" * 25, str(2**31), str(2**63), "-1", "-" + "9" * 25, "x", ""]


@pytest.mark.parametrize("number", NO_NUMBERS)
def test_what_is_no_number_of_a_version_stores_nothing_over_the_text(site: Site, eve: Visit, blog: Blog, number: str):
    assert eve.post(path(blog), **fields(seen=number, content="mine")).status_code == 409
    assert ask(eve, path(blog), seen=number, content="mine too").status_code == 409
    assert stored(site, blog).content == "one\n\ntwo\n\nthree"
    assert ask(eve, f"{path(blog)}/autosave", seen=number, unsaved=number, content="kept").status_code in {200, 409}


@pytest.mark.parametrize("number", NO_NUMBERS)
def test_what_is_no_number_of_a_version_is_not_found(eve: Visit, blog: Blog, number: str):
    assert eve.get(f"{path(blog)}/versions?before={number}").status_code == 200
    assert eve.get(f"{path(blog)}/versions/1?with={number}").status_code in {200, 404}
    assert eve.get(f"{path(blog)}/versions/{number or 'none'}").status_code == 404
    for change in ("restore", "note"):
        assert eve.post(f"{path(blog)}/versions/{number or 'none'}/{change}").status_code == 404
