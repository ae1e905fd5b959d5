"""Where in a Markdown text code stands, which nothing may rewrite, and where HTML, in which Markdown means nothing.

Blocks are found by the same parser that renders; code in a line by CommonMark's rule (a run of backticks ends at the
next run of the same length), because the parser does not tell where in a line it found what.
"""

from __future__ import annotations

import re
import sys
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from itertools import accumulate

from markdown_it import MarkdownIt

BACKTICKS = re.compile(r"`+")
HTML_CODE = re.compile(r"<(pre|code|script|style)\b[^<>]*>", re.IGNORECASE)

Span = tuple[int, int]


@dataclass(frozen=True)
class Regions:
    """Spans of a text as (start, end), sorted, not overlapping."""

    code: list[Span]
    html: list[Span]

    def in_code(self, position: int) -> bool:
        return holds(self.code, position)

    def in_html(self, position: int) -> bool:
        return holds(self.html, position)


def holds(spans: list[Span], position: int) -> bool:
    index = bisect_right(spans, (position, sys.maxsize)) - 1
    return index >= 0 and spans[index][0] <= position < spans[index][1]


def find_regions(text: str) -> Regions:
    """Return where code and HTML blocks stand in a text whose lines end with a line feed alone."""
    lines = [0, *accumulate(len(line) + 1 for line in text.split("\n"))]
    blocks: list[Span] = []
    html: list[Span] = []
    texts: list[Span] = []
    for token in block_parser().parse(text):
        if token.map is None:
            continue
        span = lines[token.map[0]], lines[token.map[1]]
        if token.type in {"fence", "code_block"}:
            blocks.append(span)
        elif token.type == "html_block":
            html.append(span)
        elif token.type == "inline":
            texts.append(span)
    code = blocks + [span for start, end in texts for span in code_in_line(text, start, end)]
    code += [span for start, end in [*html, *texts] for span in code_in_html(text, start, end)]
    return Regions(merged(code), merged(html))


@cache
def block_parser() -> MarkdownIt:
    """Return a parser that stops before it looks into paragraphs, which is most of the work.

    To it a table is a paragraph: its cells are no blocks, and a few rows can claim a million of them.
    """
    md = MarkdownIt("commonmark")
    md.core.ruler.enableOnly(["normalize", "block"])
    return md


def code_in_line(text: str, start: int, end: int) -> Iterator[Span]:
    """Yield the code between backticks. Looks at each run once: a text of a million runs takes no quadratic time."""
    runs = [(found.start(), found.end()) for found in BACKTICKS.finditer(text, start, end)]
    same_length: dict[int, list[int]] = {}
    for number, (first, last) in enumerate(runs):
        same_length.setdefault(last - first, []).append(number)
    number = 0
    while number < len(runs):
        first, last = runs[number]
        equal = same_length[last - first]
        closing = bisect_right(equal, number)
        if closing == len(equal) or is_escaped(text, first):
            number += 1
            continue
        yield first, runs[equal[closing]][1]
        number = equal[closing] + 1


def is_escaped(text: str, position: int) -> bool:
    before = text[max(0, position - 20) : position]
    return (len(before) - len(before.rstrip("\\"))) % 2 == 1


def code_in_html(text: str, start: int, end: int) -> Iterator[Span]:
    """Yield what stands between <pre> and </pre>, <code> and </code>; an element that is never closed is none."""
    position = start
    lowered = text[start:end].lower()
    never_closed: set[str] = set()
    while found := HTML_CODE.search(text, position, end):
        name = found[1].lower()
        closing = -1 if name in never_closed else lowered.find(f"</{name}", found.end() - start)
        if closing < 0:
            never_closed.add(name)
            position = found.end()
            continue
        position = start + closing
        yield found.start(), position


def merged(spans: list[Span]) -> list[Span]:
    result: list[Span] = []
    for start, end in sorted(spans):
        if result and start < result[-1][1]:
            result[-1] = (result[-1][0], max(end, result[-1][1]))
        else:
            result.append((start, end))
    return result
