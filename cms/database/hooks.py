"""The operator's own commands before and after an upgrade: they get as JSON what is to come, and what came of it.

Each is a program with its arguments, without a shell. What it prints goes where progress goes.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from types import TracebackType
from typing import Self

from cms.database.history import Revision
from cms.database.journal import who
from cms.database.progress import Say
from cms.database.runs import plain
from cms.database.target import Target
from cms.errors import CmsError, Refused

LONGEST_OUTPUT_BYTES = 65_536


class HookFailed(Exception):
    """A command did not end well. The text says how; ``last`` is the last line that it printed."""

    def __init__(self, how: str, last: str = "") -> None:
        super().__init__(how)
        self.last = last


class HookRun:
    """The commands around one upgrade. Used as a context: the one after it runs at the end, if ``before`` went well."""

    def __init__(self, target: Target, run: str, say: Say) -> None:
        self._target = target
        self._run = run
        self._say = say
        self._began = False
        self._receipt: object = None

    def before(self, current: str | None, goal: str, pending: tuple[Revision, ...]) -> None:
        """Run the command before the upgrade. Raises Refused if it does not end with 0; nothing has changed yet."""
        self._ahead = {"database": self._target.name, "before": current, "goal": goal, "run": self._run, "by": who()}
        revisions = [asdict(revision) for revision in pending]
        try:
            self.call(self._target.hooks.before, {"event": "before-upgrade", **self._ahead, "revisions": revisions})
        except HookFailed as failed:
            raise Refused(
                f"the command before the upgrade {failed}",
                why=failed.last or "it printed nothing",
                hint=f"it is {self._target.hooks.before[0]}, in BEFORE_UPGRADE; nothing was changed",
            ) from failed
        self._began = True

    def finish(self, receipt: object) -> None:
        """Give the receipt of an upgrade that went well."""
        self._receipt = receipt

    def __enter__(self) -> Self:
        return self

    def __exit__(self, _kind: object, error: BaseException | None, _trace: TracebackType | None) -> None:
        """Run the command after the upgrade, also after a failure; that it fails is told and changes nothing."""
        if not self._began or not (error is None or isinstance(error, Exception)):
            return
        outcome = {"outcome": "failed" if error else "done", "receipt": self._receipt, "error": told(error)}
        try:
            self.call(self._target.hooks.after, {"event": "after-upgrade", **self._ahead, **outcome})
        except HookFailed as failed:
            kept = "the upgrade is not affected" if error is None else "that is beside what failed before"
            last = f": {failed.last}" if failed.last else ""
            self._say(f"warning: the command after the upgrade (AFTER_UPGRADE) {failed}{last}; {kept}")

    def call(self, argv: tuple[str, ...], facts: Mapping[str, object]) -> None:
        """Run a command, if there is one, with the facts on its standard input. Raises HookFailed."""
        if argv:
            self._say(f"running {Path(argv[0]).name} ({facts['event']})")
            run_command(argv, json.dumps(facts, default=plain), timeout_s=self._target.hooks.timeout_s, say=self._say)


def told(error: BaseException | None) -> dict[str, str | None] | None:
    """Return an error as a command may know it; of a bug only its kind, as its text may hold anything."""
    if error is None:
        return None
    if isinstance(error, CmsError):
        return {"what": error.what, "why": error.why, "hint": error.hint}
    return {"what": type(error).__name__, "why": None, "hint": None}


def run_command(argv: tuple[str, ...], text: str, *, timeout_s: int, say: Say) -> None:
    """Run a program in a session of its own, so that all it started goes with it. Raises HookFailed.

    Through files and not pipes: it may leave its input unread, and what it leaves running may hold its output open.
    """
    with tempfile.TemporaryFile() as given, tempfile.TemporaryFile() as printed:
        given.write(text.encode())
        given.seek(0)
        try:
            process = subprocess.Popen(argv, stdin=given, stdout=printed, stderr=printed, start_new_session=True)
        except OSError as error:
            raise HookFailed(f"cannot be started: {error.strerror}") from error
        try:
            code = process.wait(timeout_s)
        except BaseException as stopped:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            if not isinstance(stopped, subprocess.TimeoutExpired):
                raise
            code = None
        printed.seek(0)
        lines = printed.read(LONGEST_OUTPUT_BYTES).decode(errors="replace").splitlines()
    for line in lines:
        say(f"  {line}")
    if code != 0:
        how = f"did not end within {timeout_s} s and was stopped" if code is None else f"ended with exit code {code}"
        raise HookFailed(how, lines[-1] if lines else "")
