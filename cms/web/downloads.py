"""Files that are written while they are sent, so that memory stays the same, however much there is."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from flask import Response
from sqlalchemy import orm

from cms.extensions import db

Write = Callable[[orm.Session], Iterable[str]]


def send_as_read(write: Write, *, mimetype: str, filename: str) -> Response:
    """Send a file of the lines that ``write`` yields from a session of its own: the request is over by then."""
    engine = db.engine.execution_options(isolation_level="AUTOCOMMIT")

    def lines() -> Iterator[str]:
        with orm.Session(engine) as session:
            yield from write(session)

    response = Response(lines(), mimetype=mimetype)
    response.headers["Content-Disposition"] = f'attachment; filename="{filename}"'
    return response
