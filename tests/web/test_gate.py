"""Addresses that no link of ours has."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import unquote_to_bytes

import pytest
from flask import Flask, request

from tests.site import add_page, running, settings_for

BROKEN = [
    "/a%00b/",
    "/%0d%0aX:1/",
    "/%ED%A0%80/",
    "/%FF/",
    "/?q=%00",
    "/?before=%ED%A0%80",
    "/?a=%C3%28",
    "/%7F/",
    "/%C2%85/",
]


@pytest.mark.parametrize("address", BROKEN)
def test_an_address_with_control_characters_or_broken_text_is_refused(sqlite_app: Flask, address: str):
    path, _, query = address.partition("?")
    answer = sqlite_app.test_client().get(environ_overrides=raw_address(path, query))
    assert answer.status_code == 400
    assert "This address does not make sense" in answer.text


def raw_address(path: str, query: str) -> dict[str, str]:
    return {"PATH_INFO": unquote_to_bytes(path).decode("latin-1"), "QUERY_STRING": query}


@pytest.mark.parametrize("host", ["a b.example", "x/../y", "a\tb", "café.example", "<script>"])
def test_a_host_that_cannot_be_one_is_refused(sqlite_app: Flask, host: str):
    answer = sqlite_app.test_client().get("/", environ_overrides={"HTTP_HOST": host})
    assert answer.status_code == 400


@pytest.mark.parametrize("host", ["evil.example", "blog.example.org.evil.example", "blog.example.org@evil.example", ""])
def test_a_host_that_is_not_ours_is_refused(migrated_sqlite_url: str, tmp_path: Path, host: str):
    settings = settings_for(migrated_sqlite_url, tmp_path, TRUSTED_HOSTS="blog.example.org")
    with running(settings) as app:
        answer = app.test_client().get("/", environ_overrides={"HTTP_HOST": host})
    assert answer.status_code == 400
    assert "evil" not in answer.text


def test_forwarded_headers_count_only_from_as_many_proxies_as_are_trusted(migrated_sqlite_url: str, tmp_path: Path):
    forwarded = {"X-Forwarded-Host": "blog.example.org", "X-Forwarded-Proto": "https"}
    for proxies, status in (("0", 400), ("1", 200)):
        settings = settings_for(
            migrated_sqlite_url, tmp_path, TRUSTED_HOSTS="blog.example.org", TRUSTED_PROXIES=proxies
        )
        with running(settings) as app:
            assert app.test_client().get("/", headers=forwarded).status_code == status


@pytest.mark.parametrize("form", [{"login": "a\x00b", "password": "x"}, {"login": "a", "password": "x", "b\x00": ""}])
@pytest.mark.parametrize("kind", ["application/x-www-form-urlencoded", "multipart/form-data"])
def test_a_form_with_nul_is_refused_on_both_engines(app: Flask, form: dict[str, str], kind: str):
    answer = app.test_client().post("/account/sign-in", data=form, content_type=kind)
    assert answer.status_code == 400


def test_other_characters_of_a_form_are_for_the_page_to_judge(app: Flask):
    form = {"login": "\x01\r\n\t\x7f\u202e", "password": "x"}
    assert app.test_client().post("/account/sign-in", data=form).status_code == 422


@pytest.mark.parametrize(
    "body",
    [
        b'{"a": "\\ud800"}', b'{"\\udc00": 1}', b'{"a": [["\\u0000"]]}', b'{"a": NaN}', b"[-Infinity]", b"[" * 40_000,
        '{"a": "b"}'.encode("utf-16"), '{"a": "b"}'.encode("utf-32"), b'{"a": "\xff"}', b"\xef\xbb\xbf{}", b"", b"{",
        b'"' + b"9" * 5000 + b'": ' + b"9" * 5000,
    ],
)  # fmt: skip
def test_json_that_not_every_program_reads_the_same_or_no_text_holds_is_refused(sqlite_app: Flask, body: bytes):
    add_page(sqlite_app, "/echo", lambda: {"read": request.get_json()})
    answer = sqlite_app.test_client().get("/echo", data=body, content_type="application/json")
    assert answer.status_code == 400


def test_other_json_is_read_as_it_is(sqlite_app: Flask):
    add_page(sqlite_app, "/echo", lambda: {"read": request.get_json()})
    told = {"a": ["\U0001f4a5", "\\u0000", "\x01", None, 1.5, {"é": True}]}
    answer = sqlite_app.test_client().get("/echo", json=told)
    assert answer.json == {"read": told}


@pytest.mark.parametrize("address", ["/author//atom.xml", "//author//atom.xml"])
def test_a_redirect_of_the_routing_names_no_host(sqlite_app: Flask, address: str):
    overrides = {"HTTP_HOST": "other.example", "PATH_INFO": address}
    answer = sqlite_app.test_client().get(environ_overrides=overrides)
    assert answer.status_code == 308
    assert answer.headers["Location"].startswith("/")
    assert "//" not in answer.headers["Location"]
