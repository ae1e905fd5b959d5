"""Error pages: what happened and what a reader can do, in the site's look; none of them asks the database."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from dataclasses import dataclass

from flask import Flask, current_app, make_response, render_template, request
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolExhausted
from werkzeug.exceptions import HTTPException, NotFound, SecurityError, ServiceUnavailable
from werkzeug.wrappers import Response

from cms.web.problems import PROBLEM, is_for_programs, show_problem

logger = logging.getLogger(__name__)

RETRY_AFTER_S = 5
SCHEMA_MISSING = {"42P01", "42703", "3F000", "3D000"}  # no such table, column, schema, database
FINDERS = "cms.web.finders"
Finder = Callable[[str], Response | None]


@dataclass(frozen=True)
class Message:
    """What an error page says."""

    title: str
    text: str


MESSAGES = {
    400: Message(
        "This address does not make sense", "Something in it is broken. Perhaps a link was cut short on its way."
    ),
    401: Message(
        "You are not signed in",
        "Nothing was changed. Sign in on another page, come back to this one, and send it once more.",
    ),
    403: Message("This is not for everybody", "You may not see this page, or not do this. Nothing was changed."),
    404: Message(
        "There is no page here",
        "The address may be mistyped, or the post was withdrawn by its author. Posts that have moved are found"
        " under their old address too, so this one was most likely never here.",
    ),
    405: Message("This page does not do that", "It can be read, and that is all."),
    410: Message("This page is gone", "It was here once and was taken down on purpose. It will not come back."),
    413: Message("That was too much", "What you sent is bigger than this site accepts."),
    429: Message("That was too fast", "Many requests came from you in a short time. Wait a moment, then go on."),
    500: Message(
        "Something broke", "The fault is ours. It has been written down. Trying once more may help, or come back later."
    ),
    503: Message(
        "We will be right back",
        "The site cannot reach its posts at this moment. Try again in a few seconds; nothing is lost.",
    ),
}


def init_app(app: Flask) -> None:
    """Answer every error with a page."""
    app.extensions[FINDERS] = []
    app.register_error_handler(HTTPException, show_error)
    app.register_error_handler(NotFound, find_or_show_error)
    app.register_error_handler(SQLAlchemyError, show_database_error)


def ask_before_404(app: Flask, finder: Finder) -> None:
    """Let a feature answer for an address that no page has; the finder takes the path and returns None to pass."""
    app.extensions[FINDERS].append(finder)


def find_or_show_error(error: NotFound) -> Response:
    """Answer for an address that no page has: a finder's answer, else the error page."""
    if request.method not in {"GET", "HEAD"} or is_for_programs():
        return show_error(error)
    try:
        for finder in current_app.extensions[FINDERS]:
            if (answer := finder(request.path)) is not None:
                return answer
    except SQLAlchemyError as database_error:
        return show_database_error(database_error)
    return show_error(error)


def show_error(error: HTTPException, message: Message | None = None) -> Response:
    """Return the error's page, with the headers that belong to the error (Allow, Retry-After).

    A program that asks for JSON gets the same as a problem of RFC 9457. message: in place of the code's own.
    """
    if error.code is None or error.code < 400:  # noqa: PLR2004 - a redirect, which is raised like an error
        return make_response(error.get_response())
    if isinstance(error, SecurityError):
        logger.warning("host refused host=%r: it is not in TRUSTED_HOSTS", request.environ.get("HTTP_HOST"))
    if is_for_programs():
        return show_problem(error)
    response = make_response(error.get_response())
    message = message or MESSAGES.get(error.code) or Message(error.name, "That is all we know about it.")
    if wants_json():
        problem = {"type": "about:blank", "title": message.title, "status": error.code, "detail": message.text}
        response.set_data(json.dumps(problem))
        response.content_type = PROBLEM
    else:
        response.set_data(render_template("web/error.html", code=error.code, message=message))
        response.content_type = "text/html; charset=utf-8"
    response.headers["Cache-Control"] = "no-store"
    response.vary.add("Accept")
    return response


def wants_json() -> bool:
    """Return whether the request's Accept header prefers JSON to a page."""
    return request.accept_mimetypes.best_match(["text/html", "application/json", PROBLEM]) not in {"text/html", None}


def show_database_error(error: SQLAlchemyError) -> Response:
    """Return 503 if the database is away, busy or not set up; anything else is a fault of ours and goes on to 500."""
    if not is_unavailable(error):
        raise error
    reason = error.orig if isinstance(error, DBAPIError) else error
    logger.error("database unavailable path=%s reason=%r", request.path, str(reason).strip().partition("\n")[0])
    return show_error(ServiceUnavailable(retry_after=RETRY_AFTER_S))


def is_unavailable(error: SQLAlchemyError) -> bool:
    """Tell whether waiting may help: no connection, none free, locked, restarting, or the schema is not there yet."""
    if isinstance(error, (PoolExhausted, OperationalError, InterfaceError)):
        return True
    return isinstance(error, DBAPIError) and (
        error.connection_invalidated or getattr(error.orig, "sqlstate", None) in SCHEMA_MISSING
    )
