"""Workers are killed while people sign in and write: whatever the site said it had done is there afterwards, once.

A few kills on each engine; CMS_TEST_WORKER_KILLS=300 kills as often, at other moments.
"""

from __future__ import annotations

import os
import random
import re
import signal
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.client import HTTPConnection, HTTPException, HTTPResponse
from http.cookies import SimpleCookie
from pathlib import Path
from threading import Event
from urllib.parse import urlencode
from uuid import UUID, uuid4

import pytest
import sqlalchemy as sa

from cms.accounts.models import User, UserSession
from cms.accounts.passwords import hash_password
from cms.accounts.sessions import hash_secret
from cms.activity.models import ActivityLog
from cms.blogs.models import Blog
from cms.extensions import db, transaction
from tests.deploy.programs import CONF, PATIENCE_S, Program, settings_of_site, wait_until
from tests.deploy.programs import running as running_program
from tests.site import PASSWORD, running, settings_for

KILLS = int(os.environ.get("CMS_TEST_WORKER_KILLS", "4"))
WRITERS = 4
TOKEN = re.compile(r'name="csrf" value="(\w+)"')


@dataclass
class Writer:
    """Somebody in front of a browser. What it was told is done is in ``sessions``, ``posts`` and ``bios``."""

    name: str
    port: int
    moments: random.Random
    sessions: list[str] = field(default_factory=list)
    posts: list[UUID] = field(default_factory=list)
    bios: list[int] = field(default_factory=list)
    tried: int = 0
    unanswered: int = 0

    @property
    def done(self) -> int:
        return len(self.sessions) + len(self.posts) + len(self.bios)

    def go_on(self, is_over: Event) -> None:
        """Sign in, write a post, change the profile, and again from the start; also when no answer comes."""
        while not is_over.is_set():
            try:
                self.work()
            except (OSError, HTTPException):
                self.unanswered += 1

    def work(self) -> None:
        _, cookies = self.send("/account/sign-in", login=f"{self.name}", password=PASSWORD)
        secret = cookies["session"].value
        self.sessions.append(secret)
        page, _ = self.send("/account/", secret)
        token = TOKEN.search(page)[1]
        self.tried += 1
        post = uuid4()
        self.send(f"/admin/posts/{post}", secret, csrf=token, seen="0", title=f"Post {post}", content="Words.")
        self.posts.append(post)
        self.send("/account/", secret, csrf=token, bio=f"bio {self.tried}")
        self.bios.append(self.tried)

    def send(self, path: str, secret: str = "", **form: str) -> tuple[str, SimpleCookie]:
        """Return the page after GET, or after POST if there is a form. Fail if it is not answered as it should be."""
        address = ".".join(["10", *(str(self.moments.randrange(1, 255)) for _ in range(3))])
        headers = {"X-Forwarded-For": address, "Cookie": f"session={secret}"}
        headers |= {"Content-Type": "application/x-www-form-urlencoded"} if form else {}
        with closing(HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE_S)) as connection:
            connection.request("POST" if form else "GET", path, urlencode(form) if form else None, headers)
            answer = connection.getresponse()
            page = answer.read().decode()
        assert answer.status == (303 if form else 200), f"{path}: {answer.status} {page[:500]}"
        return page, cookies_of(answer)


def cookies_of(answer: HTTPResponse) -> SimpleCookie:
    return SimpleCookie(answer.headers.get("Set-Cookie", ""))


def workers_of(program: Program) -> list[int]:
    pid = program.process.pid
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def kill_one(program: Program, moments: random.Random) -> None:
    """Kill one of the two, in whatever it is doing."""
    wait_until(lambda: len(workers_of(program)) == 2, "two workers")
    os.kill(moments.choice(workers_of(program)), signal.SIGKILL)


@pytest.fixture
def site_url(migrated_url: str, tmp_path: Path) -> str:
    """Return the address of a database with authors who share a password, as their hash takes a while to make."""
    with running(settings_for(migrated_url, tmp_path)) as app, app.app_context(), transaction() as session:
        rows = {"password_hash": hash_password(PASSWORD), "role": "author", "created_at": datetime.now(UTC)}
        for name in names():
            session.add(User(username=name, email=f"{name}@example.org", **rows))
    return migrated_url


def names() -> list[str]:
    """Return the authors: so many that nobody signs in more often than somebody may who is no guesser."""
    return [f"author{number}" for number in range(WRITERS * (1 + KILLS // 20))]


def test_nothing_that_was_answered_is_lost_or_doubled_when_workers_are_killed(site_url: str, tmp_path: Path):
    moments = random.Random(None if "CMS_TEST_WORKER_KILLS" in os.environ else 1)
    settings = settings_of_site(tmp_path, DATABASE_URL=site_url, WEB_WORKERS="2", TRUSTED_PROXIES="1")
    with running_program(["gunicorn", "-c", CONF, "wsgi:app"], settings, tmp_path / "log") as program:
        writers = [Writer(name, program.port(), random.Random(name)) for name in names()]
        for first in range(0, len(writers), WRITERS):
            kill_while_they_write(
                program, writers[first : first + WRITERS], moments, kills=KILLS * WRITERS // len(writers)
            )
        assert program.get("/healthz") == (200, "ok\n")
    assert "Traceback" not in program.printed()
    with running(settings_for(site_url, tmp_path)) as app, app.app_context():
        assert [lost for writer in writers for lost in list_lost(writer)] == []
        titles = sa.select(Blog.title).group_by(Blog.title).having(sa.func.count() > 1)
        assert db.session.scalars(titles).all() == []
    sys.stdout.write(
        f"{KILLS} kills, {sum(each.done for each in writers)} answers, {sum(each.unanswered for each in writers)} cut\n"
    )


def kill_while_they_write(program: Program, writers: list[Writer], moments: random.Random, *, kills: int) -> None:
    """Kill so often, some answers apart, while these people write."""
    is_over = Event()

    def done() -> int:
        return sum(each.done for each in writers)

    with ThreadPoolExecutor(len(writers)) as threads:
        ends = [threads.submit(writer.go_on, is_over) for writer in writers]
        try:
            for _ in range(kills):
                goal = done() + moments.randrange(2, 20)
                wait_until(lambda goal=goal: done() >= goal or any(end.done() for end in ends), "answers")
                kill_one(program, moments)
        finally:
            is_over.set()
        for end in ends:
            end.result()


def list_lost(writer: Writer) -> list[str]:
    """Return what a writer was told is done and is not there."""
    hashes = set(db.session.scalars(sa.select(UserSession.secret_hash)))
    posts = set(db.session.scalars(sa.select(Blog.id)))
    changed = sa.select(sa.func.count()).select_from(ActivityLog)
    changes = db.session.scalar(changed.filter_by(action="user.profile_changed", actor_name=writer.name))
    bio = db.session.scalar(sa.select(User.bio).filter_by(username=writer.name)) or "bio 0"
    lost = [f"session {secret}" for secret in writer.sessions if hash_secret(secret) not in hashes]
    lost += [f"post {post}" for post in writer.posts if post not in posts]
    lost += [f"bio {number}" for number in writer.bios if number > int(bio.removeprefix("bio "))]
    return lost if changes >= len(writer.bios) else [*lost, f"{len(writer.bios) - changes} changes"]
