"""What `check --deploy` asks of settings and answers: each is seen to find what it is for, and silent otherwise."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from flask import Flask, Response
from jinja2 import DictLoader

import cms.accounts.checks
import cms.database.backup_checks
import cms.web.answer_checks
import cms.web.checks
from cms.checks.registry import registry
from cms.database.target import Target
from cms.web.https import send_to_https
from tests.accounts.provider import open_provider
from tests.site import running, settings_for
from tests.test_config import PRODUCTION

SAFE = {
    **PRODUCTION,
    "SECRET_KEY": "qT7-k2Vw9xZ_pL4mN8sR1dF6gH3jB5cY0aE",
    "TRUSTED_PROXIES": "1",
    "SECOND_FACTOR_ROLES": "admin",
}


@pytest.fixture
def safe(migrated_sqlite_url: str, tmp_path: Path) -> Iterator[Flask]:
    """Return a production site with nothing to find, but that it runs on SQLite."""
    with running(settings_for(migrated_sqlite_url, tmp_path, **SAFE)) as app:
        yield app


def find(app: Flask, *tags: str, **settings: object) -> list[str]:
    config = replace(app.extensions["settings"], **settings)
    found = registry.run(tags or ("configuration", "accounts"), deploy=True, given={"app": app, "config": config})
    return sorted({problem.id for problem in found.problems} - {"configuration.W005"})


def test_a_site_in_order_has_no_problem(safe: Flask):
    assert find(safe) == []


def test_settings_of_a_developer_are_found(sqlite_app: Flask):
    assert find(sqlite_app) == [
        "accounts.E001", "accounts.W002", "configuration.E001", "configuration.E002", "configuration.E004",
        "configuration.W003",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("settings", "found"),
    [
        ({"TRUSTED_HOSTS": ("*",)}, ["configuration.E004"]),
        ({"SECRET_KEY": "x" * 99}, ["configuration.E002"]),
        ({"SECRET_KEY": "qT7-k2Vw9xZ_pL4mN8sR1dF6gH3jB5cY0aE"}, []),
        ({"SECRET_KEY": "the newest schema and serves the site"}, ["configuration.E002"]),  # in README.md
        ({"MEDIA_DIR": cms.web.checks.CODE / "media"}, ["configuration.E010"]),
        ({"TRUSTED_PROXIES": 0}, ["configuration.W011"]),
        ({"SECOND_FACTOR_ROLES": ("editor",)}, ["accounts.W002"]),
        ({"GITHUB_CLIENT_ID": "x", "GITHUB_CLIENT_SECRET": "x"}, []),
        ({"GITHUB_CLIENT_ID": "x"}, ["accounts.E003"]),
        ({"OIDC_ISSUER": "https://login.example.org", "OIDC_CLIENT_SECRET": "x"}, ["accounts.E003"]),
    ],
)
def test_a_setting_that_is_not_safe_is_found(safe: Flask, settings: dict[str, object], found: list[str]):
    assert find(safe, **settings) == found


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("Content-Security-Policy", "default-src 'self'"), ("X-Content-Type-Options", None),
        ("Referrer-Policy", "unsafe-url"), ("Cross-Origin-Opener-Policy", "unsafe-none"),
        ("Strict-Transport-Security", "max-age=60"), ("Strict-Transport-Security", None),
    ],
)  # fmt: skip
def test_a_header_that_is_missing_or_weak_is_found(safe: Flask, name: str, value: str | None):
    def spoil(answer: Response) -> Response:
        answer.headers.pop(name, None)
        if value:
            answer.headers[name] = value
        return answer

    safe.after_request_funcs[None].insert(0, spoil)
    assert find(safe) == ["configuration.E006"]


def test_a_layer_that_is_missing_or_comes_too_late_is_found(safe: Flask):
    asked = safe.before_request_funcs[None]
    asked.reverse()
    assert find(safe) == ["configuration.E007"]
    asked.clear()
    assert find(safe) == ["configuration.E007", "configuration.E012"]


def test_a_page_that_is_served_unencrypted_too_is_found(safe: Flask):
    asked = safe.before_request_funcs[None]
    asked.remove(send_to_https)
    assert find(safe) == ["configuration.E012"]


@pytest.mark.parametrize("switch", ["DEBUG", "TESTING", "TEMPLATES_AUTO_RELOAD"])
def test_a_switch_for_developers_is_found(safe: Flask, switch: str):
    safe.config[switch] = True
    assert "configuration.E008" in find(safe)


def test_an_error_without_a_page_is_found(safe: Flask):
    safe.jinja_env.loader = DictLoader({"web/error.html": "{{ '' if code == 429 else '<h1>' }}"})
    assert find(safe) == ["configuration.E009"]


@pytest.mark.parametrize(("folder", "found"), [("media/backups", True), ("static/backups", True), ("backups", False)])
def test_backups_where_files_are_served_are_found(safe: Flask, tmp_path: Path, folder: str, *, found: bool):
    target = replace(Target.of(safe.config), backup_dir=tmp_path / folder)
    given = {"target": target, "config": safe.extensions["settings"]}
    assert bool(cms.database.backup_checks.check_served_folders(**given)) == found


def test_a_provider_that_does_not_answer_or_sends_people_back_unencrypted_is_found(safe: Flask):
    with open_provider() as provider:
        names = {"OIDC_ISSUER": provider.url, "OIDC_CLIENT_ID": "x", "OIDC_CLIENT_SECRET": "x"}
        assert find(safe, **names) == []
        assert find(safe, "accounts", **names, SITE_URL="http://blog.example.org") == ["accounts.E004"]
        provider.metadata = {"issuer": "https://another.example"}
        assert find(safe, **names) == ["accounts.W005"]
    assert find(safe, **names) == ["accounts.W005"]
