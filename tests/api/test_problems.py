"""Errors of the API: each is a problem of RFC 9457, whatever went wrong and wherever."""

from __future__ import annotations

import pytest
from flask import Flask

from cms.accounts.current import needs
from cms.accounts.permissions import ADMIN
from tests.api.programs import Caller
from tests.people import Program, add_person

PROBLEM = "application/problem+json"


def broken() -> str:
    raise RuntimeError("a secret")


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/api/v1/nowhere", 404),
        ("GET", "/api/", 404),
        ("POST", "/api/v1/nowhere", 404),
        ("DELETE", "/api/v1/blogs", 405),
        ("GET", "/api/v1/blogs/%00", 400),
        ("GET", "/api/v1/broken", 500),
        ("POST", "/api/v1/blogs", 401),
    ],
)
def test_an_error_is_a_problem_where_no_operation_is_too(sqlite_app: Flask, method: str, path: str, status: int):
    sqlite_app.add_url_rule("/api/v1/broken", "broken", needs("site.see")(broken))
    answer = sqlite_app.test_client().open(path, method=method, headers={"Accept": "text/html"})
    assert (answer.status_code, answer.mimetype, answer.json["status"]) == (status, PROBLEM, status)
    assert {"type", "title", "detail"} <= answer.json.keys()
    assert "secret" not in answer.text
    if status == 405:
        assert set(answer.headers["Allow"].split(", ")) == {"GET", "HEAD", "OPTIONS", "POST"}
    if status == 401:
        assert answer.headers["WWW-Authenticate"] == "Bearer"


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        ({"data": "{}", "content_type": "text/plain"}, 415),
        ({"data": "title=x", "content_type": "application/x-www-form-urlencoded"}, 415),
        ({"data": "{", "content_type": "application/json"}, 400),
        ({"data": "[" * 20_000, "content_type": "application/json"}, 400),
        ({"data": '{"title": NaN}', "content_type": "application/json"}, 422),
        ({"data": '{"title": "\\ud800"}', "content_type": "application/json"}, 400),
        ({"data": "[]", "content_type": "application/json"}, 422),
        ({"data": b"\xff", "content_type": "application/json"}, 400),
        ({"data": " " * 3_000_000, "content_type": "application/json"}, 413),
    ],
)
def test_a_body_that_cannot_be_read_is_refused(sqlite_app: Flask, sent: dict[str, str], status: int):
    program = Caller(sqlite_app, add_person(sqlite_app, "root", ADMIN))
    answer = program.call("POST", "/blogs", **sent)
    assert answer.status_code == status, answer.text
    if status == 415:
        assert answer.headers["Accept-Post"] == "application/json"


def test_a_patch_has_its_own_type(sqlite_app: Flask):
    program = Caller(sqlite_app, add_person(sqlite_app, "root", ADMIN))
    answer = program.call("PATCH", "/blogs/00000000-0000-0000-0000-000000000001", json={"title": "x"}, match='"1"')
    assert (answer.status_code, answer.headers["Accept-Patch"]) == (415, "application/merge-patch+json")


def test_a_token_that_does_not_work_is_refused_also_where_everybody_may_read(sqlite_app: Flask):
    answer = sqlite_app.test_client().get("/api/v1/blogs", headers={"Authorization": "Bearer cms_no"})
    assert (answer.status_code, answer.mimetype) == (401, PROBLEM)
    assert "invalid_token" in answer.headers["WWW-Authenticate"]


def test_a_role_that_lacks_its_second_factor_is_told_where_to_get_one(sqlite_app: Flask):
    sqlite_app.config["SECOND_FACTOR_ROLES"] = (ADMIN,)
    program = Program(sqlite_app, add_person(sqlite_app, "root", ADMIN))
    answer = program.open("/api/v1/blogs", "POST", json={"title": "x"})
    assert (answer.status_code, answer.json["type"]) == (403, "/api/v1/docs#problem-second-factor-needed")
    assert "/account/security" in answer.json["detail"]
