"""Posts by the API: who sees which, and that nobody writes over what they have not seen."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from urllib.parse import quote

import pytest
import sqlalchemy as sa

from cms.accounts.permissions import ADMIN, AUTHOR, CONTRIBUTOR, EDITOR
from cms.blogs.models import ARCHIVED, DRAFT, Blog
from cms.extensions import db
from tests.api.programs import Caller
from tests.people import Visit, add_person
from tests.site import Site, counted

NOWHERE = "/blogs/00000000-0000-0000-0000-000000000001"


@pytest.fixture
def editor(site: Site) -> Caller:
    return Caller(site.app, site.ada)


def titles(answer) -> list[str]:
    return [each["title"] for each in answer.json["items"]]


# --- reading ------------------------------------------------------------------------------------------------------


def test_a_stranger_reads_what_is_public_and_nothing_else(site: Site):
    public, draft = site.write("Public"), site.write("Draft", status=DRAFT)
    site.write("To come", created_at=datetime.now(UTC) + timedelta(days=1))
    stranger = Caller(site.app)
    assert titles(stranger.get("/blogs")) == ["Public"]
    answer = stranger.get(f"/blogs/{public.id}?include=html")
    assert (answer.json["content"], answer.json["html"], answer.json["url"]) == (
        "Some words.", "<p>Some words.</p>\n", "/public/",
    )  # fmt: skip
    assert "Authorization" in answer.vary
    assert stranger.get(f"/blogs/{draft.id}").status_code == 404
    assert stranger.post("/blogs", {"title": "Mine"}).status_code == 401


def test_each_role_sees_its_own_and_editors_see_all_but_the_trash(site: Site):
    author = add_person(site.app, "cleo", AUTHOR)
    site.write("Adas", status=DRAFT)
    site.write("Cleos", status=DRAFT, author=author)
    site.write("Old", status=ARCHIVED)
    site.write("Public")
    seen = {
        role: titles(Caller(site.app, person).get("/blogs"))
        for role, person in {"reader": site.ben, "author": author, "editor": site.ada}.items()
    }
    assert seen == {"reader": ["Public"], "author": ["Public", "Cleos"], "editor": ["Public", "Old", "Cleos", "Adas"]}
    without = Caller(site.app, site.ada, scopes=["post.write"])
    assert titles(without.get("/blogs")) == ["Public"]


def test_a_list_is_read_to_its_end_and_back_by_its_addresses(site: Site):
    for number in range(5):
        site.write(f"P{number}")
    stranger, seen, address = Caller(site.app), [], "/blogs?limit=2&fields=title"
    while address:
        answer = stranger.get(address)
        seen.append(titles(answer))
        address, back = answer.json["next"], answer.json["prev"]
    assert seen == [["P4", "P3"], ["P2", "P1"], ["P0"]]
    assert answer.headers["Link"] == f'<{back}>; rel="prev"'
    assert titles(stranger.get(back)) == ["P2", "P1"]
    assert set(answer.json["items"][0]) == {"id", "title"}


def test_filters_choose_by_state_tag_author_slug_and_date(site: Site, editor: Caller):
    site.write("One", tags=("a tag", "東京"))
    site.write("Two", author=add_person(site.app, "cleo", AUTHOR))
    site.write("Three", status=DRAFT)
    for query, found in {
        "state=draft": ["Three"],
        "state=published": ["Two", "One"],
        "tag=東京": ["One"],
        "author=cleo": ["Two"],
        "slug=one": ["One"],
        "since=2026-08-22T13:00:00Z": ["Three", "Two"],
        "until=2026-08-22T15:00:00%2B02:00": ["One"],
        "tag=東京&author=cleo": [],
        "include=content,html&slug=one": ["One"],
    }.items():
        answer = editor.get(f"/blogs?{quote(query, safe='=&%,:')}")
        assert answer.status_code == 200, (query, answer.text)
        assert titles(answer) == found, query


@pytest.mark.parametrize(
    ("query", "parameter"),
    [
        ("limit=101", "limit"),
        ("limit=0", "limit"),
        ("limit=x", "limit"),
        ("sort=title", "sort"),
        ("limit=1&limit=2", "limit"),
        ("before=garbage", "before, after"),
        ("fields=title,secret", "fields"),
        ("include=everything", "include"),
        ("state=gone", "state"),
        ("since=1700000000", "since"),
        ("since=0001-01-01T00:00:00%2B14:00", "since"),
        ("slug=%00", "slug"),
    ],
)
def test_what_is_not_described_is_refused_by_name(sqlite_app, query: str, parameter: str):
    answer = Caller(sqlite_app).get(f"/blogs?{query}")
    if parameter == "slug":  # the gate refuses it before anybody looks at names
        assert answer.status_code == 400
        return
    assert answer.status_code == 422
    assert [each["parameter"] for each in answer.json["errors"]] == [parameter]


def test_whoever_has_the_post_already_gets_304_until_it_changes(site: Site, editor: Caller):
    path = f"/blogs/{site.write('Post').id}"
    etag = editor.get(path).headers["ETag"]
    assert etag.startswith('"1.')
    assert editor.get(path, headers={"If-None-Match": etag}).status_code == 304
    changed = editor.patch(path, {"summary": "New"}, match=etag)
    assert changed.headers["ETag"] != etag
    assert editor.get(path, headers={"If-None-Match": etag}).headers["ETag"] == changed.headers["ETag"]


def test_a_list_is_two_statements_and_a_post_one_besides_the_token(site: Site, editor: Caller):
    blog = site.write("Post", tags=("a",))
    stranger = Caller(site.app)
    for caller, path, number in [
        (editor, "/blogs", 2),
        (editor, "/blogs?include=content", 2),
        (stranger, "/blogs", 1),
        (stranger, f"/blogs/{blog.id}", 1),
        (editor, f"/blogs/{blog.id}", 2),
    ]:
        caller.get(path)  # notes that the token is in use
        with counted(site.app) as statements:
            caller.get(path)
        assert len(statements.sent) == number, statements.sent


# --- writing ------------------------------------------------------------------------------------------------------


def test_a_post_is_begun_changed_and_published(site: Site, editor: Caller):
    made = editor.post("/blogs", {"title": "A lamp", "content": "Lit.", "tags": ["b", "a"], "images": ["/media/x.png"]})
    assert (made.status_code, made.json["state"], made.json["version"]) == (201, "draft", 1)
    path = made.headers["Location"]
    changed = editor.patch(path, {"content": "Lit at dusk.", "tags": None, "note": "dusk"}, match=made.headers["ETag"])
    assert (changed.json["content"], changed.json["tags"], changed.json["version"]) == ("Lit at dusk.", [], 2)
    assert (changed.json["title"], changed.json["images"]) == ("A lamp", ["/media/x.png"])
    published = editor.post(f"{path}/publish", match=changed.headers["ETag"])
    assert (published.json["state"], published.json["url"]) == ("published", "/a-lamp/")
    assert site.app.test_client().get("/a-lamp/").status_code == 200
    versions = editor.get(f"{path}/versions").json["items"]
    assert [(each["number"], each["kind"], each["note"]) for each in versions] == [
        (3, "publish", None), (2, "save", "dusk"), (1, "save", None),
    ]  # fmt: skip


def test_a_change_of_what_one_has_not_seen_is_refused_with_who_and_where_the_difference_is(site: Site, editor: Caller):
    path = f"/blogs/{site.write('Post').id}"
    other = Caller(site.app, add_person(site.app, "cleo", EDITOR))
    old = other.get(path).headers["ETag"]
    new = editor.patch(path, {"content": "Mine."}, match=old)
    refused = other.patch(path, {"content": "Theirs."}, match=old)
    assert refused.status_code == 412
    assert {name: refused.json[name] for name in ("changed_by", "current_version", "current_etag", "change")} == {
        "changed_by": "ada", "current_version": 2, "current_etag": new.headers["ETag"], "change": "blog.saved",
    }  # fmt: skip
    lines = other.get(refused.json["diff"]).json["lines"]
    assert [(each["left_number"], each["right_html"]) for each in lines] == [(1, "<ins>Mine</ins>.")]
    assert other.get(path).json["content"] == "Mine."


@pytest.mark.parametrize("match", [None, "*", 'W/"1.x"', '"x"', "garbage"])
def test_a_change_without_what_was_seen_is_refused(site: Site, editor: Caller, match: str | None):
    path = f"/blogs/{site.write('Post').id}"
    codes = {
        editor.patch(path, {"title": "New"}, match=match).status_code,
        editor.post(f"{path}/archive", match=match).status_code,
    }
    assert codes <= {412, 428}
    assert editor.get(path).json["title"] == "Post"


def test_another_way_or_a_changed_state_makes_the_etag_stale_too(site: Site, editor: Caller):
    path = f"/blogs/{site.write('Post').id}"
    etag = editor.get(path).headers["ETag"]
    assert editor.post(f"{path}/archive", match=etag).json["state"] == "archived"
    refused = editor.post(f"{path}/trash", match=etag)
    assert (refused.status_code, refused.json["change"], refused.json["diff"]) == (412, "blog.archived", None)


def test_every_way_between_the_states_is_an_address(site: Site, editor: Caller):
    made = editor.post("/blogs", {"title": "Post"})
    path, etag = made.headers["Location"], made.headers["ETag"]
    soon = (datetime.now(UTC) + timedelta(days=1)).isoformat()
    for name, body, state in [
        ("submit", None, "in_review"),
        ("return", {"reason": "Too short."}, "draft"),
        ("submit", {}, "in_review"),
        ("withdraw", None, "draft"),
        ("schedule", {"publish_at": soon}, "scheduled"),
        ("publish", None, "published"),
        ("archive", None, "archived"),
        ("publish", {"publish_at": "2020-01-01T00:00:00Z"}, "published"),
        ("unpublish", None, "draft"),
        ("trash", None, "trashed"),
        ("untrash", None, "draft"),
    ]:
        answer = editor.post(f"{path}/{name}", body, match=etag)
        assert (answer.status_code, answer.json.get("state")) == (200, state), (name, answer.text)
        etag = answer.headers["ETag"]
    refused = editor.post(f"{path}/untrash", match=etag)
    assert (refused.status_code, refused.json["type"]) == (409, "/api/v1/docs#problem-no-way")


def test_a_contributor_writes_their_own_and_may_not_publish(site: Site):
    program = Caller(site.app, add_person(site.app, "cleo", CONTRIBUTOR))
    made = program.post("/blogs", {"title": "Mine"})
    path, etag = made.headers["Location"], made.headers["ETag"]
    assert program.post(f"{path}/publish", match=etag).status_code == 403
    adas = f"/blogs/{site.write('Adas').id}"
    assert program.patch(adas, {"title": "x"}, match=program.get(adas).headers["ETag"]).status_code == 403
    hidden = f"/blogs/{site.write('Hidden', status=DRAFT).id}"
    assert program.patch(hidden, {"title": "x"}, match='"1.x"').status_code == 404


def test_nobody_writes_in_the_trash(site: Site, editor: Caller):
    path = f"/blogs/{site.write('Post').id}"
    etag = editor.post(f"{path}/trash", match=editor.get(path).headers["ETag"]).headers["ETag"]
    assert editor.patch(path, {"title": "x"}, match=etag).status_code == 403
    assert titles(editor.get("/blogs")) == []
    assert titles(editor.get("/blogs?state=trashed")) == ["Post"]
    assert Caller(site.app).get(path).status_code == 404


def test_a_version_is_read_annotated_and_restored(site: Site, editor: Caller):
    path = f"/blogs/{site.write('Post', content='First.').id}"
    etag = editor.patch(path, {"content": "Second."}, match=editor.get(path).headers["ETag"]).headers["ETag"]
    assert editor.get(f"{path}/versions/1").json["content"] == "First."
    noted = editor.call("PUT", f"{path}/versions/1/note", json={"note": "the first"}, match=etag)
    restored = editor.post(f"{path}/versions/1/restore", match=noted.headers["ETag"])
    assert (restored.json["content"], restored.json["version"]) == ("First.", 3)
    assert [each["note"] for each in editor.get(f"{path}/versions?limit=1&before=2").json["items"]] == ["the first"]
    assert editor.get(f"{path}/versions?limit=2").json["next"].endswith("limit=2&before=2")
    etag = restored.headers["ETag"]
    for there_is_none in ("/versions/9/restore", "/versions/99999999999/restore"):
        assert editor.post(path + there_is_none, match=etag).status_code == 404
    assert editor.get(f"{path}/versions/9").status_code == 404


def test_text_that_is_not_saved_in_the_editor_is_not_written_over(site: Site, editor: Caller):
    blog = site.write("Post")
    Visit(site.app, site.ada).post(f"/admin/posts/{blog.id}/autosave", title="Post", content="Not saved.", seen="1")
    path = f"/blogs/{blog.id}"
    refused = editor.patch(path, {"content": "By a program."}, match=editor.get(path).headers["ETag"])
    assert (refused.status_code, refused.json["type"]) == (409, "/api/v1/docs#problem-unsaved-text")


def test_a_text_can_be_looked_at_without_being_stored(site: Site, editor: Caller):
    shown = editor.post("/rendered", {"content": "Lit at *dusk*.<script>x</script>"}).json
    assert (shown["html"], shown["word_count"]) == ("<p>Lit at <em>dusk</em>.</p>\n", 3)


def test_a_session_may_what_a_token_may_if_its_page_sends_the_token_of_forms(site: Site):
    visit = Visit(site.app, site.ada)
    body = {"title": "By a page"}
    assert visit.client.post("/api/v1/blogs", json=body).status_code == 403
    made = visit.client.post("/api/v1/blogs", json=body, headers={"X-CSRF-Token": visit.token})
    assert (made.status_code, made.headers["Cache-Control"]) == (201, "no-store")


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({}, "/title"),
        ({"title": ""}, "/title"),
        ({"title": 1}, "/title"),
        ({"title": "x" * 301}, "/title"),
        ({"title": "x", "status": "published"}, "/status"),
        ({"title": "x", "tags": ["a", 1]}, "/tags/1"),
        ({"title": "x", "tags": [".."]}, "/tags"),
        ({"title": "a\0b"}, "/title"),
        ({"title": "x", "images": ["javascript:secret"]}, "/images"),
        ({"title": "x", "publish_at": "secret"}, "/publish_at"),
    ],
)
def test_a_field_that_cannot_be_stored_is_named(sqlite_app, body: dict[str, object], pointer: str):
    program = Caller(sqlite_app, add_person(sqlite_app, "root", ADMIN))
    answer = program.post("/blogs", body)
    assert (answer.status_code, answer.json["errors"][0]["pointer"]) == (422, pointer)
    with sqlite_app.app_context():
        assert db.session.scalar(sa.select(sa.func.count()).select_from(Blog)) == 0
