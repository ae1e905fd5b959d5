"""Pages of other sites: none may read answers of the API but those that API_ORIGINS names, and they show a token."""

from __future__ import annotations

from flask import Flask, Response, current_app, request

from cms.web.problems import is_for_programs

SENT = "Authorization, Content-Type, If-Match, If-None-Match, Idempotency-Key"
SHOWN = "ETag, Link, Location, RateLimit, RateLimit-Policy, Retry-After, Idempotency-Replayed, X-Request-ID"
KEPT_S = 600


def init_app(app: Flask) -> None:
    if app.config["API_ORIGINS"]:
        app.after_request(let_in)


def let_in(response: Response) -> Response:
    """Let a page of a named origin read the answer; cookies are not among what it may send."""
    if not is_for_programs():
        return response
    response.vary.add("Origin")
    origin = request.headers.get("Origin")
    if origin not in current_app.config["API_ORIGINS"]:
        return response
    response.headers["Access-Control-Allow-Origin"] = origin
    response.headers["Access-Control-Expose-Headers"] = SHOWN
    if request.method == "OPTIONS":
        response.headers["Access-Control-Allow-Methods"] = response.headers.get("Allow", "")
        response.headers["Access-Control-Allow-Headers"] = SENT
        response.headers["Access-Control-Max-Age"] = str(KEPT_S)
    return response
