"""The sitemap: every post once, in parts."""

from __future__ import annotations

from datetime import timedelta
from xml.etree import ElementTree as ET

import pytest
import sqlalchemy as sa
from flask.testing import FlaskClient

from cms.blogs import sitemap_views
from cms.blogs.models import Blog
from cms.extensions import transaction
from tests.site import NOON, Site

NAMESPACE = "{http://www.sitemaps.org/schemas/sitemap/0.9}"
ORIGIN = "http://127.0.0.1:8000"


def children(client: FlaskClient, address: str) -> list[dict[str, str]]:
    answer = client.get(address.removeprefix(ORIGIN))
    assert (answer.status_code, answer.content_type) == (200, "application/xml; charset=utf-8")
    root = ET.fromstring(answer.data)
    assert root.tag in {f"{NAMESPACE}sitemapindex", f"{NAMESPACE}urlset"}
    assert len(root)
    return [{part.tag.removeprefix(NAMESPACE): part.text for part in child} for child in root]


def parts(client: FlaskClient) -> list[str]:
    return [child["loc"] for child in children(client, "/sitemap.xml")]


def listed(client: FlaskClient) -> list[list[str]]:
    """Return the paths in each part that lists posts."""
    posts = [part for part in parts(client) if "sitemap-posts" in part]
    return [[child["loc"].removeprefix(ORIGIN) for child in children(client, part)] for part in posts]


@pytest.fixture
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sitemap_views, "PART_POSTS", 3)


def test_a_new_site_lists_its_home_page(client: FlaskClient):
    assert parts(client) == [f"{ORIGIN}/sitemap-pages.xml"]
    assert {"loc": f"{ORIGIN}/"} in children(client, "/sitemap-pages.xml")


@pytest.mark.usefixtures("small_parts")
@pytest.mark.parametrize("count", [1, 2, 3, 4, 6, 7])
def test_every_published_post_is_listed_once(site: Site, client: FlaskClient, count: int):
    for number in range(count):
        site.write(f"Post {number}")
        site.write(f"Draft {number}", status="draft")
    found = listed(client)
    assert [path for part in found for path in part] == [f"/post-{number}/" for number in range(count)]
    assert max(len(part) for part in found) <= 3


@pytest.mark.usefixtures("small_parts")
def test_posts_of_the_same_moment_are_listed_once(site: Site, client: FlaskClient):
    for number in range(11):
        site.write(f"Post {number}", created_at=NOON + timedelta(hours=number // 5))
    paths = [path for part in listed(client) for path in part]
    assert sorted(paths) == sorted(f"/post-{number}/" for number in range(11))


@pytest.mark.usefixtures("small_parts")
def test_a_part_keeps_its_address_and_content_when_a_post_is_added(site: Site, client: FlaskClient):
    for number in range(7):
        site.write(f"Post {number}")
    before, held = parts(client), listed(client)
    site.write("New")
    assert parts(client)[:-1] == before[:-1]
    assert listed(client)[:-1] == held[:-1]


def test_a_post_says_when_it_last_changed(site: Site, client: FlaskClient):
    site.write("Post")
    with site.app.app_context(), transaction() as session:
        session.execute(sa.update(Blog).values(updated_at=NOON + timedelta(days=1)))
    assert [child["lastmod"] for child in children(client, parts(client)[-1])] == ["2026-08-23T12:00:00+00:00"]


def test_every_address_in_the_sitemap_has_a_page(site: Site, client: FlaskClient):
    for title in ("Post", "影師嗎 Straße", "it's 50% & more"):
        site.write(title)
    for part in parts(client):
        for child in children(client, part):
            assert client.get(child["loc"].removeprefix(ORIGIN)).status_code == 200


@pytest.mark.parametrize(
    "query", ["from=x", "from=", "from=2026-08-22T12:00:00", "to=9999999", "from=0001-01-01T00:00:00%2B14:00"]
)
def test_a_garbled_part_is_answered_with_an_error_page(site: Site, client: FlaskClient, query: str):
    assert client.get(f"/sitemap-posts.xml?{query}").status_code == 400


def test_a_part_without_posts_is_not_found(site: Site, client: FlaskClient):
    site.write("Post")
    assert client.get("/sitemap-posts.xml?from=2100-01-01T00:00:00%2B00:00").status_code == 404
