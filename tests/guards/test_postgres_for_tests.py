"""The PostgreSQL that tests run on is what tests take it for, and leaves nothing behind."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import psycopg
import pytest
import sqlalchemy as sa

from tests import postgres as server_of_tests

ROOT = Path(__file__).resolve().parents[2]


def test_every_test_gets_an_empty_database_on_either_engine(database_url):
    engine = sa.create_engine(database_url.replace("postgresql:", "postgresql+psycopg:"))
    assert sa.inspect(engine).get_table_names() == []
    engine.dispose()


def test_a_database_is_dropped_while_someone_is_connected(postgres):
    url = postgres.create_database()
    with psycopg.connect(url):
        postgres.drop_database(url)
    with pytest.raises(psycopg.OperationalError, match="does not exist"):
        psycopg.connect(url)


def test_a_name_of_any_characters_can_be_created_and_dropped(postgres):
    url = postgres.create_database('50% "off"/día?')
    with psycopg.connect(url) as connection:
        assert connection.info.dbname == '50% "off"/día?'
    postgres.drop_database(url)


def test_role_cms_owns_its_database_and_must_give_its_password(postgres):
    url = postgres.create_database(with_password=True)
    with psycopg.connect(url, autocommit=True) as connection:
        role = connection.info.user
        owner = connection.execute("SELECT datdba::regrole::text FROM pg_database WHERE datname = current_database()")
        assert owner.fetchone() == (role,)
    postgres.drop_database(url)
    if role == "cms":
        with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
            psycopg.connect(url.replace("cms:", "cms:not-"))


def test_a_driver_in_the_given_address_is_left_out(monkeypatch):
    monkeypatch.setenv("TEST_DATABASE_URL", "postgresql+psycopg://ada@db/postgres")
    assert server_of_tests.find_source().url == "postgresql://ada@db/postgres"


def test_an_address_that_does_not_answer_is_an_error_and_no_other_server_is_taken(monkeypatch):
    monkeypatch.setenv("TEST_DATABASE_URL", "postgresql://ada@127.0.0.1:1/postgres")
    source = server_of_tests.find_source()
    with pytest.raises(server_of_tests.NoPostgresError, match="does not answer"):
        server_of_tests.join_server(source)


def test_a_forced_folder_without_a_server_is_an_error(monkeypatch, tmp_path):
    monkeypatch.delenv("TEST_DATABASE_URL", raising=False)
    monkeypatch.setenv("CMS_TEST_POSTGRES_BIN", str(tmp_path))
    with pytest.raises(server_of_tests.NoPostgresError, match="CMS_TEST_POSTGRES_BIN"):
        server_of_tests.find_source()


def test_a_killed_run_leaves_no_server_behind(postgres):
    if not postgres.bin_dir or not server_of_tests.server_version(postgres.bin_dir):
        pytest.skip("there is no server here that could be started")
    code = f"""
import sys, time
from pathlib import Path
from tests.postgres import Watcher, server_folder, start_server
folder = server_folder()
watcher = Watcher(folder)
server = start_server(folder, Path({str(postgres.bin_dir)!r}))
print(folder, server.url, flush=True)
time.sleep(60)
"""
    run = subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    folder, url = run.stdout.readline().split()
    psycopg.connect(url).close()

    run.kill()
    run.communicate()

    deadline = time.monotonic() + 15
    while Path(folder).exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not Path(folder).exists()
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(url)
