"""Scratch databases go away, whatever the server does in them."""

from __future__ import annotations

import time

import psycopg
import pytest

from cms.database.engines.pgdatabases import drop

PATIENCE_S = 30
WORKER = "SELECT pid FROM pg_stat_activity WHERE datname = %s AND backend_type = 'autovacuum worker'"


@pytest.fixture
def busy_database(postgres):
    """Yield the URL of a database of a plain role in which an autovacuum worker is at work, slowly."""
    url = postgres.create_database(with_password=True)
    with psycopg.connect(postgres.url, autocommit=True) as server:
        for setting in ("autovacuum_naptime = '1s'", "autovacuum_vacuum_cost_delay = '100ms'"):
            server.execute(f"ALTER SYSTEM SET {setting}")
        server.execute("SELECT pg_reload_conf()")
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute("CREATE TABLE t AS SELECT n, repeat('x', 500) FROM generate_series(1, 50000) n")
            connection.execute("DELETE FROM t WHERE n % 2 = 0")
            name = connection.info.dbname
        deadline = time.monotonic() + PATIENCE_S
        while not server.execute(WORKER, [name]).fetchone():
            assert time.monotonic() < deadline, "no autovacuum worker came"
        yield url
        server.execute("ALTER SYSTEM RESET autovacuum_naptime")
        server.execute("ALTER SYSTEM RESET autovacuum_vacuum_cost_delay")
        server.execute("SELECT pg_reload_conf()")
    postgres.drop_database(url)


def test_a_database_in_which_the_server_is_vacuuming_is_dropped_by_a_plain_role(postgres, busy_database):
    with psycopg.connect(postgres.url_with_password, autocommit=True) as connection:
        name = psycopg.conninfo.conninfo_to_dict(busy_database)["dbname"]
        drop(connection, name)
        assert connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [name]).fetchone() is None
