"""Markdown of older readers: what is rewritten so that it still means what its author saw, and what stays."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cms.exchange.older_markdown import as_commonmark


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("###Options\n\ntext", "### Options\n\ntext"),
        ("text\n\n  ##Options", "text\n\n  ## Options"),
        ("<br/>\n## Sprint", "<br/>\n\n## Sprint"),
        (
            "<figure>\n  <img src='/a.png'\n  alt='a'>\n</figure>\n*Words*\n",
            "<figure>\n  <img src='/a.png'\n  alt='a'>\n</figure>\n\n*Words*\n",
        ),
        ("<img src='/a.png' />\n*Words*\nand\nmore", "<img src='/a.png' />\n\n*Words*\nand\nmore"),
        ("<div>a</div>\n- b\n\n<div>c</div>\n- d", "<div>a</div>\n\n- b\n\n<div>c</div>\n\n- d"),
    ],
)
def test_markdown_of_older_readers_becomes_commonmark(before: str, after: str) -> None:
    assert as_commonmark(before) == after
    assert as_commonmark(after) == after


@pytest.mark.parametrize(
    "text",
    [
        "#hashtag",
        "text\n###no heading",
        "```\n###code\n```",
        "    ###code",
        "> <br>\n> ## in a quote",
        "<div>\n**in it**\n</div>",
        "<p>never closed\ntext",
        "<br>\n    code",
        "<br>\n\ntext",
        "<b>in a line</b>\ntext",
        "<pre>\n</pre>\ntext",
        "<!-- a\n-->\ntext",
        "<div\n class='a'\n>\n</div>",
        "<table>\n<tr><td>1\n</td></tr></table>",
    ],
)
def test_what_means_the_same_to_all_stays(text: str) -> None:
    assert as_commonmark(text) == text


@pytest.mark.parametrize(
    "piece", ["<div ", "<div>\n", "<br>\na\n", "<div>\n<\n", "##a\n", "##a\n\n", "<div\n", "</div>\na\n\n"]
)
def test_hostile_texts_take_no_quadratic_time(piece: str) -> None:
    started = time.monotonic()
    as_commonmark(piece * (200_000 // len(piece)))
    assert time.monotonic() - started < 5


@given(st.text(alphabet="<>/divbr#-*` \n", max_size=200))
def test_no_text_makes_the_rewriting_fail_or_loses_a_word(text: str) -> None:
    assert as_commonmark(text).split() == text.split() or "##" in text
