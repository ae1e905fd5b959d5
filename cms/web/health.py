"""Two questions of a load balancer: does the process answer, and can it serve pages."""

from __future__ import annotations

import logging
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from flask import Blueprint, Flask, Response, current_app
from sqlalchemy.exc import SQLAlchemyError

from cms.database.errors import RevisionUnknown
from cms.database.maintenance import find_maintenance
from cms.database.target import Target
from cms.errors import CmsError
from cms.extensions import db

if TYPE_CHECKING:
    from alembic.script import ScriptDirectory

logger = logging.getLogger(__name__)

SCRIPTS = "cms.web.scripts"

health = Blueprint("health", __name__)


def init_app(app: Flask) -> None:
    """Register both addresses."""
    app.register_blueprint(health)


@health.get("/healthz")
def show_alive() -> Response:
    """Say that the process answers; asks nobody else."""
    return plain("ok")


@health.get("/readyz")
def show_ready() -> Response:
    """Say whether pages are served: no maintenance, and the database answers and has this code's schema.

    The log has the details, a stranger does not.
    """
    if maintenance := find_maintenance(current_app.config["MAINTENANCE_FILE"]):
        return plain("maintenance", status=503, retry_after_s=maintenance.retry_after_s(datetime.now(UTC)))
    try:
        behind = is_behind()
    except RevisionUnknown as newer:
        # Revisions expand first: while a newer release is rolled out, the older one goes on serving.
        logger.warning("database is newer than this code reason=%r", newer.what)
        return plain("ok, and the database is newer than this code")
    except (SQLAlchemyError, CmsError) as error:
        logger.warning("not ready reason=%r", str(error).partition("\n")[0])
        return plain("the database cannot be used", status=503)
    return plain("the database is not migrated", status=503) if behind else plain("ok")


def is_behind() -> bool:
    """Tell whether the database is at another revision than the newest file in migrations/versions.

    Raises RevisionUnknown if no file has the database's revision, SQLAlchemyError if it cannot be asked.
    """
    from cms.database.history import get_head, read_current  # noqa: PLC0415 - brings Alembic, which no page needs

    scripts = scripts_of_app()
    engine = db.engine.execution_options(isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        return read_current(connection, scripts) != get_head(scripts)


def scripts_of_app() -> ScriptDirectory:
    """Return the history, read from its files once."""
    from cms.database.history import load_scripts  # noqa: PLC0415 - same

    if SCRIPTS not in current_app.extensions:
        current_app.extensions[SCRIPTS] = load_scripts(Target.of(current_app.config))
    scripts: ScriptDirectory = current_app.extensions[SCRIPTS]
    return scripts


def plain(text: str, *, status: int = 200, retry_after_s: int = 5) -> Response:
    response = Response(text + "\n", status=status, mimetype="text/plain")
    response.headers["Cache-Control"] = "no-store"
    if status == 503:  # noqa: PLR2004
        response.headers["Retry-After"] = str(retry_after_s)
    return response
