"""Two texts side by side."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cms.blogs.comparing import LONGEST_LINES, Row, compare_lines, compare_posts
from cms.blogs.drafts import PostDraft

POST = PostDraft(title="Lamps", slug="lamps", content="one\ntwo", tags=("a", "b"))


def sides(rows: list[Row]) -> list[tuple[str | None, str | None]]:
    return [(row.left and str(row.left.text), row.right and str(row.right.text)) for row in rows]


def test_words_that_differ_are_marked_and_html_is_text():
    assert sides(list(compare_lines("a <b> c", "a <i> c"))) == [
        ("a &lt;<del>b</del>&gt; c", "a &lt;<ins>i</ins>&gt; c")
    ]  # fmt: skip


def test_new_and_removed_lines_have_nothing_beside_them():
    assert sides(list(compare_lines("a\nb", "b\nc"))) == [("a", None), ("b", "b"), (None, "c")]


def test_unchanged_lines_far_from_a_change_are_counted():
    lines = [str(number) for number in range(20)]
    rows = list(compare_lines("\n".join(lines), "\n".join([*lines[:10], "new", *lines[10:]])))
    assert [row.left_out for row in rows if row.left_out] == [8, 8]
    numbers = [(row.left and row.left.number, row.right and row.right.number) for row in rows]
    assert numbers == [(None, None), (9, 9), (10, 10), (None, 11), (11, 12), (12, 13), (None, None)]


def test_fields_that_differ_are_named():
    compared = compare_posts(POST, replace(POST, tags=("a",), summary="S"))
    assert [(pair.label, pair.left, pair.right) for pair in compared.fields] == [
        ("Summary", "", "S"), ("Tags", "a, b", "a")
    ]  # fmt: skip
    assert compared.rows == ()


@pytest.mark.parametrize("length", [LONGEST_LINES - 1, LONGEST_LINES + 1])
def test_very_long_texts_are_compared_too(length: int):
    text = "\n".join(map(str, range(length)))
    rows = list(compare_lines(text, f"{text}\nnew"))
    assert any(row.right and row.right.text == "new" for row in rows)


@given(st.text("ab \n"), st.text("ab \n"))
def test_each_side_is_its_text_without_what_was_left_out(left: str, right: str):
    rows = list(compare_lines(left, right))
    for text, side in ((left, "left"), (right, "right")):
        lines = text.split("\n")
        for row in rows:
            shown = getattr(row, side)
            if shown is not None:
                assert shown.text.striptags().replace(" ", "") == lines[shown.number - 1].replace(" ", "")


def test_when_too_many_words_were_compared_the_lines_behind_are_shown_whole(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("cms.blogs.comparing.MOST_PAIRS", 9)  # a space is a word of its own
    assert sides(list(compare_lines("a b\nc d", "a x\nc y"))) == [
        ("a <del>b</del>", "a <ins>x</ins>"), ("c d", "c y")
    ]  # fmt: skip
