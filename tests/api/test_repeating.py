"""A change that is sent again is made once, and its answer is the same."""

from __future__ import annotations

import http.client
import json
import os
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
import sqlalchemy as sa
from flask import Flask
from werkzeug.serving import make_server

from cms.accounts.permissions import EDITOR
from cms.api.models import KeptAnswer
from cms.api.repeating import KEPT_FOR, prune_answers
from cms.blogs.models import Blog, BlogVersion
from cms.extensions import db, transaction
from tests.api.programs import BASE, Caller
from tests.people import Program, add_person
from tests.site import Site

WRITERS_S = float(os.environ.get("CMS_TEST_WRITERS_S", "1.5"))


def count_posts(app: Flask) -> int:
    with app.app_context():
        return db.session.scalar(sa.select(sa.func.count()).select_from(Blog))


def test_the_same_request_again_gets_the_same_answer_and_stores_nothing(site: Site):
    program = Caller(site.app, site.ada)
    key = {"Idempotency-Key": "one"}
    first = program.post("/blogs", {"title": "Once"}, headers=key)
    again = program.post("/blogs", {"title": "Once"}, headers=key)
    assert (again.status_code, again.data, again.headers["ETag"]) == (201, first.data, first.headers["ETag"])
    assert (again.headers["Location"], again.headers["Idempotency-Replayed"]) == (first.headers["Location"], "true")
    assert "Idempotency-Replayed" not in first.headers
    assert count_posts(site.app) == 1
    other = program.post("/blogs", {"title": "Other"}, headers=key)
    assert (other.status_code, other.json["type"]) == (422, "/api/v1/docs#problem-key-used")
    assert program.post("/blogs", {"title": "Once"}, headers={"Idempotency-Key": "two"}).status_code == 201
    another = Caller(site.app, add_person(site.app, "cleo", EDITOR))
    assert another.post("/blogs", {"title": "Theirs"}, headers=key).status_code == 201


def test_a_change_that_was_refused_keeps_no_answer(site: Site):
    program, key = Caller(site.app, site.ada), {"Idempotency-Key": "one"}
    assert program.post("/blogs", {"title": "x", "tags": [".."]}, headers=key).status_code == 422
    assert program.post("/blogs", {"title": "x"}, headers=key).status_code == 201


def test_a_change_again_is_told_by_its_key_although_its_etag_is_stale_by_then(site: Site):
    program, path = Caller(site.app, site.ada), f"/blogs/{site.write('Post').id}"
    etag, key = program.get(path).headers["ETag"], {"Idempotency-Key": "one"}
    first = program.patch(path, {"content": "New."}, match=etag, headers=key)
    again = program.patch(path, {"content": "New."}, match=etag, headers=key)
    assert (again.status_code, again.data) == (200, first.data)
    assert program.patch(path, {"content": "New."}, match=etag).status_code == 412


@pytest.mark.parametrize("key", ["", " ", "a b", "é", "x" * 256])
def test_what_is_no_key_is_refused(sqlite_app: Flask, key: str):
    program = Caller(sqlite_app, add_person(sqlite_app, "cleo", EDITOR))
    answer = program.post("/blogs", {"title": "x"}, headers={"Idempotency-Key": key})
    assert (answer.status_code, count_posts(sqlite_app)) == (400, 0)


def test_of_eight_at_once_one_is_made_and_all_get_its_answer(site: Site):
    shown = Program(site.app, site.ada)
    answers = in_threads(
        8, lambda _: shown.open(f"{BASE}/blogs", "POST", json={"title": "x"}, headers={"Idempotency-Key": "one"})
    )
    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.data for answer in answers}) == 1
    assert count_posts(site.app) == 1


def test_an_answer_is_over_after_a_day_and_removed(site: Site):
    program, key = Caller(site.app, site.ada), {"Idempotency-Key": "one"}
    program.post("/blogs", {"title": "x"}, headers=key)
    with site.app.app_context(), transaction() as session:
        assert prune_answers(session, at=datetime.now(UTC)) == 0
        session.execute(sa.update(KeptAnswer).values(ends_at=datetime.now(UTC) - timedelta(seconds=1)))
    assert program.post("/blogs", {"title": "other"}, headers=key).status_code == 201
    with site.app.app_context(), transaction() as session:
        assert prune_answers(session, at=datetime.now(UTC) + KEPT_FOR + timedelta(minutes=1)) == 1


# --- a proxy that cuts --------------------------------------------------------------------------------------------


@contextmanager
def served(app: Flask) -> Iterator[int]:
    """Serve the site on loopback; yields the port."""
    server = make_server("127.0.0.1", 0, app, threaded=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@contextmanager
def cutting_proxy(port: int) -> Iterator[int]:
    """Pass one request on and, as soon as the site begins to answer (it has committed by then), cut the line."""

    def pass_on() -> None:
        client, _ = listener.accept()
        with client, socket.create_connection(("127.0.0.1", port)) as site:
            sent = client.recv(65536)
            while not sent.endswith(b"}"):
                sent += client.recv(65536)
            site.sendall(sent)
            site.recv(1)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=pass_on)
        thread.start()
        yield listener.getsockname()[1]
        thread.join()


def send(port: int, token: str) -> tuple[int, bytes, str | None]:
    body = json.dumps({"title": "Once", "content": "Words."})
    headers = {
        "Authorization": f"Bearer {token}", "Content-Type": "application/json", "Idempotency-Key": "one",
        "Host": "localhost",
    }  # fmt: skip
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        connection.putrequest("POST", f"{BASE}/blogs", skip_host=True)
        for name, value in headers.items():
            connection.putheader(name, value)
        connection.putheader("Content-Length", str(len(body)))
        connection.endheaders(body.encode())
        answer = connection.getresponse()
        return answer.status, answer.read(), answer.headers.get("Idempotency-Replayed")
    finally:
        connection.close()


def test_a_post_whose_answer_was_cut_off_after_the_commit_is_stored_once(site: Site):
    token = Program(site.app, site.ada).shown
    with served(site.app) as port:
        with cutting_proxy(port) as proxy, pytest.raises((http.client.HTTPException, OSError)):
            send(proxy, token)
        assert count_posts(site.app) == 1
        status, body, replayed = send(port, token)
    assert (status, replayed, count_posts(site.app)) == (201, "true", 1)
    with site.app.app_context():
        assert json.loads(body)["id"] == str(db.session.scalar(sa.select(Blog.id)))


# --- two writers --------------------------------------------------------------------------------------------------


def test_two_programs_write_one_post_and_no_acknowledged_change_is_lost(site: Site):
    """For CMS_TEST_WRITERS_S seconds on each engine; each adds a line to what it has read."""
    path = f"{BASE}/blogs/{site.write('Post', content='Begin').id}"
    programs = [Program(site.app, site.ada), Program(site.app, add_person(site.app, "cleo", EDITOR))]
    until = datetime.now(UTC) + timedelta(seconds=WRITERS_S)
    site.app.config["API_CHANGES_PER_MIN"] = 1_000_000

    def write(number: int) -> list[tuple[int, str]]:
        acknowledged = []
        while datetime.now(UTC) < until:
            seen = programs[number].open(path)
            text = f"{seen.json['content']}\n{number}-{len(acknowledged)}"[-100_000:]
            answer = programs[number].open(
                path, "PATCH", json={"content": text}, content_type="application/merge-patch+json",
                headers={"If-Match": seen.headers["ETag"]},
            )  # fmt: skip
            assert answer.status_code in {200, 412}, answer.text
            if answer.status_code == 200:
                acknowledged.append((answer.json["version"], text))
        return acknowledged

    made = sorted(pair for pairs in in_threads(2, write) for pair in pairs)
    with site.app.app_context():
        rows = db.session.execute(sa.select(BlogVersion.number, BlogVersion.content).order_by(BlogVersion.number))
        stored = {number: content for number, content in rows}  # noqa: C416 - rows, not tuples
    assert len(made) > 2
    assert [(number, stored[number]) for number, _ in made] == made
    assert [number for number, _ in made] == list(range(2, len(made) + 2)), "each acknowledged change has its number"
    for (_, before), (_, after) in pairwise(made):
        assert after.rpartition("\n")[0] == before, "a change went back to what was not the newest"


def in_threads(number, work):
    """Return what the calls return, all of which begin at once."""
    results, ready = [None] * number, threading.Barrier(number)

    def run(index: int) -> None:
        ready.wait()
        results[index] = work(index)

    threads = [threading.Thread(target=run, args=(index,)) for index in range(number)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results
