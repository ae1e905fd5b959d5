"""Markdown to HTML that is safe to show: rendered once, when a post is saved, and stored with this edition's number.

The libraries are heavy and imported by the first post that is rendered; a worker that only serves stored HTML has none.
"""

from __future__ import annotations

import html
import math
import re
from dataclasses import dataclass

# Raise it with every change that makes other HTML from the same Markdown: stored HTML of another edition is not used.
RENDERER_VERSION = 1

WORDS_PER_MINUTE = 230
CHARACTERS_PER_MINUTE = 450

WIDE = r"\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
WORD = re.compile(rf"[^\W{WIDE}_]+(?:['\u2019.-][^\W{WIDE}_]+)*")
CHARACTER = re.compile(rf"[{WIDE}]")
TAG = re.compile(r"<[^>]*>")
# Tags between which no word ends. Code in colour has one around each sign.
WITHIN_WORDS = re.compile(r"</?(?:a|abbr|b|bdi|bdo|code|em|i|kbd|mark|s|samp|small|span|strong|sub|sup|u|wbr)\b[^>]*>")


@dataclass(frozen=True)
class Length:
    """How long a text is for a reader. characters: of scripts that put no spaces between words."""

    words: int
    characters: int

    @property
    def minutes(self) -> float:
        return self.words / WORDS_PER_MINUTE + self.characters / CHARACTERS_PER_MINUTE


@dataclass(frozen=True)
class Rendered:
    """A post's HTML, its text, and how long it is for a reader: words, and whole minutes (0 only without words)."""

    html: str
    text: str
    word_count: int
    reading_time_minutes: int


def render(markdown: str) -> Rendered:
    """Return the safe HTML of a post's Markdown, in which HTML may stand, with its length.

    Headings begin below the page's own h1. Nothing in the result runs, styles itself or leads to other than http,
    https, mailto and addresses on this site. Never raises because of what the text says.
    """
    from cms.blogs.markdown import to_html  # noqa: PLC0415
    from cms.blogs.markup import explodes, prepare, sanitize  # noqa: PLC0415

    raw = to_html(markdown)
    if explodes(raw):
        raw = to_html(markdown, with_html=False)
    safe = sanitize(prepare(raw))
    length = measure(safe)
    return Rendered(safe, text_of(safe), length.words + length.characters, math.ceil(length.minutes))


def measure(safe: str) -> Length:
    """Return the length of safe HTML."""
    text = html.unescape(TAG.sub(" ", safe))
    return Length(len(WORD.findall(text)), len(CHARACTER.findall(text)))


def text_of(safe: str) -> str:
    """Return the words of safe HTML in one line."""
    return " ".join(html.unescape(TAG.sub(" ", WITHIN_WORDS.sub("", safe))).split())
