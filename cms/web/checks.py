"""Checks of the settings: what would make a production site unsafe."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from cms.checks.messages import Problem, error, warning
from cms.checks.registry import register

if TYPE_CHECKING:
    from config import Config

CODE = Path(__file__).parents[1]
SHORTEST_KEY = 32
FEWEST_CHARACTERS = 5
SHIPPED = (
    "*.md",
    "docs/*.md",
    "*.yaml",
    ".env*",
    "Dockerfile",
    "*.sh",
    "deploy/*",
    ".github/workflows/*",
    "tests/*.py",
)


@register("configuration", deploy=True)
def check_environment(config: Config) -> list[Problem]:
    """configuration.E001: the site does not run as production."""
    if config.is_production:
        return []
    return [error("configuration.E001", f"CMS_ENV is {config.CMS_ENV}", hint="set CMS_ENV=production")]


@register("configuration", deploy=True)
def check_secret_key(config: Config) -> list[Problem]:
    """configuration.E002: SECRET_KEY is short, hardly varied, or printed in a file that everybody has."""
    key = config.SECRET_KEY
    is_long = len(key) >= SHORTEST_KEY and len(set(key)) >= FEWEST_CHARACTERS
    if is_long and "development" not in key and not any(key in text for text in read_shipped()):
        return []
    cure = 'make one with: python -c "import secrets; print(secrets.token_urlsafe(48))"'
    return [error("configuration.E002", "SECRET_KEY can be guessed", hint=cure)]


def read_shipped() -> Iterator[str]:
    """Yield the texts of this tree in which examples of settings stand."""
    for path in sorted(itertools.chain(*(CODE.parent.glob(pattern) for pattern in SHIPPED))):
        if path.is_file():
            yield path.read_text(encoding="utf-8", errors="replace")


@register("configuration", deploy=True)
def check_site_url(config: Config) -> list[Problem]:
    """configuration.W003: the site's address is not https."""
    if urlsplit(config.SITE_URL).scheme == "https":
        return []
    return [warning("configuration.W003", f"SITE_URL is {config.SITE_URL}", hint="serve the site by https")]


@register("configuration", deploy=True)
def check_trusted_hosts(config: Config) -> list[Problem]:
    """configuration.E004: any Host header is believed."""
    if config.TRUSTED_HOSTS and "*" not in config.TRUSTED_HOSTS:
        return []
    what = "TRUSTED_HOSTS has a *" if config.TRUSTED_HOSTS else "TRUSTED_HOSTS is empty"
    return [error("configuration.E004", what, hint=f"set TRUSTED_HOSTS={urlsplit(config.SITE_URL).hostname}")]


@register("configuration", deploy=True)
def check_database_kind(config: Config) -> list[Problem]:
    """configuration.W005: production runs on the embedded database."""
    if not config.DATABASE_URL.startswith("sqlite"):
        return []
    cure = "fine for a small site on one machine; set DATABASE_URL to a PostgreSQL address to grow"
    return [warning("configuration.W005", "the database is SQLite", hint=cure)]


@register("configuration", deploy=True)
def check_media_folder(config: Config) -> list[Problem]:
    """configuration.E010: uploads are stored beside the code."""
    if not config.MEDIA_DIR.is_relative_to(CODE):
        return []
    cure = "set MEDIA_DIR to a folder of its own, outside of the program"
    return [error("configuration.E010", f"MEDIA_DIR is {config.MEDIA_DIR}, inside {CODE}", hint=cure)]


@register("configuration", deploy=True)
def check_proxies(config: Config) -> list[Problem]:
    """configuration.W011: the proxy's address is taken for everybody's."""
    if config.TRUSTED_PROXIES or not config.SITE_URL.startswith("https://"):
        return []
    why = "whoever ends https in front of the site is the address that limits, sessions and logs see"
    cure = "set TRUSTED_PROXIES to how many proxies stand in front, as a rule 1"
    return [warning("configuration.W011", "SITE_URL is https and TRUSTED_PROXIES is 0", why=why, hint=cure)]
