"""The form in which a post leaves, and in which it comes back exactly as it was: Markdown below front matter.

Each value is JSON, which is YAML too, so that every reader of YAML understands it and its bytes depend on no library.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote
from uuid import UUID

from cms.blogs.models import Blog
from cms.blogs.services import PostDraft
from cms.exchange.errors import FileUnusable
from cms.exchange.front_matter import FACTS_LIMIT
from cms.media.store import MEDIA_URL

Values = dict[str, Any]  # Any: whatever the file's author wrote
FORMAT_KEY = "cms_format"
FORMAT = 1
PICTURE = re.compile(re.escape(MEDIA_URL) + r"([0-9a-f]{2}/[0-9a-f]{62}\.[a-z]{3,5})")
# YAML ends a line at some of these, and refuses the others.
ODD = re.compile("[\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]")


def write_post(blog: Blog, *, aliases: list[str], origin: Values) -> bytes:
    """Return the file of a post. aliases: its old paths, sorted; origin: the front matter that it once came with."""
    values = {
        FORMAT_KEY: FORMAT,
        "id": str(blog.id),
        "title": blog.title,
        "slug": blog.slug,
        "date": as_moment(blog.created_at),
        "updated": blog.updated_at and as_moment(blog.updated_at),
        "status": blog.status,
        "author": blog.author.username,
        "author_name": blog.author.display_name,
        "summary": blog.summary,
        "tags": blog.tags,
        "images": blog.images_url,
        "cover_alt": blog.cover_alt,
        "aliases": [quote(path) for path in aliases],
    }
    lines = [f"{key}: {as_yaml(value)}\n" for key, value in values.items() if value not in (None, [])]
    # As text, since YAML and JSON do not agree on every number.
    kept = f"origin: {as_yaml(json.dumps(origin, sort_keys=True))}\n" if origin else ""
    facts = "".join([*lines, kept if sum(map(len, lines)) + len(kept) < FACTS_LIMIT else ""])
    return f"---\n{facts}---\n{blog.content}".replace("\r\n", "\n").encode()


def as_moment(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat()


def as_yaml(value: object) -> str:
    return ODD.sub(lambda found: f"\\u{ord(found[0]):04x}", json.dumps(value, ensure_ascii=False))


def is_exported(values: Values) -> bool:
    """Tell whether a file's front matter was written by ``write_post``."""
    return values.get(FORMAT_KEY) == FORMAT


def read_draft(values: Values, body: str) -> PostDraft:
    """Return the post as it left. Raises FileUnusable for a value that is none of its kind."""
    return PostDraft(
        title=text_in(values, "title") or "",
        content=body,
        slug=text_in(values, "slug"),
        summary=text_in(values, "summary"),
        tags=texts_in(values, "tags"),
        images_url=texts_in(values, "images"),
        cover_alt=text_in(values, "cover_alt"),
        status=text_in(values, "status") or "",
        created_at=moment_in(values, "date"),
    )


def read_id(values: Values) -> UUID | None:
    """Return the post's id on the site that it left. Raises FileUnusable."""
    text = text_in(values, "id")
    try:
        return UUID(text) if text else None
    except ValueError as error:
        raise FileUnusable("the id is none", why=f"{text!r:.60}") from error


def read_origin(values: Values) -> Values:
    """Return the front matter that the post once came with. Raises FileUnusable."""
    text = text_in(values, "origin")
    try:
        found = json.loads(text) if text else {}
    except (ValueError, RecursionError) as error:
        raise FileUnusable("the origin is no JSON", why=str(error)) from error
    if not isinstance(found, dict):
        raise FileUnusable("the origin has no keys")
    return found


def named_pictures(post: PostDraft | Blog) -> Iterator[str]:
    """Yield the path below the store of each picture that a post names, in order, once."""
    texts = (*(post.images_url or ()), post.content)
    yield from dict.fromkeys(found[1] for text in texts for found in PICTURE.finditer(text))


def text_in(values: Values, key: str) -> str | None:
    value = values.get(key)
    if value is None or isinstance(value, str):
        return value
    raise FileUnusable(f"the {key} is no text", why=f"it is {value!r:.60}")


def texts_in(values: Values, key: str) -> tuple[str, ...]:
    value = values.get(key) or []
    if isinstance(value, list) and all(isinstance(each, str) for each in value):
        return tuple(value)
    raise FileUnusable(f"the {key} are no list of texts", why=f"they are {value!r:.60}")


def moment_in(values: Values, key: str) -> datetime | None:
    text = text_in(values, key)
    try:
        moment = datetime.fromisoformat(text) if text else None
    except ValueError as error:
        raise FileUnusable(f"the {key} is no time", why=f"{text!r:.60}") from error
    if moment and moment.tzinfo is None:
        raise FileUnusable(f"the {key} has no time zone", why=f"{text!r:.60}")
    return moment
