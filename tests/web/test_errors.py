"""What a visitor sees when something is wrong."""

from __future__ import annotations

from pathlib import Path

import psycopg
import pytest
import sqlalchemy as sa
from flask import Flask, abort
from flask.testing import FlaskClient

from cms.extensions import db
from cms.web.errors import MESSAGES
from tests.site import Site, add_page, running, settings_for

PAGES = ["/", "/post/", "/tag/lamps/", "/author/ada/", "/nowhere/"]


@pytest.mark.parametrize("code", MESSAGES)
def test_each_error_has_a_page_in_the_look_of_the_site(sqlite_app: Flask, code: int):
    add_page(sqlite_app, "/broken/", lambda: abort(code))
    answer = sqlite_app.test_client().get("/broken/")
    assert answer.status_code == code
    assert MESSAGES[code].title in answer.text
    assert "site.css" in answer.text
    assert answer.headers["Cache-Control"] == "no-store"


def test_an_error_without_words_of_its_own_still_has_a_page(sqlite_app: Flask):
    add_page(sqlite_app, "/broken/", lambda: abort(418))
    answer = sqlite_app.test_client().get("/broken/")
    assert (answer.status_code, "<h1>" in answer.text) == (418, True)


def test_a_wrong_method_is_answered_with_those_that_are_right(sqlite_app: Flask):
    answer = sqlite_app.test_client().post("/")
    assert answer.status_code == 405
    assert "GET" in answer.headers["Allow"]


def test_a_bug_shows_no_details(sqlite_app: Flask):
    def break_down() -> str:
        raise ZeroDivisionError("the secret is 42")

    add_page(sqlite_app, "/broken/", break_down)
    answer = sqlite_app.test_client().get("/broken/")
    assert answer.status_code == 500
    assert "42" not in answer.text


def test_the_address_is_not_repeated_on_an_error_page(sqlite_app: Flask):
    assert "onerror" not in sqlite_app.test_client().get("/<img src=x onerror=alert(1)>").text


@pytest.mark.parametrize("path", PAGES)
def test_a_site_without_its_tables_answers_503(database_url: str, tmp_path: Path, path: str):
    Path(database_url.removeprefix("sqlite:///")).touch() if database_url.startswith("sqlite") else None
    with running(settings_for(database_url, tmp_path)) as app:
        answer = app.test_client().get(path)
    assert answer.status_code == 503
    assert int(answer.headers["Retry-After"]) > 0


@pytest.mark.parametrize("url", ["sqlite:////nowhere/cms.db", "postgresql://cms@127.0.0.1:1/cms"])
@pytest.mark.parametrize("path", [*PAGES, "/readyz"])
def test_a_database_that_cannot_be_reached_is_answered_with_503(tmp_path: Path, url: str, path: str):
    with running(settings_for(url, tmp_path)) as app:
        answer = app.test_client().get(path)
    assert answer.status_code == 503
    assert "127.0.0.1" not in answer.text


def test_a_site_comes_back_by_itself_when_its_connections_were_cut(site: Site, client: FlaskClient):
    site.write("Post")
    client.get("/post/")
    with site.app.app_context():
        if db.engine.dialect.name == "sqlite":
            pytest.skip("nobody can cut a connection to a file")
        with sa.create_engine(db.engine.url, poolclass=sa.NullPool).connect() as other:
            other.execute(
                sa.text("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'cms'")
            )
    assert client.get("/post/").status_code == 200


def test_a_site_whose_connections_are_all_busy_answers_503(site: Site, client: FlaskClient):
    with site.app.app_context():
        engine = db.engine
    engine.pool._timeout = 0.05
    busy = [engine.connect() for _ in range(2)]
    try:
        answer = client.get("/")
    finally:
        for connection in busy:
            connection.close()
    assert (answer.status_code, client.get("/").status_code) == (503, 200)


def test_a_page_whose_tables_are_locked_says_when_to_come_back(migrated_postgres_url: str, tmp_path: Path):
    with running(settings_for(migrated_postgres_url, tmp_path)) as app, psycopg.connect(migrated_postgres_url) as other:
        client = app.test_client()
        assert client.get("/").status_code == 200
        other.execute("LOCK TABLE blogs IN ACCESS EXCLUSIVE MODE")
        answer = client.get("/")
        assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5")
        other.rollback()
        assert client.get("/").status_code == 200
