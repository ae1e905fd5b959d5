"""A provider to sign in with, and a site that knows it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from flask import Flask

from tests.accounts.provider import Provider, open_provider
from tests.site import running, settings_for


@pytest.fixture
def provider() -> Iterator[Provider]:
    with open_provider() as opened:
        yield opened


@pytest.fixture
def open_app(migrated_sqlite_url: str, tmp_path: Path, provider: Provider) -> Iterator[Flask]:
    """Return a site on which people may make themselves accounts."""
    settings = settings_for(migrated_sqlite_url, tmp_path, REGISTRATION="open", **provider.settings)
    with running(settings) as made:
        yield made
