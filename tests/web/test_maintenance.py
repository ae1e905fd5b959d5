"""What visitors and machines are answered while the site is closed."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from flask import Flask

from cms.database.maintenance import Maintenance, turn_off, turn_on
from tests.site import running, settings_for


def close(app: Flask, *, why: str = "new disks", minutes: int | None = 20) -> None:
    now = datetime.now(UTC)
    until = now + timedelta(minutes=minutes) if minutes else None
    os.close(turn_on(app.config["MAINTENANCE_FILE"], Maintenance(now, "ada@web1", why, until)))


@pytest.fixture
def closed_app(sqlite_app: Flask) -> Flask:
    close(sqlite_app)
    return sqlite_app


@pytest.mark.parametrize("path", ["/", "/posts/any/", "/no-such-page/", "/feed.xml"])
def test_every_page_says_when_to_come_back(closed_app: Flask, path: str):
    answer = closed_app.test_client().get(path)
    assert answer.status_code == 503
    assert 1100 < int(answer.headers["Retry-After"]) <= 1200
    assert answer.headers["Cache-Control"] == "no-store"
    assert "Closed for a moment" in answer.text
    assert "Come back in about 20 minutes" in answer.text


def test_who_closed_the_site_and_why_is_not_for_strangers(closed_app: Flask):
    answer = closed_app.test_client().get("/").text
    assert "ada@web1" not in answer
    assert "new disks" not in answer


def test_a_program_that_asks_for_json_gets_json(closed_app: Flask):
    answer = closed_app.test_client().get("/", headers={"Accept": "application/json"})
    assert (answer.status_code, answer.content_type) == (503, "application/problem+json")
    assert answer.json["title"] == "Closed for a moment"
    assert answer.json["status"] == 503
    assert answer.headers["Retry-After"]


def test_a_browser_gets_a_page(closed_app: Flask):
    accept = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"
    assert closed_app.test_client().get("/", headers={"Accept": accept}).content_type.startswith("text/html")


def test_the_process_lives_and_is_not_ready(closed_app: Flask):
    client = closed_app.test_client()
    assert client.get("/healthz").status_code == 200
    answer = client.get("/readyz")
    assert (answer.status_code, answer.text) == (503, "maintenance\n")
    assert int(answer.headers["Retry-After"]) > 1100


def test_the_page_has_its_look(closed_app: Flask):
    with closed_app.test_client().get("/static/site.css") as answer:
        assert answer.status_code == 200


def test_all_workers_see_it_at_once_and_new_ones_too(closed_app: Flask, migrated_sqlite_url: str, tmp_path: Path):
    with running(settings_for(migrated_sqlite_url, tmp_path)) as other:
        assert other.test_client().get("/").status_code == 503
        turn_off(other.config["MAINTENANCE_FILE"])
        assert [app.test_client().get("/").status_code for app in (closed_app, other)] == [200, 200]


def test_it_needs_no_database(tmp_path: Path):
    with running(settings_for("sqlite:////nowhere/cms.db", tmp_path)) as app:
        close(app)
        assert "Closed for a moment" in app.test_client().get("/").text


def test_without_an_end_it_asks_to_come_back_in_a_minute(sqlite_app: Flask):
    close(sqlite_app, why="soon over", minutes=None)
    answer = sqlite_app.test_client().get("/")
    assert answer.headers["Retry-After"] == "60"
    assert "Come back in a minute" in answer.text


@pytest.mark.parametrize("content", ["", "{}", "[]", '{"since": 5}', "\x00\xff"])
def test_a_file_that_nobody_understands_closes_the_site_too(sqlite_app: Flask, content: str):
    sqlite_app.config["MAINTENANCE_FILE"].write_text(content)
    assert sqlite_app.test_client().get("/").status_code == 503
