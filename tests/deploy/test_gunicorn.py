"""The site under gunicorn with the shipped settings: it starts, keeps to itself, and stops without losing a request."""

from __future__ import annotations

import re
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from http.client import HTTPConnection
from pathlib import Path

import psycopg
import pytest

from tests.deploy.programs import CONF, Program, has_processes, run, running, settings_of_site, wait_until

# The site, and one page that waits for a file: what a slow query is to a server that is told to stop.
SLOW_SITE = """
import time
from pathlib import Path
from wsgi import app as site

folder = Path(__file__).parent

def app(environ, start_response):
    if environ["PATH_INFO"] != "/slow":
        return site(environ, start_response)
    (folder / "began").touch()
    while not (folder / "may-end").exists():
        time.sleep(0.01)
    start_response("200 OK", [("Content-Length", "4")])
    return [b"done"]
"""

# The site, whose parent process has asked the database something before the workers were forked.
CONNECTED_SITE = """
import os
from sqlalchemy import text
from cms.accounts.current import needs
from cms.extensions import db
from wsgi import app

def ask():
    return db.session.scalar(text("SELECT pg_backend_pid() FROM pg_sleep(0.05)"))

with app.app_context():
    parents_connection = ask()
    db.session.remove()

@app.get("/connection")
@needs("site.see")
def show_connection():
    return f"{os.getpid()} {ask()} {parents_connection}"
"""


@pytest.fixture
def settings(tmp_path: Path, migrated_sqlite_url: str) -> dict[str, str]:
    return settings_of_site(tmp_path, DATABASE_URL=migrated_sqlite_url)


@pytest.fixture
def server(tmp_path: Path, settings: dict[str, str]) -> Iterator[Program]:
    with running(["gunicorn", "-c", CONF, "wsgi:app"], settings, tmp_path / "log") as program:
        yield program


def test_the_site_answers_and_stops_with_0(server: Program):
    assert server.get("/healthz") == (200, "ok\n")
    assert server.stop() == 0
    assert "Traceback" not in server.printed()


def test_gunicorn_without_the_shipped_settings_serves_as_well(tmp_path: Path, settings: dict[str, str]):
    command = ["gunicorn", "--bind", "127.0.0.1:0", "wsgi:app"]
    with running(command, settings, tmp_path / "log") as program:
        assert program.get("/healthz") == (200, "ok\n")
        assert program.stop() == 0


def test_the_settings_decide_on_address_workers_and_threads(tmp_path: Path):
    chosen = settings_of_site(tmp_path, WEB_BIND="127.0.0.1:8123", WEB_WORKERS="3", WEB_THREADS="5")
    shown = run(["gunicorn", "-c", CONF, "--print-config"], chosen).stdout
    for name, value in {"bind": r"\['127.0.0.1:8123'\]", "workers": "3", "threads": "5"}.items():
        assert re.search(rf"^{name} +(= )?{value}$", shown, flags=re.MULTILINE), shown


def test_a_running_request_is_finished_after_sigterm(tmp_path: Path, settings: dict[str, str]):
    (tmp_path / "slow.py").write_text(SLOW_SITE)
    command = ["gunicorn", "-c", CONF, "--pythonpath", tmp_path, "slow:app"]
    with running(command, settings, tmp_path / "log") as program, ThreadPoolExecutor() as browser:
        answer = browser.submit(program.get, "/slow")
        wait_until((tmp_path / "began").exists, "the request to begin")

        program.process.terminate()
        program.wait_for("Handling signal: term")
        (tmp_path / "may-end").touch()

        assert answer.result() == (200, "done")
        assert program.process.wait(timeout=20) == 0


def test_an_open_connection_without_a_request_does_not_hold_the_stop_up(server: Program):
    with closing(HTTPConnection("127.0.0.1", server.port(), timeout=20)) as connection:
        connection.request("GET", "/healthz")
        assert connection.getresponse().read() == b"ok\n"
        server.process.terminate()
        assert server.process.wait(timeout=20) == 0


def test_nothing_is_left_after_the_stop(server: Program):
    port = server.port()
    server.get("/healthz")
    server.stop()
    assert not has_processes(server.process.pid)
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind(("127.0.0.1", port))


def test_no_control_socket_is_opened(tmp_path: Path, settings: dict[str, str]):
    (tmp_path / "run").mkdir()
    command = ["gunicorn", "-c", CONF, "wsgi:app"]
    with running(command, {**settings, "XDG_RUNTIME_DIR": str(tmp_path / "run")}, tmp_path / "log") as program:
        program.get("/healthz")
        program.stop()
    assert "Control socket" not in program.printed()
    assert not list((tmp_path / "run").iterdir())
    assert not (tmp_path / ".gunicorn").exists()


def test_a_visitor_cannot_claim_https_or_another_path(server: Program):
    with closing(HTTPConnection("127.0.0.1", server.port(), timeout=20)) as connection:
        claims = {"X-Forwarded-Proto": "https", "X-Forwarded-Ssl": "on", "Script_Name": "/x", "Path_Info": "/healthz"}
        connection.request("GET", "/no-such-page", headers=claims)
        assert connection.getresponse().status == 404


@pytest.mark.parametrize(
    ("path", "header", "status"), [("/" + "a" * 4200, "short", 414), ("/healthz", "a" * 8300, 431)]
)
def test_an_endless_address_or_header_is_refused(server: Program, path, header, status):
    with closing(HTTPConnection("127.0.0.1", server.port(), timeout=20)) as connection:
        connection.request("GET", path, headers={"X-Header": header})
        assert connection.getresponse().status == status


def test_preloaded_workers_do_not_share_their_parents_database_connection(tmp_path: Path, postgres_url: str):
    (tmp_path / "connected.py").write_text(CONNECTED_SITE)
    chosen = settings_of_site(tmp_path, DATABASE_URL=postgres_url, WEB_WORKERS="2")
    command = ["gunicorn", "-c", CONF, "--preload", "--pythonpath", tmp_path, "connected:app"]
    answers: set[tuple[str, ...]] = set()
    with running(command, chosen, tmp_path / "log") as program, ThreadPoolExecutor(8) as browsers:

        def both_workers_answered() -> bool:
            answers.update(tuple(text.split()) for _, text in browsers.map(program.get, ["/connection"] * 8))
            return len({worker for worker, _, _ in answers}) == 2

        wait_until(both_workers_answered, "an answer of each worker")
        (parents,) = {parents for _, _, parents in answers}
        used = {connection: worker for worker, connection, _ in answers}

        assert parents not in used
        assert {(worker, connection) for worker, connection, _ in answers} == {(used[each], each) for each in used}
        assert is_connected(postgres_url, int(parents)), "a worker has closed its parent's connection"


def is_connected(url: str, backend: int) -> bool:
    with psycopg.connect(url) as connection:
        return bool(connection.execute("SELECT FROM pg_stat_activity WHERE pid = %s", [backend]).rowcount)
