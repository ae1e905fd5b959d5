"""Markdown that older readers (kramdown, Redcarpet) took otherwise, written so that CommonMark takes it their way."""

from __future__ import annotations

import re
from itertools import pairwise

from cms.exchange.code_regions import block_parser

# One `#` alone may be a hashtag.
HEADING_WITHOUT_SPACE = re.compile(r" {0,3}#{2,6}(?=[^#\s])")
TAG_LIMIT = 4_000  # characters
TAG = re.compile(rf"<(/?)([A-Za-z][A-Za-z0-9-]*)(?:\s[^<>]{{0,{TAG_LIMIT}}}?)?(/?)>")
VOID = frozenset({"area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "track", "wbr"})
# What ends by rules of its own, or holds what is no Markdown.
LEFT_ALONE = re.compile(r"<(?:[!?]|(?:pre|script|style|textarea)\b)", re.IGNORECASE)
MARKDOWN_LINE = re.compile(r" {0,3}[^\s<]")


def as_commonmark(text: str) -> str:
    """Return the text with a space in ``###Heading``, and an empty line where Markdown follows HTML that has ended.

    To CommonMark HTML goes on to the next empty line, and ``##`` right below ``<br>`` is no heading.
    text: lines end with a line feed alone.
    """
    if "<" not in text and "##" not in text:
        return text
    lines = text.split("\n")
    for token in block_parser().parse(text):
        if token.map is None or token.level:
            continue  # inside quotes and lists lines begin with their marks
        first, end = token.map
        if token.type == "html_block":
            if (last := end_of_html(lines[first:end])) is not None:
                lines[first + last] += "\n"
        elif token.type == "paragraph_open":
            lines[first] = HEADING_WITHOUT_SPACE.sub(r"\g<0> ", lines[first], count=1)
    return "\n".join(lines)


def end_of_html(block: list[str]) -> int | None:
    """Return the number of the first line after which every element is closed and Markdown follows; None without."""
    if LEFT_ALONE.search("\n".join(block)):
        return None
    open_elements = 0
    unread = ""
    for number, (line, following) in enumerate(pairwise(block)):
        unread += f"{line}\n"
        if "<" in TAG.sub("", unread):  # a tag over several lines
            if len(unread) > TAG_LIMIT:
                return None
            continue
        open_elements += sum(step_of(*tag) for tag in TAG.findall(unread))
        unread = ""
        if open_elements == 0 and line.rstrip().endswith(">") and MARKDOWN_LINE.match(following):
            return number
    return None


def step_of(end: str, name: str, closed: str) -> int:
    if closed or name.lower() in VOID:
        return 0
    return -1 if end else 1
