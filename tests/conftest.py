"""Fixtures for every test: first the databases, then what the application adds."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING

import pytest

from cms.database.target import Limits, Target, parse_url
from tests.database.copies import COPIES
from tests.postgres import PostgresPlugin, PostgresServer

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def pytest_configure(config: pytest.Config) -> None:
    """Find the PostgreSQL of this run, and let the programs that tests start hear Ctrl-C.

    A shell's background jobs ignore SIGINT, and so would everything that they start.
    """
    if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    config.pluginmanager.register(PostgresPlugin(config), "cms-postgres")


@pytest.fixture(scope="session")
def postgres(request: pytest.FixtureRequest) -> PostgresServer:
    """Return the run's own server, shared by all workers."""
    return request.config.pluginmanager.get_plugin("cms-postgres").server()


@pytest.fixture(scope="session", autouse=True)
def copies() -> Iterator[None]:
    """Remove at the end of the run the databases from which others were copied."""
    yield
    COPIES.close()


@pytest.fixture
def postgres_url(postgres: PostgresServer) -> Iterator[str]:
    """Return the URL of a fresh empty database, dropped afterwards."""
    url = postgres.create_database()
    yield url
    postgres.drop_database(url)


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    """Return the URL of a database file that does not exist yet."""
    return f"sqlite:///{tmp_path / 'cms.db'}"


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest) -> str:
    """Return an empty database's URL: the test runs once on each engine."""
    return request.getfixturevalue({"sqlite": "sqlite_url", "postgresql": "postgres_url"}[request.param])


# --- the application: add its fixtures below this line ----------------------------------------------------------


@pytest.fixture
def target(database_url: str, postgres_bin_dir: Path | None, tmp_path: Path) -> Target:
    """Return the empty database as the operations know it; the test runs once on each engine."""
    return Target(
        parse_url(database_url),
        backup_dir=tmp_path / "backups",
        media_dir=tmp_path / "media",
        maintenance_file=tmp_path / "maintenance.json",
        backup_key="key-of-the-tests-which-is-long-enough",
        pg_bin_dir=postgres_bin_dir,
        limits=Limits(retry_s=5, deploy_wait_s=20),
    )


@pytest.fixture
def postgres_bin_dir(request: pytest.FixtureRequest, database_url: str) -> Path | None:
    """Return the folder of the client programs that fit the test server; None for SQLite."""
    return request.getfixturevalue("postgres").bin_dir if database_url.startswith("postgresql") else None


@pytest.fixture
def environment(target: Target) -> dict[str, str]:
    """Return the environment of a command line that works on the database."""
    inherited = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    folders = {"PG_BIN_DIR": str(target.pg_bin_dir)} if target.pg_bin_dir else {}
    url = target.url.render_as_string(hide_password=False)
    return {
        **inherited,
        **folders,
        "DATABASE_URL": url,
        "BACKUP_DIR": str(target.backup_dir),
        "MEDIA_DIR": str(target.media_dir),
        "MAINTENANCE_FILE": str(target.maintenance_file),
        "BACKUP_KEY": str(target.backup_key),
    }


@pytest.fixture
def postgres_target(postgres: PostgresServer, postgres_url: str, tmp_path: Path) -> Target:
    """Return an empty database on PostgreSQL, for tests of what only it can do."""
    limits = Limits(retry_s=10, deploy_wait_s=20)
    return Target(
        parse_url(postgres_url),
        tmp_path / "backups",
        tmp_path / "media",
        maintenance_file=tmp_path / "maintenance.json",
        backup_key="key-of-the-tests-which-is-long-enough",
        pg_bin_dir=postgres.bin_dir,
        limits=limits,
    )


@pytest.fixture
def sqlite_target(sqlite_url: str, tmp_path: Path) -> Target:
    """Return a SQLite file that does not exist yet, for tests of what only it does."""
    folders = {"backup_dir": tmp_path / "backups", "media_dir": tmp_path / "media"}
    folders["maintenance_file"] = tmp_path / "maintenance.json"
    return Target(
        parse_url(sqlite_url),
        **folders,
        backup_key="key-of-the-tests-which-is-long-enough",
        limits=Limits(retry_s=10, deploy_wait_s=20),
    )


# --- a migrated site with people in it: tests/site.py -----------------------------------------------------------

from tests.site import (  # noqa: E402, F401
    app,
    client,
    migrated_postgres_url,
    migrated_sqlite_url,
    migrated_url,
    postgres_template,
    site,
    sqlite_app,
    sqlite_template,
)
