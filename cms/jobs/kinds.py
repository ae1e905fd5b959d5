"""Which kinds of jobs there are. A feature's ``jobs.py`` declares its own; only a worker imports these files."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

from cms.jobs.errors import JobPaused

Report = Callable[[Mapping[str, Any]], None]  # Any: values of JSON


@dataclass(frozen=True)
class JobRun:
    """One attempt at a job, as its function sees it. attempt: 1 for the first."""

    id: UUID
    arguments: Mapping[str, Any]  # Any: values of JSON
    attempt: int
    report: Report
    """Stores how far the job is, for people to see; call it outside of a transaction, between batches."""
    is_stopping: Callable[[], bool] = lambda: False

    def pause_if_stopping(self) -> None:
        """Give a long job the place to end when the worker stops. Raises JobPaused."""
        if self.is_stopping():
            raise JobPaused


@dataclass(frozen=True)
class JobKind:
    """How jobs of one name are done.

    attempts: so many, further and further apart, until the job has failed.
    useless_after: when so much time has passed since it was due, it fails instead of being done.
    daily: one is stored each day, by the workers themselves.
    """

    name: str
    run: Callable[[JobRun], None]
    attempts: int = 8
    useless_after: timedelta | None = None
    daily: bool = False


class Kinds:
    """The kinds of a program, by name."""

    def __init__(self) -> None:
        self._kinds: dict[str, JobKind] = {}

    def register(
        self, name: str, *, attempts: int = 8, useless_after: timedelta | None = None, daily: bool = False
    ) -> Callable[[Callable[[JobRun], None]], Callable[[JobRun], None]]:
        """Make the decorated function what is run for jobs of this name.

        It may be run twice for one job: a worker that is killed after the work, and before that is written down, leaves
        the job to another. So what it does must be harmless when done again. It opens its own transactions.
        """

        def add(run: Callable[[JobRun], None]) -> Callable[[JobRun], None]:
            self._kinds[name] = JobKind(name, run, attempts, useless_after, daily)
            return run

        return add

    def find(self, name: str) -> JobKind | None:
        return self._kinds.get(name)

    def list_daily(self) -> list[JobKind]:
        return [kind for kind in self._kinds.values() if kind.daily]


kinds = Kinds()
job_kind = kinds.register
