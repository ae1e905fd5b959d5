"""The command `manage.py run-worker`."""

from __future__ import annotations

import signal
import threading
from typing import TYPE_CHECKING

import click

from cms.management.base import Progress, command

if TYPE_CHECKING:
    from types import FrameType

    from flask import Flask

    from cms.jobs.worker import WorkDone


@command
@click.option("--threads", type=click.IntRange(1, 64), help="How many jobs are done at the same time [JOBS_THREADS].")
@click.option("--once", is_flag=True, help="Do what is due now, one after the other, and end.")
def run_worker(app: Flask, *, threads: int | None, once: bool, progress: Progress) -> WorkDone:
    """Do the site's jobs (mail and what else takes its time) until SIGTERM; then end what was begun."""
    from cms.jobs.worker import run_due
    from cms.jobs.worker import run_worker as work
    from cms.management.job_kinds import load_job_kinds

    load_job_kinds()
    stop = threading.Event()
    end_by_signals(stop, progress)
    if once:
        return run_due(app, stop=stop)
    threads = threads or app.config["JOBS_THREADS"]
    progress(f"worker: {threads} at a time; Ctrl-C or SIGTERM ends it")
    return work(app, threads=threads, stop=stop)


def end_by_signals(stop: threading.Event, progress: Progress) -> None:
    """Let the first signal ask for the end and a second one force it; being stopped is how a worker ends."""

    def ask(number: int, _frame: FrameType | None) -> None:
        if stop.is_set():
            signal.signal(number, signal.SIG_DFL)
            signal.raise_signal(number)
        stop.set()
        progress("worker: stopping; jobs under way have 30 s to end")

    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, ask)
