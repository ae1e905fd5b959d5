"""RSS, Atom and JSON Feed, read as feed readers read them."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser

import feedparser
import pytest
import sqlalchemy as sa
from flask.testing import FlaskClient
from hypothesis import given
from hypothesis import strategies as st

from cms.blogs.absolute import with_absolute_addresses
from cms.blogs.feed_views import FORMS, POSTS
from cms.blogs.models import Blog
from cms.blogs.rendering import RENDERER_VERSION, render
from cms.extensions import transaction
from tests.site import NOON, Site, counted

FOLDERS = ["/", "/tag/lamps/", "/author/ada/"]
XML = [form for form in FORMS if form.endswith(".xml")]
PAGE = "http://127.0.0.1:8000/on-lamps/"


def parsed(client: FlaskClient, path: str) -> feedparser.FeedParserDict:
    answer = client.get(path)
    assert answer.status_code == 200
    feed = feedparser.parse(answer.data, response_headers={"content-type": answer.content_type})
    assert not feed.bozo, feed.get("bozo_exception")
    return feed


def titles(client: FlaskClient, path: str) -> list[str]:
    if path.endswith(".json"):
        return [item["title"] for item in client.get(path).json["items"]]
    return [entry.title for entry in parsed(client, path).entries]


def sources(body: str) -> list[str]:
    """Return every address in the HTML."""
    found: list[str] = []
    parser = HTMLParser()
    parser.handle_starttag = lambda _tag, attrs: found.extend(
        value or "" for name, value in attrs if name in {"href", "src", "cite"}
    )
    parser.feed(body)
    return found


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("folder", FOLDERS)
def test_a_feed_holds_the_newest_posts_of_its_page(site: Site, client: FlaskClient, folder: str, form: str):
    site.write("Old", created_at=NOON - timedelta(days=1), tags=("lamps",))
    for number in range(POSTS):
        site.write(f"Post {number}", tags=("lamps",))
    site.write("Draft", tags=("lamps",), status="draft")
    site.write("Of Ben", author=site.ben)
    newest = ["Of Ben"] if folder == "/" else []
    expected = [*newest, *(f"Post {number}" for number in reversed(range(POSTS)))][:POSTS]
    assert titles(client, folder + form) == expected


@pytest.mark.parametrize("form", FORMS)
def test_a_feed_holds_whole_posts_with_addresses_that_work_elsewhere(site: Site, client: FlaskClient, form: str):
    content = "Words [here](/other/) and [there](#note), ![a](/media/b.png)\n\n## End\n\n" + "word " * 2000 + "last."
    site.write("On lamps", content=content, images_url=("/media/cover.png",))
    answer = client.get(f"/{form}")
    body = (
        answer.json["items"][0]["content_html"]
        if form == "feed.json"
        else parsed(client, f"/{form}").entries[0].content[0].value
    )
    origin = "http://127.0.0.1:8000"
    assert sources(body) == [f"{origin}/media/cover.png", f"{origin}/other/", f"{PAGE}#note", f"{origin}/media/b.png"]
    assert "last." in body


@pytest.mark.parametrize("form", XML)
def test_an_xml_feed_says_what_readers_show_of_a_post(site: Site, client: FlaskClient, form: str):
    blog = site.write("<On> & lamps", summary="Why & <how>", tags=("light", "a & b"))
    feed = parsed(client, f"/{form}")
    entry = feed.entries[0]
    assert (feed.feed.title, feed.feed.language) == ("A blog without fear", "en")
    # A summary is HTML in both forms, so that "<how>" is text and not an element.
    assert (entry.id, entry.link, entry.author) == (blog.id.urn, "http://127.0.0.1:8000/on-lamps/", "Ada Byron")
    assert entry.summary == "Why &amp; &lt;how&gt;"
    assert [tag.term for tag in entry.tags] == ["light", "a & b"]
    assert datetime(*entry.published_parsed[:6], tzinfo=UTC) == NOON


def test_a_json_feed_says_what_readers_show_of_a_post(site: Site, client: FlaskClient):
    blog = site.write("On lamps", summary="Why & <how>", tags=("light",), images_url=("/media/a.png",))
    feed = json.loads(client.get("/feed.json").data)
    assert {name: feed[name] for name in ("version", "title", "home_page_url", "feed_url", "language")} == {
        "version": "https://jsonfeed.org/version/1.1",
        "title": "A blog without fear",
        "home_page_url": "http://127.0.0.1:8000/",
        "feed_url": "http://127.0.0.1:8000/feed.json",
        "language": "en",
    }
    item = feed["items"][0]
    assert item.pop("content_html")
    assert item == {
        "id": blog.id.urn,
        "url": PAGE,
        "title": "On lamps",
        "summary": "Why & <how>",
        "image": "http://127.0.0.1:8000/media/a.png",
        "date_published": "2026-08-22T12:00:00+00:00",
        "date_modified": "2026-08-22T12:00:00+00:00",
        "authors": [{"name": "Ada Byron", "url": "http://127.0.0.1:8000/author/ada/"}],
        "tags": ["light"],
    }


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("folder", FOLDERS)
def test_no_feed_tells_the_address_of_a_person(site: Site, client: FlaskClient, folder: str, form: str):
    site.write("Post", tags=("lamps",))
    assert "example.org" not in client.get(folder + form).text


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("folder", FOLDERS)
def test_a_feed_asks_the_database_once_and_opens_no_transaction(
    site: Site, client: FlaskClient, folder: str, form: str
):
    site.write("Post", tags=("lamps",))
    with counted(site.app) as statements:
        client.get(folder + form)
    assert len(statements.sent) == 1, statements.sent


@pytest.mark.parametrize("form", FORMS)
def test_a_reader_who_has_a_feed_already_is_not_sent_it_again(site: Site, client: FlaskClient, form: str):
    site.write("Post")
    first = client.get(f"/{form}").headers
    for asked in ({"If-None-Match": first["ETag"]}, {"If-Modified-Since": first["Last-Modified"]}):
        answer = client.get(f"/{form}", headers=asked)
        assert (answer.status_code, answer.data) == (304, b"")
    site.write("Next")
    both = {"If-None-Match": first["ETag"], "If-Modified-Since": first["Last-Modified"]}
    assert client.get(f"/{form}", headers=both).status_code == 200


@pytest.mark.parametrize("form", FORMS)
def test_a_changed_post_is_new_in_its_feed(site: Site, client: FlaskClient, form: str):
    site.write("Post")
    before = client.get(f"/{form}").headers
    with site.app.app_context(), transaction() as session:
        session.execute(sa.update(Blog).values(title="Changed", updated_at=NOON + timedelta(days=3)))
    answer = client.get(f"/{form}", headers={"If-Modified-Since": before["Last-Modified"]})
    assert answer.status_code == 200
    assert answer.headers["Last-Modified"] == "Tue, 25 Aug 2026 12:00:00 GMT"


@pytest.mark.parametrize("form", FORMS)
def test_the_feed_of_a_site_without_posts_is_valid_and_stays_the_same(client: FlaskClient, form: str):
    assert titles(client, f"/{form}") == []
    assert client.get(f"/{form}").headers["ETag"] == client.get(f"/{form}").headers["ETag"]


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("folder", ["/tag/none/", "/author/ben/", "/author/cleo/"])
def test_who_or_what_has_no_page_has_no_feed(site: Site, client: FlaskClient, folder: str, form: str):
    site.write("Post")
    assert client.get(folder + form).status_code == 404


@pytest.mark.parametrize(
    ("page", "feed"), [("/", "/"), ("/post/", "/"), ("/tag/a%26b/", "/tag/a%26b/"), ("/author/ada/", "/author/ada/")]
)
def test_a_page_names_its_feeds(site: Site, client: FlaskClient, page: str, feed: str):
    site.write("Post", tags=("a&b",))
    named = re.findall(r'<link rel="alternate" type="([^"]+)" title="[^"]+" href="([^"]+)">', client.get(page).text)
    assert [path for _, path in named][:3] == [feed + form for form in FORMS]
    for kind, path in named:
        answer = client.get(path)
        assert (answer.status_code, answer.content_type.partition(";")[0]) == (200, kind)


@pytest.mark.parametrize("tag", ["a/b", "feed.xml", "a/feed.xml", "影師", "50%", 'it\'s "so"'])
def test_the_feed_of_a_tag_is_beside_its_page(site: Site, client: FlaskClient, tag: str):
    site.write("With", tags=(tag,))
    site.write("Without", tags=("a", tag + "x"))
    path = re.search(r'<a rel="tag" href="([^"]*)"', client.get("/with/").text)[1]
    assert titles(client, path + "atom.xml") == ["With"]


@pytest.mark.parametrize("form", XML)
def test_characters_that_xml_cannot_hold_do_not_break_a_feed(site: Site, client: FlaskClient, form: str):
    site.write("Post")
    odd = "a\x0b\x1b\ufffeb"
    with site.app.app_context(), transaction() as session:
        stale = {"content_html": f"<p>{odd}</p>", "renderer_version": RENDERER_VERSION}
        session.execute(sa.update(Blog).values(title=odd, summary=odd, tags=[odd], **stale))
    assert titles(client, f"/{form}") == ["ab"]


# --- addresses ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("written", "found"),
    [
        ("[x](y)", f"{PAGE}y"),
        ("[x](../z/?a=1&b=2)", "http://127.0.0.1:8000/z/?a=1&b=2"),
        ("[x](//other.example/y)", "http://other.example/y"),
        ("[x](https://other.example/y)", "https://other.example/y"),
        ("[x](mailto:a@example.org)", "mailto:a@example.org"),
        ('<q cite="/y">x</q>', "http://127.0.0.1:8000/y"),
        ('<img title=\' > src="/no" \' src="/yes.png">', "http://127.0.0.1:8000/yes.png"),
        ('<a title="x href=" href="/y">x</a>', "http://127.0.0.1:8000/y"),
    ],
)
def test_an_address_in_a_feed_leads_where_it_leads_on_the_page(written: str, found: str):
    assert sources(with_absolute_addresses(render(written).html, PAGE)) == [found]


def test_an_address_that_cannot_be_understood_stays_as_it_is():
    body = '<a href="http://[broken/">x</a>'
    assert with_absolute_addresses(body, PAGE) == body


def test_text_that_looks_like_an_address_stays_as_it_is():
    body = render('`<a href="/x">` and src="/y"').html
    assert with_absolute_addresses(body, PAGE) == body


@given(st.text(alphabet=list("<>a=\"'/& \nhrefsc![]()`")), st.text(alphabet=list("<>=\"'/& hrefsc")))
def test_nothing_but_addresses_changes_whatever_stands_in_a_post(markdown: str, title: str):
    body = render(f"{markdown}\n\n[x](/y '{title}')").html
    changed = with_absolute_addresses(body, PAGE)
    assert all(re.match(r"(http|https|mailto):|$", address) for address in sources(changed))
    assert re.sub(r'(href|src|cite)="[^"]*"', "", changed) == re.sub(r'(href|src|cite)="[^"]*"', "", body)
