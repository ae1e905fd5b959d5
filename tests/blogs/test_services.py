"""Writing posts."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import given, settings
from hypothesis import strategies as st

from cms.blogs.drafts import CONTENT_LIMIT_BYTES
from cms.blogs.errors import PostInvalid
from cms.blogs.models import Blog, Redirect
from cms.blogs.rendering import RENDERER_VERSION
from cms.blogs.services import PostDraft, add_redirect, create_post, update_post
from cms.blogs.slugs import RESERVED, slug_of
from cms.extensions import db, transaction
from tests.site import NOON, Site

LATER = NOON + timedelta(days=1)
DRAFT = PostDraft(title="On lamps", content="Some *words*.", status="published", tags=("lamps",))


def write(site: Site, **fields: Any) -> Blog:
    with transaction() as session:
        return create_post(session, replace(DRAFT, **fields), author=site.ada, at=NOON)


@pytest.fixture(autouse=True)
def _context(site: Site):
    with site.app.app_context():
        yield


# --- create -------------------------------------------------------------------------------------------------------


def test_a_post_is_stored_with_its_html_and_length(site: Site):
    blog = write(site)
    assert (blog.slug, blog.content_html, blog.word_count) == ("on-lamps", "<p>Some <em>words</em>.</p>\n", 2)
    assert (blog.renderer_version, blog.reading_time_minutes) == (RENDERER_VERSION, 1)
    assert (blog.created_at, blog.updated_at, blog.tags) == (NOON, None, ["lamps"])


def test_a_post_keeps_the_date_that_it_is_given(site: Site):
    date = datetime(2014, 3, 12, tzinfo=UTC)
    assert write(site, created_at=date).created_at == date


def test_posts_of_one_title_are_numbered(site: Site):
    assert [write(site).slug for _ in range(3)] == ["on-lamps", "on-lamps-2", "on-lamps-3"]


def test_the_longest_titles_are_numbered_within_the_limit(site: Site):
    slugs = [write(site, title="x" * 300).slug for _ in range(2)]
    assert [len(slug) for slug in slugs] == [300, 300]
    assert slugs[1].endswith("x-2")


def test_a_post_does_not_take_the_old_address_of_another(site: Site):
    blog = write(site)
    with transaction() as session:
        add_redirect(session, "/lamp-light/", blog, at=NOON)
    assert write(site, title="Lamp light").slug == "lamp-light-2"


def test_tags_are_stripped_and_not_repeated(site: Site):
    assert write(site, tags=(" a ", "a", "", "b  c")).tags == ["a", "b c"]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("title", ""), ("title", " \n "), ("title", "x" * 301), ("title", "a\x00b"), ("title", "\ud800"),
        ("slug", "x" * 301), ("summary", "x" * 1001), ("summary", "\x1b[31m"), ("content", "a\x00"),
        ("content", "\ud800"), ("content", "x" * (CONTENT_LIMIT_BYTES + 1)),
        ("content", "é" * (CONTENT_LIMIT_BYTES // 2 + 1)),
        ("status", "gone"), ("tags", ("x" * 101,)), ("tags", ("..",)), ("tags", ("a//b",)), ("tags", ("a\x00",)),
        ("images_url", ("javascript:x",)), ("images_url", ("x.png",)), ("images_url", ("//evil.example/x",)),
        ("created_at", datetime(2026, 8, 22)),  # noqa: DTZ001 - that is the point
    ],
)  # fmt: skip
def test_what_cannot_be_stored_is_refused_by_the_name_of_its_field(site: Site, field: str, value: object):
    with pytest.raises(PostInvalid) as refused:
        write(site, **{field: value})
    assert refused.value.field == field


def test_a_refusal_names_the_length_and_the_limit(site: Site):
    with pytest.raises(PostInvalid, match=r"it has 301 characters and the limit is 300"):
        write(site, title="x" * 301)


# --- update -------------------------------------------------------------------------------------------------------


def change(blog: Blog, **fields: Any) -> bool:
    with transaction() as session:
        return update_post(session, session.merge(blog), replace(DRAFT, **fields), at=LATER)


def stored() -> Blog:
    return db.session.scalars(sa.select(Blog)).one()


def test_the_same_again_changes_nothing(site: Site):
    blog = write(site)
    assert change(blog) is False
    assert stored().updated_at is None


@pytest.mark.parametrize(
    "fields",
    [
        {"title": "Off"},
        {"content": "Other."},
        {"summary": "S"},
        {"tags": ()},
        {"status": "draft"},
        {"images_url": ("/a.png",)},
    ],
)
def test_each_field_that_differs_is_a_change(site: Site, fields: dict[str, Any]):
    blog = write(site)
    assert change(blog, **fields) is True
    assert stored().updated_at == LATER


def test_new_content_is_rendered(site: Site):
    change(write(site), content="# Other")
    assert stored().content_html == '<h2 id="other">Other</h2>\n'


def test_html_of_an_older_renderer_is_made_again(site: Site):
    blog = write(site)
    with transaction() as session:
        session.execute(sa.update(Blog).values(renderer_version=RENDERER_VERSION - 1, content_html="old"))
    db.session.expire_all()
    assert change(blog) is True
    assert stored().renderer_version == RENDERER_VERSION


def test_a_new_title_keeps_the_address(site: Site):
    change(write(site), title="Off lamps")
    assert stored().slug == "on-lamps"


def test_a_new_address_leaves_a_redirect_behind(site: Site):
    change(write(site), slug="light")
    assert stored().slug == "light"
    assert db.session.scalars(sa.select(Redirect.path)).all() == ["/on-lamps"]


def test_going_back_to_the_old_address_turns_the_redirect_round(site: Site):
    blog = write(site)
    change(blog, slug="light")
    change(stored(), slug="on-lamps")
    assert stored().slug == "on-lamps"
    assert db.session.scalars(sa.select(Redirect.path)).all() == ["/light"]


def test_a_post_that_got_a_number_keeps_it(site: Site):
    write(site)
    second = write(site)
    assert change(second, slug="on-lamps") is False


# --- redirects ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("address", "path"),
    [
        ("/2014/a.html", "/2014/a.html"),
        ("https://old.example/2014/a/?p=1#x", "/2014/a"),
        ("/caf%C3%A9/", "/café"),
        ("cafe\u0301", "/café"),
    ],
)
def test_old_addresses_are_stored_in_one_form(site: Site, address: str, path: str):
    blog = write(site)
    with transaction() as session:
        assert add_redirect(session, address, blog, at=NOON) is True
        assert add_redirect(session, path + "/", blog, at=NOON) is False
    assert db.session.scalars(sa.select(Redirect.path)).all() == [path]


@pytest.mark.parametrize("address", ["/", "", "/on-lamps", "/on-lamps/"])
def test_the_home_page_and_the_posts_own_address_need_no_redirect(site: Site, address: str):
    blog = write(site)
    with transaction() as session:
        assert add_redirect(session, address, blog, at=NOON) is False


@pytest.mark.parametrize("address", ["/" + "x" * 500, "/a%00b", "http://[::1"])
def test_an_address_that_cannot_be_asked_for_is_refused(site: Site, address: str):
    blog = write(site)
    with pytest.raises(PostInvalid), transaction() as session:
        add_redirect(session, address, blog, at=NOON)


# --- slugs --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("title", "slug"),
    [
        ("Hello, World!", "hello-world"),
        ("It's Ada’s", "its-adas"),
        ("Ünïcode Straße", "ünïcode-straße"),
        ("影師嗎", "影師嗎"),
        ("cafe\u0301", "café"),
        ("!!!", "post"),
        ("", "post"),
        ("feed.xml", "feed-xml"),
        ("../../etc/passwd", "etc-passwd"),
    ],
)
def test_a_title_becomes_an_address(title: str, slug: str):
    assert slug_of(title) == slug


@settings(deadline=None)  # the first call imports the library
@given(st.text(max_size=400))
def test_an_address_is_one_part_of_a_path_and_stays_itself(title: str):
    slug = slug_of(title)
    assert 0 < len(slug) <= 300
    assert not set(slug) & set("/?#%. \\\"'<>")
    assert slug_of(slug) == slug


@pytest.mark.parametrize("title", ["Admin", "API", "tag", "Static"])
def test_a_post_does_not_take_the_address_of_a_page(site: Site, title: str):
    assert write(site, title=title).slug == f"{title.lower()}-2"


def test_the_first_part_of_every_address_of_the_site_is_reserved(site: Site):
    parts = {rule.rule.split("/")[1] for rule in site.app.url_map.iter_rules()}
    assert {part for part in parts if part and "<" not in part} <= RESERVED
