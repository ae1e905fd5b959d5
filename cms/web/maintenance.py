"""Answer every page with 503 while maintenance mode is on; health addresses and the site's own files go on."""

from __future__ import annotations

from datetime import UTC, datetime

from flask import Flask, current_app, request
from werkzeug.exceptions import ServiceUnavailable
from werkzeug.wrappers import Response

from cms.database.maintenance import Maintenance, find_maintenance
from cms.web.errors import Message, show_error

STAYS = ("static", "health.", "jobs_health.")
BACK_SOON = "The site is being worked on, and nothing is lost."


def init_app(app: Flask) -> None:
    """Ask before each request."""
    app.before_request(refuse_during_maintenance)


def refuse_during_maintenance() -> Response | None:
    """Return the page for the time of the work; None if the site serves."""
    if (request.endpoint or "").startswith(STAYS):
        return None
    maintenance = find_maintenance(current_app.config["MAINTENANCE_FILE"])
    return show_maintenance(maintenance) if maintenance else None


def show_maintenance(maintenance: Maintenance) -> Response:
    """Say when it is worth coming back; who works on what is not for strangers."""
    wait_s = maintenance.retry_after_s(datetime.now(UTC))
    again = "Come back in a minute." if wait_s <= 60 else f"Come back in about {-(-wait_s // 60)} minutes."  # noqa: PLR2004
    message = Message("Closed for a moment", f"{BACK_SOON} {again}")
    return show_error(ServiceUnavailable(retry_after=wait_s), message)
