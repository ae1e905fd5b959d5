"""What other sites' pages send here on behalf of their readers."""

from __future__ import annotations

import pytest
from flask import Flask

REFUSED = [
    {"Sec-Fetch-Site": "cross-site"},
    {"Sec-Fetch-Site": "same-site"},
    {"Sec-Fetch-Site": "cross-site", "Origin": "http://localhost"},
    {"Origin": "https://evil.example"},
    {"Origin": "null"},
    {"Origin": ""},
    {"Origin": "http://localhost.evil.example"},
    {"Origin": "http://localhost:81"},
]
TAKEN = [{}, {"Sec-Fetch-Site": "same-origin"}, {"Sec-Fetch-Site": "none"}, {"Origin": "http://localhost"}]


@pytest.mark.parametrize("headers", REFUSED)
@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
def test_a_change_that_another_site_asks_for_is_refused(sqlite_app: Flask, method: str, headers: dict[str, str]):
    answer = sqlite_app.test_client().open("/account/sign-in", method=method, headers=headers)
    assert answer.status_code == 403


@pytest.mark.parametrize("headers", TAKEN)
def test_a_change_asked_for_here_or_by_no_browser_is_looked_at(sqlite_app: Flask, headers: dict[str, str]):
    answer = sqlite_app.test_client().post("/account/sign-in", headers=headers, data={"login": "a", "password": "b"})
    assert answer.status_code == 422


def test_whoever_comes_from_another_site_may_read(sqlite_app: Flask):
    assert sqlite_app.test_client().get("/", headers={"Sec-Fetch-Site": "cross-site"}).status_code == 200
