"""Starting the site's programs as an operator does, and ending them whatever a test does."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
CONF = ROOT / "deploy" / "gunicorn.conf.py"
PATIENCE_S = 60.0  # of a machine with much else to do; nothing that works takes as long


def settings_of_site(folder: Path, **settings: str) -> dict[str, str]:
    """Return the whole environment of a site that keeps everything in the folder, on a port that the system chooses."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}"
    folders = {"HOME": folder, "BACKUP_DIR": folder / "backups", "MEDIA_DIR": folder / "media"}
    return {
        "PATH": path,
        "DATABASE_URL": f"sqlite:///{folder}/cms.db",
        "WEB_BIND": "127.0.0.1:0",
        "WEB_WORKERS": "1",
        "BACKUP_KEY": "k" * 40,  # without it one is made in the code's folder, which may belong to somebody else
        **{name: str(value) for name, value in folders.items()},
        **settings,
    }


def wait_until(is_so: Callable[[], object], what: str, *, seconds: float = PATIENCE_S) -> None:
    """Return once it is so; fail, naming what was waited for, if it never is."""
    deadline = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < deadline, f"waited {seconds:.0f} s for {what}"
        time.sleep(0.02)


@dataclass(frozen=True)
class Program:
    """A running program and the file that takes what it prints."""

    process: subprocess.Popen[bytes]
    log: Path

    def printed(self) -> str:
        return self.log.read_text(encoding="utf-8", errors="replace")

    def wait_for(self, text: str) -> None:
        """Return once it has printed the text; fail if it ends before."""

        def has_come() -> bool:
            ended = self.process.poll() is not None
            return text in self.printed() or (ended and self._tell_end(text))

        wait_until(has_come, text)

    def _tell_end(self, text: str) -> bool:
        raise AssertionError(f"ended with {self.process.returncode} before {text!r}:\n{self.printed()}")

    def port(self) -> int:
        """Return gunicorn's port, which takes connections from then on."""
        self.wait_for("Listening at: http://")
        return int(re.search(r"Listening at: http://\S+:(\d+)", self.printed())[1])

    def get(self, path: str) -> tuple[int, str]:
        """Return status and body."""
        with closing(HTTPConnection("127.0.0.1", self.port(), timeout=PATIENCE_S)) as connection:
            connection.request("GET", path, headers={"Connection": "close"})
            answer = connection.getresponse()
            return answer.status, answer.read().decode()

    def stop(self) -> int:
        """Send SIGTERM and return the exit code."""
        self.process.terminate()
        return self.process.wait(timeout=PATIENCE_S)


@contextmanager
def running(
    command: Sequence[str | Path], environment: Mapping[str, str], log: Path, *, cwd: Path = ROOT
) -> Iterator[Program]:
    """Start a program in a session of its own; whatever is left of that at the end is killed."""
    with log.open("wb") as file:
        process = subprocess.Popen(
            command, cwd=cwd, env=environment, stdin=subprocess.DEVNULL, stdout=file, stderr=file,
            start_new_session=True,
        )  # fmt: skip
    try:
        yield Program(process, log)
    finally:
        kill_session(process)


def kill_session(process: subprocess.Popen[bytes]) -> None:
    if has_processes(process.pid):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def has_processes(session: int) -> bool:
    """Tell whether any process of the session is left; one that has ended counts until it is waited for."""
    try:
        os.killpg(session, 0)
    except ProcessLookupError:
        return False
    return True


def run(
    command: Sequence[str | Path], environment: Mapping[str, str], *, cwd: Path = ROOT
) -> subprocess.CompletedProcess[str]:
    """Run a program to its end; stdout holds all that it printed."""
    return subprocess.run(
        command, cwd=cwd, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, text=True, timeout=PATIENCE_S, check=False,
    )  # fmt: skip
