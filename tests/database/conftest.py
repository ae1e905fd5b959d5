"""Fixtures for tests of one engine alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from cms.database.target import Limits, Target, parse_url

if TYPE_CHECKING:
    from pathlib import Path

    from tests.postgres import PostgresServer


@pytest.fixture
def postgres_target(postgres: PostgresServer, postgres_url: str, tmp_path: Path) -> Target:
    """Return an empty database on PostgreSQL."""
    limits = Limits(retry_s=10, deploy_wait_s=20)
    return Target(parse_url(postgres_url), tmp_path / "backups", pg_bin_dir=postgres.bin_dir, limits=limits)


@pytest.fixture
def sqlite_target(sqlite_url: str, tmp_path: Path) -> Target:
    """Return a database file that does not exist yet."""
    return Target(parse_url(sqlite_url), tmp_path / "backups", limits=Limits(deploy_wait_s=20))
