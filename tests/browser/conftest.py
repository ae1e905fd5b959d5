"""Debian's Chromium, and real servers with a seeded site."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from playwright.sync_api import Browser, sync_playwright

from cms.accounts.models import EmailConfirmation, Invitation
from cms.accounts.sessions import hash_secret
from cms.extensions import transaction
from tests.browser.content import seed
from tests.people import add_person
from tests.site import PASSWORD, open_site, running, settings_for

# Of links in mails: an invitation, and the confirmation of an address.
INVITED, CONFIRMED = "i" * 43, "c" * 43
ROOT = Path(__file__).resolve().parents[2]
QUIET = (
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
)  # fmt: skip


def find_chromium() -> str:
    """Return the browser's path; without one skip the test, in CI fail it."""
    found = [path for name in ("chromium", "chromium-browser", "google-chrome") if (path := shutil.which(name))]
    if not found:
        give_up = pytest.fail if os.environ.get("CI") == "true" else pytest.skip
        give_up("NO PAGE WAS OPENED: there is no chromium on PATH; install Debian's package `chromium`")
    return found[0]


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    path = find_chromium()
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=path, args=list(QUIET))
        yield opened
        opened.close()


@contextmanager
def serving(settings: dict[str, str]) -> Iterator[str]:
    """Run gunicorn as deploy/ does and return its address; connections wait in the socket until it is ready."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        program = [
            sys.executable,
            "-m",
            "gunicorn",
            "-c",
            "deploy/gunicorn.conf.py",
            "--bind",
            f"fd://{listener.fileno()}",
        ]
        own = f"http://localhost:{listener.getsockname()[1]}"  # passkeys are for names, not for numbers
        environment = {"PATH": os.environ["PATH"], "WEB_WORKERS": "1", "SITE_URL": own, **settings}
        server = subprocess.Popen(
            program, cwd=ROOT, env=environment, pass_fds=[listener.fileno()], stderr=subprocess.DEVNULL
        )
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.terminate()
            server.wait(timeout=30)


@pytest.fixture(scope="session")
def address(sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Return the address of a site with posts of every kind."""
    folder = tmp_path_factory.mktemp("site")
    settings = settings_for(f"sqlite:///{shutil.copy(sqlite_template, folder / 'site.db')}", folder)
    with running(settings) as app:
        seed(open_site(app))
        for name, role in {
            "cleo": "author",
            "dora": "author",
            "emil": "author",
            "faye": "author",
            "root": "admin",
        }.items():
            add_person(app, name, role, password=PASSWORD)
    with serving(settings) as url:
        yield url


@pytest.fixture(scope="session")
def open_address(sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Return the address of a site on which strangers may register, with links that were sent by mail."""
    folder = tmp_path_factory.mktemp("open")
    url = f"sqlite:///{shutil.copy(sqlite_template, folder / 'site.db')}"
    settings = settings_for(url, folder, REGISTRATION="open")
    with running(settings) as app:
        cleo = add_person(app, "cleo", "author")
        at = datetime.now(UTC)
        until = {"created_at": at, "ends_at": at + timedelta(days=1)}
        with app.app_context(), transaction() as session:
            row = {"email": "dora@example.org", "role": "author", **until}
            session.add(Invitation(token_hash=hash_secret(INVITED), **row))
            row = {"user_id": cleo.uuid, "email": cleo.email, "step": "present", "ends_at": until["ends_at"]}
            session.add(EmailConfirmation(token_hash=hash_secret(CONFIRMED), **row))
    with serving(settings) as address:
        yield address


@pytest.fixture(scope="session")
def address_without_database(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with serving(settings_for("sqlite:////nowhere/cms.db", tmp_path_factory.mktemp("empty"))) as url:
        yield url
