"""The commands of the activity log, and that commands which change things write to it."""

from __future__ import annotations

import csv
import json
import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Event

import pytest
import sqlalchemy as sa
from click.testing import CliRunner
from flask import Flask

import cms.activity.jobs  # noqa: F401 - registers the daily job
from cms.activity.models import ActivityLog, Notification
from cms.activity.notices import Notice, NoticeKind, Recipient, notify
from cms.activity.services import Actor, Subject, record
from cms.database.journal import who
from cms.extensions import db, transaction
from cms.jobs.worker import run_due
from cms.management.base import load_command
from tests.site import NOON, Site


@pytest.fixture(autouse=True)
def _context(site: Site):
    with site.app.app_context():
        yield


def invoke(name: str, *arguments: object):
    return CliRunner().invoke(load_command(name), [str(argument) for argument in arguments])


def note(action: str, *, days_ago: float = 0, name: str = "ada") -> None:
    at = datetime.now(UTC) - timedelta(days=days_ago)
    with transaction() as session:
        record(session, action, actor=Actor(None, name), at=at, about=Subject("blog", "1", "=1+1"))


def actions() -> list[str]:
    db.session.rollback()
    return list(db.session.scalars(sa.select(ActivityLog.action).order_by(ActivityLog.happened_at)))


def test_the_list_shows_who_did_what_and_goes_on_where_it_stopped():
    for number, action in enumerate(["blog.created", "blog.published", "user.created"]):
        note(action, days_ago=3 - number)
    first = json.loads(invoke("list-activity", "--limit", 2, "--json").stdout)
    assert [each["action"] for each in first["entries"]] == ["user.created", "blog.published"]
    second = invoke("list-activity", "--limit", 2, "--before", first["older"])
    assert "ada  blog.created  blog 1 =1+1" in second.stdout
    assert "more:" not in second.stdout
    assert invoke("list-activity", "--before", "x").exit_code == 2
    assert "nothing was recorded that fits" in invoke("list-activity", "--actor", "cleo").stdout
    some = json.loads(invoke("list-activity", "--about", "blog:1", "--action", "blog.", "--json").stdout)
    assert len(some["entries"]) == 2
    day = f"{datetime.now(UTC) - timedelta(days=2, hours=12):%Y-%m-%dT%H:%M:%S}"
    assert len(json.loads(invoke("list-activity", "--since", day, "--json").stdout)["entries"]) == 2


def test_an_export_is_a_file_of_ones_own_that_replaces_none(tmp_path: Path):
    note("blog.created")
    note("blog.published")
    file = tmp_path / "activity.csv"
    assert "2 lines written" in invoke("export-activity", file).stdout
    names, *rows = csv.reader(file.read_text().splitlines())
    assert [row[names.index("object_name")] for row in rows] == ["'=1+1", "'=1+1"]
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    before = file.read_bytes()
    assert invoke("export-activity", file).exit_code == 4
    assert (file.read_bytes(), [each.name for each in tmp_path.glob("*.csv*")]) == (before, ["activity.csv"])
    lines = tmp_path / "activity.jsonl"
    invoke("export-activity", lines, "--format", "jsonl", "--action", "blog.created")
    assert [json.loads(line)["action"] for line in lines.read_text().splitlines()] == ["blog.created"]


def test_old_entries_go_when_confirmed():
    note("blog.created", days_ago=400)
    note("blog.published", days_ago=300)
    assert "1 older than 365 days would go" in invoke("prune-activity", "--dry-run").stdout
    assert invoke("prune-activity").exit_code == 4
    assert len(actions()) == 2
    assert "1 older than 365 days removed" in invoke("prune-activity", "--yes").stdout
    assert "everything is kept" in invoke("prune-activity", "--keep-days", 0).stdout
    assert actions() == ["blog.published"]


def test_the_worker_removes_old_entries_and_notices_each_day(app: Flask, site: Site):
    kind, people = NoticeKind("blog.returned", "Returned"), [Recipient(site.ada.uuid, None)]
    with transaction() as session:
        for days in (366, 364):
            notify(session, people, Notice(kind, f"{days}"), site_url="", at=datetime.now(UTC) - timedelta(days=days))
    note("blog.created", days_ago=366)
    note("blog.published", days_ago=364)
    run_due(app, stop=Event())
    assert actions() == ["blog.published"]
    assert list(db.session.scalars(sa.select(Notification.text))) == ["364"]


def test_commands_that_change_something_are_written_down(tmp_path: Path):
    (tmp_path / "password").write_text("a lamp on a mast")
    arguments = ("--username", "cleo", "--email", "cleo@example.org", "--password-file", tmp_path / "password")
    assert invoke("create-superuser", *arguments).exit_code == 0
    assert invoke("create-superuser", *arguments).exit_code == 1
    (tmp_path / "posts").mkdir()
    (tmp_path / "posts" / "a.md").write_text(f"---\ntitle: A\ndate: {NOON:%Y-%m-%d}\n---\nText.\n")
    for _ in range(2):
        assert invoke("import-markdown", tmp_path / "posts").exit_code == 0
    entries = db.session.execute(sa.select(ActivityLog).order_by(ActivityLog.happened_at)).scalars().all()
    assert [(each.action, each.object_name or each.object_id) for each in entries] == [
        ("user.created", "cleo"),
        ("posts.imported", str(tmp_path / "posts")),
    ]
    assert {each.actor_name for each in entries} == {who()}
