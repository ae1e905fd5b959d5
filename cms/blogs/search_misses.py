"""What readers looked for and did not find: counted in the process, and stored at most once a minute.

Nothing is stored of who asked. Words that fewer than three searches of one process missed are not stored either: names,
numbers and slips are typed once. What a process has not stored when it ends is lost.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import SQLAlchemyError

from cms.accounts.queries import AnySession
from cms.blogs.models import SearchMiss
from cms.extensions import transaction

STORED_FROM = 3
STORED_EVERY_S = 60
COUNTED = 1_000  # different searches that a process counts; then it begins anew
KEPT = 1_000  # rows, the latest
WORDS_LIMIT = 100  # characters

logger = logging.getLogger(__name__)


class MissCounter:
    """Counts the searches of one process that found nothing."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()
        self._stored_at = float("-inf")
        self._lock = threading.Lock()

    def count(self, words: Sequence[str]) -> dict[str, int]:
        """Count one search, and return what is to be stored now; mostly nothing."""
        with self._lock:
            if len(self._counts) >= COUNTED:
                self._counts.clear()
            self._counts[" ".join(words).lower()[:WORDS_LIMIT]] += 1
            due = {each: count for each, count in self._counts.items() if count >= STORED_FROM}
            if not due or time.monotonic() - self._stored_at < STORED_EVERY_S:
                return {}
            self._stored_at = time.monotonic()
            self._counts.subtract(due)
            self._counts += Counter()  # leaves out what is zero now
            return due


def store_misses(counts: Mapping[str, int], *, at: datetime) -> None:
    """Add the counts to those in the database, in one transaction. A search does not fail because this does."""
    try:
        with transaction() as session:
            for words, count in counts.items():
                add_misses(session, words, count, at=at)
            forget_old_misses(session)
    except SQLAlchemyError as error:
        logger.warning("search misses not stored reason=%r", str(error).partition("\n")[0])


def add_misses(session: AnySession, words: str, count: int, *, at: datetime) -> None:
    insert = sqlite.insert if session.get_bind().dialect.name == "sqlite" else postgresql.insert
    statement = insert(SearchMiss).values(words=words, count=count, missed_at=at)
    added = {"count": SearchMiss.count + statement.excluded.count, "missed_at": statement.excluded.missed_at}
    session.execute(statement.on_conflict_do_update(index_elements=[SearchMiss.words], set_=added))


def forget_old_misses(session: AnySession) -> None:
    old = sa.select(SearchMiss.words).order_by(SearchMiss.missed_at.desc(), SearchMiss.words).offset(KEPT)
    session.execute(sa.delete(SearchMiss).where(SearchMiss.words.in_(old)))


@dataclass(frozen=True)
class Miss:
    """Words that were not found, how often, and when last."""

    words: str
    count: int
    missed_at: datetime


def list_misses(session: AnySession) -> list[Miss]:
    """Return what was not found, the most frequent first. One statement."""
    query = sa.select(SearchMiss.words, SearchMiss.count, SearchMiss.missed_at)
    ordered = query.order_by(SearchMiss.count.desc(), SearchMiss.missed_at.desc(), SearchMiss.words)
    return [Miss(row.words, row[1], row.missed_at) for row in session.execute(ordered)]
