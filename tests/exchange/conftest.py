"""A site on each engine, and a folder to import."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from cms.exchange.import_request import ImportRequest
from cms.exchange.markdown_import import import_folder

if TYPE_CHECKING:
    from flask import Flask

    from cms.exchange.report import ImportReport

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)

Write = Callable[..., Path]
Import = Callable[..., "ImportReport"]


@pytest.fixture
def site(app: Flask) -> Iterator[Flask]:
    """Return a site without rows, its context pushed; the test runs once on each engine."""
    with app.app_context():
        yield app


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "posts"
    made.mkdir()
    return made


@pytest.fixture
def write(folder: Path) -> Write:
    """Return a function that writes a file into the folder: its path there, then its text or bytes."""

    def write_file(path: str, content: str | bytes) -> Path:
        file = folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content.encode() if isinstance(content, str) else content)
        return file

    return write_file


@pytest.fixture
def run_import(site: Flask, folder: Path) -> Import:
    """Return a function that imports the folder into the site."""

    def run(*, at: datetime = NOON, **options: Any) -> ImportReport:
        return import_folder(ImportRequest(folder=folder, media_dir=site.config["MEDIA_DIR"], **options), at=at)

    return run
