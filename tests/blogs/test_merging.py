"""Putting two writers' changes of one text together."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cms.blogs.drafts import PostDraft
from cms.blogs.merging import LONGEST_LINES, merge_posts

BASE = PostDraft(title="Lamps", slug="lamps", content="one\n\ntwo\n\nthree\n", summary="S", tags=("a",))


def merge(mine: dict[str, Any], theirs: dict[str, Any]) -> tuple[PostDraft, tuple[str, ...]]:
    merged = merge_posts(BASE, replace(BASE, **mine), replace(BASE, **theirs))
    return merged.draft, merged.contested


def test_changes_of_different_lines_are_both_kept():
    merged, contested = merge({"content": "ONE\n\ntwo\n\nthree\n"}, {"content": "one\n\ntwo\n\nthree\n\nfour\n"})
    assert (merged.content, contested) == ("ONE\n\ntwo\n\nthree\n\nfour\n", ())


def test_changes_of_one_line_both_stand_between_marks():
    merged, contested = merge({"content": "one\n\nmine\n\nthree\n"}, {"content": "one\n\ntheirs\n\nthree\n"})
    assert merged.content == "one\n\n<<<<<<< mine\nmine\n=======\ntheirs\n>>>>>>> theirs\n\nthree\n"
    assert contested == ("content",)


def test_the_same_change_by_both_is_none_to_decide():
    assert merge({"content": "x"}, {"content": "x"}) == (replace(BASE, content="x"), ())


def test_fields_that_one_of_both_changed_are_taken_from_them():
    merged, contested = merge({"title": "Lanterns"}, {"tags": ("a", "b"), "summary": None})
    assert (merged, contested) == (replace(BASE, title="Lanterns", tags=("a", "b"), summary=None), ())


def test_a_field_that_both_changed_is_named_and_is_mine():
    merged, contested = merge({"title": "Mine", "slug": "m"}, {"title": "Theirs", "slug": "t"})
    assert (merged.title, merged.slug, contested) == ("Mine", "m", ("title", "slug"))


@pytest.mark.parametrize("length", [LONGEST_LINES, LONGEST_LINES + 2])
def test_of_a_very_long_text_nothing_is_lost_either(length: int):
    lines = [str(number) for number in range(length)]
    base, mine, theirs = (replace(BASE, content="\n".join(text)) for text in (lines, ["M", *lines], [*lines, "T"]))
    merged = merge_posts(base, mine, theirs).draft.content.split("\n")
    assert {"M", "T", *lines} <= set(merged)


@given(st.lists(st.sampled_from("abc")), st.lists(st.sampled_from("abcM")), st.lists(st.sampled_from("abcT")))
def test_no_new_line_of_either_is_ever_lost(base: list[str], mine: list[str], theirs: list[str]):
    texts = (replace(BASE, content="\n".join(lines)) for lines in (base, mine, theirs))
    merged = merge_posts(*texts).draft.content.split("\n")
    assert merged.count("M") >= mine.count("M")
    assert merged.count("T") >= theirs.count("T")


@given(st.text(), st.text())
def test_what_only_one_changed_is_taken_as_it_is(base: str, changed: str):
    untouched, other = replace(BASE, content=base), replace(BASE, content=changed)
    assert merge_posts(untouched, other, untouched).draft.content == changed
    assert merge_posts(untouched, untouched, other).draft.content == changed
