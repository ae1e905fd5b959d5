"""`check` in front of a database that is not as it should be: one clear answer, soon, and never a traceback."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import sqlite3
import struct
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from cms.database.engines import engine_for
from cms.database.errors import DatabaseUnreachable
from cms.database.history import get_head, load_scripts, read_version_rows
from cms.database.looking import looking_at
from tests.database.pooler import Pooler
from tests.database.rows import connected, upgrade

ROOT = Path(__file__).resolve().parents[2]
PATIENCE_S = 30  # of a machine with much else to do; alone it takes 4 s at the longest


def run(url, folder, *arguments):
    return subprocess.run(
        [sys.executable, "manage.py", "check", "--json", *arguments],
        env={"PATH": os.environ["PATH"], "DATABASE_URL": url, "BACKUP_DIR": str(folder)},
        cwd=ROOT, capture_output=True, text=True, check=False, timeout=PATIENCE_S,
    )  # fmt: skip


def check(url, tmp_path, *arguments):
    """Return the report of `check`, after seeing that it came, with exit code 3 and without a traceback."""
    done = run(url, tmp_path / "backups", *arguments)
    assert "Traceback" not in done.stderr
    assert done.returncode == 3, done.stderr
    return json.loads(done.stdout)


def only(report):
    """Return the one answer, and the reasons for which checks did not look."""
    (problem,) = report["problems"]
    return problem, {blind["why"] for blind in report["unchecked"]}


def test_a_stopped_server_is_one_answer(tmp_path):
    problem, why = only(check("postgresql://ada:s3cr3t@127.0.0.1:1/blog", tmp_path))
    assert problem["id"] == "database.E002"
    assert "Connection refused" in problem["why"]
    assert "does the server run" in problem["hint"]
    assert why == {"the database cannot be reached"}


@pytest.fixture
def black_hole():
    """Return the port of a server that lets clients connect and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def test_a_server_that_never_answers_is_one_answer(black_hole, tmp_path):
    problem, why = only(check(f"postgresql://ada:s3cr3t@127.0.0.1:{black_hole}/blog", tmp_path))
    assert problem["id"] == "database.E002"
    assert "timeout expired" in problem["why"]
    assert why == {"the database cannot be reached"}


def test_a_pooler_that_has_no_session_left_is_one_answer(mute_server, tmp_path):
    problem, why = only(check(f"postgresql://ada:s3cr3t@127.0.0.1:{mute_server}/blog", tmp_path))
    assert problem["id"] == "database.E002"
    assert problem["why"] == "the server did not answer within 2.5 s"
    assert why == {"the database cannot be reached"}


def test_a_locked_table_is_not_waited_for_and_its_holder_is_named(postgres_target, postgres_url, tmp_path):
    upgrade(postgres_target)
    with connected(postgres_target) as holder:
        pid = holder.exec_driver_sql("SELECT pg_backend_pid()").scalar_one()
        holder.exec_driver_sql("LOCK TABLE alembic_version, jobs")
        problem, why = only(check(postgres_url, tmp_path))
    assert problem["id"] == "server.W009"
    told = f"process {pid} (cms-tool, idle in transaction) has locked alembic_version, jobs for"
    assert problem["text"].startswith(told)
    assert all(each.startswith(told) for each in why)


def test_a_check_locks_nothing_while_it_looks(postgres_target, postgres_url):
    upgrade(postgres_target)
    with looking_at(postgres_target) as connection, connected(postgres_target) as other:
        read_version_rows(connection)
        other.exec_driver_sql("SET LOCAL lock_timeout = 1")
        other.exec_driver_sql("LOCK TABLE alembic_version")


def test_a_server_that_falls_silent_in_the_middle_is_one_answer(postgres_target):
    url = postgres_target.url
    between = Pooler(url.host, url.port, sessions=1)
    target = replace(postgres_target, url=url.set(host="127.0.0.1", port=between.port))
    with pytest.raises(DatabaseUnreachable, match="stopped answering") as unreachable:  # noqa: SIM117, PT012
        with looking_at(target) as connection:
            connection.exec_driver_sql("SELECT 1")
            between.silent.set()
            connection.exec_driver_sql("SELECT 1")
    between.close()
    assert "did not answer" in unreachable.value.why


def test_a_migration_that_lost_its_client_is_not_waited_for(postgres_target, postgres_url, tmp_path):
    upgrade(postgres_target)
    with engine_for(postgres_target).open_tool(postgres_target, migrating=True).connect() as orphan:
        orphan.exec_driver_sql("SELECT 1")
        done = run(postgres_url, tmp_path / "backups")
    (told,) = [each for each in json.loads(done.stdout)["problems"] if each["id"].startswith("database")]
    assert told["id"] == "database.I011"


def test_a_sqlite_file_that_somebody_holds_is_one_answer(sqlite_target, tmp_path):
    upgrade(sqlite_target)
    file = sqlite_target.url.database
    with contextlib.closing(sqlite3.connect(file, isolation_level=None)) as holder:
        holder.execute("PRAGMA locking_mode = EXCLUSIVE")
        holder.execute("BEGIN EXCLUSIVE")
        problem, _ = only(check(f"sqlite:///{file}", tmp_path))
    assert problem["id"] == "database.E002"
    assert problem["why"] == "database is locked"


@pytest.mark.parametrize("content", [b"This is a letter, and no database at all.\n" * 99, None])
def test_a_file_that_is_no_sqlite_database_is_one_answer(tmp_path, content):
    file = tmp_path / "cms.db"
    file.write_bytes(content) if content else file.mkdir()
    problem, _ = only(check(f"sqlite:///{file}", tmp_path))
    assert problem["id"] == "database.E002"
    assert problem["why"] == ("file is not a database" if content else "unable to open database file")


def test_a_wrong_password_is_one_answer_that_does_not_show_it(postgres, tmp_path):
    url = postgres.create_database(with_password=True)
    user, _, rest = url.partition("@")
    wrong = f"{user.rpartition(':')[0]}:wr0ng-w0rd@{rest}"
    problem, _ = only(report := check(wrong, tmp_path))
    postgres.drop_database(url)
    assert problem["id"] == "database.E002"
    assert "password authentication failed" in problem["why"]
    assert "wr0ng" not in json.dumps(report)


def test_a_database_that_does_not_exist_is_one_answer(postgres, tmp_path):
    problem, _ = only(check(postgres.url.rpartition("/")[0] + "/nonsense", tmp_path))
    assert problem["id"] == "database.E002"
    assert 'database "nonsense" does not exist' in problem["why"]


def test_a_server_that_is_too_old_is_one_answer(old_server, tmp_path):
    problem, why = only(check(f"postgresql://ada@127.0.0.1:{old_server}/blog", tmp_path))
    assert problem["id"] == "database.E003"
    assert problem["text"] == "PostgreSQL 13.9 is too old"
    assert problem["why"] == "15 or newer is needed"
    assert why == {"PostgreSQL 13.9 is too old"}


def test_an_empty_database_is_one_answer(postgres_url, tmp_path):
    problem, why = only(check(postgres_url, tmp_path))
    assert problem["id"] == "database.W002"
    assert "is empty" in problem["text"]
    assert "backup-and-migrate" in problem["hint"]
    assert why == {"the database is at no revision of this history"}


def test_an_empty_sqlite_file_is_one_answer(tmp_path):
    (tmp_path / "cms.db").touch()
    problem, _ = only(check(f"sqlite:///{tmp_path}/cms.db", tmp_path, "--tag", "database", "--tag", "schema"))
    assert problem["id"] == "database.W002"


def test_a_sqlite_file_that_is_not_there_is_one_answer(tmp_path):
    problem, _ = only(check(f"sqlite:///{tmp_path}/cms.db", tmp_path))
    assert problem["id"] == "database.E002"


def test_somebody_elses_tables_are_one_answer(target, environment, tmp_path):
    with engine_of(target) as connection:
        connection.exec_driver_sql("CREATE TABLE author (id INTEGER PRIMARY KEY)")
        connection.exec_driver_sql(
            "CREATE TABLE book (id INTEGER PRIMARY KEY, author_id INTEGER REFERENCES author (id))"
        )
    problem, why = only(check(environment["DATABASE_URL"], tmp_path, "--tag", "database", "--tag", "schema"))
    assert problem["id"] == "database.W002"
    assert "holds tables and no revision" in problem["text"]
    assert "stamp-existing-database" in problem["hint"]
    assert why == {"the database is at no revision of this history"}


def test_somebody_elses_history_is_one_answer(target, environment, tmp_path):
    upgrade(target)
    with connected(target) as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = 'feedfacecafe'")
    problem, why = only(check(environment["DATABASE_URL"], tmp_path))
    assert problem["id"] == "database.E004"
    assert "feedfacecafe" in problem["text"]
    assert "older than the database" in problem["why"]
    assert f"its schema is that of revision {get_head(load_scripts(target))}" in problem["why"]
    assert why == {"the database is at no revision of this history"}


def engine_of(target):
    engine_for(target).prepare(target)
    return connected(target)


# --- a server of 2022, as far as a client looks at it before it asks for the version


@pytest.fixture
def old_server():
    """Return the port of a server that speaks PostgreSQL's protocol and says that it is 13.9."""
    yield from serving(serve)


@pytest.fixture
def mute_server():
    """Return the port of a server that lets a client in and answers no question."""
    yield from serving(greet_only)


def serving(answering):
    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=accept, args=(server, answering), daemon=True).start()
        yield server.getsockname()[1]
        server.shutdown(socket.SHUT_RDWR)


ENCRYPTED = {80877103, 80877104}  # what a client asks first: by TLS, by Kerberos?
ANSWERS = {
    "version()": "PostgreSQL 13.9 on x86_64-pc-linux-gnu",
    "server_version_num": "130009",
    "server_version": "13.9",
    "standard_conforming_strings": "on",
    "transaction isolation": "read committed",
    "current_schema": "public",
}


def accept(server, answering):
    while True:
        try:
            client, _ = server.accept()
        except OSError:
            return
        threading.Thread(target=serve_and_close, args=(client, answering), daemon=True).start()


def serve_and_close(client, answering):
    with client, client.makefile("rwb", buffering=0) as stream, contextlib.suppress(OSError, struct.error):
        answering(stream)


def greet_only(client):
    greet(client)
    while client.read(1):
        pass


def greet(client):
    while True:
        length, code = struct.unpack("!ii", client.read(8))
        client.read(length - 8)
        if code not in ENCRYPTED:
            break
        client.write(b"N")
    client.write(message("R", struct.pack("!i", 0)) + message("S", b"server_version\x0013.9\x00"))
    client.write(message("S", b"client_encoding\x00UTF8\x00") + message("Z", b"I"))


def serve(client):
    greet(client)
    query = b""
    while kind := client.read(1):
        (length,) = struct.unpack("!i", client.read(4))
        body = client.read(length - 4)
        if kind == b"Q":
            query = body
            client.write(answer(query) + message("Z", b"I"))
        elif kind == b"P":
            query = body
            client.write(message("1"))
        elif kind == b"B":
            client.write(message("2"))
        elif kind == b"D":
            client.write(column())
        elif kind == b"E":
            client.write(row(query))
        elif kind == b"S":
            client.write(message("Z", b"I"))


def message(kind, body=b""):
    return kind.encode() + struct.pack("!i", len(body) + 4) + body


def column():
    return message("T", struct.pack("!h", 1) + b"c\x00" + struct.pack("!ihihih", 0, 0, 25, -1, -1, 0))


def row(query):
    value = next((value.encode() for part, value in ANSWERS.items() if part in query.decode()), None)
    if value is None:
        return message("C", b"SELECT 0\x00")
    return message("D", struct.pack("!hi", 1, len(value)) + value) + message("C", b"SELECT 1\x00")


def answer(query):
    if query.upper().startswith((b"BEGIN", b"ROLLBACK", b"COMMIT")):
        return message("C", query.rstrip(b"\x00").upper() + b"\x00")
    return column() + row(query)


def test_verbose_says_of_each_check_whether_it_measured_or_why_not(tmp_path):
    settings = {"DATABASE_URL": "postgresql://ada@127.0.0.1:1/blog", "BACKUP_DIR": str(tmp_path)}
    command = [sys.executable, "manage.py", "check", "--verbose"]
    environment = {"PATH": os.environ["PATH"], **settings}
    done = subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True, check=False)
    lines = done.stdout.splitlines()
    assert any(line.startswith("measured: database.E001: ") for line in lines)
    assert any(
        line.startswith("not checked: database.W003: ") and line.endswith("(the database cannot be reached)")
        for line in lines
    )
