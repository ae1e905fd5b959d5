"""The archive, the table of contents, and what to read next."""

from __future__ import annotations

import re
from datetime import UTC, datetime

import pytest
from flask.testing import FlaskClient

from cms.blogs import archive_views
from cms.blogs.contents import contents_of
from cms.blogs.rendering import render
from tests.blogs.test_pages import link
from tests.site import Site, counted

TITLES = re.compile(r'<li><time datetime="[^"]*">(\d+)</time> <a href="([^"]*)">')
RELATED = re.compile(r'<aside class="related".*?</aside>', re.DOTALL)


def write_on(site: Site, *days: str) -> None:
    for day in days:
        site.write(f"On {day}", created_at=datetime.fromisoformat(f"{day}T23:30:00").replace(tzinfo=UTC))


def test_the_archive_leads_to_each_year_and_month_with_posts(site: Site, client: FlaskClient):
    write_on(site, "2024-12-31", "2026-01-01", "2026-01-31", "2026-11-05")
    site.write("Draft", status="draft", created_at=datetime(2025, 5, 5, tzinfo=UTC))
    paths = re.findall(r'href="(/archive/\d[^"]*)"', client.get("/archive/").text)
    assert paths == ["/archive/2026/", "/archive/2026/01/", "/archive/2026/11/", "/archive/2024/", "/archive/2024/12/"]
    assert [client.get(path).status_code for path in paths] == [200] * 5


@pytest.mark.parametrize(
    ("path", "days"),
    [
        ("/archive/2026/", [("5", "/on-2026-11-05/"), ("31", "/on-2026-01-31/"), ("1", "/on-2026-01-01/")]),
        ("/archive/2026/01/", [("31", "/on-2026-01-31/"), ("1", "/on-2026-01-01/")]),
        ("/archive/2024/12/", [("31", "/on-2024-12-31/")]),
    ],
)
def test_a_year_and_a_month_list_their_posts(site: Site, client: FlaskClient, path: str, days: list):
    write_on(site, "2024-12-31", "2026-01-01", "2026-01-31", "2026-11-05")
    assert TITLES.findall(client.get(path).text) == days


@pytest.mark.parametrize(
    "path",
    ["2025", "2026/02", "2026/13", "2026/00", "2026/1", "26", "0000", "9999", "20260", "x", "9998/12", "0001/01"],
)
def test_a_time_without_posts_is_not_found(site: Site, client: FlaskClient, path: str):
    write_on(site, "2026-01-01")
    assert client.get(f"/archive/{path}/").status_code == 404


def test_a_long_year_is_turned_page_by_page(site: Site, client: FlaskClient, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(archive_views, "POSTS", 2)
    write_on(site, *(f"2026-01-0{day}" for day in range(1, 6)))
    pages, address = [], "/archive/2026/"
    while address and len(pages) <= 3:
        pages.append(client.get(address).text)
        address = link(pages[-1], "next")
    assert [[day for day, _ in TITLES.findall(page)] for page in pages] == [["5", "4"], ["3", "2"], ["1"]]


def test_the_archive_of_a_new_site_says_so(client: FlaskClient):
    assert "Nothing is written here yet." in client.get("/archive/").text


@pytest.mark.parametrize("path", ["/archive/", "/archive/2026/", "/archive/2026/01/"])
def test_the_archive_asks_the_database_once_and_opens_no_transaction(site: Site, client: FlaskClient, path: str):
    write_on(site, "2026-01-01", "2026-01-31", "2024-11-05")
    with counted(site.app) as statements:
        assert client.get(path).status_code == 200
    assert len(statements.sent) == 1, statements.sent


# --- contents -----------------------------------------------------------------------------------------------------

LONG = "## One & *two*\n\n### Below <b>it</b>\n\n" + "word " * 1000 + "\n\n## Three\n\n## One & two\n\nEnd."


def test_a_long_post_has_a_table_of_contents_that_leads_to_its_headings(site: Site, client: FlaskClient):
    site.write("Long", content=LONG)
    page = client.get("/long/").text
    contents = re.search(r'<details class="contents">.*?</details>', page, re.DOTALL)[0]
    found = re.findall(r'<a href="#([^"]*)">(.*?)</a>', contents)
    assert [text for _, text in found] == ["One &amp; two", "Below it", "Three", "One &amp; two"]
    assert all(f' id="{anchor}">' in page for anchor, _ in found)
    assert len({anchor for anchor, _ in found}) == 4


@pytest.mark.parametrize("content", [LONG.replace("word " * 1000, ""), "word " * 1000 + "\n\n## One\n\n## Two"])
def test_a_post_that_is_short_or_hardly_divided_has_none(site: Site, client: FlaskClient, content: str):
    site.write("Post", content=content)
    assert 'class="contents"' not in client.get("/post/").text


def test_smaller_headings_stand_below_the_one_before_them():
    body = render("### First\n\n## Second\n\n### Third\n\n### Fourth\n\n#### Not\n").html
    found = [(top.text, [each.text for each in top.below]) for top in contents_of(body, 9)]
    assert found == [("First", []), ("Second", ["Third", "Fourth"])]


# --- what to read next --------------------------------------------------------------------------------------------


def related(client: FlaskClient, path: str) -> list[str]:
    found = RELATED.search(client.get(path).text)
    return re.findall(r'<a href="/([^"]*)/">', found[0]) if found else []


def test_a_post_leads_to_those_that_share_most_of_its_tags(site: Site, client: FlaskClient):
    site.write("One", tags=("lamps",))
    site.write("Two", tags=("lamps", "light", "sea"))
    site.write("None", tags=("other",))
    site.write("Draft", tags=("lamps", "light"), status="draft")
    site.write("Before", tags=("x",))
    site.write("Post", tags=("lamps", "light"))
    site.write("After", tags=("y",))
    site.write("Three", tags=("light",))
    assert related(client, "/post/") == ["two", "three", "one"]


def test_a_post_before_or_after_is_not_named_twice_and_no_more_than_three_are(site: Site, client: FlaskClient):
    for number in range(8):
        site.write(f"Post {number}", tags=("lamps",))
    assert related(client, "/post-4/") == ["post-7", "post-6", "post-2"]


@pytest.mark.parametrize("tags", [(), ("alone",)])
def test_a_post_that_shares_no_tag_has_none(site: Site, client: FlaskClient, tags: tuple[str, ...]):
    site.write("Other", tags=("lamps",))
    site.write("Post", tags=tags)
    assert related(client, "/post/") == []
