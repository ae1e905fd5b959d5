"""How long starting takes, each against a baseline taken in the same rounds: python bench/start.py.

The server: from starting gunicorn to the first 200, against a Flask application of one line under the same gunicorn.
The commands: ``manage.py --help`` against an empty Python; ``backup-and-migrate`` with nothing pending against
``flask db upgrade``. Prints medians in ms and their ratio; SQLite in a temporary folder, or the database of --database.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import closing, suppress
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from statistics import median

ROOT = Path(__file__).resolve().parents[1]
BIN = Path(sys.executable).parent
HELLO = "from flask import Flask\napp = Flask(__name__)\nfor path in ('/', '/healthz'):\n"
HELLO += "    app.add_url_rule(path, path[1:] or 'home', lambda: 'hello')\n"
GIVE_UP_S = 30.0
POLL_S = 0.004


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--database", help="a database that may be migrated, instead of a new SQLite file")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        environment = prepare(Path(folder), options)
        measure(Path(folder), environment, options.rounds)


def prepare(folder: Path, options: argparse.Namespace) -> dict[str, str]:
    """Return the environment of a migrated site in the folder."""
    (folder / "hello.py").write_text(HELLO, encoding="utf-8")
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    environment |= {
        "DATABASE_URL": options.database or f"sqlite:///{folder}/cms.db",
        "BACKUP_DIR": str(folder / "backups"),
        "MEDIA_DIR": str(folder / "media"),
        "WEB_BIND": "127.0.0.1:0",
        "WEB_WORKERS": str(options.workers),
    }
    run(environment, "manage.py", "backup-and-migrate")
    return environment


def measure(folder: Path, environment: dict[str, str], rounds: int) -> None:
    """Run all programs in turn, round by round, and print each pair."""

    def start(application: str, path: str, *more: str) -> Callable[[], float]:
        return lambda: start_to_first_200(folder, environment, path, application, *more)

    def command(*arguments: str) -> Callable[[], float]:
        return lambda: run(environment, *arguments)

    pairs = {
        "gunicorn to the first 200 of /healthz": (start("wsgi:app", "/healthz"), start("hello:app", "/healthz")),
        "gunicorn to the first 200 of /": (start("wsgi:app", "/"), start("hello:app", "/")),
        "the same, with --preload": (start("wsgi:app", "/", "--preload"), start("hello:app", "/", "--preload")),
        "manage.py --help": (command("manage.py", "--help"), command("-c", "pass")),
        "backup-and-migrate, nothing pending": (
            command("manage.py", "backup-and-migrate"),
            command("-m", "flask", "db", "upgrade"),
        ),
    }
    taken: dict[str, list[tuple[float, float]]] = {name: [] for name in pairs}
    for number in range(rounds + 1):
        for name, (ours, baseline) in pairs.items():
            figures = (ours(), baseline())
            if number:  # the first round warms caches and writes bytecode
                taken[name].append(figures)
    print(f"{'median of ' + str(rounds):40} {'ours':>8} {'baseline':>9} {'ratio':>6}   range of ours")
    for name, figures_of_rounds in taken.items():
        print_pair(name, [ours for ours, _ in figures_of_rounds], [base for _, base in figures_of_rounds])


def print_pair(name: str, ours: list[float], baseline: list[float]) -> None:
    figures = f"{median(ours) * 1000:5.0f} ms {median(baseline) * 1000:6.0f} ms {median(ours) / median(baseline):6.2f}"
    print(f"{name:40} {figures}   {min(ours) * 1000:.0f}-{max(ours) * 1000:.0f} ms")


def run(environment: dict[str, str], *arguments: str) -> float:
    """Run Python with the arguments in the project's folder; returns how long it took, in seconds."""
    began = time.perf_counter()
    subprocess.run([sys.executable, *arguments], cwd=ROOT, env=environment, check=True, capture_output=True)
    return time.perf_counter() - began


def start_to_first_200(folder: Path, environment: dict[str, str], path: str, application: str, *more: str) -> float:
    """Start gunicorn, ask until it answers 200, stop it; returns the seconds to the answer."""
    log = folder / "log"
    command = [str(BIN / "gunicorn"), "-c", "deploy/gunicorn.conf.py", "--pythonpath", str(folder), *more, application]
    with log.open("wb") as file:
        began = time.perf_counter()
        server = subprocess.Popen(command, cwd=ROOT, env=environment, stderr=file)
        try:
            while time.perf_counter() - began < GIVE_UP_S and server.poll() is None:
                if answers(log, path):
                    return time.perf_counter() - began
                time.sleep(POLL_S)
        finally:
            server.terminate()
            server.wait()
    raise SystemExit(f"{application} never answered {path} with 200:\n{log.read_text(encoding='utf-8')}")


def answers(log: Path, path: str) -> bool:
    """Tell whether the server that writes this log answers the path with 200."""
    port = re.search(r"Listening at: http://127\.0\.0\.1:(\d+)", log.read_text(encoding="utf-8"))
    if not port:
        return False
    with suppress(OSError, HTTPException), closing(HTTPConnection("127.0.0.1", int(port[1]), timeout=5)) as connection:
        connection.request("GET", path, headers={"Connection": "close"})
        return connection.getresponse().status == 200
    return False


if __name__ == "__main__":
    main()
