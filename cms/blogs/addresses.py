"""The addresses of pages about posts, as they stand in links. Made by hand: a home page has a hundred of them."""

from __future__ import annotations

from urllib.parse import quote
from uuid import UUID


def post_path(slug: str) -> str:
    return f"/{quote(slug)}/"


def tag_path(tag: str) -> str:
    return f"/tag/{quote(tag)}/"


def author_path(username: str) -> str:
    return f"/author/{quote(username)}/"


def desk_path(blog_id: UUID) -> str:
    """Return where a post is written."""
    return f"/admin/posts/{blog_id}"
