"""Numbers in sentences."""

from __future__ import annotations


def counted(number: int, noun: str) -> str:
    """Return "1 revision", "2 revisions", "1,200 rows"."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
