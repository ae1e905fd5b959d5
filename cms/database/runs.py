"""What a run is doing, in a file of its own: each phase is there before it begins, whatever happens to the run then.

``.runs`` in the folder for backups holds one file for each run that found something to do (0700, 0600). Each event is a
line of JSON, written by one call and flushed, so that a killed run leaves whole lines. The run holds a lock on its
file, gone with the process: a file without an end that nobody locks is of a run that died. Nothing in it is secret.
"""

from __future__ import annotations

import fcntl
import json
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, is_dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from cms.database.backup import find_folder_problem
from cms.database.files import is_locked, new_folder, sync
from cms.database.journal import JournalEntry, who
from cms.database.progress import Say
from cms.database.revision_files import read_commit
from cms.database.target import Target
from cms.errors import CmsError
from cms.words import counted

FOLDER = ".runs"
KEPT = 200
DONE, FAILED, STOPPED, DIED, RUNNING = "done", "failed", "stopped", "died", "running"
ENDS = {DONE, FAILED, STOPPED, DIED}


@dataclass(frozen=True)
class PhaseTook:
    """A phase of a run, and how long it took in all."""

    name: str
    duration_ms: int


@dataclass(frozen=True)
class PastRun:
    """A run as its file tells it.

    came_to: "done", "failed", "stopped" (told to), "died" (without a word) or "running". phase: the last that began.
    before, goal: the revisions it was to lead from and to. phases: how long each took that ended; stored: the revisions
    that were about to be committed, in order. why: what a failed run said.
    """

    id: str
    command: str
    began_at: datetime
    by: str
    code: str | None
    before: str | None
    goal: str
    came_to: str
    phase: str
    phases: tuple[PhaseTook, ...]
    stored: tuple[str, ...]
    backup: str | None
    why: str | None

    def __str__(self) -> str:
        head = f"{self.began_at:%Y-%m-%d %H:%M:%S} UTC  {self.command} {self.before or 'no revision'} -> {self.goal}"
        code = f", code {self.code}" if self.code else ""
        return f"{head}  run {self.id} by {self.by}{code}: {self.end}"

    @property
    def end(self) -> str:
        """Return in words how it ended, and where its time went."""
        after = f" after {counted(len(self.stored), 'revision')}" if self.stored else ""
        took = ", ".join(f"{phase.name} {phase.duration_ms:,} ms" for phase in self.phases)
        told = {
            DONE: "done",
            FAILED: f"FAILED in the phase {self.phase}{after}: {self.why}",
            STOPPED: f"STOPPED in the phase {self.phase}{after}",
            DIED: f"DIED in the phase {self.phase}{after}",
            RUNNING: f"in the phase {self.phase} now{after}",
        }[self.came_to]
        return f"{told} ({took})" if took else told


class RunLog:
    """Follows one run through its phases, and tells its file once there is something to do.

    Used as a context: its end is the run's, with the error that ended it.
    """

    def __init__(self, run: str, say: Say) -> None:
        self.run = run
        self.code: str | None = None
        self._say = say
        self._began = time.monotonic()
        self._took: dict[str, float] = {}
        self._phase = ""
        self._phase_began = time.monotonic()
        self._descriptor: int | None = None
        self._receipt: object = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, _kind: object, error: BaseException | None, _trace: TracebackType | None) -> None:
        ended = self.leave()
        if error is None:
            self.write(DONE, **ended, receipt=self._receipt)
        elif isinstance(error, Exception):
            self.write(FAILED, **ended, why=error.what if isinstance(error, CmsError) else type(error).__name__)
        else:
            self.write(STOPPED, **ended)
        if self._descriptor is not None:
            os.close(self._descriptor)

    def open(self, target: Target, command: str, *, before: str | None, goal: str) -> None:
        """Begin the file, in which what was before is told too. A run is not stopped because it cannot be written."""
        self.code = read_commit(target.migrations_dir)
        folder = target.backup_dir / FOLDER
        if problem := find_folder_problem(target.backup_dir):
            self._say(f"this run is not written down in {target.backup_dir}: {problem}")
            return
        try:
            new_folder(folder)
            self._descriptor = make_file(folder / f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{self.run}.jsonl")
            sync(folder)
            for old in list_files(target)[:-KEPT]:
                old.unlink(missing_ok=True)
        except OSError as error:
            self._say(f"this run is not written down: {error.filename or folder}: {error.strerror}")
            return
        about = {"run": self.run, "by": who(), "code": self.code, "phase": self._phase}
        self.write("began", command=command, database=target.name, before=before, goal=goal, **about)
        for phase in self.phases:
            self.write("phase", phase=self._phase, ended=phase.name, duration_ms=phase.duration_ms)

    def enter(self, phase: str, **facts: object) -> None:
        """End the phase before, and begin one; a phase may be gone back to."""
        ended = self.leave()
        self._phase, self._phase_began = phase, time.monotonic()
        self.write("phase", phase=phase, **ended, **facts)

    def leave(self) -> dict[str, object]:
        """Count the time of the phase that is on, and return it for the file."""
        if not self._phase:
            return {}
        duration_s, name = time.monotonic() - self._phase_began, self._phase
        self._took[name] = self._took.get(name, 0.0) + duration_s
        self._phase = ""
        return {"ended": name, "duration_ms": round(duration_s * 1000)}

    def storing(self, entry: JournalEntry) -> None:
        """Note a revision that is about to be committed."""
        took = {"duration_ms": entry.duration_ms, "lock_wait_ms": entry.lock_wait_ms, "rows": entry.rows_written}
        self.write("storing", revision=entry.revision, **took)

    def finish(self, receipt: object) -> None:
        """Give the receipt that goes with the end."""
        self._receipt = receipt

    @property
    def elapsed_ms(self) -> int:
        return round((time.monotonic() - self._began) * 1000)

    @property
    def phases(self) -> tuple[PhaseTook, ...]:
        """Return how long each phase took that has ended, in the order in which they began."""
        return tuple(PhaseTook(name, round(duration_s * 1000)) for name, duration_s in self._took.items())

    def write(self, event: str, **facts: object) -> None:
        if self._descriptor is None:
            return
        line = json.dumps({"event": event, "at": datetime.now(UTC).isoformat(), **facts}, default=plain)
        try:
            os.write(self._descriptor, f"{line}\n".encode())
            os.fdatasync(self._descriptor)
        except OSError as error:
            self._say(f"this run is not written down any further: {error.strerror}")
            os.close(self._descriptor)
            self._descriptor = None


def make_file(path: Path) -> int:
    """Make a run's file, locked for as long as this process has it open. Raises OSError."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC
    descriptor = os.open(path, flags, 0o600)
    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    return descriptor


def plain(value: object) -> object:
    """Return what JSON does not know as something that it knows."""
    return asdict(value) if is_dataclass(value) and not isinstance(value, type) else str(value)


def list_runs(target: Target) -> list[PastRun]:
    """Return the runs on this database whose files are there, oldest first. What cannot be read is left out."""
    found = [run for path in list_files(target) if (run := read_run(path, target))]
    return sorted(found, key=lambda run: run.began_at)


def list_files(target: Target) -> list[Path]:
    return sorted((target.backup_dir / FOLDER).glob("*.jsonl"))


def read_run(path: Path, target: Target) -> PastRun | None:
    """Return what a file tells; None if it is not one of ours, or of another database."""
    try:
        alive = is_locked(path)
        events = list(parse(path.read_text(encoding="utf-8", errors="replace")))
    except OSError:
        return None
    began = events[0] if events else {}
    if began.get("event") != "began" or began.get("database") != target.name:
        return None
    with suppress(LookupError, TypeError, ValueError):
        return describe(began, events, alive=alive)
    return None


def describe(began: Mapping[str, Any], events: list[dict[str, Any]], *, alive: bool) -> PastRun:  # Any: JSON
    ends = [event for event in events if event["event"] in ENDS]
    phases = [str(event["phase"]) for event in events if "phase" in event]
    took: dict[str, int] = {}
    for event in events:
        if "ended" in event:
            took[event["ended"]] = took.get(event["ended"], 0) + int(event["duration_ms"])
    return PastRun(
        str(began["run"]),
        str(began["command"]),
        datetime.fromisoformat(began["at"]),
        str(began["by"]),
        began["code"],
        began["before"],
        str(began["goal"]),
        ends[0]["event"] if ends else RUNNING if alive else DIED,
        phases[-1],
        tuple(PhaseTook(name, duration_ms) for name, duration_ms in took.items()),
        tuple(str(event["revision"]) for event in events if event["event"] == "storing"),
        next((event["backup"] for event in events if event.get("backup")), None),
        ends[0].get("why") if ends else None,
    )


def parse(text: str) -> Iterator[dict[str, Any]]:  # Any: JSON
    """Yield the events of a file; a line that was not written whole is left out."""
    for line in text.splitlines():
        with suppress(ValueError):
            event = json.loads(line)
            if isinstance(event, dict) and isinstance(event.get("event"), str):
                yield event
