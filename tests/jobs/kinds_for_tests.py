"""Jobs that do something a test can see; run as a program it is `manage.py` with these kinds besides."""

from __future__ import annotations

import time
from pathlib import Path

from cms.errors import CmsError
from cms.jobs.errors import JobHopeless
from cms.jobs.kinds import JobRun, job_kind


@job_kind("test.write", attempts=3)
def write(run: JobRun) -> None:
    """Add a line to a file."""
    with Path(run.arguments["file"]).open("a", encoding="utf-8") as file:
        file.write(f"{run.arguments.get('text', 'done')}\n")


@job_kind("test.fail", attempts=3)
def fail(run: JobRun) -> None:
    """Fail as what is expected to fail does."""
    raise CmsError("the door is shut", why=f"attempt {run.attempt}")


@job_kind("test.crash", attempts=2)
def crash(run: JobRun) -> None:
    """Fail as a bug does, with a text that would begin a line of its own in a log."""
    raise ZeroDivisionError("no\r2026-11-24T00:00:00Z INFO forged")


@job_kind("test.hopeless")
def give_up(run: JobRun) -> None:
    raise JobHopeless("gone for ever")


@job_kind("test.wait", attempts=3)
def wait(run: JobRun) -> None:
    """Say that it began, then wait for a file, and end early if the worker stops and it may."""
    folder = Path(run.arguments["folder"])
    (folder / f"began-{run.attempt}").touch()
    while not (folder / "may-end").exists():
        time.sleep(0.01)
        if run.arguments.get("pauses"):
            run.pause_if_stopping()
    (folder / "ended").touch()


@job_kind("test.report")
def report(run: JobRun) -> None:
    run.report({"done": 7, "of": 9})


if __name__ == "__main__":
    from cms.management.base import main

    main()
