"""What a file says about its post."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import PurePosixPath
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cms.exchange.dates import parse_date
from cms.exchange.front_matter import FrontMatter
from cms.exchange.post_files import PostFile, read_post_file

CHANGED_AT = datetime(2020, 5, 6, 7, 8, tzinfo=UTC)


def read(values: dict[str, Any], body: str = "", *, path: str = "2016-01-04-hello-world.md") -> PostFile:
    return read_post_file(PurePosixPath(path), FrontMatter(values, body), modified_at=CHANGED_AT)


def test_the_title_is_the_one_in_front_matter_else_a_heading_else_the_files_name() -> None:
    assert read({"title": " A  title "}, "# Other").title == "A title"
    assert read({}, "Text\n\n## A *marked* `heading` ##\n").title == "A marked heading"
    assert read({}, "Text").title == "Hello world"
    assert read({"title": 1984}).title == "1984"


def test_a_first_heading_that_becomes_the_title_leaves_the_body() -> None:
    post = read({}, "\n# Hello\n\nText\n")
    assert (post.title, post.body) == ("Hello", "\nText\n")


@pytest.mark.parametrize(
    ("written", "title"),
    [
        ("Agile or &ldquo;agilefall&rdquo;?", "Agile or “agilefall”?"),
        ("Interior&#39;s feeds", "Interior's feeds"),
        ("Action <em>and <b class='x'>flexi</b>bility</em>", "Action and flexibility"),
        ("Use <template> and <i>, not &lt;div&gt;", "Use <template> and <i>, not <div>"),
        ("AT&T, a?b=1&copy=2 and &nosuch;", "AT&T, a?b=1&copy=2 and &nosuch;"),
        ("&#27;&nbsp;", "Hello world"),
    ],
)
def test_a_title_is_plain_text_whatever_html_it_was_written_in(written: str, title: str) -> None:
    assert read({"title": written}).title == title


def test_a_heading_that_becomes_the_title_is_plain_text() -> None:
    assert read({}, "# Ben &amp; Cleo").title == "Ben & Cleo"


def test_a_title_that_is_too_long_is_cut_at_a_word() -> None:
    post = read({"title": "word " * 100})
    assert len(post.title) <= 300
    assert post.title.endswith("word…")
    assert post.notes == ("the title was shortened from 499 to 300 characters",)


@pytest.mark.parametrize(
    ("written", "moment"),
    [
        ("2014-03-12T10:11:00-04:00", "2014-03-12T14:11:00+00:00"),
        ("2014-03-12 10:11:00 -0400", "2014-03-12T14:11:00+00:00"),
        ("2014-3-2", "2014-03-02T00:00:00+00:00"),
        ("2014/03/12 10:11", "2014-03-12T10:11:00+00:00"),
        ("2014-03-12 10:11:00 UTC", "2014-03-12T10:11:00+00:00"),
        ("Wed, 12 Mar 2014 10:11:00 -0400", "2014-03-12T14:11:00+00:00"),
        (datetime(2014, 3, 12, 10), "2014-03-12T10:00:00+00:00"),  # noqa: DTZ001 - YAML gives such
        (datetime(2014, 3, 12).date(), "2014-03-12T00:00:00+00:00"),  # noqa: DTZ001
    ],
)
def test_dates_are_understood_as_people_write_them(written: object, moment: str) -> None:
    assert parse_date(written) == datetime.fromisoformat(moment)


@pytest.mark.parametrize("written", ["soon", "2014-02-30", "0001-01-01", "9999-12-31", 2014, None, True, [], "1 2 3"])
def test_what_is_no_date_is_none(written: object) -> None:
    assert parse_date(written) is None


@given(st.text(max_size=60) | st.datetimes() | st.integers())
def test_no_text_makes_the_date_reader_fail(written: object) -> None:
    moment = parse_date(written)
    assert moment is None or moment.utcoffset() is not None


def test_without_a_date_the_files_name_tells_else_when_it_was_changed() -> None:
    assert read({}).created_at == datetime(2016, 1, 4, tzinfo=UTC)
    assert read({"date": "soon"}).notes == ("the date soon is no date",)
    late = read({}, path="about.md")
    assert late.created_at == CHANGED_AT
    assert late.notes == ("no date: took the time when the file was last changed",)


@pytest.mark.parametrize(
    ("values", "authors"),
    [
        ({"authors": ["ada", "ben", "ada"]}, ("ada", "ben")),
        ({"author": "Ada Lovelace"}, ("Ada Lovelace",)),
        ({"authors": "ada, ben"}, ("ada", "ben")),
        ({"authors": [{"name": "Ada Lovelace", "bio": "x"}]}, ("Ada Lovelace",)),
        ({"author": {"name": "Ada"}}, ("Ada",)),
        ({"authors": [None, "", 18]}, ("18",)),
        ({}, ()),
    ],
)
def test_authors_are_names_or_tables_with_a_name(values: dict[str, Any], authors: tuple[str, ...]) -> None:
    assert read(values).authors == authors


def test_tags_keep_their_order_and_come_once() -> None:
    assert read({"tags": [" b ", "a", "B", "", None, "c  d"]}).tags == ("b", "a", "c d")
    assert read({"tags": "b, a,b"}).tags == ("b", "a")
    assert read({"taxonomies": {"tags": ["zola"]}}).tags == ("zola",)
    assert read({"tags": ["a/", "..", "x" * 101]}).tags == ("a",)


def test_a_summary_is_plain_text_and_not_too_long() -> None:
    assert read({"excerpt": "<p>It &amp; <a href='x'>us</a>\nall</p>"}).summary == "It & us all"
    assert len(read({"summary": "word " * 400}).summary or "") <= 1000
    assert read({}).summary is None


@pytest.mark.parametrize(
    ("values", "path", "slug"),
    [
        ({"slug": "given"}, "2016-01-04-hello.md", "given"),
        ({"permalink": "/2015/05/21/tockingtime/"}, "2015-05-21-TockingTime.md", "tockingtime"),
        ({"permalink": "/:year/:title/"}, "2016-01-04-hello.md", "hello"),
        ({"permalink": "pretty"}, "2016-01-04-hello.md", "hello"),
        ({}, "2024-12-5-project.defaults.md", "project.defaults"),
        ({}, "deep/er/my-post/index.md", "my-post"),
    ],
)
def test_the_slug_comes_from_front_matter_else_from_the_files_name(
    values: dict[str, Any], path: str, slug: str
) -> None:
    assert read(values, path=path).slug == slug


def test_old_addresses_are_kept_also_the_one_that_jekyll_gave_a_dated_file() -> None:
    post = read(
        {
            "aliases": ["/old/", "https://example.org/older?x=1#y"],
            "redirect_from": "/2015/12/31/hello/",
            "permalink": "/new/hello/",
            "date": datetime(2016, 1, 4, 23, tzinfo=UTC) + timedelta(hours=3),
        }
    )
    assert post.aliases == (
        "/old/", "/older", "/2015/12/31/hello/", "/new/hello/", "/2016/01/04/hello-world", "/2016/01/05/hello-world",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("values", "status"),
    [
        ({}, "published"),
        ({"draft": True}, "draft"),
        ({"draft": False}, "published"),
        ({"published": False}, "draft"),
        ({"status": "Draft"}, "draft"),
        ({"status": "archived"}, "archived"),
        ({"status": "whatever"}, "draft"),
    ],
)
def test_the_status(values: dict[str, Any], status: str) -> None:
    assert read(values).status == status


def test_pictures_of_front_matter_come_once_and_flags_are_none() -> None:
    post = read({"image": "/a.png", "hero": False, "cover": {"src": "b.png"}, "images": ["/a.png", "/c.png"]})
    assert post.pictures == ("/a.png", "b.png", "/c.png")


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=30) | st.datetimes(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
KEYS = [
    "title", "date", "authors", "author", "tags", "summary", "slug", "permalink", "aliases", "draft", "status", "image",
    "taxonomies", "published", "hero",
]  # fmt: skip


@given(st.dictionaries(st.sampled_from(KEYS), anything), st.text(max_size=80))
def test_no_values_make_the_reader_fail(values: dict[str, Any], body: str) -> None:
    post = read(values, body)
    assert post.title
    assert post.created_at.utcoffset() is not None
