"""What every answer says besides its page."""

from __future__ import annotations

from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient

from cms.web.headers import HEADERS
from cms.web.static_files import static_file
from tests.site import Site, running, settings_for


@pytest.mark.parametrize(
    "path", ["/", "/nowhere/", "/?before=garbage", "/static/site.css", "/static/none.css", "/healthz"]
)
def test_every_answer_has_the_security_headers(sqlite_app: Flask, path: str):
    answer = sqlite_app.test_client().get(path, buffered=True)
    assert {name: answer.headers.get(name) for name in HEADERS} == HEADERS


def test_the_policy_allows_no_inline_script_or_style():
    policy = HEADERS["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy


@pytest.mark.parametrize(
    ("address", "told"), [("https://blog.example.org", "max-age=31536000"), ("http://127.0.0.1:8000", None)]
)
def test_browsers_are_told_to_stay_on_https_only_if_the_site_is_there(
    migrated_sqlite_url: str, tmp_path: Path, address: str, told: str | None
):
    with running(settings_for(migrated_sqlite_url, tmp_path, SITE_URL=address)) as app:
        assert app.test_client().get("/").headers.get("Strict-Transport-Security") == told


def test_a_public_page_may_be_kept_for_a_minute_and_sets_no_cookie(site: Site, client: FlaskClient):
    site.write("Post")
    for path in ("/", "/post/", "/author/ada/"):
        headers = client.get(path).headers
        assert headers["Cache-Control"] == "public, max-age=60, stale-while-revalidate=600"
        assert "Set-Cookie" not in headers
        assert "Vary" not in headers


def test_a_reader_who_has_the_page_already_is_not_sent_it_again(site: Site, client: FlaskClient):
    site.write("Post")
    tag = client.get("/post/").headers["ETag"]
    answer = client.get("/post/", headers={"If-None-Match": tag})
    assert (answer.status_code, answer.data) == (304, b"")


def test_a_changed_page_is_sent_again(site: Site, client: FlaskClient):
    tag = client.get("/").headers["ETag"]
    site.write("Post")
    assert client.get("/", headers={"If-None-Match": tag}).status_code == 200


def test_a_static_file_under_its_own_hash_is_kept_for_a_year(sqlite_app: Flask):
    client = sqlite_app.test_client()
    assert (
        client.get(static_file("site.css"), buffered=True).headers["Cache-Control"]
        == "public, max-age=31536000, immutable"
    )


@pytest.mark.parametrize("address", ["/static/site.css", "/static/site.css?v=other"])
def test_a_static_file_under_another_address_is_asked_for_each_time(sqlite_app: Flask, address: str):
    assert sqlite_app.test_client().get(address, buffered=True).headers["Cache-Control"] == "public, no-cache"


@pytest.mark.parametrize("name", ["none.css", "../headers.py", "../../../../../../../etc/passwd"])
def test_the_options_of_a_static_address_read_no_file(sqlite_app: Flask, monkeypatch: pytest.MonkeyPatch, name: str):
    monkeypatch.setattr("cms.web.static_files.content_hash", lambda asked: pytest.fail(f"{asked} was read"))
    assert sqlite_app.test_client().options(f"/static/{name}").status_code == 200


@pytest.mark.parametrize("path", ["/static/../headers.py", "/static/%2e%2e/headers.py", "/static//etc/passwd"])
def test_nothing_outside_the_static_folder_is_served(sqlite_app: Flask, path: str):
    assert sqlite_app.test_client().get(path).status_code in {404, 308}


def test_the_style_sheet_stays_small(sqlite_app: Flask):
    assert len(sqlite_app.test_client().get("/static/site.css", buffered=True).data) <= 20_000
