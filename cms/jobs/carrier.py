"""What carries the ids of jobs to the threads of workers: Huey, over a SQLite file, PostgreSQL or Redis by JOBS_URL.

Nothing but ids passes through it, and losing them loses nothing: the table ``jobs`` says what is to be done. So the
queue may be emptied, moved or shared at any time. Huey would store Python objects, which whoever can write to the queue
could use to run code here; a serializer of our own stores the id as text.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

from huey import Huey
from huey.consumer import Consumer
from huey.registry import Message
from huey.serializer import Serializer
from huey.storage import PostgresStorage, RedisStorage, SqliteStorage

from cms.database.target import ROOT, parse_url
from cms.jobs.errors import QueueUnreachable

CONNECT_TIMEOUT_S = 3
ANSWER_TIMEOUT_S = 5
LONGEST_PAUSE_S = 1.0
GRACE_S = 30
TASK = "run"


class IdSerializer(Serializer):
    """Stores the one argument of the one task, a job's id, as text."""

    def serialize(self, message: Message) -> bytes:
        return str(message.args[0]).encode("ascii")

    def deserialize(self, stored: bytes) -> Message:
        job_id = str(UUID(bytes(stored).decode("ascii")))
        return Message(id=job_id, name=f"{__name__}.{TASK}", args=(job_id,), kwargs={})


class QuietConsumer(Consumer):
    """Huey's threads, whose signals are our command's business."""

    def _set_signal_handlers(self) -> None:
        """Leave the handlers of the command in place."""


class Carrier:
    """The queue between the table ``jobs`` and the threads that work."""

    def __init__(self, url: str, *, site: str, run: Callable[[UUID], None]) -> None:
        """Open the queue; makes its file or tables. Raises QueueUnreachable.

        site: what tells this site's queue from another's in the same Redis or PostgreSQL database.
        run: what the threads do with each id that is handed over.
        """
        try:
            self._huey = Huey(
                name=f"cms{hashlib.sha256(site.encode()).hexdigest()[:12]}",
                results=False,
                serializer=IdSerializer(),
                **storage_of(url),
            )
            self._huey.storage.queue_size()
        except Exception as error:  # each kind of storage has errors of its own
            raise QueueUnreachable(
                f"the job queue at {place_of(url)} cannot be reached",
                why=str(error).strip().partition("\n")[0],
                hint="check JOBS_URL; jobs stay stored in the site's database until a worker runs",
            ) from error

        def run_task(job_id: str) -> None:
            run(UUID(job_id))

        self._task = self._huey.task(name=TASK)(run_task)

    def make_threads(self, threads: int) -> QuietConsumer:
        """Return so many threads; ``start()`` starts them, ``stop(graceful=True)`` waits for their jobs' ends."""
        return QuietConsumer(
            self._huey, workers=threads, periodic=False, scheduler_interval=60, max_delay=LONGEST_PAUSE_S,
            shutdown_timeout=GRACE_S,
        )  # fmt: skip

    def hand_over(self, job_id: UUID) -> None:
        """Put an id into the queue. Raises what its storage raises."""
        self._task(str(job_id))

    def count(self) -> int:
        """Return how many ids are on their way. Raises what its storage raises."""
        return int(self._huey.storage.queue_size())

    def close(self) -> None:
        self._huey.storage.close()


def storage_of(url: str) -> dict[str, Any]:  # Any: each storage has its own options
    """Return Huey's options for the place that JOBS_URL names."""
    scheme = urlsplit(url).scheme
    if scheme in {"redis", "rediss"}:
        from redis import ConnectionPool  # noqa: PLC0415 - only sites that have one need its client

        # Without limits a Redis that takes connections and never answers would hold a worker up for ever.
        limits = {"socket_connect_timeout": CONNECT_TIMEOUT_S, "socket_timeout": ANSWER_TIMEOUT_S}
        return {"storage_class": RedisStorage, "connection_pool": ConnectionPool.from_url(url, **limits)}
    if scheme == "sqlite":
        file = ROOT / url.removeprefix("sqlite:///")
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        return {"storage_class": SqliteStorage, "filename": str(file)}
    dsn = parse_url(url).set(drivername="postgresql").render_as_string(hide_password=False)
    return {"storage_class": PostgresStorage, "dsn": dsn, "connect_timeout": CONNECT_TIMEOUT_S}


def place_of(url: str) -> str:
    """Return where the queue is, without name and password."""
    parts = urlsplit(url)
    return (
        str(Path(parts.path)) if parts.scheme == "sqlite" else f"{parts.scheme}://{parts.hostname}:{parts.port or ''}"
    )
