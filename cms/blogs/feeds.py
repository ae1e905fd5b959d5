"""The newest posts for feed readers, in whole: RSS 2.0, Atom and JSON Feed 1.1. No e-mail address is in any of them.

feedgenerator is imported by the first feed that is asked for: no page needs it.
"""

from __future__ import annotations

import html
import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from feedgenerator import Atom1Feed, Rss201rev2Feed, SyndicationFeed

from cms.blogs.absolute import complete_address, with_absolute_addresses
from cms.blogs.addresses import author_path, post_path

NOT_XML = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")
BEFORE_ALL_POSTS = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, kw_only=True)
class Entry:
    """A post as feeds hold it. body: stored HTML. cover: address of a picture, or None."""

    id: str
    slug: str
    title: str
    summary: str | None
    body: str
    cover: str | None
    has_cover_in_body: bool
    tags: tuple[str, ...]
    author_username: str
    author_name: str
    created_at: datetime
    changed_at: datetime


@dataclass(frozen=True, kw_only=True)
class Feed:
    """What a feed tells: of what it is the feed, and its posts, newest first.

    site: the site's address. page and address: paths of the page that shows the same posts, and of the feed itself.
    """

    title: str
    description: str
    language: str
    site: str
    page: str
    address: str
    entries: Sequence[Entry]

    @property
    def changed_at(self) -> datetime:
        """When the newest change was made to any of the posts; fixed for a feed without posts."""
        return max((entry.changed_at for entry in self.entries), default=BEFORE_ALL_POSTS)

    def link_of(self, entry: Entry) -> str:
        return self.site + post_path(entry.slug)

    def body_of(self, entry: Entry) -> str:
        shown = entry.cover if not entry.has_cover_in_body else None
        cover = f'<p><img src="{html.escape(shown)}" alt=""></p>\n' if shown else ""
        return with_absolute_addresses(cover + entry.body, self.link_of(entry))

    def cover_of(self, entry: Entry) -> str | None:
        return entry.cover and complete_address(self.link_of(entry), entry.cover)


def rss(feed: Feed) -> str:
    return as_xml(feed, FullRss)


def atom(feed: Feed) -> str:
    return as_xml(feed, DatedAtom)


def json_feed(feed: Feed) -> str:
    return json.dumps(
        {
            "version": "https://jsonfeed.org/version/1.1",
            "title": feed.title,
            **({"description": feed.description} if feed.description else {}),
            "home_page_url": feed.site + feed.page,
            "feed_url": feed.site + feed.address,
            "language": feed.language,
            "items": [as_json(feed, entry) for entry in feed.entries],
        },
        ensure_ascii=False,
    )


WRITERS: dict[str, tuple[str, Callable[[Feed], str]]] = {
    "feed.xml": ("application/rss+xml", rss),
    "atom.xml": ("application/atom+xml", atom),
    "feed.json": ("application/feed+json", json_feed),
}


# --- parts ------------------------------------------------------------------------------------------------------


def as_json(feed: Feed, entry: Entry) -> dict[str, Any]:  # Any: what JSON can hold
    optional = {"summary": entry.summary, "image": feed.cover_of(entry), "tags": list(entry.tags)}
    return {
        "id": entry.id,
        "url": feed.link_of(entry),
        "title": entry.title,
        "content_html": feed.body_of(entry),
        "date_published": entry.created_at.isoformat(),
        "date_modified": entry.changed_at.isoformat(),
        "authors": [{"name": entry.author_name, "url": feed.site + author_path(entry.author_username)}],
        **{name: value for name, value in optional.items() if value},
    }


def as_xml(feed: Feed, form: type[SyndicationFeed]) -> str:
    made = form(
        title=clean(feed.title),
        link=feed.site + feed.page,
        description=clean(feed.description or feed.title),
        language=feed.language,
        feed_url=feed.site + feed.address,
        changed_at=feed.changed_at,
    )
    for entry in feed.entries:
        made.add_item(
            title=clean(entry.title),
            link=feed.link_of(entry),
            description=clean(html.escape(entry.summary)) if entry.summary else None,
            content=clean(feed.body_of(entry)),
            author_name=clean(entry.author_name),
            author_link=feed.site + author_path(entry.author_username),
            pubdate=entry.created_at,
            updateddate=entry.changed_at,
            unique_id=entry.id,
            unique_id_is_permalink=False,
            categories=[clean(tag) for tag in entry.tags],
        )
    text: str = made.writeString("utf-8")
    return text


def clean(text: str) -> str:
    """Return the text without characters that XML cannot hold, which databases of other programs may."""
    return NOT_XML.sub("", text)


class Dated(SyndicationFeed):
    """Dates a feed by its posts alone: without posts the library's own feeds would be new at each request."""

    def latest_post_date(self) -> datetime:
        changed_at: datetime = self.feed["changed_at"]
        return changed_at


class DatedAtom(Dated, Atom1Feed):
    """Atom as the library writes it."""


class FullRss(Dated, Rss201rev2Feed):
    """RSS with the whole text beside the summary, where the library has place for one of them."""

    def rss_attributes(self) -> dict[str, str]:
        modules = {"content": "http://purl.org/rss/1.0/modules/content/", "dc": "http://purl.org/dc/elements/1.1/"}
        attributes: dict[str, str] = super().rss_attributes()
        return attributes | {f"xmlns:{name}": address for name, address in modules.items()}

    def add_item_elements(self, handler: Any, item: dict[str, Any]) -> None:  # Any: the library's own types
        super().add_item_elements(handler, item)
        handler.addQuickElement("content:encoded", item["content"])
