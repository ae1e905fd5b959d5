"""What programs look for under fixed addresses: may they read the site, and whom to tell of a hole in it."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta

from flask import Blueprint, Flask, abort, current_app
from werkzeug.wrappers import Response

from cms.web.pages import show_text

VALID_DAYS = 180  # RFC 9116 advises less than a year

discovery = Blueprint("discovery", __name__)


def init_app(app: Flask) -> None:
    """Register the addresses."""
    app.register_blueprint(discovery)


@discovery.get("/robots.txt")
def show_robots() -> Response:
    """Let everybody read everything, and say where the list of it is. Pages that no search should show say so."""
    return show_text(
        f"User-agent: *\nDisallow:\n\nSitemap: {current_app.config['SITE_URL']}/sitemap.xml\n", "text/plain"
    )


@discovery.get("/.well-known/security.txt")
def show_security_contact() -> Response:
    """Say whom to tell of a hole, by RFC 9116; without SECURITY_CONTACT there is no such page."""
    contact = current_app.config["SECURITY_CONTACT"] or abort(404)
    day = datetime.now(UTC).date() + timedelta(days=VALID_DAYS)
    lines = [
        f"Contact: {contact}",
        f"Expires: {datetime.combine(day, time(), UTC).isoformat()}",
        f"Preferred-Languages: {current_app.config['SITE_LANGUAGE']}",
        f"Canonical: {current_app.config['SITE_URL']}/.well-known/security.txt",
    ]
    return show_text("\n".join(lines) + "\n", "text/plain")
