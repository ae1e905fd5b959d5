"""Databases with rows in them."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from cms.database.engines import engine_for
from cms.database.target import parse_url
from tests.database.rows import fill, upgrade

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from cms.database.target import Target


@pytest.fixture
def filled(target: Target) -> Iterator[Target]:
    """Return the database at the head, with rows in every table; what restores put aside goes at the end."""
    upgrade(target)
    fill(target)
    yield target
    for name in engine_for(target).list_kept(target):
        engine_for(target).discard(target, name)


@pytest.fixture
def elsewhere(filled: Target, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Target]:
    """Return a second, empty database of the same kind."""
    if filled.engine_name == "sqlite":
        yield replace(filled, url=filled.url.set(database=str(tmp_path / "other" / "cms.db")))
        return
    postgres = request.getfixturevalue("postgres")
    url = postgres.create_database()
    yield replace(filled, url=parse_url(url))
    postgres.drop_database(url)
