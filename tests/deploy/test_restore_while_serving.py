"""While a backup is restored, readers get the page as it was, the page as it is now, or 503 with the time to wait."""

from __future__ import annotations

import threading
from contextlib import closing
from http.client import HTTPConnection
from pathlib import Path

import pytest

from cms.database.engines import engine_for
from cms.database.target import Target, parse_url
from tests.database.backups import restore, take_backup
from tests.database.rows import connected, fill
from tests.deploy.programs import CONF, running, settings_of_site, wait_until

CLIENTS = 6
OLD, NEW = "Before the restore", "After the restore"


@pytest.fixture
def live(migrated_url: str, tmp_path: Path, request: pytest.FixtureRequest):
    """Return a site whose backup holds another title than it shows now."""
    bin_dir = request.getfixturevalue("postgres").bin_dir if migrated_url.startswith("postgresql") else None
    target = Target(
        parse_url(migrated_url), tmp_path / "backups", tmp_path / "media", backup_key="k" * 40, pg_bin_dir=bin_dir
    )
    fill(target)
    rename(target, NEW)
    folder = take_backup(target, proof=False).folder
    rename(target, OLD)
    yield target, folder
    for name in engine_for(target).list_kept(target):
        engine_for(target).discard(target, name)


def rename(target: Target, title: str) -> None:
    with connected(target) as connection:
        connection.exec_driver_sql(f"UPDATE blogs SET title = '{title}'")


def test_no_reader_sees_an_error_or_old_posts_after_new_ones(live, tmp_path: Path):
    target, folder = live
    url = target.url.render_as_string(hide_password=False)
    settings = settings_of_site(tmp_path, DATABASE_URL=url, WEB_WORKERS="2", PG_BIN_DIR=str(target.pg_bin_dir or ""))
    with running(["gunicorn", "-c", CONF, "wsgi:app"], settings, tmp_path / "log") as program:
        port, over = program.port(), threading.Event()
        seen: list[list[str]] = [[] for _ in range(CLIENTS)]
        clients = [threading.Thread(target=read_on, args=(port, over, each)) for each in seen]
        for client in clients:
            client.start()
        try:
            wait_until(lambda: all(OLD in each for each in seen), "every reader to see the old page")
            restore(target, folder, replace_it=True)
            wait_until(lambda: all(each[-1] == NEW for each in seen), "every reader to see the new page")
        finally:
            over.set()
            for client in clients:
                client.join()
    for each in seen:
        assert set(each) <= {OLD, NEW, "503"}
        assert OLD not in each[each.index(NEW) :]


def read_on(port: int, over: threading.Event, seen: list[str]) -> None:
    """Ask for the home page again and again, and note what came."""
    while not over.is_set():
        with closing(HTTPConnection("127.0.0.1", port, timeout=30)) as connection:
            connection.request("GET", "/", headers={"Connection": "close"})
            answer = connection.getresponse()
            seen.append(describe(answer.status, answer.getheader("Retry-After"), answer.read().decode()))


def describe(status: int, retry_after: str | None, body: str) -> str:
    if status == 503 and retry_after:
        return "503"
    if status != 200:
        return f"{status}, Retry-After {retry_after}"
    return next((title for title in (OLD, NEW) if title in body), "neither title")
