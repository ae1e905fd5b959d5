"""How PostgreSQL writes expressions: the same one in two ways, before and after it has read its own text again."""

from __future__ import annotations

import re

LITERAL = r"'(?:[^']|'')*'(?:::[a-z ]+)?"
CAST_OF_ARRAY = re.compile(rf"(\()?ARRAY\[((?:{LITERAL}(?:, )?)+)\](?(1)\))::([a-z ]+)\[\]")
ELEMENT = re.compile(LITERAL)


def spread_casts(text: str) -> str:
    """Return an expression as the server writes it once it has read its own text again.

    (ARRAY['a'::character varying])::text[] comes back as ARRAY[('a'::character varying)::text], and so does its pretty
    form without the parentheses: that is how a check "status IN (…)" is written before and after a restore.
    """
    return CAST_OF_ARRAY.sub(spread, text)


def spread(found: re.Match[str]) -> str:
    form = "({})::{}" if found[1] else "{}::{}"
    return f"ARRAY[{ELEMENT.sub(lambda element: form.format(element[0], found[3]), found[2])}]"
