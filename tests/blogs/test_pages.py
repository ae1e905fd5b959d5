"""The pages that readers see."""

from __future__ import annotations

import re
from datetime import timedelta
from urllib.parse import unquote

import pytest
import sqlalchemy as sa
from flask.testing import FlaskClient

from cms.blogs.models import Blog
from cms.blogs.rendering import RENDERER_VERSION
from cms.blogs.services import add_redirect
from cms.extensions import transaction
from tests.site import NOON, Site

TITLE = re.compile(r'class="title"><a href="([^"]*)"')


def titles(page: str) -> list[str]:
    return [unquote(path).strip("/") for path in TITLE.findall(page)]


def link(page: str, rel: str) -> str | None:
    found = re.search(rf'<a rel="{rel}" href="([^"]*)"', page)
    return found and found[1].replace("&amp;", "&")


def write_many(site: Site, count: int) -> None:
    for number in range(count):
        site.write(f"Post {number}", tags=("lamps",))


# --- lists --------------------------------------------------------------------------------------------------------


def test_a_new_site_says_how_to_write_the_first_post(client: FlaskClient):
    answer = client.get("/")
    assert answer.status_code == 200
    assert "python manage.py import-markdown FOLDER" in answer.text


def test_the_newest_posts_come_first(site: Site, client: FlaskClient):
    write_many(site, 3)
    assert titles(client.get("/").text) == ["post-2", "post-1", "post-0"]


def test_a_list_shows_what_a_reader_needs_to_choose(site: Site, client: FlaskClient):
    site.write("On <lamps>", summary="Why & how", tags=("light",), images_url=("/media/a.png",))
    page = client.get("/").text
    for part in (
        "On &lt;lamps&gt;",
        "Why &amp; how",
        "22 August 2026",
        "Ada Byron",
        "1 min",
        "/tag/light/",
        'src="/media/a.png" alt=""',
    ):
        assert part in page


@pytest.mark.parametrize("path", ["/", "/tag/lamps/", "/author/ada/"])
def test_older_and_newer_pages_lead_through_every_post_once_and_back(site: Site, client: FlaskClient, path: str):
    write_many(site, 8)
    pages, address = [], path
    while address and len(pages) <= 3:
        pages.append(client.get(address).text)
        address = link(pages[-1], "next")
    assert [titles(page) for page in pages] == [
        ["post-7", "post-6", "post-5"], ["post-4", "post-3", "post-2"], ["post-1", "post-0"]
    ]  # fmt: skip
    back = client.get(link(pages[-1], "prev")).text
    assert titles(back) == titles(pages[1])
    assert link(pages[0], "prev") is None


def test_posts_of_the_same_moment_are_all_shown(site: Site, client: FlaskClient):
    for number in range(7):
        site.write(f"Post {number}", created_at=NOON)
    seen, address = [], "/"
    while address and len(seen) <= 7:
        page = client.get(address).text
        seen += titles(page)
        address = link(page, "next")
    assert sorted(seen) == [f"post-{number}" for number in range(7)]


def test_the_page_before_the_second_is_the_home_page(site: Site, client: FlaskClient):
    write_many(site, 5)
    second = client.get(link(client.get("/").text, "next")).text
    answer = client.get(link(second, "prev"))
    assert (answer.status_code, answer.headers["Location"]) == (302, "/")


def test_a_page_stays_what_it_was_when_a_post_is_added(site: Site, client: FlaskClient):
    write_many(site, 5)
    second = link(client.get("/").text, "next")
    before = titles(client.get(second).text)
    site.write("New")
    assert titles(client.get(second).text) == before


@pytest.mark.parametrize("query", ["before=x", "after=", "before=%00", "before=AAAA&after=AAAA", "before=1' OR '1'='1"])
def test_a_garbled_place_in_a_list_is_answered_with_an_error_page(site: Site, client: FlaskClient, query: str):
    assert client.get(f"/?{query}").status_code == 400


@pytest.mark.parametrize(
    "place", ["before=gAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", "before=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"]
)
def test_a_place_before_all_posts_is_answered_with_an_error_page(site: Site, client: FlaskClient, place: str):
    site.write("Post")
    assert client.get(f"/?{place}").status_code in {400, 404}


@pytest.mark.parametrize("tag", ["lamps", "a/b", "50%", "c#", "q?x=1&y", "影師", "<i>", 'it\'s "so"', "a+b", "%41"])
def test_a_tag_has_a_page_under_the_address_that_links_to_it(site: Site, client: FlaskClient, tag: str):
    site.write("With", tags=(tag,))
    site.write("Without", tags=("other", tag + "x"))
    path = re.search(r'<a rel="tag" href="([^"]*)"', client.get("/with/").text)[1]
    assert titles(client.get(path).text) == ["with"]


@pytest.mark.parametrize("tag", ["LAMPS", "lamp", "lamps ", "none", '"lamps"', "%", "['lamps']"])
def test_a_tag_that_no_post_has_exactly_is_not_found(site: Site, client: FlaskClient, tag: str):
    site.write("Post", tags=("lamps",))
    assert client.get(f"/tag/{tag}/").status_code == 404


@pytest.mark.parametrize("username", ["ben", "cleo", "ADA"])
def test_only_who_wrote_has_a_page(site: Site, client: FlaskClient, username: str):
    site.write("Post")
    assert client.get(f"/author/{username}/").status_code == 404


# --- posts --------------------------------------------------------------------------------------------------------


def test_a_post_is_shown_as_it_was_rendered(site: Site, client: FlaskClient):
    site.write("On lamps", content="Some *words*.")
    page = client.get("/on-lamps/").text
    assert "<h1>On lamps</h1>" in page
    assert "<p>Some <em>words</em>.</p>" in page
    assert '<link rel="canonical" href="http://127.0.0.1:8000/on-lamps/">' in page


@pytest.mark.parametrize("status", ["draft", "archived"])
def test_what_is_not_published_is_found_nowhere(site: Site, client: FlaskClient, status: str):
    site.write("Secret", status=status, tags=("lamps",))
    for path in ("/secret/", "/tag/lamps/", "/author/ada/"):
        assert client.get(path).status_code == 404
    assert "Secret" not in client.get("/").text


@pytest.mark.parametrize(
    "stale", [{"content_html": None}, {"renderer_version": RENDERER_VERSION - 1}, {"renderer_version": None}]
)
def test_a_post_without_html_of_this_renderer_is_rendered_when_it_is_shown(
    site: Site, client: FlaskClient, stale: dict
):
    site.write("Post", content="Some *words*.")
    with site.app.app_context(), transaction() as session:
        session.execute(sa.update(Blog).values({"content_html": "old", **stale}))
    assert "<em>words</em>" in client.get("/post/").text


def test_a_post_leads_to_those_before_and_after_it(site: Site, client: FlaskClient):
    write_many(site, 3)
    site.write("Hidden", status="draft", created_at=NOON + timedelta(minutes=90))
    page = client.get("/post-1/").text
    assert (link(page, "prev"), link(page, "next")) == ("/post-0/", "/post-2/")


def test_the_first_and_the_last_post_lead_one_way_only(site: Site, client: FlaskClient):
    write_many(site, 2)
    assert link(client.get("/post-0/").text, "prev") is None
    assert link(client.get("/post-1/").text, "next") is None


def test_a_cover_that_stands_in_the_text_is_not_shown_twice(site: Site, client: FlaskClient):
    site.write("Post", content="![](/media/a.png)", images_url=("/media/a.png",))
    assert client.get("/post/").text.count('src="/media/a.png"') == 1


@pytest.mark.parametrize("path", ["/on-lamps", "/tag/lamps", "/author/ada"])
def test_an_address_without_its_slash_leads_to_the_one_with_it(site: Site, client: FlaskClient, path: str):
    site.write("On lamps", tags=("lamps",))
    answer = client.get(path)
    assert (answer.status_code, answer.headers["Location"].endswith(path + "/")) == (308, True)


def test_a_slug_of_any_script_has_a_page(site: Site, client: FlaskClient):
    site.write("影師嗎 Straße")
    assert client.get("/影師嗎-straße/").status_code == 200


# --- old addresses ------------------------------------------------------------------------------------------------

OLD = "/2014/03/12/café.html"


@pytest.fixture
def moved(site: Site) -> Blog:
    blog = site.write("On lamps")
    with site.app.app_context(), transaction() as session:
        for path in (OLD, "/lamps.html"):
            add_redirect(session, path, blog, at=NOON)
    return blog


@pytest.mark.parametrize("path", [OLD, OLD + "/", "/2014/03/12/caf%C3%A9.html", "/lamps.html", "/lamps.html/"])
def test_an_old_address_leads_to_the_post_in_one_step(moved: Blog, client: FlaskClient, path: str):
    answer = client.get(path)
    assert (answer.status_code, answer.headers["Location"]) == (301, "/on-lamps/")


def test_an_old_address_of_a_post_that_was_withdrawn_is_not_found(site: Site, moved: Blog, client: FlaskClient):
    with site.app.app_context(), transaction() as session:
        session.execute(sa.update(Blog).values(status="archived"))
    assert client.get(OLD).status_code == 404


def test_a_page_goes_before_an_old_address(site: Site, moved: Blog, client: FlaskClient):
    with site.app.app_context(), transaction() as session:
        add_redirect(session, "/tag/lamps/", session.merge(moved), at=NOON)
        add_redirect(session, "/second/", session.merge(moved), at=NOON)
        session.execute(sa.update(Blog).values(tags=["lamps"], slug="second"))
    assert client.get("/tag/lamps/").status_code == client.get("/second/").status_code == 200


def test_an_old_address_is_not_for_writing_to(moved: Blog, client: FlaskClient):
    assert client.post(OLD).status_code == 404


@pytest.mark.parametrize("path", ["//evil.example/", "/\\evil.example", "/%2f%2fevil.example/", "/" + "x" * 2000])
def test_an_odd_address_leads_nowhere_else(site: Site, client: FlaskClient, path: str):
    answer = client.get(environ_overrides={"PATH_INFO": unquote(path)})
    assert answer.status_code in {308, 404}
    assert "//evil" not in answer.headers.get("Location", "").removeprefix("http://localhost")


def test_pages_answer_to_head(site: Site, client: FlaskClient):
    site.write("Post")
    assert [client.head(path).status_code for path in ("/", "/post/", "/none/")] == [200, 200, 404]
