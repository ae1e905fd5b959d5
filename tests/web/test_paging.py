"""Cursors: places in a list, as they stand in addresses."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cms.web.paging import Cursor, CursorInvalid

MOMENTS = st.datetimes(timezones=st.just(UTC))


@given(MOMENTS, st.uuids())
def test_a_cursor_leads_back_to_its_place(at: datetime, identity: UUID):
    assert Cursor.parse(str(Cursor(at, identity))) == Cursor(at, identity)


@given(st.text() | st.from_regex(r"[A-Za-z0-9_-]{32}", fullmatch=True))
def test_whatever_else_is_refused_or_is_a_place(text: str):
    try:
        cursor = Cursor.parse(text)
    except CursorInvalid:
        return
    assert str(cursor) == text


@pytest.mark.parametrize("text", ["", "x", "A" * 31, "A" * 33, "é" * 32, "/" * 32, "A" * 31 + "=", "A" * 31 + "\n"])
def test_garbage_is_refused(text: str):
    with pytest.raises(CursorInvalid):
        Cursor.parse(text)
