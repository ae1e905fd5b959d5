"""The table of contents of a long post: the headings of its stored HTML, which have their ids since it was saved."""

from __future__ import annotations

import html
import re
from dataclasses import dataclass

FEWEST_HEADINGS = 3
SHORTEST_MIN = 4  # minutes to read
HEADING = re.compile(r'<h([23]) id="([^"]*)">(.*?)</h\1>', re.DOTALL)
TAG = re.compile(r"<[^>]*>")


@dataclass(frozen=True)
class Heading:
    """A heading in a post: its anchor, its text, and those below it."""

    anchor: str
    text: str
    below: tuple[Heading, ...] = ()


def contents_of(body: str, minutes: int) -> list[Heading]:
    """Return the headings of two levels, empty for a post that is short or hardly divided.

    body: stored HTML. A heading of the second level that stands before any of the first counts as one of the first.
    """
    if minutes < SHORTEST_MIN:
        return []
    found = [(level, Heading(anchor, text_of(words))) for level, anchor, words in HEADING.findall(body)]
    tops: list[Heading] = []
    for level, heading in found:
        if level == "3" and tops:
            top = tops[-1]
            tops[-1] = Heading(top.anchor, top.text, (*top.below, heading))
        else:
            tops.append(heading)
    return tops if len(found) >= FEWEST_HEADINGS else []


def text_of(words: str) -> str:
    return html.unescape(TAG.sub("", words)).strip()
