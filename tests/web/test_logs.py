"""Log lines: one event is one line, and it says for which request."""

from __future__ import annotations

import io
import json
import logging
import re
import sys
from pathlib import Path

import pytest
from flask import Flask
from hypothesis import given
from hypothesis import strategies as st

from cms.web.logs import JsonLine, TextLine, find_request_id, working_for
from tests.site import add_page, running, settings_for

LINE_ENDS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029]")


def record(text: str, error: Exception | None = None) -> logging.LogRecord:
    about = (type(error), error, None) if error else None
    return logging.LogRecord("cms.test", logging.WARNING, __file__, 1, "seen what=%s", (text,), about)


@given(st.text(st.characters(), max_size=60))
def test_whatever_is_logged_stays_on_one_line(text: str):
    line = TextLine().format(record(text))
    assert len(line.splitlines()) == 1
    assert not LINE_ENDS.search(line)
    assert line.encode("utf-8")
    assert json.loads(JsonLine().format(record(text)))["event"] == f"seen what={text}"
    assert JsonLine().format(record(text)).isascii()


@given(st.text(st.characters(), max_size=60))
def test_the_lines_of_a_traceback_cannot_pass_for_events(text: str):
    first, *others = TextLine().format(record("x", ValueError(text))).split("\n")
    assert first.endswith("seen what=x")
    assert others
    assert all(line.startswith("    ") and not LINE_ENDS.search(line) for line in others)
    assert "\n" not in JsonLine().format(record("x", ValueError(text)))


def test_a_refused_host_cannot_write_a_line_of_its_own(sqlite_app: Flask, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(sys, "stderr", seen := io.StringIO())
    sqlite_app.config["TRUSTED_HOSTS"] = ["blog.example.org"]
    sqlite_app.test_client().get("/", headers={"Host": "evil.example"})
    (line,) = seen.getvalue().splitlines()
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT[\d:.]+Z WARNING cms\.web\.errors .*host='evil\.example'.*", line)


def test_an_error_page_and_its_log_line_carry_the_same_id(sqlite_app: Flask, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(sys, "stderr", seen := io.StringIO())
    add_page(sqlite_app, "/broken/", lambda: 1 // 0)
    answer = sqlite_app.test_client().get("/broken/")
    request_id = answer.headers["X-Request-ID"]
    assert re.fullmatch(r"[0-9a-f]{16}", request_id)
    assert f"ERROR cms request={request_id} Exception on /broken/" in seen.getvalue()
    assert "\n    ZeroDivisionError" in seen.getvalue()
    assert find_request_id() is None


def test_each_request_has_an_id_of_its_own(sqlite_app: Flask):
    client = sqlite_app.test_client()
    assert client.get("/nowhere/").headers["X-Request-ID"] != client.get("/nowhere/").headers["X-Request-ID"]


def test_a_page_that_caches_keep_carries_no_id(sqlite_app: Flask):
    assert "X-Request-ID" not in sqlite_app.test_client().get("/").headers


@pytest.mark.parametrize(
    ("proxies", "given", "believed"),
    [
        ("1", "53c1f0a92be47d18", True),
        ("0", "53c1f0a92be47d18", False),
        ("1", "short", False),
        ("1", "x" * 65, False),
        ("1", "with a space", False),
        ("1", "ünïcödéd-id", False),
    ],
)
def test_an_id_is_believed_from_a_proxy_alone_and_only_if_it_is_one(
    migrated_sqlite_url: str, tmp_path: Path, proxies: str, given: str, *, believed: bool
):
    with running(settings_for(migrated_sqlite_url, tmp_path, TRUSTED_PROXIES=proxies)) as app:
        answer = app.test_client().get("/nowhere/", headers={"X-Request-ID": given})
    assert (answer.headers["X-Request-ID"] == given) is believed


def test_json_lines_are_written_where_the_setting_says_so(
    migrated_sqlite_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(sys, "stderr", seen := io.StringIO())
    with running(settings_for(migrated_sqlite_url, tmp_path, LOG_FORMAT="json")), working_for("job-1"):
        logging.getLogger("cms.test").info("done what=%s", "a\nb")
    line = json.loads(seen.getvalue())
    assert (line["level"], line["logger"], line["request_id"]) == ("info", "cms.test", "job-1")
    assert line["event"] == "done what=a\nb"
    assert line["at"].endswith("Z")
