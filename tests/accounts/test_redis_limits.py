# ruff: noqa: F811 - fixtures of another folder, imported by name
"""Counting tries in Redis: a real one, one that is gone, and one that takes connections and never answers."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from time import monotonic

import pytest
import redis
import sqlalchemy as sa
from flask import Flask

from cms.accounts.limits import Limit, forget_tries
from cms.accounts.models import RateLimit
from cms.accounts.redis_limits import RedisCounter, redis_key
from cms.extensions import db, transaction
from tests.jobs.conftest import free_port, redis_url  # noqa: F401 - fixtures
from tests.people import add_person
from tests.site import PASSWORD, running, settings_for

THREE = Limit("three", 3, timedelta(minutes=5))
MANY = Limit("many", 9, timedelta(hours=1))


@pytest.fixture
def counting(migrated_url: str, redis_url: str, tmp_path: Path) -> Iterator[Flask]:
    """Return a site that counts in Redis, on each engine."""
    with running(settings_for(migrated_url, tmp_path, REDIS_URL=redis_url)) as app:
        add_person(app, "cleo", "author", password=PASSWORD)
        yield app


def sign_in(app: Flask, password: str) -> int:
    return app.test_client().post("/account/sign-in", data={"login": "cleo", "password": password}).status_code


def counted_in_database(app: Flask) -> int:
    with app.app_context():
        return db.session.scalar(sa.select(sa.func.count()).select_from(RateLimit))


def longest_wait(counter: RedisCounter, *tries: tuple[Limit, str]) -> int:
    return max(count.wait_s for count in counter.count(tries) or [])


def test_a_limit_counts_each_alone_and_says_how_long_to_wait(redis_url: str):
    counter = RedisCounter(redis_url)
    waits = [longest_wait(counter, (THREE, "ada"), (MANY, "here")) for _ in range(4)]
    assert waits[:3] == [0, 0, 0]
    assert 290 <= waits[3] <= 300
    assert longest_wait(counter, (THREE, "ben")) == 0
    assert longest_wait(counter, (THREE, "ADA")) > 0
    counter.forget(THREE, "ada")
    assert longest_wait(counter, (THREE, "ada")) == 0


def test_a_count_ends_by_itself_and_does_not_say_whom_it_is_of(redis_url: str):
    RedisCounter(redis_url).count([(THREE, "ada")])
    server = redis.Redis.from_url(redis_url)
    assert 0 < server.pttl(redis_key(THREE, "ada")) <= 300_000
    assert not [key for key in server.scan_iter() if b"ada" in key]


def test_of_eight_at_once_as_many_pass_as_may(redis_url: str):
    counter = RedisCounter(redis_url)
    with ThreadPoolExecutor(8) as threads:
        waits = list(threads.map(lambda _: longest_wait(counter, (THREE, "ada")), range(8)))
    assert waits.count(0) == 3


def test_signing_in_is_counted_there_and_success_begins_again(counting: Flask):
    assert [sign_in(counting, "wrong") for _ in range(9)] == [422] * 9
    assert sign_in(counting, PASSWORD) == 303
    assert [sign_in(counting, "wrong") for _ in range(11)] == [422] * 10 + [429]
    assert counted_in_database(counting) == 0


def test_while_redis_is_gone_the_database_counts_and_nothing_is_let_through(
    migrated_url: str,
    free_port: int,
    tmp_path: Path,
):
    with running(settings_for(migrated_url, tmp_path, REDIS_URL=f"redis://127.0.0.1:{free_port}/0")) as app:
        add_person(app, "cleo", "author", password=PASSWORD)
        assert [sign_in(app, "wrong") for _ in range(11)] == [422] * 10 + [429]
        assert counted_in_database(app) == 3
        with app.app_context(), transaction() as session:
            forget_tries(session, THREE, "ada")


def test_a_redis_that_never_answers_holds_up_one_request_for_a_moment(free_port: int):
    with socket.create_server(("127.0.0.1", free_port)):
        counter = RedisCounter(f"redis://127.0.0.1:{free_port}/0")
        began = monotonic()
        assert counter.count([(THREE, "ada")]) is None
        assert monotonic() - began < 2
        began = monotonic()
        assert [counter.count([(THREE, "ada")]) for _ in range(100)] == [None] * 100
        assert monotonic() - began < 0.2
