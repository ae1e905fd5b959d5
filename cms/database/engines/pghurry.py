"""Connections for looking: what is locked is given up at once, and a server that says nothing soon.

A server that has stopped, or a pooler that has no session left, takes a question and never answers: no time limit of
the server's own ends that.
"""

from __future__ import annotations

import time
from typing import Any

import psycopg
from psycopg.abc import PQGen

LOCK_MS = 100
STATEMENT_S = 2
SILENCE_S = 2.5
# After those of every tool: of two the server takes the later one.
IN_A_HURRY = f" -c lock_timeout={LOCK_MS} -c statement_timeout={STATEMENT_S}s"


class Hurried(psycopg.Connection[Any]):  # Any: rows of any shape
    """Closes itself if an answer does not come within SILENCE_S. Raises OperationalError then."""

    def wait(self, gen: PQGen[Any], *args: Any, **kwargs: Any) -> Any:  # Any: the driver's own
        return super().wait(self._until(time.monotonic() + SILENCE_S, gen), *args, **kwargs)

    def _until(self, deadline: float, gen: PQGen[Any]) -> PQGen[Any]:
        """Hand on what the driver waits for. It asks at least ten times a second, also when nothing has come."""
        try:
            wanted = next(gen)
            while True:
                ready = yield wanted
                if not ready and time.monotonic() > deadline:
                    self.pgconn.finish()
                    raise psycopg.OperationalError(f"the server did not answer within {SILENCE_S} s")
                wanted = gen.send(ready)
        except StopIteration as ended:
            return ended.value


def connect_in_a_hurry(_dialect: object, _record: object, arguments: Any, parameters: Any) -> Hurried:  # Any: theirs
    """Make the connection of an SQLAlchemy engine, as its listener."""
    return Hurried.connect(*arguments, **parameters)
