"""How many changes may be sent, and which other sites' pages may send them."""

from __future__ import annotations

from pathlib import Path

import pytest
from flask import Flask

from cms.accounts.permissions import EDITOR
from tests.api.programs import Caller
from tests.people import add_person
from tests.site import Site, running, settings_for

APP = "https://app.example.org"


def test_changes_are_counted_for_each_person_and_reading_is_not(site: Site):
    site.app.config["API_CHANGES_PER_MIN"] = 2
    program = Caller(site.app, site.ada)
    answers = [program.post("/rendered", {"content": "x"}) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [200, 200, 429]
    assert [answer.headers["RateLimit"].partition(";t=")[0] for answer in answers[:2]] == [
        '"changes";r=1', '"changes";r=0',
    ]  # fmt: skip
    assert answers[0].headers["RateLimit-Policy"] == '"changes";q=2;w=60'
    assert 1 <= int(answers[2].headers["Retry-After"]) <= 60
    assert Caller(site.app, site.ada).post("/rendered", {"content": "x"}).status_code == 429
    other = Caller(site.app, add_person(site.app, "cleo", EDITOR))
    assert other.post("/rendered", {"content": "x"}).status_code == 200
    assert "RateLimit" not in program.get("/blogs").headers


@pytest.fixture
def open_app(migrated_sqlite_url: str, tmp_path: Path):
    with running(settings_for(migrated_sqlite_url, tmp_path, API_ORIGINS=APP)) as app:
        yield app


def test_a_named_site_may_read_and_change_with_a_token(open_app: Flask):
    program = Caller(open_app, add_person(open_app, "cleo", EDITOR))
    headers = {"Origin": APP, "Sec-Fetch-Site": "cross-site"}
    asked = open_app.test_client().options(
        "/api/v1/blogs", headers={**headers, "Access-Control-Request-Method": "POST"}
    )
    assert (asked.status_code, asked.headers["Access-Control-Allow-Origin"]) == (200, APP)
    assert "POST" in asked.headers["Access-Control-Allow-Methods"]
    assert "If-Match" in asked.headers["Access-Control-Allow-Headers"]
    made = program.post("/blogs", {"title": "x"}, headers=headers)
    assert (made.status_code, made.headers["Access-Control-Allow-Origin"]) == (201, APP)
    assert "ETag" in made.headers["Access-Control-Expose-Headers"]
    assert "Access-Control-Allow-Credentials" not in made.headers
    assert "Origin" in made.vary


@pytest.mark.parametrize(
    ("path", "origin"),
    [("/api/v1/blogs", "https://evil.example"), ("/account/sign-in", APP), ("/api/v1/blogs", "null")],
)
def test_another_site_or_another_address_is_not_let_in(open_app: Flask, path: str, origin: str):
    headers = {"Origin": origin, "Sec-Fetch-Site": "cross-site"}
    answer = open_app.test_client().post(path, headers=headers)
    assert (answer.status_code, "Access-Control-Allow-Origin" in answer.headers) == (403, False)


def test_without_the_setting_no_site_is_named(sqlite_app: Flask):
    answer = sqlite_app.test_client().get("/api/v1/blogs", headers={"Origin": APP})
    assert (answer.status_code, "Access-Control-Allow-Origin" in answer.headers) == (200, False)
