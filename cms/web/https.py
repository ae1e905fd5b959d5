"""Whoever comes unencrypted to a site that speaks https is sent there; forms and programs are refused.

Only the proxy knows how somebody came, so this asks what it says, if there is one that is believed. A request that no
proxy forwarded, such as a probe on the machine itself, is answered as it is.
"""

from __future__ import annotations

from flask import Flask, abort, current_app, redirect, request
from werkzeug.wrappers import Response

from cms.web.origin import SAFE_METHODS

PROBED = frozenset({"health", "jobs_health"})  # blueprints for load balancers, which follow no redirect


def init_app(app: Flask) -> None:
    """Ask before each request, where SITE_URL is https and a proxy is believed."""
    if app.config["SITE_URL"].startswith("https://") and app.config["TRUSTED_PROXIES"]:
        app.before_request(send_to_https)


def send_to_https() -> Response | None:
    """Answer 308 to whoever reads, and 403 to what should never have crossed the network in the open."""
    said = {word.strip().lower() for word in request.headers.get("X-Forwarded-Proto", "").split(",")}
    # Of several proxies the outermost counts: the next may have come to us by http.
    if said != {"http"} or request.blueprint in PROBED:
        return None
    if request.method not in SAFE_METHODS or "Authorization" in request.headers:
        abort(403)
    return redirect(current_app.config["SITE_URL"] + request.full_path.rstrip("?"), 308)
