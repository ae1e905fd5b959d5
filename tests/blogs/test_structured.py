"""What search engines, and programs that show links, are told of a page."""

from __future__ import annotations

import json
from typing import Any

import html5lib
import pytest
from flask.testing import FlaskClient
from hypothesis import given
from hypothesis import strategies as st

from cms.blogs.rendering import render
from cms.blogs.structured import EXCERPT_CHARACTERS, excerpt
from tests.site import Site

ORIGIN = "http://127.0.0.1:8000"
HOSTILE = "</script><script>alert(1)</script><!-- \"' & <b>"


def tree(client: FlaskClient, path: str) -> Any:  # Any: an element of the parsed page
    return html5lib.parse(client.get(path).text, namespaceHTMLElements=False)


def told(client: FlaskClient, path: str) -> dict[str, str]:
    metas = tree(client, path).iter("meta")
    return {str(meta.get("property") or meta.get("name")): meta.get("content") for meta in metas}


def structured(client: FlaskClient, path: str) -> dict[str, Any]:  # Any: what JSON can hold
    [script] = [each for each in tree(client, path).iter("script") if each.get("type") == "application/ld+json"]
    return json.loads(script.text)


def test_a_link_to_a_post_is_shown_with_title_summary_and_picture(site: Site, client: FlaskClient):
    site.write("On <lamps>", summary='Why & "how"', tags=("light",), images_url=("/media/a.png",))
    known = told(client, "/on-lamps/")
    expected = {
        "description": 'Why & "how"',
        "og:type": "article",
        "og:title": "On <lamps>",
        "og:description": 'Why & "how"',
        "og:url": f"{ORIGIN}/on-lamps/",
        "og:image": f"{ORIGIN}/media/a.png",
        "og:site_name": "A blog without fear",
        "twitter:card": "summary_large_image",
        "article:published_time": "2026-08-22T12:00:00+00:00",
        "article:tag": "light",
    }
    assert expected.items() <= known.items()


def test_a_post_without_summary_and_picture_is_shown_by_how_it_begins(site: Site, client: FlaskClient):
    site.write("Post", content="Some *words* &amp; more.\n\n" + "word " * 100)
    known = told(client, "/post/")
    assert known["og:description"].startswith("Some words & more. word")
    assert known["og:description"].endswith("word…")
    assert (known["twitter:card"], "og:image" in known) == ("summary", False)


@pytest.mark.parametrize("path", ["/", "/tag/lamps/", "/author/ada/", "/post/"])
def test_every_public_page_has_a_description_and_one_address(site: Site, client: FlaskClient, path: str):
    site.write("Post", tags=("lamps",))
    known = told(client, path)
    assert known["description"]
    assert known["og:url"] == ORIGIN + path
    [canonical] = [each.get("href") for each in tree(client, path).iter("link") if each.get("rel") == "canonical"]
    assert canonical == ORIGIN + path


def test_a_post_is_described_to_search_engines(site: Site, client: FlaskClient):
    site.write("On lamps", summary="Why", tags=("light",), images_url=("https://other.example/a.png",))
    assert structured(client, "/on-lamps/") == {
        "@context": "https://schema.org",
        "@type": "BlogPosting",
        "mainEntityOfPage": f"{ORIGIN}/on-lamps/",
        "url": f"{ORIGIN}/on-lamps/",
        "headline": "On lamps",
        "description": "Why",
        "datePublished": "2026-08-22T12:00:00+00:00",
        "dateModified": "2026-08-22T12:00:00+00:00",
        "author": {"@type": "Person", "name": "Ada Byron", "url": f"{ORIGIN}/author/ada/"},
        "publisher": {"@type": "Organization", "name": "A blog without fear", "url": f"{ORIGIN}/"},
        "inLanguage": "en",
        "image": "https://other.example/a.png",
        "keywords": ["light"],
    }


def test_the_home_page_is_described_as_a_blog(client: FlaskClient):
    assert structured(client, "/") == {
        "@context": "https://schema.org",
        "@type": "Blog",
        "name": "A blog without fear",
        "url": f"{ORIGIN}/",
        "inLanguage": "en",
    }


def test_nothing_that_an_author_writes_ends_the_description(site: Site, client: FlaskClient):
    blog = site.write(HOSTILE, summary=HOSTILE, tags=(HOSTILE,))
    page = tree(client, f"/{blog.slug}/")
    assert structured(client, f"/{blog.slug}/")["headline"] == HOSTILE
    assert [script.get("type") for script in page.iter("script")] == ["application/ld+json"]
    assert told(client, f"/{blog.slug}/")["og:title"] == HOSTILE


@given(st.text(max_size=3000))
def test_how_a_post_begins_is_text_of_bounded_length(markdown: str):
    text = excerpt(render(markdown).html)
    assert len(text) <= EXCERPT_CHARACTERS + 1
    assert "\n" not in text
