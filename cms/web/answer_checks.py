"""Checks of what the site answers: asked as a browser would, without a server."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from werkzeug.exceptions import default_exceptions

from cms.checks.messages import Problem, error
from cms.checks.registry import register
from cms.web.errors import show_error
from cms.web.headers import ONE_YEAR_S

if TYPE_CHECKING:
    from flask import Flask

    from config import Config

# One that is there, one that is not, and a file: what goes through different hands.
PATHS = ("/healthz", "/healthz/nowhere", "/static/site.css")
WANTED = {
    "Content-Security-Policy": r".*frame-ancestors 'none'(;|$)",
    "X-Content-Type-Options": r"nosniff$",
    "Referrer-Policy": r"(no-referrer|same-origin|strict-origin|strict-origin-when-cross-origin)$",
    "Cross-Origin-Opener-Policy": r"same-origin$",
}
LAYERS = ["refuse_broken_address", "refuse_foreign_origin", "authorize"]
ASKED_PLAINLY = ("GET", "POST")
ERROR_PAGES = (400, 401, 403, 404, 405, 409, 413, 415, 422, 429, 500, 503)


@register("configuration", deploy=True)
def check_headers(app: Flask, config: Config) -> list[Problem]:
    """configuration.E006: an answer lacks a header that protects its readers."""
    wanted = dict(WANTED)
    if config.SITE_URL.startswith("https://"):
        wanted["Strict-Transport-Security"] = r"max-age=(\d+)"
    lacking = {f"{path}: {name}" for path in PATHS for name in list_lacking(app, config, path, wanted)}
    if not lacking:
        return []
    cure = "let cms.web.headers add them; is a later handler taking them away?"
    return [error("configuration.E006", f"missing or weak: {', '.join(sorted(lacking))}", hint=cure)]


def list_lacking(app: Flask, config: Config, path: str, wanted: dict[str, str]) -> list[str]:
    headers = app.test_client().get(path, base_url=config.SITE_URL, buffered=True).headers
    found = {name: re.match(pattern, headers.get(name, "")) for name, pattern in wanted.items()}
    return [
        name
        for name, match in found.items()
        if match is None or (name == "Strict-Transport-Security" and int(match[1]) < ONE_YEAR_S)
    ]


@register("configuration", deploy=True)
def check_layers(app: Flask) -> list[Problem]:
    """configuration.E007: requests are not asked first where they come from, or who may do this."""
    asked = [each.__name__ for each in app.before_request_funcs.get(None, [])]
    order = [
        asked.index(name) for name in ("refuse_broken_address", "refuse_foreign_origin", "authorize") if name in asked
    ]
    if len(order) == 3 and order == sorted(order):  # noqa: PLR2004 - all of them
        return []
    return [error("configuration.E007", f"before a request the site asks only: {', '.join(asked) or 'nothing'}",
                  hint="let create_app() set up cms.web and cms.accounts, in this order")]  # fmt: skip


@register("configuration", deploy=True)
def check_redirect(app: Flask, config: Config) -> list[Problem]:
    """configuration.E012: whoever comes by http is not sent on to https."""
    if not config.SITE_URL.startswith("https://") or not config.TRUSTED_PROXIES:
        return []
    headers, plain = {"X-Forwarded-Proto": "http"}, config.SITE_URL.replace("https://", "http://", 1)
    answers = [
        app.test_client().open("/search", method=each, base_url=plain, headers=headers) for each in ASKED_PLAINLY
    ]
    if [answer.status_code for answer in answers] == [308, 403] and answers[0].location == f"{config.SITE_URL}/search":
        return []
    cure = "let create_app() set up cms.web; is an earlier handler answering?"
    return [error("configuration.E012", "pages and forms are served unencrypted too", hint=cure)]


@register("configuration", deploy=True)
def check_debugging(app: Flask) -> list[Problem]:
    """configuration.E008: the site runs with a switch that is for developers."""
    switches = {
        "debug": app.debug,
        "testing": app.testing,
        "TEMPLATES_AUTO_RELOAD": app.config["TEMPLATES_AUTO_RELOAD"],
    }
    on = [name for name, is_on in switches.items() if is_on]
    if not on:
        return []
    return [
        error("configuration.E008", f"switched on: {', '.join(on)}", hint="unset FLASK_DEBUG; visitors would see code")
    ]


@register("configuration", deploy=True)
def check_error_pages(app: Flask) -> list[Problem]:
    """configuration.E009: an error has no page of its own."""
    broken = [str(code) for code in ERROR_PAGES if not has_page(app, code)]
    if not broken:
        return []
    return [error("configuration.E009", f"no page for {', '.join(broken)}", hint="look at cms/web/errors.py")]


def has_page(app: Flask, code: int) -> bool:
    with app.test_request_context("/"):
        answer = show_error(default_exceptions[code]())
        return answer.status_code == code and b"<h1>" in answer.get_data()
