"""What a file says about its post: title, date, authors, tags, addresses. Reads nothing but what it is given."""

from __future__ import annotations

import html
import re
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import unquote, urlsplit

from cms.blogs.drafts import SUMMARY_LIMIT, TAG_LIMIT, TAGS_LIMIT, TITLE_LIMIT
from cms.blogs.models import ARCHIVED, DRAFT, PUBLISHED
from cms.exchange.dates import parse_date
from cms.exchange.front_matter import FrontMatter, clean

Values = dict[str, Any]  # Any: whatever the file's author wrote

DATED_NAME = re.compile(r"(\d{4})-(\d{1,2})-(\d{1,2})[-_](.+)")
TITLE_HEADING = re.compile(r"\A\s*# (.+)(?:\n|\Z)")
ANY_HEADING = re.compile(r"^#{1,6} (.+)$", re.MULTILINE)
MARKUP = re.compile(r"[*_`]|<[^<>\n]{1,500}>")
PATTERN = re.compile(r"[:{}*]")
HTML_TAG = re.compile(r"</?[A-Za-z][^<>]{0,1000}>")
# Marks that titles carry in HTML; a title about `<template>` keeps it.
HTML_MARK = re.compile(
    r"<(abbr|b|cite|code|em|i|mark|q|s|small|span|strong|sub|sup|u)(?:\s[^<>]{0,1000})?>([^<>]*)</\1\s*>", re.IGNORECASE
)
MARKS_IN_MARKS = 3
CHARACTER_NAME = re.compile(r"&(?:[A-Za-z][A-Za-z0-9]{1,31}|#\d{1,7}|#[xX][0-9A-Fa-f]{1,6});")

DATE_KEYS = ("date", "published_at", "publishDate", "pubDate", "published", "created_at", "created")
AUTHOR_KEYS = ("authors", "author")
TAG_KEYS = ("tags", "tag", "keywords")
SUMMARY_KEYS = ("summary", "excerpt", "description")
PICTURE_KEYS = ("image", "cover", "hero", "cover_image", "featured_image", "thumbnail", "banner", "images")
ALIAS_KEYS = ("aliases", "alias", "redirect_from", "permalink", "path")
STATUSES = {
    "publish": PUBLISHED, "published": PUBLISHED, "public": PUBLISHED, "live": PUBLISHED, "future": PUBLISHED,
    "draft": DRAFT, "pending": DRAFT, "private": DRAFT, "unpublished": DRAFT,
    "archive": ARCHIVED, "archived": ARCHIVED,
}  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class PostFile:
    """A post as its file describes it, not yet adapted to this site.

    authors: names as written; the first is the post's. created_at: aware.
    pictures: addresses as written, the cover first. aliases: old addresses.
    notes: what a person should know, for the report.
    """

    title: str
    body: str
    slug: str
    created_at: datetime
    status: str
    authors: tuple[str, ...]
    tags: tuple[str, ...]
    summary: str | None
    pictures: tuple[str, ...]
    aliases: tuple[str, ...]
    notes: tuple[str, ...]


def read_post_file(source: PurePosixPath, parts: FrontMatter, *, modified_at: datetime) -> PostFile:
    """Return the post that a file describes.

    source: the file's path in its folder. modified_at: when the file was last changed, the date if it tells no other.
    """
    values, notes = parts.values, list(parts.notes)
    title, body = find_title(source, parts)
    created_at = find_date(source, values, modified_at, notes)
    return PostFile(
        title=shortened("title", title, TITLE_LIMIT, notes),
        body=body,
        slug=find_slug(source, values),
        created_at=created_at,
        status=find_status(values, notes),
        authors=tuple(dict.fromkeys(names(first_of(values, AUTHOR_KEYS)))),
        tags=find_tags(values, notes),
        summary=find_summary(values, notes),
        pictures=tuple(dict.fromkeys(find_pictures(values))),
        aliases=tuple(dict.fromkeys(find_aliases(source, values))),
        notes=tuple(notes),
    )


# --- one field each ---------------------------------------------------------------------------------------------


def find_title(source: PurePosixPath, parts: FrontMatter) -> tuple[str, str]:
    """Return the title, and the body without the heading that became it."""
    if given := without_html(line_of_text(parts.values.get("title"))):
        return given, parts.body
    if (opening := TITLE_HEADING.match(parts.body)) and (title := without_markup(opening[1])):
        return title, parts.body[opening.end() :]
    if (heading := ANY_HEADING.search(parts.body)) and (title := without_markup(heading[1])):
        return title, parts.body
    words = re.sub(r"[-_\s]+", " ", name_without_date(source)).strip()
    return words[:1].upper() + words[1:] or "Untitled", parts.body


def find_date(source: PurePosixPath, values: Values, modified_at: datetime, notes: list[str]) -> datetime:
    for key in DATE_KEYS:
        value = values.get(key)
        if moment := parse_date(value):
            return moment
        if value is not None and not isinstance(value, bool):
            notes.append(f"the {key} {value!s:.60} is no date")
    if found := DATED_NAME.fullmatch(name_of(source)):
        if moment := parse_date(f"{found[1]}-{found[2]}-{found[3]}"):
            return moment
        notes.append(f"the file's name begins with {found[1]}-{found[2]}-{found[3]}, which is no date")
    notes.append("no date: took the time when the file was last changed")
    return modified_at.astimezone(UTC)


def find_slug(source: PurePosixPath, values: Values) -> str:
    """Return what should become the slug; the site makes it one."""
    permalink = old_address(values.get("permalink"))
    last = PurePosixPath(permalink).name.removesuffix(".html") if permalink else ""
    return line_of_text(values.get("slug")) or last or name_without_date(source)


def find_status(values: Values, notes: list[str]) -> str:
    if values.get("draft") is True or values.get("published") is False:
        return DRAFT
    written = values.get("status")
    if written is None:
        return PUBLISHED
    status = STATUSES.get(str(written).strip().lower())
    if status is None:
        notes.append(f"the status {written!s:.60} is unknown: imported as a draft")
    return status or DRAFT


def find_tags(values: Values, notes: list[str]) -> tuple[str, ...]:
    taxonomies = values.get("taxonomies")  # Zola's place for them
    written = first_of(values, TAG_KEYS) or (first_of(taxonomies, TAG_KEYS) if isinstance(taxonomies, dict) else None)
    parts = written.split(",") if isinstance(written, str) else names(written)
    found: dict[str, str] = {}
    for part in parts:
        tag = re.sub(r"/{2,}", "/", line_of_text(part)).strip("/ ")
        if tag in {"", ".", ".."} or len(tag) > TAG_LIMIT:
            notes.extend([f"the tag {tag[:60]!r} was left out: it cannot have a page"] if tag else [])
            continue
        found.setdefault(tag.casefold(), tag)
    if len(found) > TAGS_LIMIT:
        notes.append(f"{len(found) - TAGS_LIMIT} tags after the first {TAGS_LIMIT} were left out")
    return tuple(found.values())[:TAGS_LIMIT]


def find_summary(values: Values, notes: list[str]) -> str | None:
    written = line_of_text(first_of(values, SUMMARY_KEYS))
    text = line_of_text(html.unescape(HTML_TAG.sub("", written)))
    return shortened("summary", text, SUMMARY_LIMIT, notes) or None


def find_pictures(values: Values) -> Iterator[str]:
    for key in PICTURE_KEYS:
        for value in as_list(values.get(key)):
            address = first_of(value, ("src", "url", "path", "image")) if isinstance(value, dict) else value
            if isinstance(address, str) and (line := line_of_text(address)):
                yield line


def find_aliases(source: PurePosixPath, values: Values) -> Iterator[str]:
    """Yield the addresses that the post had elsewhere: those it names, and the one Jekyll gives a dated file."""
    for key in ALIAS_KEYS:
        for value in as_list(values.get(key)):
            if path := old_address(value):
                yield path
    found = DATED_NAME.fullmatch(name_of(source))
    if not found:
        return
    days = [f"{int(found[1]):04}/{int(found[2]):02}/{int(found[3]):02}"]
    if moment := parse_date(first_of(values, DATE_KEYS)):
        days += [f"{moment:%Y/%m/%d}", f"{moment.astimezone(UTC):%Y/%m/%d}"]
    for day in days:
        yield f"/{day}/{found[4]}"


# --- reading values ---------------------------------------------------------------------------------------------


def first_of(values: Values, keys: Iterable[str]) -> Any:  # Any: see Values
    """Return the first value that says something."""
    return next((values[key] for key in keys if values.get(key) not in (None, "", [], False, True)), None)


def as_list(value: Any) -> list[Any]:  # Any: see Values
    if value is None:
        return []
    return value if isinstance(value, list) else [value]


def names(value: Any) -> list[str]:  # Any: see Values
    """Return the names in a text, a list of texts, or a list of tables that have a name."""
    parts = value.split(",") if isinstance(value, str) else as_list(value)
    texts = (first_of(part, ("username", "name", "id")) if isinstance(part, dict) else part for part in parts)
    return [name for text in texts if (name := line_of_text(text))]


def line_of_text(value: Any) -> str:  # Any: see Values
    """Return a scalar as one line with single spaces; empty for what is no text."""
    if value is None or isinstance(value, bool | list | dict):
        return ""
    return " ".join(unicodedata.normalize("NFC", str(value)).split())


def without_markup(text: str) -> str:
    return with_characters(MARKUP.sub("", text.strip(" #")))


def without_html(title: str) -> str:
    """Return the title as it reads in a browser: without ``<em>`` and its like, and ``&ldquo;`` as the character."""
    for _ in range(MARKS_IN_MARKS):
        title = HTML_MARK.sub(r"\2", title)
    return with_characters(title)


def with_characters(text: str) -> str:
    return line_of_text(clean(CHARACTER_NAME.sub(lambda found: html.unescape(found[0]), text)))


def shortened(field: str, text: str, limit: int, notes: list[str]) -> str:
    """Return the text, cut at a word with … if it is too long."""
    if len(text) <= limit:
        return text
    notes.append(f"the {field} was shortened from {len(text)} to {limit} characters")
    cut = text[: limit - 1]
    return (cut.rpartition(" ")[0] or cut).rstrip(" ,;:") + "…"


def name_of(source: PurePosixPath) -> str:
    """Return the file's name without ending; of `hello/index.md` that of the folder."""
    return source.parent.name if source.stem == "index" and source.parent.name else source.stem


def name_without_date(source: PurePosixPath) -> str:
    found = DATED_NAME.fullmatch(name_of(source))
    return found[4] if found else name_of(source)


def old_address(value: Any) -> str | None:  # Any: see Values
    """Return the path of an address; None for a pattern (`/:year/:title/`) and for words like `pretty`."""
    if not isinstance(value, str) or "/" not in value:
        return None
    try:
        path = unquote(urlsplit(value.strip()).path)
    except ValueError:
        return None
    return None if PATTERN.search(path) or not path.strip("/") else path
