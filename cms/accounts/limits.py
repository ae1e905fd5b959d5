"""How often something may be tried, such as a password: counted in the database, for all processes together.

A site that has Redis counts there (cms/accounts/redis_limits.py), and here while that is away. Each limit ends by
itself after some minutes: nobody can lock somebody out for good.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256

from flask import current_app
from sqlalchemy import case, delete, select
from sqlalchemy.dialects import postgresql, sqlite

from cms.accounts.models import RateLimit
from cms.accounts.queries import AnySession

BATCH = 1000
COUNTER = "cms.accounts.counter"  # the application's extension that counts in Redis, or None


@dataclass(frozen=True)
class Limit:
    """So many times within so long, for each account, address or both, whatever the caller counts by."""

    name: str
    times: int
    within: timedelta


@dataclass(frozen=True)
class Count:
    """How often something was tried. ends_in_s: when it begins again."""

    limit: Limit
    used: int
    ends_in_s: int

    @property
    def remaining(self) -> int:
        return max(0, self.limit.times - self.used)

    @property
    def wait_s(self) -> int:
        """The seconds to wait if the limit is passed, else 0."""
        return 0 if self.used <= self.limit.times else self.ends_in_s


def count_try(session: AnySession, limit: Limit, whom: str, *, at: datetime) -> Count:
    """Count one try, in one statement that is exact for any number of processes, before what is tried.

    whom: what is counted by; only its hash is stored.
    """
    insert = postgresql.insert if session.get_bind().dialect.name == "postgresql" else sqlite.insert
    is_over = RateLimit.ends_at <= at
    first = insert(RateLimit).values(key=key_of(limit, whom), count=1, ends_at=at + limit.within)
    again = first.on_conflict_do_update(
        index_elements=["key"],
        set_={
            "count": case((is_over, 1), else_=RateLimit.count + 1),
            "ends_at": case((is_over, first.excluded.ends_at), else_=RateLimit.ends_at),
        },
    )
    count, ends_at = session.execute(again.returning(RateLimit.count, RateLimit.ends_at)).one()
    return Count(limit, count, max(1, round((ends_at - at).total_seconds())))


def forget_tries(session: AnySession, limit: Limit, whom: str) -> None:
    """Let the count begin again, here and in Redis, after a try that succeeded."""
    if counter := current_app.extensions[COUNTER]:
        counter.forget(limit, whom)
    session.execute(delete(RateLimit).where(RateLimit.key == key_of(limit, whom)))


def prune_limits(session: AnySession, *, at: datetime) -> int:
    """Remove up to 1,000 counts that are over; returns how many. Call it until it returns 0."""
    keys = session.scalars(select(RateLimit.key).where(RateLimit.ends_at < at).limit(BATCH)).all()
    session.execute(delete(RateLimit).where(RateLimit.key.in_(keys)))
    return len(keys)


def key_of(limit: Limit, whom: str) -> str:
    return f"{limit.name}:{sha256(whom.lower().encode()).hexdigest()[:32]}"
