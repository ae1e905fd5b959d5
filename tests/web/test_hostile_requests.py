"""Requests that nobody's browser sends, to every address of the site: none of them is a fault of ours.

As many as CMS_TEST_HOSTILE says, on each engine; with the default the same ones each time.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from urllib.parse import quote, urlsplit
from uuid import UUID

import pytest
from flask import Flask
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from werkzeug.test import TestResponse
from wtforms import Form

from cms.accounts.permissions import ADMIN
from cms.blogs.models import DRAFT
from tests.people import Visit, add_person
from tests.site import PASSWORD, Site

COUNT = int(os.environ.get("CMS_TEST_HOSTILE", "250"))
NOW_AND_THEN = settings(
    max_examples=COUNT,
    deadline=None,
    database=None,
    derandomize="CMS_TEST_HOSTILE" not in os.environ,
    suppress_health_check=list(HealthCheck),
)

HOSTILE = (
    "", " ", "\x00", "a\x00b", "\x01\x7f\x85", "\r\nX: 1", "%00", "%", "%_%", "' OR 1=1 --", "\\", "{{7*7}}", "${7*7}",
    '"><script>x</script>', "../../etc/passwd", "//evil.example", "/\\evil.example", "https://evil.example", "[]", "{}",
    "javascript:x", "0", "-1", "1e999", "NaN", str(1 << 70), "9" * 400, str(1 << 31), "0001-01-01", "9999-12-31",
    "2026-02-30", "a" * 300, "é" * 3000, "x" * 70_000, "\u202eabc", "\ufeff", "\ufffe", "💥" * 60, "İ", "ß" * 300,
    "null", "true", "[" * 9000,
    "a@b\r\nBcc: c@d", str(UUID(int=0)), "A" * 32, "A" * 43, "_" * 32, ADMIN, "root", "root@example.org", "Asia/Tokyo",
)  # fmt: skip
NAMES = (
    "login", "password", "email", "role", "username", "new", "again", "present", "first_name", "last_name", "bio",
    "website", "country", "timezone", "q", "id", "on_site", "by_mail", "heir", "actor", "action", "about", "request",
    "since", "until", "before", "after", "next", "done", "page", "v", "title", "slug", "content", "summary", "tags",
    "status", "code", "name", "csrf", "é", "\x00", "a" * 5000, "with", "stored", "preview", "move", "post", "number",
    "parts",
)  # fmt: skip
PLAIN = {
    "login": "root", "password": PASSWORD, "present": PASSWORD, "new": "another lamp", "again": "another lamp",
    "email": "eve@example.org", "username": "eve", "role": "author", "title": "A title", "content": "Words.",
    "seen": "1",
}  # fmt: skip
TYPES = (
    "application/x-www-form-urlencoded", "multipart/form-data", "multipart/form-data; boundary=x", "application/json",
    "application/x-www-form-urlencoded; charset=utf-16", "text/plain", "application/xml", "", "é/\xff", "a" * 5000,
)  # fmt: skip
HEADERS = (
    "Accept", "Accept-Encoding", "Accept-Language", "Authorization", "Cookie", "If-Match", "If-Modified-Since",
    "If-None-Match", "Origin", "Range", "Referer", "Sec-Fetch-Site", "User-Agent", "X-CSRF-Token", "X-Forwarded-For",
    "X-Forwarded-Host", "X-Forwarded-Proto", "X-Request-ID", "X-HTTP-Method-Override",
)  # fmt: skip
HEADER_VALUES = (
    "", "*", "null", "bytes=0-", "bytes=9-1,-5", 'W/"x"', "Sun, 99 Foo 2026 25:61:61 GMT", "Bearer x", "Basic !!!",
    "session=", "session=" + "a" * 43, 'session="\\', "a=b; " * 400, "https://evil.example", "same-origin", "q=é",
    "text/html;q=x", "application/json;q=1e9", "*/*;q=0", "-1", "\xff\xfe", "a" * 9000, "127.0.0.1, evil", "gzip;q=0",
)  # fmt: skip
BODIES = (b"[" * 20_000, b"{}", b"--x\r\n", b"a=%ff%00&=&&", b"x" * 2_100_000)
HOSTS = ("localhost", "evil.example", "localhost:99999", "localhost@evil.example", "[::1", "a b", "\xff", "", "a" * 300)
NO_WORKER = "/workerz"  # answers 503 as long as no worker runs
METHODS = (
    "GET",
    "GET",
    "HEAD",
    "POST",
    "POST",
    "PUT",
    "PATCH",
    "DELETE",
    "OPTIONS",
    "TRACE",
    "PROPFIND",
    "get",
    "X" * 40,
)

texts = st.sampled_from(HOSTILE) | st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
fields = st.deferred(lambda: st.lists(st.tuples(st.sampled_from(list_names()), texts), max_size=6))
values = st.deferred(
    lambda: st.dictionaries(st.sampled_from(list_names()), st.recursive(scalars, st.lists, max_leaves=4), max_size=6)
)
scalars = texts | st.none() | st.booleans() | st.integers() | st.floats() | st.just("?surrogate?")
headers = st.dictionaries(st.sampled_from(HEADERS), st.sampled_from(HEADER_VALUES), max_size=3)


@pytest.fixture
def visit(site: Site) -> Visit:
    site.write("Draft", status=DRAFT)
    return Visit(site.app, add_person(site.app, "root", ADMIN, password=PASSWORD))


def list_names() -> list[str]:
    """Return what forms and addresses call their fields: all forms that there are, and what no form says."""
    return sorted({*NAMES, *(field.name for form in Form.__subclasses__() for field in form())})


def as_query(pairs: list[tuple[str, str]]) -> str:
    return "&".join(f"{quote(name, safe='')}={quote(value, safe='')}" for name, value in pairs)


@st.composite
def routes(draw: st.DrawFn, app: Flask, there: Sequence[str]) -> tuple[str, str]:
    """Draw a method and a path: a route, with what is really there in its places, or something hostile."""
    rules = [rule for rule in app.url_map.iter_rules() if rule.rule != NO_WORKER]
    rule = draw(st.sampled_from(sorted(rules, key=lambda rule: (rule.rule, sorted(rule.methods)))))
    parts = rule.rule.replace(">", "<").split("<")
    known = st.sampled_from(there)
    path = "".join(part if not index % 2 else quote(draw(known | known | texts)) for index, part in enumerate(parts))
    return draw(st.sampled_from(sorted(rule.methods) * 3 + list(METHODS))), path


@st.composite
def bodies(draw: st.DrawFn) -> dict[str, object]:
    """Draw a form that lacks nothing, but for something hostile in some of its fields; or bytes under whatever type."""
    if draw(st.integers(0, 3)):
        pairs = {**PLAIN, **dict(draw(fields))}
        return {"data": as_query(list(pairs.items())).encode(), "content_type": TYPES[0]}
    if draw(st.booleans()):
        text = json.dumps(draw(values)).replace("?surrogate?", "\\ud800")
        return {"data": text.encode(), "content_type": "application/json"}
    data = draw(st.binary(max_size=200) | st.sampled_from(BODIES))
    return {"data": data, "content_type": draw(st.sampled_from(TYPES)).encode("utf-8").decode("latin-1")}


def judge(answer: TestResponse, asked: str) -> None:
    """Fail for a fault of ours, and for a way out of the site."""
    assert answer.status_code < 500, asked
    place = urlsplit(answer.headers.get("Location", "/"))
    assert place.netloc in {"", "localhost"}, asked
    assert not place.path.startswith(("//", "/\\")), asked


def test_no_request_whatever_is_a_fault_of_ours(site: Site, visit: Visit):
    app, user = site.app, add_person(site.app, "cleo", ADMIN, password=PASSWORD)

    here = [
        str(each) for each in (user.uuid, site.ada.uuid, site.write("Post").id, site.write("Mine", status=DRAFT).id)
    ]
    there = ("post", "draft", "ada", "2026", "08", "site.css", "csv", "disable", "1", *here)

    @NOW_AND_THEN
    @given(st.data())
    def ask(data: st.DataObject) -> None:
        (method, path), query = data.draw(routes(app, there)), as_query(data.draw(fields))
        sent, extra = data.draw(bodies()), data.draw(headers)
        host = data.draw(st.sampled_from(HOSTS)) if data.draw(st.integers(0, 9)) == 0 else "localhost"
        client = app.test_client()
        if data.draw(st.integers(0, 3)):
            signed_in = Visit(app, user)
            client = signed_in.client
            extra = {"X-CSRF-Token": signed_in.token, **extra}
        given_headers = {name: value.encode("utf-8").decode("latin-1") for name, value in extra.items()}
        overrides = {"HTTP_HOST": host}
        answer = client.open(
            path, method=method, query_string=query, headers=given_headers, environ_overrides=overrides, **sent
        )
        with answer:  # a file that nobody reads would stay open
            judge(answer, f"{method} {path[:200]}?{query[:200]} {sent!r:.300} {extra!r:.300}")

    ask()
    assert visit.get("/").status_code == 200  # the site is still there
