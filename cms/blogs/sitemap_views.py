"""The list of all pages for search engines: an index, and parts of some thousand posts each."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from itertools import zip_longest
from urllib.parse import urlencode
from xml.sax.saxutils import escape

from flask import Blueprint, abort, current_app, request
from werkzeug.wrappers import Response

from cms.blogs.addresses import post_path
from cms.blogs.archive import list_months
from cms.blogs.sitemap import PostAddress, list_part_starts, list_posts_of_part
from cms.extensions import db
from cms.web.pages import show_text

PART_POSTS = 5_000
PROTOCOL_LIMIT = 50_000
NAMESPACE = "http://www.sitemaps.org/schemas/sitemap/0.9"

sitemaps = Blueprint("sitemaps", __name__)


@sitemaps.get("/sitemap.xml")
def show_index() -> Response:
    """Name the parts. Each but the last keeps its address while posts are added; the last is open to the present."""
    starts = list_part_starts(db.session, size=PART_POSTS)
    parts = [part_address(start, end) for start, end in zip_longest(starts, starts[1:])]
    addresses = ["/sitemap-pages.xml", *parts]
    return show_xml("sitemapindex", (f"<sitemap><loc>{complete(path)}</loc></sitemap>" for path in addresses))


@sitemaps.get("/sitemap-pages.xml")
def show_pages() -> Response:
    """List the pages that lead to the posts: home, and the archive by year."""
    years = dict.fromkeys(f"/archive/{month.year:04}/" for month in list_months(db.session))
    return show_xml("urlset", (f"<url><loc>{complete(path)}</loc></url>" for path in ["/", "/archive/", *years]))


@sitemaps.get("/sitemap-posts.xml")
def show_posts() -> Response:
    """List the posts of a part. Its address holds its limits, so no post is counted to find it."""
    limits = {"since": moment("from"), "before": moment("to")}
    posts = list_posts_of_part(db.session, **limits, limit=PROTOCOL_LIMIT) or abort(404)
    return show_xml("urlset", map(entry, posts))


def entry(post: PostAddress) -> str:
    return f"<url><loc>{complete(post_path(post.slug))}</loc><lastmod>{post.changed_at.isoformat()}</lastmod></url>"


def part_address(start: datetime, end: datetime | None) -> str:
    limits = {"from": start.isoformat()} | ({"to": end.isoformat()} if end else {})
    return f"/sitemap-posts.xml?{urlencode(limits)}"


def moment(name: str) -> datetime | None:
    """Return the moment that the request names, None if it names none; 400 if it is garbage."""
    text = request.args.get(name)
    if text is None:
        return None
    try:
        found = datetime.fromisoformat(text)
        return found.astimezone(UTC) if found.tzinfo else abort(400)
    except (ValueError, OverflowError):
        abort(400)


def complete(path: str) -> str:
    return escape(current_app.config["SITE_URL"] + path)


def show_xml(root: str, children: Iterable[str]) -> Response:
    lines = ['<?xml version="1.0" encoding="utf-8"?>', f'<{root} xmlns="{NAMESPACE}">', *children, f"</{root}>\n"]
    return show_text("\n".join(lines), "application/xml")
