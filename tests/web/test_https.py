"""Where the site speaks https nobody stays on http."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from werkzeug.test import TestResponse

from tests.site import running, settings_for

Ask = Callable[..., TestResponse]
BLOG = {"SITE_URL": "https://blog.example.org"}


@pytest.fixture
def ask(migrated_sqlite_url: str, tmp_path: Path) -> Iterator[Ask]:
    """Ask a site that is behind a proxy, which says how the visitor came."""
    with running(settings_for(migrated_sqlite_url, tmp_path, TRUSTED_PROXIES="1", **BLOG)) as app:

        def send(path: str, came: str | None, method: str = "GET", **headers: str) -> TestResponse:
            told = {"X-Forwarded-Proto": came} if came else {}
            return app.test_client().open(path, method=method, headers={**told, **headers})

        yield send


@pytest.mark.parametrize("path", ["/", "/search?q=lamp&page=2", "/nowhere/", "/static/site.css", "/account/sign-in"])
def test_whoever_comes_by_http_is_sent_to_the_same_page_by_https(ask: Ask, path: str):
    answer = ask(path, "http", Host="evil.example")
    assert (answer.status_code, answer.location) == (308, f"https://blog.example.org{path}")


@pytest.mark.parametrize("came", ["https", "HTTPS", None, "https,http", "https, http"])
def test_whoever_comes_by_https_or_from_the_machine_itself_is_answered(ask: Ask, came: str | None):
    assert ask("/search", came).status_code == 200


@pytest.mark.parametrize(("method", "headers"), [("POST", {}), ("DELETE", {}), ("GET", {"Authorization": "Bearer x"})])
def test_what_should_not_have_crossed_the_network_in_the_open_is_refused(
    ask: Ask, method: str, headers: dict[str, str]
):
    assert ask("/account/sign-in", "http", method, **headers).status_code == 403


def test_a_load_balancer_gets_its_answer(ask: Ask):
    assert ask("/healthz", "http").status_code == 200


@pytest.mark.parametrize("settings", [{"TRUSTED_PROXIES": "1"}, BLOG])
def test_a_site_without_https_or_without_a_proxy_sends_nobody_away(
    migrated_sqlite_url: str, tmp_path: Path, settings: dict[str, str]
):
    with running(settings_for(migrated_sqlite_url, tmp_path, **settings)) as app:
        assert app.test_client().get("/search", headers={"X-Forwarded-Proto": "http"}).status_code == 200
