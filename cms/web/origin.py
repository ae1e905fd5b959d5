"""Requests that change something come from this site's own pages, or from no browser at all.

Every browser in use says where a request comes from, so nothing has to be kept in a cookie to know it. Source: Filippo
Valsorda, "Cross-Site Request Forgery", whose rules Go's CrossOriginProtection and these follow.
"""

from __future__ import annotations

from urllib.parse import urlsplit

from flask import Flask, abort, current_app, request

from cms.web.problems import is_for_programs

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})


def init_app(app: Flask) -> None:
    """Ask before each request."""
    app.before_request(refuse_foreign_origin)


def refuse_foreign_origin() -> None:
    """Answer 403 to what another site's page sends here on behalf of its reader."""
    if request.method not in SAFE_METHODS and not comes_from_here():
        abort(403)


def comes_from_here() -> bool:
    if is_for_programs() and request.headers.get("Origin") in current_app.config["API_ORIGINS"]:
        return True
    if (site := request.headers.get("Sec-Fetch-Site")) is not None:
        return site in {"same-origin", "none"}
    origin = request.headers.get("Origin")
    return origin is None or urlsplit(origin).netloc == request.host
