"""Connections of the site that outlive an upgrade: their prepared plans go stale, and nobody notices."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace

import psycopg
import pytest
import sqlalchemy as sa
from psycopg.errors import FeatureNotSupported

from cms.blogs.queries import POST
from cms.database.engines import engine_for
from cms.database.engines.pgplans import PREPARED_AT
from tests.database.pooler import Pooler
from tests.database.rows import fill, upgrade
from tests.database.test_rehearsal import with_revision

CONNECTIONS, TIMES = 8, 10
CHANGES = {
    "a longer text": """
    with op.batch_alter_table("blogs") as batch:
        batch.alter_column("slug", existing_type=sa.String(300), type_=sa.String(400))""",
    "text without end": """
    with op.batch_alter_table("blogs") as batch:
        batch.alter_column("slug", existing_type=sa.String(300), type_=sa.Text)""",
    "a bigger number": """
    with op.batch_alter_table("blogs") as batch:
        batch.alter_column("reading_time_minutes", existing_type=sa.Integer, type_=sa.BigInteger)""",
}


@contextmanager
def pool(target, connections=CONNECTIONS) -> Iterator[list[sa.Connection]]:
    """Open connections of the site's own pool, in autocommit as its reads are."""
    engine = engine_for(target).open_pool(replace(target, pool_size=connections))
    with ExitStack() as stack:
        stack.callback(engine.dispose)
        reading = engine.execution_options(isolation_level="AUTOCOMMIT")
        yield [stack.enter_context(reading.connect()) for _ in range(connections)]


def ask(connection: sa.Connection, times: int = TIMES) -> Counter[str]:
    """Ask for a post again and again, and count what came."""
    seen: Counter[str] = Counter()
    for _ in range(times):
        try:
            seen[connection.execute(POST, {"slug": "post-1"}).one().slug] += 1
        except sa.exc.DBAPIError as error:
            seen[type(error.orig).__name__] += 1
    return seen


def count_plans(connection: sa.Connection) -> int:
    return connection.exec_driver_sql("SELECT count(*) FROM pg_prepared_statements").scalar_one()


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_no_request_fails_after_an_upgrade_that_changes_a_type(target, tmp_path, change):
    upgrade(target)
    fill(target)
    longer = with_revision(target, tmp_path, change)
    with pool(target) as connections:
        before = sum(map(ask, connections), Counter())
        upgrade(longer)
        after = sum(map(ask, connections), Counter())
    assert before == after == {"post-1": CONNECTIONS * TIMES}


def test_the_same_upgrade_breaks_a_driver_that_asks_only_once(postgres_target, tmp_path):
    upgrade(postgres_target)
    fill(postgres_target)
    longer = with_revision(postgres_target, tmp_path, CHANGES["a longer text"])
    url = postgres_target.url.set(drivername="postgresql").render_as_string(hide_password=False)
    failed = 0
    with psycopg.connect(url, autocommit=True) as connection:
        for _ in range(TIMES):
            connection.execute("SELECT slug FROM blogs")
        upgrade(longer)
        for _ in range(TIMES):
            try:
                connection.execute("SELECT slug FROM blogs")
            except FeatureNotSupported:
                failed += 1
    assert failed == TIMES


def test_the_site_keeps_plans_and_makes_new_ones_after_the_upgrade(postgres_target, tmp_path):
    upgrade(postgres_target)
    fill(postgres_target)
    with pool(postgres_target, 1) as (connection,):
        ask(connection)
        kept = count_plans(connection)
        upgrade(with_revision(postgres_target, tmp_path, CHANGES["a longer text"]))
        ask(connection, 1)
        forgotten = count_plans(connection)
        ask(connection)
        assert (kept, forgotten, count_plans(connection)) == (1, 0, 1)


def test_in_a_transaction_nothing_relies_on_a_plan_from_before(postgres_target, tmp_path):
    upgrade(postgres_target)
    fill(postgres_target)
    longer = with_revision(postgres_target, tmp_path, CHANGES["a longer text"])
    engine = engine_for(postgres_target).open_pool(replace(postgres_target, pool_size=1))
    try:
        with engine.execution_options(isolation_level="AUTOCOMMIT").connect() as reading:
            ask(reading)
            assert count_plans(reading) == 1
        upgrade(longer)
        with engine.begin() as writing:
            assert ask(writing) == {"post-1": TIMES}
    finally:
        engine.dispose()


def test_a_failure_that_no_plan_is_to_blame_for_stays_one(postgres_target):
    upgrade(postgres_target)
    with pool(postgres_target, 1) as (connection,):
        with pytest.raises(sa.exc.DBAPIError) as failed:
            connection.exec_driver_sql("SELECT 1 FROM blogs, LATERAL (SELECT count(*)) x FOR UPDATE")
        assert isinstance(failed.value.orig, FeatureNotSupported)
        assert connection.exec_driver_sql("SELECT 1").scalar_one() == 1


def test_behind_a_pooler_no_plan_is_kept(postgres_target):
    upgrade(postgres_target)
    fill(postgres_target)
    pooler = Pooler(postgres_target.url.host, postgres_target.url.port, sessions=2)
    url = postgres_target.url.set(host="127.0.0.1", port=pooler.port)
    try:
        with pool(replace(postgres_target, url=url), 1) as (connection,):
            assert ask(connection, PREPARED_AT * 4) == {"post-1": PREPARED_AT * 4}
            assert count_plans(connection) == 0
    finally:
        pooler.close()
