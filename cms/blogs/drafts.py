"""What somebody wants a post to be, and what a post may be."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass, replace
from datetime import datetime
from urllib.parse import urlsplit

from cms.accounts.permissions import ARCHIVED, DRAFT, IN_REVIEW, PUBLISHED, TRASHED
from cms.blogs.errors import PostInvalid

STATUSES = (DRAFT, IN_REVIEW, PUBLISHED, ARCHIVED, TRASHED)
TITLE_LIMIT = 300
SLUG_LIMIT = 300
SUMMARY_LIMIT = 1000
CONTENT_LIMIT_BYTES = 1 << 20
TAG_LIMIT = 100
TAGS_LIMIT = 100
IMAGE_LIMIT = 2000
IMAGES_LIMIT = 100
ALT_LIMIT = 500

# C0 and C1 controls, and halves of surrogate pairs: PostgreSQL refuses some, pages and feeds break on the others.
UNSTORABLE = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff]")
UNSTORABLE_IN_LINE = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")


@dataclass(frozen=True, kw_only=True)
class PostDraft:
    """A post as its author wants it.

    content: Markdown, which may hold HTML.
    slug: None makes it from the title, or keeps the one that the post has.
    summary: None for none; plain text.
    images_url: addresses of pictures, the cover first; http, https or a path on this site.
    cover_alt: what the cover shows, in words; None for a cover that only decorates.
    status: a post that is published with a date to come is scheduled.
    created_at: the post's date, aware; None is now, or keeps the one that the post has.
    """

    title: str
    content: str
    slug: str | None = None
    summary: str | None = None
    tags: tuple[str, ...] = ()
    images_url: tuple[str, ...] = ()
    cover_alt: str | None = None
    status: str = DRAFT
    created_at: datetime | None = None


def checked(draft: PostDraft) -> PostDraft:
    """Return the draft as it can be stored: single spaces in lines, Unix line ends, no empty or repeated tags.

    Raises PostInvalid naming the field, its length and the limit.
    """
    if draft.status not in STATUSES:
        raise PostInvalid(
            "status", f"the status {draft.status!r} is unknown", hint=f"choose one of: {', '.join(STATUSES)}"
        )
    if draft.created_at and draft.created_at.tzinfo is None:
        raise PostInvalid(
            "created_at", f"the date {draft.created_at} has no time zone", hint="write it as UTC, with +00:00"
        )
    return replace(
        draft,
        title=checked_title(draft.title),
        content=checked_content(draft.content),
        slug=draft.slug and checked_line("slug", draft.slug, SLUG_LIMIT),
        summary=checked_line("summary", draft.summary or "", SUMMARY_LIMIT) or None,
        tags=checked_tags(draft.tags),
        images_url=checked_images(draft.images_url),
        cover_alt=checked_line("cover_alt", draft.cover_alt or "", ALT_LIMIT) or None,
    )


def checked_line(field: str, value: str, limit: int) -> str:
    """Return the text in one line and composed form (NFC). Raises PostInvalid."""
    line = " ".join(unicodedata.normalize("NFC", value).split())
    refuse_characters(field, line, UNSTORABLE_IN_LINE)
    if len(line) > limit:
        raise PostInvalid(
            field,
            f"the {field} is too long",
            why=f"it has {len(line)} characters and the limit is {limit}: {line[:60]}…",
            hint=f"shorten it by {len(line) - limit}",
        )
    return line


def refuse_characters(field: str, value: str, unstorable: re.Pattern[str]) -> None:
    if found := unstorable.search(value):
        raise PostInvalid(
            field,
            f"the {field} holds a control character",
            why=f"U+{ord(found[0]):04X} stands at position {found.start() + 1} of {len(value)}",
            hint="remove it; no page can show it",
        )


def checked_title(value: str) -> str:
    title = checked_line("title", value, TITLE_LIMIT)
    if not title:
        raise PostInvalid("title", "the title is empty", why=f"it has 0 characters, from 1 to {TITLE_LIMIT} are needed")
    return title


def checked_content(value: str) -> str:
    content = value.replace("\r\n", "\n").replace("\r", "\n")
    refuse_characters("content", content, UNSTORABLE)
    size_bytes = len(content.encode())
    if size_bytes > CONTENT_LIMIT_BYTES:
        raise PostInvalid(
            "content",
            "the content is too long",
            why=f"it has {size_bytes} bytes and the limit is {CONTENT_LIMIT_BYTES}",
            hint="split the post in two, or move pictures that are embedded in it to files",
        )
    return content


def checked_tags(values: tuple[str, ...]) -> tuple[str, ...]:
    tags = tuple(dict.fromkeys(tag for value in values if (tag := checked_line("tags", value, TAG_LIMIT))))
    if len(tags) > TAGS_LIMIT:
        raise PostInvalid("tags", "the post has too many tags", why=f"it has {len(tags)} and the limit is {TAGS_LIMIT}")
    for tag in tags:
        if tag in {".", ".."} or tag.strip("/") != tag or "//" in tag:
            raise PostInvalid("tags", f"the tag {tag!r} cannot have a page", why="no address can end with it")
    return tags


def checked_images(values: tuple[str, ...]) -> tuple[str, ...]:
    images = tuple(image for value in values if (image := checked_line("images_url", value, IMAGE_LIMIT)))
    if len(images) > IMAGES_LIMIT:
        raise PostInvalid(
            "images_url", "the post has too many pictures", why=f"{len(images)}, and the limit is {IMAGES_LIMIT}"
        )
    for image in images:
        if not is_picture_address(image):
            raise PostInvalid(
                "images_url",
                f"the picture {image[:60]!r} has no usable address",
                hint="use https://… or a path such as /media/…",
            )
    return images


def is_picture_address(value: str) -> bool:
    """Tell whether the text is an http(s) address or an absolute path on this site."""
    try:
        parts = urlsplit(value)
    except ValueError:
        return False
    if parts.scheme:
        return parts.scheme in {"http", "https"} and bool(parts.netloc)
    return value.startswith("/") and not parts.netloc and "\\" not in value
