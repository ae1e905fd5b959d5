"""Pages as answers: what they may use in templates, and how long others may keep them."""

from __future__ import annotations

from datetime import UTC, datetime

from flask import Flask, g, render_template, request
from jinja2 import StrictUndefined
from werkzeug.wrappers import Response

KEPT = "public, max-age=60, stale-while-revalidate=600"


def init_app(app: Flask) -> None:
    """Set up Jinja for pages: strict about names, without blank lines, with our dates."""
    app.jinja_env.undefined = StrictUndefined
    app.jinja_env.trim_blocks = app.jinja_env.lstrip_blocks = True
    app.jinja_env.filters["day"] = day
    app.jinja_env.filters["minute"] = minute
    app.jinja_env.filters["month_name"] = month_name
    app.jinja_env.globals["site_name"] = app.config["SITE_NAME"]
    app.jinja_env.globals["site_url"] = app.config["SITE_URL"]
    app.jinja_env.globals["site_description"] = app.config["SITE_DESCRIPTION"]
    app.jinja_env.globals["site_language"] = app.config["SITE_LANGUAGE"]


def show_page(template: str, **values: object) -> Response:
    """Return a public page that anybody may keep for a minute, or 304 if the reader has the same already."""
    return show_text(render_template(template, **values), "text/html")


def show_text(text: str, mimetype: str, *, modified: datetime | None = None) -> Response:
    """Return a public text that anybody may keep for a minute, or 304 if the reader has the same already.

    modified: when it last changed, if that is known. A reader is asked for the ETag first: that one misses nothing.
    """
    response = Response(text, mimetype=mimetype)
    response.headers["Cache-Control"] = KEPT
    response.last_modified = modified
    response.add_etag()
    return response.make_conditional(request)


def day(moment: datetime) -> str:
    """Return the day as people write it, in the zone of whoever is signed in, else in UTC: 3 June 2026."""
    moment = moment.astimezone(g.get("zone", UTC))
    return f"{moment.day} {moment:%B %Y}"


def minute(moment: datetime) -> str:
    """Return the minute in the zone of whoever is signed in, else in UTC: 3 June 2026, 14:05 UTC."""
    return f"{day(moment)}, {moment.astimezone(g.get('zone', UTC)):%H:%M %Z}"


def month_name(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%B}"
