"""Kill `backup-and-migrate`, or its server, at a chosen moment; then look at what is left, and run it again."""

from __future__ import annotations

import os
import random
import select
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path

import psycopg
from psycopg import sql

from cms.database.backup import PARTIAL
from cms.database.engines import engine_for
from cms.database.expected import read_expected
from cms.database.fingerprint import is_counted, read_fingerprint
from cms.database.history import get_head, list_revisions, load_scripts, read_current
from cms.database.keys import load_key
from cms.database.leftovers import find_leftovers
from cms.database.manifest import verify_backup
from cms.database.release import apply_release
from cms.database.runs import DIED, list_runs
from tests.database.rows import connected, digests, fill, quiet, upgrade

ROOT = Path(__file__).resolve().parents[2]
MANAGE = [sys.executable, str(ROOT / "manage.py")]
COMMAND = [*MANAGE, "backup-and-migrate"]
STEPS = 4  # the newest revisions are pending: enough to stop between two, and quick enough for hundreds of kills
# All by which bytes, names and lengths of files change, or a server is told something.
CALLS = (
    "write,pwrite64,writev,pwritev,fsync,fdatasync,rename,renameat,renameat2,link,linkat,unlink,unlinkat,"
    "ftruncate,mkdir,mkdirat,rmdir,sendto"
)
STRACE = ("strace", "-f", "-qq")  # with --seccomp-bpf, which is quicker, strace 6.1 sends no signals
LONGEST_S = 30
OTHERS = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"


@dataclass
class Ground:
    """A database with rows and something pending, that can be had again and again, and what it is at each revision."""

    target: object
    environment: dict
    scripts: object = field(init=False)
    rows: dict = field(init=False)
    died_in: Counter = field(default_factory=Counter)

    def __post_init__(self):
        self.scripts = load_scripts(self.target)
        *_, start = list_revisions(self.scripts)[:-STEPS]
        upgrade(self.target, start.id)
        fill(self.target, posts=20)
        self.keep()
        self.rows = {start.id: self.read_rows()}
        for revision in list_revisions(self.scripts)[-STEPS:]:
            upgrade(self.target, revision.id)
            self.rows[revision.id] = self.read_rows()

    def read_rows(self):
        """Return row count and hash of each table of the site."""
        return {name: told for name, told in digests(self.target).items() if is_counted(name.rpartition(".")[2])}

    # --- the same state again -----------------------------------------------------------------------------------

    @property
    def path(self):
        return Path(self.target.url.database)

    def keep(self):
        if self.target.engine_name == "sqlite":
            shutil.copy(self.path, self.path.with_suffix(".kept"))
        else:
            self.copy(self.target.url.database, f"kept_{self.target.url.database}")

    def reset(self):
        for folder in (self.target.backup_dir, self.target.media_dir):
            shutil.rmtree(folder, ignore_errors=True)
        if self.target.engine_name == "sqlite":
            for path in self.path.parent.glob(f"{self.path.name}*"):
                path.unlink()
            shutil.copy(self.path.with_suffix(".kept"), self.path)
        else:
            self.copy(f"kept_{self.target.url.database}", self.target.url.database)

    def discard(self):
        if self.target.engine_name != "sqlite":
            engine_for(self.target).discard(self.target, f"kept_{self.target.url.database}")

    def copy(self, source, name):
        address = self.target.url.set(drivername="postgresql", database="postgres")
        source, name = sql.Identifier(source), sql.Identifier(name)
        with psycopg.connect(address.render_as_string(hide_password=False), autocommit=True) as connection:
            connection.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(name))
            connection.execute(sql.SQL("CREATE DATABASE {} TEMPLATE {} STRATEGY file_copy").format(name, source))

    # --- the kill -----------------------------------------------------------------------------------------------

    def start(self, *before):
        return subprocess.Popen(
            [*before, *COMMAND], env=self.environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )

    def run(self):
        """Run to the end; return how long that took."""
        began = time.monotonic()
        process = self.start()
        errors = process.communicate()[1]
        assert process.returncode == 0, errors
        return time.monotonic() - began

    def list_points(self, folder):
        """Return those calls that the command makes itself, in order: each by name, and the how manieth of its name."""
        process = self.start(*STRACE, "-e", f"trace={CALLS}", "-o", str(folder / "calls"))
        errors = process.communicate()[1]
        assert process.returncode == 0, errors
        lines = (folder / "calls").read_text().splitlines()
        own = [line.split(maxsplit=1)[1].partition("(")[0] for line in lines if line.split()[0] == lines[0].split()[0]]
        seen = Counter()
        return [(name, seen[name]) for name in own if name in CALLS.split(",") and seen.update([name]) is None]

    def kill_at(self, point):
        """Kill it when it is about to make that call; a program that it runs, too, at the same call of its own."""
        name, number = point
        inject = f"inject={name}:signal=SIGKILL:when={number}"
        process = self.start(*STRACE, "-o", "/dev/null", "-e", f"trace={name}", "-e", inject)
        process.communicate()
        return process.returncode

    def kill_after(self, seconds):
        process = self.start()
        try:
            process.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            process.communicate()
        return process.returncode

    # --- what is left -------------------------------------------------------------------------------------------

    def look(self, what):
        """Assert that the database is at one revision exactly, with all rows."""
        self.wait_until_alone()
        with connected(self.target) as connection:
            current = read_current(connection, self.scripts)
            expected = read_expected(self.target, self.scripts)[str(current)]
            assert read_fingerprint(connection) == expected, what
        assert self.read_rows() == self.rows[current], what
        self.died_in.update(run.phase for run in list_runs(self.target) if run.came_to == DIED)

    def wait_until_alone(self):
        """Wait for what the server still does for a client that is gone."""
        if self.target.engine_name == "sqlite":
            return
        deadline = time.monotonic() + LONGEST_S
        with engine_for(self.target).open_tool(self.target).connect() as connection:
            while connection.exec_driver_sql(OTHERS).scalar_one():
                connection.rollback()
                assert time.monotonic() < deadline

    def run_again(self, what):
        """Assert that the same operation goes through, and that nothing of the killed run stays."""
        apply_release(self.target, say=quiet)
        head = get_head(self.scripts)
        with connected(self.target) as connection:
            assert read_current(connection, self.scripts) == head, what
            assert read_fingerprint(connection) == read_expected(self.target, self.scripts)[head], what
            assert find_leftovers(self.target, connection, ()) == (), what
        assert self.read_rows() == self.rows[head], what
        backups = [path for path in self.target.backup_dir.iterdir() if not path.name.startswith(".")]
        assert not [path for path in backups if path.name.startswith(PARTIAL)], what
        for folder in backups:
            assert verify_backup(folder, load_key(self.target)).proof, what


def spread(count, points):
    """Return so many of the points, evenly; all of them if there are fewer."""
    return [points[number * len(points) // count] for number in range(count)] if count < len(points) else points


def moments(count, duration_s):
    return [random.uniform(0.0, duration_s) for _ in range(count)]


def server_processes(postmaster):
    """Return the server's processes, the first one last, so that it cannot begin anew while the others are killed."""
    children = Path(f"/proc/{postmaster}/task/{postmaster}/children").read_text().split()
    return [*map(int, children), postmaster]


def kill_all(pids, *, waiting_for):
    """Kill processes that are not our children, and wait for the end of those and others."""
    with ExitStack() as watched:
        ends = []
        for pid in waiting_for:
            with suppress(ProcessLookupError):
                ends.append(watched.enter_context(os.fdopen(os.pidfd_open(pid))))
        for pid in pids:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        for end in ends:
            assert select.select([end], [], [], LONGEST_S)[0]


def wait_until_it_answers(server):
    """Wait for a server that begins anew by itself."""
    deadline = time.monotonic() + LONGEST_S
    while True:
        with suppress(psycopg.OperationalError):
            return psycopg.connect(server.url, connect_timeout=5).close()
        assert time.monotonic() < deadline
