"""Two texts side by side: which lines differ, and in lines that were changed which words."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher

from markupsafe import Markup, escape

from cms.blogs.drafts import PostDraft

CONTEXT = 2  # unchanged lines that are shown around a change
# Longer texts and lines are shown as a whole: the time grows with the square of the length.
LONGEST_LINES = 20_000
LONGEST_LINE_WORDS = 1_000
MOST_PAIRS = 30_000_000
"""How many pairs of words are compared for one page; the lines behind are shown as a whole. A few seconds at worst."""
WORD = re.compile(r"\s+|\w+|[^\w\s]")
FIELDS = {
    "title": "Title", "slug": "Address", "summary": "Summary", "tags": "Tags", "images_url": "Pictures",
    "cover_alt": "Words for the cover",
}  # fmt: skip


@dataclass(frozen=True)
class Side:
    """A line on one side. number: from 1. text: HTML in which the words that differ are marked."""

    number: int
    text: Markup


@dataclass(frozen=True)
class Row:
    """A line of the comparison; None on a side that has no such line, and on both for unchanged lines left out."""

    left: Side | None
    right: Side | None
    is_changed: bool
    left_out: int = 0


@dataclass(frozen=True)
class FieldPair:
    """A field that differs."""

    label: str
    left: str
    right: str


@dataclass(frozen=True)
class Comparison:
    """What differs between two texts of a post."""

    fields: tuple[FieldPair, ...]
    rows: tuple[Row, ...]


def compare_posts(left: PostDraft, right: PostDraft) -> Comparison:
    """Return the fields that differ, and the lines of the content that do with two unchanged ones around them."""
    pairs = [
        FieldPair(label, shown(getattr(left, name)), shown(getattr(right, name)))
        for name, label in FIELDS.items()
        if getattr(left, name) != getattr(right, name)
    ]
    rows = () if left.content == right.content else tuple(compare_lines(left.content, right.content))
    return Comparison(tuple(pairs), rows)


def shown(value: str | tuple[str, ...] | None) -> str:
    return ", ".join(value) if isinstance(value, tuple) else value or ""


def compare_lines(left: str, right: str) -> Iterator[Row]:
    """Yield the lines of two texts side by side."""
    a, b = left.split("\n"), right.split("\n")
    is_long = max(len(a), len(b)) > LONGEST_LINES
    steps = [("replace", 0, len(a), 0, len(b))] if is_long else SequenceMatcher(None, a, b).get_opcodes()
    pairs_left = MOST_PAIRS
    for index, (step, a0, a1, b0, b1) in enumerate(steps):
        if step == "equal":
            yield from unchanged(a[a0:a1], a0, b0, is_first=index == 0, is_last=index == len(steps) - 1)
            continue
        for offset in range(max(a1 - a0, b1 - b0)):
            at_left = a[a0 + offset] if a0 + offset < a1 else None
            at_right = b[b0 + offset] if b0 + offset < b1 else None
            words = WORD.findall(at_left or ""), WORD.findall(at_right or "")
            pairs_left -= len(words[0]) * len(words[1])
            marked = mark_words(*words, is_whole=pairs_left < 0)
            yield Row(
                Side(a0 + offset + 1, marked[0]) if at_left is not None else None,
                Side(b0 + offset + 1, marked[1]) if at_right is not None else None,
                is_changed=True,
            )


def unchanged(lines: Sequence[str], a0: int, b0: int, *, is_first: bool, is_last: bool) -> Iterator[Row]:
    """Yield unchanged lines: those next to a change, and how many are left out between them."""
    head, tail = 0 if is_first else CONTEXT, 0 if is_last else CONTEXT
    left_out = len(lines) - head - tail
    for offset, line in enumerate(lines):
        if left_out > 1 and head <= offset < len(lines) - tail:
            if offset == head:
                yield Row(None, None, is_changed=False, left_out=left_out)
            continue
        yield Row(Side(a0 + offset + 1, escape(line)), Side(b0 + offset + 1, escape(line)), is_changed=False)


def mark_words(left: Sequence[str], right: Sequence[str], *, is_whole: bool) -> tuple[Markup, Markup]:
    """Return both lines as HTML, with the words marked that only one of them has. is_whole: mark none."""
    if is_whole or not left or not right or max(len(left), len(right)) > LONGEST_LINE_WORDS:
        return escape("".join(left)), escape("".join(right))
    sides: tuple[list[Markup], list[Markup]] = ([], [])
    for step, a0, a1, b0, b1 in SequenceMatcher(None, left, right).get_opcodes():
        for side, words, tag in ((sides[0], left[a0:a1], "del"), (sides[1], right[b0:b1], "ins")):
            text = escape("".join(words))
            side.append(text if step == "equal" or not words else Markup("<{}>{}</{}>").format(tag, text, tag))
    return Markup("").join(sides[0]), Markup("").join(sides[1])
