"""Front matter: what is read, and what no file can do to the reader."""

from __future__ import annotations

import json
import time
from contextlib import suppress
from datetime import UTC, date, datetime

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from cms.exchange.errors import FileUnusable
from cms.exchange.front_matter import SIZE_LIMIT_BYTES, as_json, parse_file

BILLION_LAUGHS = (
    "---\na0: &a0 [ha]\n" + "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 10)) + "---\n"
)
MERGE_BOMB = (
    "---\na0: &a0 {k: 1}\n"
    + "".join(f"a{n}: &a{n} {{<<: [{', '.join([f'*a{n - 1}'] * 9)}]}}\n" for n in range(1, 10))
    + "---\n"
)


def test_yaml_is_read_and_the_body_is_what_follows() -> None:
    parts = parse_file(b"---\ntitle: One\ndate: 2024-02-29\n---\nHello\n")
    assert parts.values == {"title": "One", "date": date(2024, 2, 29)}
    assert parts.body == "Hello\n"


def test_toml_is_read() -> None:
    parts = parse_file(b'+++\ntitle = "One"\ndate = 2024-02-29T10:00:00Z\n+++\nHello\n')
    assert parts.values == {"title": "One", "date": datetime(2024, 2, 29, 10, tzinfo=UTC)}
    assert parts.body == "Hello\n"


def test_a_byte_order_mark_and_line_ends_of_windows_do_no_harm() -> None:
    assert parse_file(b"\xef\xbb\xbf---\r\ntitle: One\r\n---\r\nHello\r\n").body == "Hello\n"


def test_a_file_without_front_matter_is_all_body() -> None:
    assert parse_file(b"# Hello\n").values == {}
    assert parse_file(b"# Hello\n").body == "# Hello\n"


def test_control_characters_are_removed_and_counted() -> None:
    parts = parse_file(b'---\ntitle: "a\\u0000\\ud800b"\n---\nx\x07\x1by\n')
    assert parts.values == {"title": "ab"}
    assert parts.body == "xy\n"
    assert parts.notes == ("control characters removed: 2",)


@pytest.mark.parametrize(
    ("data", "line", "word"),
    [
        (b"---\ntitle: a\nauthors:\n- melody\t\t\n---\n", 4, "YAML"),
        (b"---\ntitle: [a\n---\n", 2, "YAML"),
        (b"---\ntitle: a\ndate: 2024-02-30\n---\n", 3, "YAML"),
        (b"---\ntitle: !!python/object/apply:os.system [ls]\n---\n", 2, "YAML"),
        (b"---\n- a\n- b\n---\n", 2, "no keys"),
        (b"---\ntitle: a\n", 1, "never closed"),
        (b'+++\ntitle = "a"\ndate = 2024-02-30\n+++\n', 3, "TOML"),
        (b"+++\ntitle = \n+++\n", 2, "TOML"),
        (b"# a\nb\xe9b\n", 2, "UTF-8"),
        (b"# a\n\nb\0b\n", 3, "text"),
        (b"x" * (SIZE_LIMIT_BYTES + 1), None, "too big"),
        (b"---\n" + b"a: b\n" * 20_000 + b"---\n", 1, "too long"),
    ],
)
def test_a_file_that_cannot_be_used_is_refused_with_line_and_cause(data: bytes, line: int | None, word: str) -> None:
    with pytest.raises(FileUnusable) as caught:
        parse_file(data)
    assert caught.value.line == line
    assert word in str(caught.value)


@pytest.mark.parametrize(
    "text",
    [
        BILLION_LAUGHS,
        MERGE_BOMB,
        "---\na: &a [*a]\n---\n",
        "---\na: " + "[" * 30_000 + "\n---\n",
        "---\na: " + "{a: " * 10_000 + "\n---\n",
        "---\na: " + "9" * 60_000 + "\n---\n",
        "---\n0x" + "f" * 60_000 + ": a\n---\n",
        "+++\na = " + "[" * 30_000 + "\n+++\n",
        "+++\na = 0x" + "f" * 60_000 + "\n+++\n",
    ],
    ids=["laughs", "merges", "itself", "lists", "tables", "number", "key", "toml lists", "toml number"],
)
def test_bombs_are_refused_or_harmless_within_two_seconds(text: str) -> None:
    started = time.monotonic()
    with suppress(FileUnusable):
        as_json(parse_file(text.encode()).values)
    assert time.monotonic() - started < 2


@given(st.binary(max_size=300) | st.text(max_size=300).map(lambda text: text.encode("utf-8", "surrogatepass")))
def test_whatever_the_bytes_the_answer_is_a_result_or_the_importers_own_error(data: bytes) -> None:
    with suppress(FileUnusable):
        parse_file(data)


@settings(max_examples=300)
@given(
    st.sampled_from(["---", "+++"]),
    st.text(alphabet=st.sampled_from("abe019 -:=#'\"[]{}&*!|>%@`,.?~\n\t\\<_+TZxu\u2028é"), max_size=200),
)
@example("---", "a: !!binary 'x'")
@example("---", "a: 2024-01-01T00:00:00+99:99")
@example("---", "? [a]\n: b")
@example("---", "a: !!float x")
@example("---", "a: .inf\nb: .nan")
@example("+++", "a = inf\nb = nan")
@example("---", "=: 1")
@example("---", "a: !!timestamp x")
@example("---", "? !!set {a, b}\n: c")
@example("---", "!!set {2001-01-01}")
def test_whatever_the_front_matter_a_result_can_be_stored_as_json(fence: str, facts: str) -> None:
    try:
        parts = parse_file(f"{fence}\n{facts}\n{fence}\nBody\n".encode())
    except FileUnusable:
        return
    json.dumps(as_json(parts.values), allow_nan=False).encode()
