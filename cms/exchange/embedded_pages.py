"""Foreign players in a post (``<iframe>``), which this site's policy would not let run: each becomes a link."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from urllib.parse import parse_qs, urlsplit

from cms.exchange.code_regions import find_regions
from cms.exchange.front_matter import clean

# The end tag may be far away or missing, and then only the start goes: what follows is the post.
FRAME = re.compile(r"<iframe(?=[\s/>])([^<>]{0,4000})>(?:[^<]{0,4000}</iframe\s*>)?", re.IGNORECASE)
ATTRIBUTE = re.compile(r"""([\w-]+)\s*=\s*(?:"([^"]*)"|'([^']*)'|([^\s"'>]+))""")
YOUTUBE = {"youtube.com", "www.youtube.com", "youtube-nocookie.com", "www.youtube-nocookie.com"}
YOUTUBE_FILM = re.compile(r"/embed/([\w-]{5,20})")
VIMEO_FILM = re.compile(r"/video/(\d{1,15})")
SHOWN = 200  # characters of an address in the report


def link_embedded_pages(text: str, notes: list[str]) -> str:
    """Return the text with a link in place of each ``<iframe>``; in code it is an example and stays.

    text: lines end with a line feed alone. notes: what was linked and what could not be, for the report.
    """
    if not FRAME.search(text):
        return text
    regions = find_regions(text)
    return FRAME.sub(lambda found: found[0] if regions.in_code(found.start()) else link(found[1], notes), text)


def link(attributes: str, notes: list[str]) -> str:
    """Return the link as HTML, which means the same in Markdown and in a block of HTML."""
    written = dict(attributes_in(attributes))
    address = page_address(written.get("src", ""))
    if address is None:
        notes.append(f"an embedded page removed, as its address is {written.get('src', '')[:SHOWN]!r}")
        return ""
    notes.append(f"the embedded page {address:.{SHOWN}} became a link")
    title = " ".join(written.get("title", "").split()) or address
    return f'<a href="{html.escape(address)}">{as_text(title)}</a>'


def as_text(title: str) -> str:
    """Return the title so that neither HTML nor Markdown reads anything into it."""
    return "".join(f"&#{ord(each)};" if each in "&<>\"'*_`[]\\~:" else each for each in title)


def attributes_in(written: str) -> Iterator[tuple[str, str]]:
    for name, *values in ATTRIBUTE.findall(written):
        yield name.lower(), clean(html.unescape("".join(values)))


def page_address(src: str) -> str | None:
    """Return the address at which a person can look at the page; None without a foreign one.

    A player of YouTube opened alone shows nothing but an error, so that its film's own page is better.
    """
    address = "".join(src.split())
    if address.startswith("//"):
        address = f"https:{address}"
    try:
        parts = urlsplit(address)
    except ValueError:
        return None
    if parts.scheme not in {"http", "https"} or not parts.netloc:
        return None
    if parts.netloc.lower() in YOUTUBE and (film := YOUTUBE_FILM.fullmatch(parts.path)):
        start = parse_qs(parts.query).get("start", [""])[0]
        return f"https://www.youtube.com/watch?v={film[1]}" + (f"&t={start}" if start.isdecimal() else "")
    if parts.netloc.lower() == "player.vimeo.com" and (film := VIMEO_FILM.fullmatch(parts.path)):
        return f"https://vimeo.com/{film[1]}"
    return address
