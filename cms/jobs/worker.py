"""The worker: hands due jobs over to its threads, says that it lives, and takes back what others lost.

One loop in the main thread does all of that, each second. It outlives a database or a queue that is away for a while.
"""

from __future__ import annotations

import logging
import os
import socket
import threading
import time
import uuid
from dataclasses import dataclass

from flask import Flask
from sqlalchemy.exc import SQLAlchemyError

from cms.extensions import db, transaction
from cms.jobs import states
from cms.jobs.carrier import Carrier
from cms.jobs.kinds import kinds
from cms.jobs.queries import is_any_due
from cms.jobs.running import Crew, now, run_job
from cms.jobs.services import enqueue, prune_jobs
from cms.web.logs import escaped
from cms.words import counted

logger = logging.getLogger(__name__)

PAUSE_S = 1.0
ALIVE_S = 10.0
TIDY_S = 30.0
IN_QUEUE = 100
"""So many ids are in the queue at most: what is in it can be lost, and is then taken back after a minute."""


@dataclass(frozen=True)
class WorkDone:
    """What a worker did until it was stopped."""

    done: int
    failed: int

    def __str__(self) -> str:
        failures = f", {counted(self.failed, 'attempt')} failed" if self.failed else ""
        return f"stopped after {counted(self.done, 'job')}{failures}"


def run_worker(app: Flask, *, threads: int, stop: threading.Event) -> WorkDone:
    """Work until ``stop`` is set: jobs under way then have 30 s to end, and go back to the others after that.

    Raises QueueUnreachable at the start; later the loop waits for queue and database.
    """
    crew = Crew(app, uuid.uuid4(), stop.is_set)
    carrier = Carrier(app.config["JOBS_URL"], site=app.config["SECRET_KEY"], run=lambda job_id: run_job(crew, job_id))
    consumer = carrier.make_threads(threads)
    consumer.start()
    logger.info("worker started worker=%s threads=%d", crew.worker_id, threads)
    try:
        Loop(crew, carrier).run_until(stop)
    finally:
        stop.set()
        consumer.stop(graceful=True)
        leave(crew)
        carrier.close()
    return WorkDone(crew.done, crew.failed)


def run_due(app: Flask, *, stop: threading.Event) -> WorkDone:
    """Do what is due now, one job after the other, without a queue, and return."""
    crew = Crew(app, uuid.uuid4(), stop.is_set)
    join(crew)
    add_daily()
    tidy(crew, queue_is_empty=True)
    try:
        while not stop.is_set():
            with transaction() as session:
                states.keep_alive(session, crew.worker_id, at=now())
                due = states.take_due(session, limit=1, at=now())
            if not due:
                break
            run_job(crew, due[0])
    finally:
        leave(crew)
    return WorkDone(crew.done, crew.failed)


class Loop:
    """The main thread of a worker."""

    def __init__(self, crew: Crew, carrier: Carrier) -> None:
        self._crew = crew
        self._carrier = carrier
        self._alive_at = self._tidy_at = 0.0
        self._is_in = False
        self._trouble = ""

    def run_until(self, stop: threading.Event) -> None:
        while not stop.is_set():
            try:
                self.turn()
            # Each kind of queue has errors of its own, and none of them, nor the database's, may end the worker.
            except Exception as error:  # noqa: BLE001
                self.tell(error)
            else:
                self._trouble = ""
            stop.wait(PAUSE_S)

    def turn(self) -> None:
        """Do what is to be done by now."""
        clock = time.monotonic()
        if clock >= self._alive_at:
            self.show_alive()
            self._alive_at = clock + ALIVE_S
        if clock >= self._tidy_at:
            add_daily()
            tidy(self._crew, queue_is_empty=self._carrier.count() == 0)
            self._tidy_at = clock + TIDY_S
        hand_over(self._carrier)

    def show_alive(self) -> None:
        """Renew this worker's sign of life; one that others took for lost signs in again."""
        if self._is_in:
            with transaction() as session:
                self._is_in = states.keep_alive(session, self._crew.worker_id, at=now())
        if not self._is_in:
            join(self._crew)
            self._is_in = True

    def tell(self, error: Exception) -> None:
        """Log a trouble once, not each second as long as it lasts."""
        reason = str(getattr(error, "orig", None) or error).strip().partition("\n")[0]
        if reason != self._trouble:
            logger.warning("worker waits reason=%s", escaped(f"{type(error).__name__}: {reason}"))
        self._trouble = reason


def hand_over(carrier: Carrier) -> None:
    """Put due jobs into the queue, as many as there is room for; what it does not take waits in the table."""
    room = IN_QUEUE - carrier.count()
    if room <= 0 or not is_any_due(db.session, at=now()):
        db.session.rollback()  # gives the connection back
        return
    with transaction() as session:
        due = states.take_due(session, limit=room, at=now())
    for position, job_id in enumerate(due):
        try:
            carrier.hand_over(job_id)
        except Exception:
            with transaction() as session:
                states.put_back(session, due[position:], at=now())
            raise


def add_daily() -> None:
    """Store today's jobs of the kinds that are done daily; the key keeps several workers from doing so twice."""
    today = f"{now():%Y-%m-%d}"
    with transaction() as session:
        for kind in kinds.list_daily():
            enqueue(session, kind.name, {}, at=now(), key=f"{kind.name} {today}")


def tidy(crew: Crew, *, queue_is_empty: bool) -> None:
    """Take back what was lost, and remove what was done long ago."""
    with transaction() as session:
        lost = states.recover(
            session, worker_id=crew.worker_id, in_hand=set(crew.in_hand), queue_is_empty=queue_is_empty, at=now()
        )
        prune_jobs(session, at=now())
    if lost:
        logger.warning("jobs taken back count=%d: their worker ended in the middle, or the queue lost them", lost)


def join(crew: Crew) -> None:
    with transaction() as session:
        states.sign_in(session, worker_id=crew.worker_id, host=socket.gethostname(), pid=os.getpid(), at=now())


def leave(crew: Crew) -> None:
    """Take this worker off the list; if the database is away, others find out after a minute."""
    try:
        with transaction() as session:
            states.sign_out(session, crew.worker_id, at=now())
    except SQLAlchemyError as error:
        logger.warning("worker could not sign out reason=%r", str(error).partition("\n")[0])
