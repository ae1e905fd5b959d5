"""What a page is about, for search engines: schema.org's words as JSON-LD."""

from __future__ import annotations

import html
import re
from typing import Any

from cms.blogs.absolute import complete_address
from cms.blogs.addresses import author_path, post_path
from cms.blogs.queries import PostText

CONTEXT = "https://schema.org"
EXCERPT_CHARACTERS = 160
EXCERPT_READ = 4_000  # characters of HTML, enough for an excerpt unless it begins with a very long address

TAG = re.compile(r"<[^<>]*>?")
Structured = dict[str, Any]  # Any: what JSON can hold


def describe_blog(*, site: str, name: str, description: str, language: str) -> Structured:
    """Return the description of the site for its home page; it may be written into a script element by ``tojson``."""
    about = {"description": description} if description else {}
    return {"@context": CONTEXT, "@type": "Blog", "name": name, "url": f"{site}/", "inLanguage": language, **about}


def describe_post(post: PostText, *, body: str, site: str, name: str, language: str) -> Structured:
    """Return the description of a post for its page; as above."""
    page = site + post_path(post.slug)
    author = {"@type": "Person", "name": post.author_name, "url": site + author_path(post.author_username)}
    optional = {
        "image": post.cover and complete_address(page, post.cover),
        "keywords": list(post.tags),
    }
    return {
        "@context": CONTEXT,
        "@type": "BlogPosting",
        "mainEntityOfPage": page,
        "url": page,
        "headline": post.title,
        "description": describe(post, body),
        "datePublished": post.created_at.isoformat(),
        "dateModified": (post.updated_at or post.created_at).isoformat(),
        "author": author,
        "publisher": {"@type": "Organization", "name": name, "url": f"{site}/"},
        "inLanguage": language,
        **{key: value for key, value in optional.items() if value},
    }


def describe(post: PostText, body: str) -> str:
    """Return the post's summary, or how its text begins."""
    return post.summary or excerpt(body) or post.title


def excerpt(body: str) -> str:
    """Return how the text of the HTML begins, cut after a word."""
    text = " ".join(html.unescape(TAG.sub(" ", body[:EXCERPT_READ])).split())
    if len(text) <= EXCERPT_CHARACTERS:
        return text
    end = text.rfind(" ", 1, EXCERPT_CHARACTERS)
    return text[: end if end > 0 else EXCERPT_CHARACTERS].rstrip(",;:–-") + "…"
