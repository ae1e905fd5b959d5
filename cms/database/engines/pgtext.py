"""How PostgreSQL writes expressions: the same one in two ways, before and after it has read its own text again."""

from __future__ import annotations

import re
from decimal import Decimal

LITERAL = r"'(?:[^']|'')*'(?:::[a-z ]+)?"
CAST_OF_ARRAY = re.compile(rf"(\()?ARRAY\[((?:{LITERAL}(?:, )?)+)\](?(1)\))::([a-z ]+)\[\]")
ELEMENT = re.compile(LITERAL)
CAST_TWICE = re.compile(r"\(?('(?:[^']|'')*')::character varying\)?::text")
STORAGE = re.compile(r" WITH \((?:[a-z_]+='?[^' ()]*'?(?:, )?)+\)(?= WHERE |$)")
NULL = re.compile(r"\(*NULL\)*(?:::[a-z ]+(?:\([\d,]+\))?(?:\[\])?\)*)*")
NOW = {
    "CURRENT_TIMESTAMP",
    "CURRENT_TIMESTAMP(6)",
    "transaction_timestamp()",
    "('now'::text)::timestamp with time zone",
}
TEXTS = ("character varying", "text")
NUMBERS = ("smallint", "integer", "bigint", "numeric", "real", "double precision")
BOOLEANS = {"t": "true", "true": "true", "1": "true", "f": "false", "false": "false", "0": "false"}
CONSTANT = re.compile(r"\(?(?:'((?:[^']|'')*)'|(-?[\d.]+|true|false))\)?((?:::[a-z ]+\)?)*)")


def spread_casts(text: str) -> str:
    """Return an expression as the server writes it once it has read its own text again.

    (ARRAY['a'::character varying])::text[] comes back as ARRAY[('a'::character varying)::text], and so does its pretty
    form without the parentheses: that is how a check "status IN (…)" is written before and after a restore.
    """
    return CAST_OF_ARRAY.sub(spread, text)


def spread(found: re.Match[str]) -> str:
    form = "({})::{}" if found[1] else "{}::{}"
    return f"ARRAY[{ELEMENT.sub(lambda element: form.format(element[0], found[3]), found[2])}]"


def plain_default(kind: str, default: str) -> str | None:
    """Return a column's default in one spelling; None for NULL, which is what there is without one.

    kind: the column's type. A constant stands without casts to what the column turns it into anyway.
    """
    if NULL.fullmatch(default):
        return None
    if default in NOW:
        return "now()"
    found = CONSTANT.fullmatch(default)
    if found is None:
        return default
    casts = {cast.strip(")") for cast in found[3].split("::")[1:]}
    return plain_constant(kind.partition("(")[0], found[1] if found[2] is None else found[2], casts) or default


def plain_constant(kind: str, value: str, casts: set[str]) -> str | None:
    """Return how a constant is written, or None if its casts may make another value of it."""
    if kind in TEXTS and casts <= set(TEXTS):
        return f"'{value}'"
    if kind in {"json", "jsonb"} and casts <= {"json", "jsonb"}:
        return f"'{value}'"
    if kind == "boolean" and casts <= {"boolean", "integer"}:
        return BOOLEANS.get(value)
    if kind in NUMBERS and casts <= set(NUMBERS) and re.fullmatch(r"-?\d+(\.0*)?", value):
        return str(int(Decimal(value)))
    return None


def plain_definition(text: str) -> str:
    """Return the definition of an index, a constraint or a type without what makes no difference to rows."""
    text = STORAGE.sub("", CAST_TWICE.sub(r"\1::text", spread_casts(text)))
    return text.replace(" varchar_ops", "").replace("timestamp(6) with", "timestamp with")
