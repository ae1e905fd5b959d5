"""Two writers changed one text: what each changed since the state that both knew, put together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from cms.blogs.drafts import PostDraft

FIELDS = ("title", "slug", "summary", "tags", "images_url", "cover_alt")
MINE_BEGINS, THEIRS_BEGINS, THEIRS_ENDS = "<<<<<<< mine", "=======", ">>>>>>> theirs"
# A longer text is not compared line by line: the time could grow with the square of its length.
LONGEST_LINES = 20_000


@dataclass(frozen=True)
class Merged:
    """The merged post, and the fields in which both changed the same. In the content both then stand, between marks."""

    draft: PostDraft
    contested: tuple[str, ...]


def merge_posts(base: PostDraft, mine: PostDraft, theirs: PostDraft) -> Merged:
    """Return what both changed. Of a field that both changed to something else it has mine."""
    fields = {name: merge_field(getattr(base, name), getattr(mine, name), getattr(theirs, name)) for name in FIELDS}
    content, is_contested = merge_lines(base.content, mine.content, theirs.content)
    contested = [name for name, (_value, is_contested) in fields.items() if is_contested]
    values: dict[str, Any] = {name: value for name, (value, _) in fields.items()}  # Any: fields of many types
    draft = replace(mine, content=content, **values)
    return Merged(draft, tuple([*contested, "content"] if is_contested else contested))


def merge_field(base: object, mine: object, theirs: object) -> tuple[object, bool]:
    """Return the value, and whether both changed it to different ones."""
    if mine in (base, theirs):
        return theirs, False
    return mine, theirs != base


def merge_lines(base: str, mine: str, theirs: str) -> tuple[str, bool]:
    """Return the merged text, and whether both stand in it where they changed the same lines."""
    whole, is_contested = merge_field(base, mine, theirs)
    if not is_contested:
        return str(whole), False
    if max(text.count("\n") for text in (base, mine, theirs)) > LONGEST_LINES:
        return "\n".join(marked(mine.split("\n"), theirs.split("\n"))), True
    from merge3 import Merge3  # noqa: PLC0415 - most saves need no merge

    merge = Merge3(base.split("\n"), mine.split("\n"), theirs.split("\n"))
    lines: list[str] = []
    is_contested = False
    for region in merge.reprocess_merge_regions(merge.merge_regions()):
        if region[0] == "conflict":
            is_contested = True
            _, _, _, a, a_end, b, b_end = region
            lines += marked(merge.a[a:a_end], merge.b[b:b_end])
            continue
        kind, begin, end = region
        lines += (merge.base if kind == "unchanged" else merge.b if kind == "b" else merge.a)[begin:end]
    return "\n".join(lines), is_contested


def marked(mine: Sequence[str], theirs: Sequence[str]) -> list[str]:
    return [MINE_BEGINS, *mine, THEIRS_BEGINS, *theirs, THEIRS_ENDS]
