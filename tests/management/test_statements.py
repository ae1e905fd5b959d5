"""`manage.py statements record`: what a site asks its database is written down, and nothing of what is in it."""

from __future__ import annotations

import json

import click
import pytest
import sqlalchemy as sa

from cms.database import asked
from cms.database.asked import Asked, collect, merge, shorten
from cms.database.target import Target
from cms.errors import Refused
from cms.extensions import db
from cms.management.base import call_command
from tests.site import open_site, running, settings_for

SECRET = "the secret title of a draft"


@pytest.fixture
def asking(migrated_url, tmp_path):
    """Return a site that writes down what it asks, on each engine."""
    with running(settings_for(migrated_url, tmp_path, STATEMENTS_DIR=str(tmp_path / "asked"))) as app:
        yield open_site(app)


def written(site) -> tuple[Asked, ...]:
    target = Target.of(site.app.config)
    return collect(site.app.config["STATEMENTS_DIR"], target.engine_name)


def test_what_pages_and_use_cases_ask_is_written_down_once(asking):
    asking.write("Lamps", tags=("lamps",))
    for _ in range(3):
        asking.app.test_client().get("/lamps/")
    found = [each.sql for each in written(asking)]
    assert [sql for sql in found if sql.startswith("INSERT INTO blogs (")]
    assert [sql for sql in found if "FROM blogs JOIN users" in sql and "blogs.slug = " in sql]
    assert len(found) == len(set(found))


def test_no_value_and_nothing_of_the_tests_own_is_written_down(asking):
    asking.write(SECRET, content="a secret text", status="draft")
    with asking.app.app_context():
        db.session.execute(sa.text("SELECT 1 FROM users WHERE bio = 'asked by no code of the site'"))
    asking.app.test_client().get("/a-secret-slug/")
    text = "".join(file.read_text() for file in asking.app.config["STATEMENTS_DIR"].iterdir())
    assert "INSERT INTO blogs" in text
    assert "secret" not in text
    assert "asked by no code" not in text


def test_the_files_are_for_their_owner_alone(asking):
    folder = asking.app.config["STATEMENTS_DIR"]
    assert folder.stat().st_mode & 0o777 == 0o700
    assert {file.stat().st_mode & 0o777 for file in folder.iterdir()} == {0o600}


@pytest.mark.parametrize(
    ("sql", "given", "mark", "expected"),
    [
        ("SELECT a FROM t WHERE b = %(b)s::UUID AND c = %(b)s::UUID", {"b": 1}, "$",
         Asked("SELECT a FROM t WHERE b = $1::UUID AND c = $1::UUID", ("int",))),
        ("SELECT a FROM t WHERE b IN (%(b_1)s::VARCHAR, %(b_2)s::VARCHAR) LIMIT %(n)s::INTEGER",
         {"b_1": "x", "b_2": "y", "n": 3}, "$",
         Asked("SELECT a FROM t WHERE b IN ($1::VARCHAR) LIMIT $2::INTEGER", ("str", "int"))),
        ("SELECT a FROM t WHERE b IN (?, ?, ?) AND c = ?", (1, 2, 3, "x"), "?",
         Asked("SELECT a FROM t WHERE b IN (?1) AND c = ?2", ("int", "str"))),
        ("INSERT INTO t (a, b) VALUES (?, ?), (?, ?)", (1, "x", 2, "y"), "?",
         Asked("INSERT INTO t (a, b) VALUES (?1, ?2)", ("int", "str"))),
        ("UPDATE t SET a = 'it''s said', b = %(b)s WHERE a LIKE '100%%'", {"b": None}, "$",
         Asked("UPDATE t SET a = $1, b = $2 WHERE a LIKE $3", ("str", "NoneType", "str"))),
        ("SELECT now() - interval '1 day' AS \"a b\"", {}, "$",
         Asked("SELECT now() - interval '1 day' AS \"a b\"", ())),
    ],
)  # fmt: skip
def test_lists_are_shortened_and_texts_in_quotes_left_out(sql, given, mark, expected):
    assert shorten(sql, given, mark=mark) == expected


def test_a_parameter_that_was_sometimes_nothing_is_known_for_it():
    assert merge([Asked("x", ("str",)), Asked("x", ("NoneType",)), Asked("x", ("str",))]) == (
        Asked("x", ("NoneType|str",)),
    )


@pytest.fixture
def recorded(asking, tmp_path, monkeypatch):
    """Return the site, whose history lies where a test may write."""
    (tmp_path / "history").mkdir()
    monkeypatch.setattr(
        asked, "file_of", lambda target, revision: tmp_path / "history" / f"{revision}-{target.engine_name}.json"
    )
    return asking


def record(site, **given):
    with site.app.app_context():
        return call_command("statements", action="record", **given)


def test_record_writes_a_file_for_the_head_and_counts_what_is_new(recorded):
    recorded.write("Lamps")
    (first,) = record(recorded).files
    recorded.app.test_client().get("/lamps/")
    (second,) = record(recorded).files
    assert first.statements == first.added > 0
    assert second.added == second.statements - first.statements > 0
    assert [Asked(sql, tuple(types)) for sql, types in json.loads(second.file.read_text())] == list(written(recorded))


def test_add_keeps_what_was_written_down_before(recorded):
    recorded.write("Lamps")
    (first,) = record(recorded).files
    for file in recorded.app.config["STATEMENTS_DIR"].iterdir():
        file.unlink()
    with running(settings_of(recorded)) as another_process:
        another_process.test_client().get("/lamps/")
    (more,) = record(recorded, add=True).files
    assert more.statements == first.statements + more.added > first.statements


def settings_of(site):
    settings = site.app.extensions["settings"]
    return {
        "DATABASE_URL": settings.DATABASE_URL,
        "MEDIA_DIR": str(settings.MEDIA_DIR),
        "STATEMENTS_DIR": str(settings.STATEMENTS_DIR),
    }


def test_without_anything_written_it_refuses(asking, tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(Refused, match="there are no statements in"):
        record(asking, folder=tmp_path / "empty")


def test_without_a_folder_it_says_how_to_name_one(app):
    app.config["STATEMENTS_DIR"] = None
    with app.app_context(), pytest.raises(click.UsageError, match="STATEMENTS_DIR"):
        call_command("statements", action="record")
