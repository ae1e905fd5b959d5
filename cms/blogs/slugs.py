"""Addresses of posts: made from titles, unique, and never those of another page."""

from __future__ import annotations

import re
import unicodedata

from sqlalchemy import select

from cms.accounts.queries import AnySession
from cms.blogs.drafts import SLUG_LIMIT
from cms.blogs.models import Blog, Redirect

FALLBACK = "post"
TRIES = 64
APOSTROPHE = re.compile(r"(?<=\w)['\u2019](?=\w)")  # it's becomes its, not it-s

# The first part of every address that is or will be another page; a test compares it with the site's routes.
PAGES = """
    .well-known account admin api apple-touch-icon.png archive assets atom.xml author category favicon.ico feed
    feed.json feed.xml healthz login logout media metrics page preview problems readyz robots.txt search
    sitemap-pages.xml sitemap-posts.xml sitemap.xml static tag webhooks workerz
"""
RESERVED = frozenset(PAGES.split())


def slug_of(title: str) -> str:
    """Return the address that a title leads to: lower case, letters of every script kept, at most 300 characters.

    A title without a letter or digit gives "post". May return a reserved word, which ``unique_slug`` will not.
    """
    from slugify import slugify  # noqa: PLC0415 - no page needs it

    slug = slugify(APOSTROPHE.sub("", title), allow_unicode=True, max_length=SLUG_LIMIT, word_boundary=False)
    return unicodedata.normalize("NFC", slug)[:SLUG_LIMIT].strip("-_") or FALLBACK


def unique_slug(session: AnySession, wanted: str, *, blog: Blog | None = None) -> str:
    """Return the wanted slug, or with the first free number after it: ``hello``, ``hello-2`` and so on.

    Taken are the slugs of other posts, old addresses that lead to other posts, and reserved words. Reads only.
    blog: the post that asks; what it has already is free for it.
    """
    start = 1
    while True:
        candidates = [numbered(wanted, number) for number in range(start, start + (TRIES if start > 1 else 1))]
        taken = find_taken(session, candidates, blog)
        if free := next((slug for slug in candidates if slug not in taken), None):
            return free
        start += len(candidates)


def numbered(slug: str, number: int) -> str:
    ending = f"-{number}" if number > 1 else ""
    return slug[: SLUG_LIMIT - len(ending)] + ending


def find_taken(session: AnySession, slugs: list[str], blog: Blog | None) -> set[str]:
    """Return those of the slugs that the post cannot have."""
    posts = select(Blog.slug).where(Blog.slug.in_(slugs))
    paths = select(Redirect.path).where(Redirect.path.in_([f"/{slug}" for slug in slugs]))
    if blog is not None:
        posts = posts.where(Blog.id != blog.id)
        paths = paths.where(Redirect.blog_id != blog.id)
    old_addresses = {path.removeprefix("/") for path in session.scalars(paths)}
    return set(session.scalars(posts)) | old_addresses | RESERVED.intersection(slugs)
