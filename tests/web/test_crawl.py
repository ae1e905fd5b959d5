"""Every address that a reader can come to from the home page, as a search engine would: no dead end, valid pages."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import unquote, urldefrag, urljoin, urlsplit
from xml.etree.ElementTree import Element

import feedparser
import html5lib
import pytest
import sqlalchemy as sa
from flask import Flask
from flask.testing import FlaskClient

from cms.blogs.models import PUBLISHED, Blog
from cms.extensions import db
from cms.management.base import call_command
from tests.site import running, settings_for

HOME = "http://127.0.0.1:8000/"
FEEDS = {"application/atom+xml", "application/rss+xml", "application/feed+json"}
LINKS = {"href", "src", "action", "poster", "data"}


@dataclass
class Page:
    """What was found at one address."""

    status: int
    kind: str
    text: str
    ids: list[str] = field(default_factory=list)
    links: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)


def fetch(client: FlaskClient, path: str) -> Page:
    answer = client.get(path, buffered=True)
    if answer.status_code in {301, 302, 303, 308}:
        return Page(answer.status_code, "", "", links=[urljoin(HOME + path.lstrip("/"), answer.headers["Location"])])
    kind = answer.mimetype
    page = Page(answer.status_code, kind, answer.text if kind.startswith("text/") or kind in FEEDS else "")
    if kind == "text/html":
        parser = html5lib.HTMLParser(namespaceHTMLElements=False)
        root = parser.parse(page.text)
        page.errors = [f"{place}: {code}" for place, code, _ in parser.errors]
        page.ids = [each.attrib["id"] for each in root.iter() if "id" in each.attrib]
        page.links = [urljoin(HOME + path.lstrip("/"), link) for link in list_links(root)]
    elif "xml" in kind:
        page.text = answer.text
        page.links = re.findall(r"<loc>([^<]+)</loc>", page.text)
    return page


def list_links(root: Element) -> Iterator[str]:
    for each in root.iter():
        if each.tag == "form" and each.attrib.get("method", "get").lower() != "get":
            continue
        yield from (value for name, value in each.attrib.items() if name in LINKS)
        yield from (part.split()[0] for part in each.attrib.get("srcset", "").split(",") if part.strip())


def crawl(client: FlaskClient) -> dict[str, Page]:
    """Return every page by its path and query."""
    found: dict[str, Page] = {}
    waiting = ["/", "/robots.txt", "/sitemap.xml"]
    while waiting:
        path = waiting.pop()
        if path in found:
            continue
        found[path] = fetch(client, path)
        waiting += [path_of(link) for link in found[path].links if link.startswith(HOME)]
    return found


def path_of(link: str) -> str:
    parts = urlsplit(urldefrag(link).url)
    return f"{parts.path or '/'}{'?' if parts.query else ''}{parts.query}"


@pytest.fixture
def crawled(migrated_sqlite_url: str, tmp_path: Path) -> Iterator[tuple[Flask, dict[str, Page]]]:
    with running(settings_for(migrated_sqlite_url, tmp_path, SITE_URL=HOME.rstrip("/"))) as app:
        with app.app_context():
            call_command("load-demo")
        yield app, crawl(app.test_client())


def test_a_crawler_meets_valid_pages_and_no_dead_end(crawled: tuple[Flask, dict[str, Page]]):
    app, pages = crawled
    assert {path: page.status for path, page in pages.items() if page.status >= 400} == {}
    assert {path: page.errors for path, page in pages.items() if page.errors} == {}
    assert {path: page.ids for path, page in pages.items() if len(page.ids) != len(set(page.ids))} == {}
    assert list(dangling(pages)) == []

    feeds = {path: page for path, page in pages.items() if page.kind in FEEDS}
    assert {page.kind for page in feeds.values()} == FEEDS
    for path, page in feeds.items():
        if page.kind != "application/feed+json":
            assert not feedparser.parse(page.text).bozo, path

    with app.app_context():
        public = sa.select(Blog.slug).where(Blog.status == PUBLISHED, Blog.trashed_at.is_(None))
        posts = {f"/{slug}/" for slug in db.session.scalars(public)}
    listed = {unquote(path_of(link)) for page in pages.values() if "<urlset" in page.text for link in page.links}
    assert posts
    assert posts <= listed
    assert {path for path in listed if unquote(path) not in map(unquote, pages)} == set()


def dangling(pages: dict[str, Page]) -> Iterator[str]:
    """Yield each link to a place of a page that the page does not have."""
    for path, page in pages.items():
        for link in page.links:
            place = unquote(urlsplit(link).fragment)
            target = pages.get(path_of(link)) if link.startswith(HOME) and place else None
            if target and target.kind == "text/html" and place not in target.ids:
                yield f"{path} leads to {link}"
