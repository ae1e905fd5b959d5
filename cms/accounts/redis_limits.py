"""Counting tries in Redis, where the site has one. While it is away the database counts: no limit fails open.

A request waits 0.2 s for it at most, and after a failure nobody asks it for 10 s. By default its client would wait for
ever for a server that takes connections and does not answer.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from time import monotonic
from typing import TYPE_CHECKING, TypeVar

from cms.accounts.limits import Count, Limit, key_of

if TYPE_CHECKING:
    from redis.client import Pipeline

logger = logging.getLogger(__name__)

Answer = TypeVar("Answer")
WAIT_S = 0.2
AWAY_S = 10.0


class RedisCounter:
    """The counts of one site, shared by all its processes."""

    def __init__(self, url: str) -> None:
        from redis import Redis  # noqa: PLC0415 - only sites that have one need its client
        from redis.backoff import NoBackoff  # noqa: PLC0415
        from redis.retry import Retry  # noqa: PLC0415

        once = Retry(NoBackoff(), 0)
        self._redis = Redis.from_url(url, socket_timeout=WAIT_S, socket_connect_timeout=WAIT_S, retry=once)
        self._away_until = 0.0

    def count(self, tries: Sequence[tuple[Limit, str]]) -> list[Count] | None:
        """Count one try against each limit; None if Redis is away."""

        def send() -> list[Count]:
            pipe = self._redis.pipeline()
            for limit, whom in tries:
                count_in(pipe, limit, whom)
            answers = pipe.execute()
            counts = zip(tries, answers[1::3], answers[2::3], strict=True)
            return [Count(limit, count, max(1, left_ms // 1000)) for (limit, _), count, left_ms in counts]

        return self._ask(send)

    def forget(self, limit: Limit, whom: str) -> None:
        """Let the count begin again; nothing happens while Redis is away."""
        self._ask(lambda: self._redis.delete(redis_key(limit, whom)))

    def _ask(self, send: Callable[[], Answer]) -> Answer | None:
        from redis.exceptions import RedisError  # noqa: PLC0415

        if monotonic() < self._away_until:
            return None
        try:
            return send()
        except RedisError as error:
            self._away_until = monotonic() + AWAY_S
            logger.warning("redis is away, the database counts tries for %d s reason=%r", AWAY_S, str(error))
            return None


def count_in(pipe: Pipeline, limit: Limit, whom: str) -> None:
    """Add to a transaction what counts one try: begin at 0 for so long, add one, say how long is left."""
    key = redis_key(limit, whom)
    pipe.set(key, 0, px=int(limit.within.total_seconds() * 1000), nx=True)
    pipe.incr(key)
    pipe.pttl(key)


def redis_key(limit: Limit, whom: str) -> str:
    return f"cms:limit:{key_of(limit, whom)}"
