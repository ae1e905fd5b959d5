"""Checks of what answers, each seen to find what it is for and to be silent otherwise."""

from __future__ import annotations

import shutil
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

import pytest

from cms.checks.registry import registry
from cms.database import server_checks
from cms.database.engines import engine_for
from cms.database.history import load_scripts
from tests.database.pooler import Pooler
from tests.database.rows import FIRST, connected, fill, quiet, upgrade


class Usage(NamedTuple):
    total: int
    used: int
    free: int


def find(target, *, deploy=False):
    """Return the ids and texts that the checks of the server find."""
    with connected(target) as connection:
        given = {"target": target, "connection": connection, "scripts": load_scripts(target)}
        found = registry.run(("server",), deploy=deploy, given=given)
    assert found.unchecked == ()
    return [(problem.id, problem.text) for problem in found.problems]


def test_a_server_in_order_has_no_problem(target):
    upgrade(target)
    assert find(target) == []


def test_checks_of_postgresql_are_not_said_to_have_looked_at_sqlite(sqlite_target):
    upgrade(sqlite_target)
    with connected(sqlite_target) as connection:
        given = {"target": sqlite_target, "connection": connection, "scripts": load_scripts(sqlite_target)}
        found = registry.run(("server",), deploy=False, given=given)
    assert [looked.check for looked in found.checked] == ["check_disk_space"]


def test_a_database_that_takes_no_writes_is_an_error(postgres_target):
    upgrade(postgres_target)
    with connected(postgres_target) as connection:
        name = postgres_target.url.database
        connection.exec_driver_sql(f'ALTER DATABASE "{name}" SET default_transaction_read_only = on')
    ((identity, text),) = find(postgres_target)
    assert identity == "server.E001"
    assert text.endswith("takes no writes")


@pytest.fixture
def through_pooler(postgres_target):
    """Return the target as it is reached through a pooler that has this many sessions for each client."""
    poolers = []

    def between(sessions):
        url = postgres_target.url
        poolers.append(Pooler(url.host, url.port, sessions=sessions))
        return replace(postgres_target, url=url.set(host="127.0.0.1", port=poolers[-1].port))

    yield between
    for pooler in poolers:
        pooler.close()


def test_a_transaction_pooler_is_found(postgres_target, through_pooler):
    upgrade(postgres_target)
    ((identity, text),) = [found for found in find(through_pooler(2)) if found[0] < "server.W003"]
    assert identity == "server.W002"
    assert "leads through a transaction pooler" in text


def test_a_session_pooler_is_told(postgres_target, through_pooler):
    upgrade(postgres_target)
    assert [identity for identity, _ in find(through_pooler(1))] == ["server.I003"]


def test_an_encoding_that_cannot_keep_every_letter_is_named(postgres, postgres_target):
    name = "latin_" + postgres_target.url.database
    maintenance = engine_for(postgres_target).open_tool(postgres_target).execution_options(isolation_level="AUTOCOMMIT")
    with maintenance.connect() as connection:
        connection.exec_driver_sql(f"CREATE DATABASE {name} ENCODING 'SQL_ASCII' LOCALE 'C' TEMPLATE template0")
    latin = replace(postgres_target, url=postgres_target.url.set(database=name))
    upgrade(latin)
    found = find(latin)
    postgres.drop_database(latin.url.set(drivername="postgresql").render_as_string(hide_password=False))
    ((identity, text),) = found
    assert identity == "server.W004"
    assert text.endswith("is SQL_ASCII")


@pytest.mark.parametrize(("seconds", "told"), [(90, "90 s behind"), (-90, "90 s ahead")])
def test_a_clock_that_differs_is_named(postgres_target, monkeypatch, seconds, told):
    upgrade(postgres_target)
    monkeypatch.setattr(server_checks, "now", lambda: datetime.now(UTC) + timedelta(seconds=seconds))
    ((identity, text),) = find(postgres_target)
    assert identity == "server.W005"
    assert text.endswith(told)


def test_a_disk_without_room_is_named(target, monkeypatch):
    upgrade(target)
    monkeypatch.setattr(shutil, "disk_usage", lambda _folder: Usage(1, 1, 1000))
    found = find(target)
    assert {identity for identity, _ in found} == {"server.W006"}
    assert str(target.backup_dir) in found[0][1]
    assert "1,000 bytes free" in found[0][1]


@pytest.fixture
def held(postgres_target, monkeypatch):
    """Hold a table in another session, in a transaction that counts as old at once."""
    upgrade(postgres_target, FIRST)
    fill(postgres_target)
    monkeypatch.setattr(server_checks, "HELD_S", 0)
    with connected(postgres_target) as reader:
        reader.exec_driver_sql("SELECT count(*) FROM blogs")
        yield postgres_target


def test_a_session_that_holds_a_table_is_named_while_revisions_are_pending(held):
    ((identity, text),) = find(held)
    assert identity == "server.W007"
    assert "(cms-tool, idle in transaction) has held blogs for 0 s" in text


def test_a_session_that_holds_a_table_is_no_matter_when_nothing_is_pending(postgres_target, monkeypatch):
    upgrade(postgres_target)
    monkeypatch.setattr(server_checks, "HELD_S", 0)
    with connected(postgres_target) as reader:
        reader.exec_driver_sql("SELECT count(*) FROM blogs")
        assert find(postgres_target) == []


def test_a_run_that_holds_the_deploy_lock_is_told(postgres_target):
    upgrade(postgres_target)
    with engine_for(postgres_target).deploy_lock(postgres_target, quiet):
        ((identity, text),) = find(postgres_target)
    assert identity == "server.I008"
    assert "(cms-tool) works on" in text
    assert find(postgres_target) == []


def test_a_role_that_may_do_everything_and_a_commit_that_may_be_lost_are_found(postgres_target):
    upgrade(postgres_target)
    assert [name for name, _ in find(postgres_target, deploy=True)] == ["server.W010"]
    with connected(postgres_target) as connection:
        connection.exec_driver_sql(f'ALTER DATABASE "{postgres_target.url.database}" SET synchronous_commit = off')
    assert [name for name, _ in find(postgres_target, deploy=True)] == ["server.W010", "server.E011"]


def test_a_role_of_its_own_is_in_order(postgres_target):
    with engine_for(postgres_target).open_tool(postgres_target).connect() as connection:
        connection.exec_driver_sql("CREATE ROLE own_role")
        connection.exec_driver_sql("SET LOCAL ROLE own_role")
        assert server_checks.check_role(postgres_target, connection) == []
        connection.rollback()


@pytest.mark.parametrize(
    ("synchronous", "found"), [("FULL", []), ("NORMAL", ["server.E011"]), ("OFF", ["server.E011"])]
)
def test_what_sqlite_may_lose_is_found(sqlite_target, synchronous, found):
    upgrade(sqlite_target)
    with engine_for(sqlite_target).open_tool(sqlite_target).connect() as connection:
        connection.connection.driver_connection.execute(f"PRAGMA synchronous = {synchronous}")
        given = {"target": sqlite_target, "connection": connection}
        assert [problem.id for problem in server_checks.check_durability(**given)] == found
