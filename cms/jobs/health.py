"""A question for a monitor: does a worker live. The site serves without one, so /readyz does not ask."""

from __future__ import annotations

from datetime import UTC, datetime

from flask import Blueprint, Flask, Response
from sqlalchemy.exc import SQLAlchemyError

from cms.extensions import db
from cms.jobs.queries import find_last_sign
from cms.jobs.states import LOST_AFTER
from cms.web.health import plain

health = Blueprint("jobs_health", __name__)


def init_app(app: Flask) -> None:
    """Register the address."""
    app.register_blueprint(health)


@health.get("/workerz")
def show_worker() -> Response:
    """Say whether a worker gave a sign of life within the last minute."""
    try:
        seen_at = find_last_sign(db.session)
    except SQLAlchemyError:
        return plain("the database cannot be used", status=503)
    if seen_at is None or datetime.now(UTC) - seen_at > LOST_AFTER:
        return plain("no worker runs", status=503)
    return plain("ok")
