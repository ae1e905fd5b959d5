"""Logs: one event is one line, whatever a visitor sent, and lines of one request carry one id.

A request's id comes from the proxy in front (X-Request-ID), else it is made here. Jobs take over the id of the request
that asked for them. Source: OWASP, logging cheat sheet, for what a line has to say and what has to be escaped in it.
"""

from __future__ import annotations

import json
import logging
import re
import secrets
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Any, TextIO

from flask import Flask, Response, request

OURS = "cms"
HEADER = "X-Request-ID"
GIVEN = re.compile(r"[A-Za-z0-9._-]{8,64}")
# Besides the controls: what ends a line for some programs (NEL, LS, PS), what turns the direction of text around, and
# half a surrogate pair, which no stream takes.
UNSAFE = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")

_request_id: ContextVar[str | None] = ContextVar("request_id", default=None)


def init_app(app: Flask) -> None:
    """Write log lines to stderr, and give each request its id."""
    write_logs(as_json=app.config["LOG_FORMAT"] == "json")
    believes = app.config["TRUSTED_PROXIES"] > 0

    @app.before_request
    def begin_request() -> None:
        given = request.headers.get(HEADER, "") if believes else ""
        _request_id.set(given if GIVEN.fullmatch(given) else new_request_id())

    @app.after_request
    def tell_id(response: Response) -> Response:
        request_id = find_request_id()
        if request_id and not response.cache_control.public:  # a cache would hand one visitor's id to all
            response.headers[HEADER] = request_id
        return response

    @app.teardown_request
    def end_request(_error: BaseException | None) -> None:
        _request_id.set(None)


def find_request_id() -> str | None:
    """Return the id of the request, or of the job's request, that is being worked on; None outside of both."""
    return _request_id.get()


def new_request_id() -> str:
    return secrets.token_hex(8)


@contextmanager
def working_for(request_id: str | None) -> Iterator[None]:
    """Let log lines and what is recorded carry this id: a job's, or one for a run of a command."""
    token = _request_id.set(request_id)
    try:
        yield
    finally:
        _request_id.reset(token)


# --- lines ------------------------------------------------------------------------------------------------------


def write_logs(*, as_json: bool) -> None:
    """Let the root logger write our lines; a second call only changes their form."""
    root = logging.getLogger()
    ours = next((handler for handler in root.handlers if isinstance(handler, StderrHandler)), None)
    if ours is None:
        root.addHandler(ours := StderrHandler())
    ours.setFormatter(JsonLine() if as_json else TextLine())
    logging.getLogger(OURS).setLevel(logging.INFO)


class StderrHandler(logging.StreamHandler[TextIO]):
    """Writes to whatever stderr is at that moment: servers and tests replace it."""

    def __init__(self) -> None:
        logging.Handler.__init__(self)

    @property
    def stream(self) -> TextIO:
        return sys.stderr

    @stream.setter
    def stream(self, _value: TextIO) -> None:
        """Ignore what the base class would keep."""


class TextLine(logging.Formatter):
    """For people: time, level, logger, request, event. The lines of a traceback follow it, each indented."""

    def format(self, record: logging.LogRecord) -> str:
        request_id = find_request_id()
        about = f" request={request_id}" if request_id else ""
        line = f"{moment_of(record)} {record.levelname} {record.name}{about} {escaped(record.getMessage())}"
        if record.exc_info:
            trace = self.formatException(record.exc_info)
            line = "\n    ".join([line, *(escaped(part) for part in re.split(r"\r\n|\r|\n", trace))])
        return line


class JsonLine(logging.Formatter):
    """For programs: one JSON object on a line, in ASCII."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {  # Any: values of JSON
            "at": moment_of(record),
            "level": record.levelname.lower(),
            "logger": record.name,
            "request_id": find_request_id(),
            "event": record.getMessage(),
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line)


def moment_of(record: logging.LogRecord) -> str:
    moment = datetime.fromtimestamp(record.created, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def escaped(text: str) -> str:
    r"""Return the text with everything that could end or disguise a line spelled out: a line break becomes \n."""
    return UNSAFE.sub(lambda found: found[0].encode("unicode_escape").decode("ascii"), text)
