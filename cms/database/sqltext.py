"""SQL text as SQLite keeps it, read by tokens: strings, quoted names, comments and parentheses stay what they are."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import lru_cache

TOKEN = re.compile(
    r"""(?P<skipped> \s+ | --[^\n]* | /\*.*?(?:\*/|\Z) )
      | '(?:[^']|'')*' | "(?:[^"]|"")*" | `(?:[^`]|``)*` | \[[^\]]*\]
      | \d+(?:\.\d*)?(?:e[+-]?\d+)? | \w+ | [<>=!|&]+ | .""",
    re.VERBOSE | re.DOTALL | re.IGNORECASE,
)
PLAIN_NAME = re.compile(r"[a-z_][a-z0-9_]*")
ALIKE = {"==": "=", "!=": "<>"}
AROUND_A_TERM = frozenset({"", "(", ")", "and", "or"})
IN_A_TERM = frozenset({"and", "or", "not", "between", "case", "select", ","})
CLOSE_TO_THE_NEXT = frozenset("(.")
CLOSE_TO_THE_LAST = frozenset("),.")


@lru_cache(maxsize=1000)
def tokens(sql: str) -> tuple[str, ...]:
    """Return the tokens of a text, without white space and comments.

    Remembered: from one revision to the next nearly every table and index is the same.
    """
    return tuple(found.group() for found in TOKEN.finditer(sql) if not found.group("skipped"))


def spelled(parts: Sequence[str]) -> str:
    """Return tokens as text in one spelling: two texts that differ in case of words or white space become one.

    A string stays as it is, and so does a quoted name that is not plain: SQLite takes "Draft" for a string where no
    column is called so.
    """
    return written(list(map(plain, parts)))


def written(parts: Sequence[str], *, close_to_the_last: frozenset[str] = CLOSE_TO_THE_LAST) -> str:
    """Return tokens as text. close_to_the_last: before which there is no space."""
    text = ""
    last = "("
    for part in parts:
        text += part if last in CLOSE_TO_THE_NEXT or part in close_to_the_last else f" {part}"
        last = part
    return text.strip()


def plain(token: str) -> str:
    if token in ALIKE:
        return ALIKE[token]
    if token[0] == "'":
        return token
    if token[0] in '"`[':
        inner = token[1:-1]
        return inner if PLAIN_NAME.fullmatch(inner) else token
    return token.lower()


def name_of(token: str) -> str:
    """Return the name that a token means, in lower case: SQLite's names are alike in any."""
    quotes = {'"': '"', "`": "`", "[": "]", "'": "'"}
    close = quotes.get(token[0])
    return (token[1:-1].replace(close * 2, close) if close else token).lower()


def inside(parts: Sequence[str], opening: int) -> list[str]:
    """Return what stands between the parenthesis at ``opening`` and the one that closes it."""
    depth = 0
    for position in range(opening, len(parts)):
        depth += {"(": 1, ")": -1}.get(parts[position], 0)
        if depth == 0:
            return list(parts[opening + 1 : position])
    return list(parts[opening + 1 :])


def bare(parts: Sequence[str]) -> list[str]:
    """Return an expression without the parentheses around the whole of it."""
    found = list(parts)
    while found and found[0] == "(" and len(inside(found, 0)) == len(found) - 2:
        found = found[1:-1]
    return found


def condition(parts: Sequence[str], table: str) -> str:
    """Return a condition on a table's rows in one spelling: (t.a > 0) AND (b < 1) is a > 0 and b < 1."""
    return spelled(bare(without_parentheses(without_table(parts, table))))


def without_table(parts: Sequence[str], table: str) -> list[str]:
    """Return an expression in which columns stand without their own table's name."""
    found: list[str] = []
    for part in parts:
        if found[-1:] == ["."] and name_of(found[-2]) == table:
            del found[-2:]
        found.append(part)
    return found


def without_parentheses(parts: Sequence[str]) -> list[str]:
    """Return a condition without the parentheses around its single comparisons."""
    found: list[str] = []
    position = 0
    while position < len(parts):
        term = inside(parts, position) if parts[position] == "(" else []
        end = position + len(term) + 2
        around = {(found[-1] if found else "").lower(), (parts[end] if end < len(parts) else "").lower()}
        if term and around <= AROUND_A_TERM and not IN_A_TERM & {word for _, word in outside(term)}:
            found += term
            position = end
        else:
            found.append(parts[position])
            position += 1
    return found


def split_list(parts: Sequence[str]) -> Iterator[list[str]]:
    """Yield what stands between the commas that are in no parentheses."""
    depth = 0
    item: list[str] = []
    for part in parts:
        depth += {"(": 1, ")": -1}.get(part, 0)
        if part == "," and depth == 0:
            yield item
            item = []
        else:
            item.append(part)
    yield item


def outside(parts: Sequence[str]) -> Iterator[tuple[int, str]]:
    """Yield position and word, in lower case, of each token that is in no parentheses."""
    depth = 0
    for position, part in enumerate(parts):
        depth -= part == ")"
        if depth == 0:
            yield position, part.lower()
        depth += part == "("
