"""The activity log in the administration."""

from __future__ import annotations

import csv
import io
import json
import re
from datetime import timedelta

import pytest
from flask import Flask

from cms.accounts.permissions import ADMIN, EDITOR
from cms.activity.models import ActivityLog
from cms.activity.services import Actor, Subject, record
from cms.extensions import transaction
from tests.people import Visit, add_person
from tests.site import NOON, counted

ROW = re.compile(r"<strong>([^<]+)</strong> (\w+\.\w+)")


@pytest.fixture
def visit(app: Flask) -> Visit:
    visit = Visit(app, add_person(app, "root", ADMIN))
    with app.app_context(), transaction() as session:
        for number, (name, action) in enumerate(
            [("ada", "blog.published"), ("ben", "blog.archived"), ("ada", "user.signed_in"), ("=1+1", "user.created")]
        ):
            about = Subject("blog", str(number), f"<i>Post {number}</i>")
            at = NOON + timedelta(days=number)
            record(session, action, actor=Actor(None, name), at=at, about=about, details={"number": number})
    return visit


def actions(visit: Visit, asked: str) -> list[str]:
    return [action for _, action in ROW.findall(visit.get(f"/admin/activity?{asked}").text)]


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ("", ["user.created", "user.signed_in", "blog.archived", "blog.published"]),
        ("actor=ada", ["user.signed_in", "blog.published"]),
        ("action=blog.", ["blog.archived", "blog.published"]),
        ("action=blog.archived", ["blog.archived"]),
        ("about=blog:2", ["user.signed_in"]),
        ("about=blog", ["user.created", "user.signed_in", "blog.archived", "blog.published"]),
        ("since=2026-08-24", ["user.created", "user.signed_in"]),
        ("until=2026-08-23", ["blog.archived", "blog.published"]),
        ("since=2026-08-23&until=2026-08-23", ["blog.archived"]),
        ("since=0001-01-01&until=9999-12-31&actor=ben", ["blog.archived"]),
        ("actor=%25", []), ("action=%25.", []), ("request=x", []), ("about=blog:%27", []),
    ],
)  # fmt: skip
def test_entries_are_found_by_who_what_and_when(visit: Visit, asked: str, found: list[str]):
    assert actions(visit, asked) == found


def test_names_are_shown_as_text(visit: Visit):
    page = visit.get("/admin/activity").text
    assert "&lt;i&gt;Post 1&lt;/i&gt;" in page
    assert "<i>Post" not in page


@pytest.mark.parametrize("asked", ["since=yesterday", "until=2026-13-01", f"actor={'x' * 256}"])
def test_what_cannot_be_asked_is_shown_with_what_is_wrong(visit: Visit, asked: str):
    answer = visit.get(f"/admin/activity?{asked}")
    assert answer.status_code == 422
    assert 'class="wrong"' in answer.text
    assert visit.get(f"/admin/activity/export.csv?{asked}").status_code == 400


def test_pages_go_by_key_and_keep_what_was_asked_for(app: Flask, visit: Visit):
    def ask(path: str) -> tuple[str, int]:
        with counted(app) as statements:
            page = visit.get(path).text
        return page, len(statements.sent)

    _, before = ask("/admin/activity?actor=eve")
    with app.app_context(), transaction() as session:
        for number in range(60):
            record(
                session, f"test.n{chr(97 + number % 26)}", actor=Actor(None, "eve"), at=NOON + timedelta(hours=number)
            )
    page, count = ask("/admin/activity?actor=eve")
    assert count == before == 2
    older = re.search(r'rel="next" href="([^"]+)"', page)[1].replace("&amp;", "&")
    assert "actor=eve&before=" in older
    rest, _ = ask(f"/admin/activity{older}")
    assert (len(ROW.findall(page)), len(ROW.findall(rest))) == (50, 10)


def test_all_that_fits_is_exported_as_csv_without_formulas(visit: Visit):
    answer = visit.get("/admin/activity/export.csv?about=blog")
    assert answer.headers["Content-Disposition"] == 'attachment; filename="activity.csv"'
    assert answer.mimetype == "text/csv"
    rows = list(csv.DictReader(io.StringIO(answer.text)))
    assert [row["action"] for row in rows] == ["blog.published", "blog.archived", "user.signed_in", "user.created"]
    assert rows[-1]["actor_name"] == "'=1+1"


def test_all_that_fits_is_exported_as_json_lines(app: Flask, visit: Visit):
    with app.app_context(), transaction() as session:
        rows = [
            ActivityLog(actor_name="eve", action="test.many", happened_at=NOON + timedelta(seconds=number), details={})
            for number in range(2500)
        ]
        session.add_all(rows)
    lines = visit.get("/admin/activity/export.jsonl?actor=eve").text.splitlines()
    assert len({json.loads(line)["id"] for line in lines}) == len(lines) == 2500


def test_there_is_no_other_format_and_nobody_else_sees_it(app: Flask, visit: Visit):
    assert visit.get("/admin/activity/export.xml").status_code == 404
    editor = Visit(app, add_person(app, "ed", EDITOR))
    assert editor.get("/admin/activity/export.csv").status_code == 403
    assert editor.get("/admin/activity").status_code == 403
