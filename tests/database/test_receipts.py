"""The receipt of each kind of statement equals what the server's own views say of it, on every version.

Measured here without the code that makes receipts: locks through another session, before the statement's transaction
ends, and by a reader and a writer that try; rewrites by the tables' files; full scans by the server's counters after
it ended.
"""

from __future__ import annotations

from pathlib import Path
from threading import Thread

import psycopg
import pytest

from cms.database.engines import engine_for
from cms.database.receipts import MODES, judge_by_rule
from cms.database.watch import watching
from tests.database.receipts_measured import OUTSIDE, SCHEMA

LOCKS = """
    SELECT c.relname, l.mode FROM pg_locks l JOIN pg_class c ON c.oid = l.relation
    WHERE l.pid = %s AND l.locktype = 'relation' AND c.relkind IN ('r', 'p', 'm')
      AND c.relnamespace = 'public'::regnamespace"""
FILES = """
    SELECT oid, relname, pg_relation_filenode(oid) FROM pg_class
    WHERE relkind IN ('r', 'p', 'm') AND relnamespace = 'public'::regnamespace"""
SCANS = "SELECT relname, seq_tup_read FROM pg_stat_user_tables"
MEASURED = Path(__file__).with_name("lock_receipts.txt")
WAITING = "SELECT 1 FROM pg_stat_activity WHERE pid = %s AND wait_event_type = 'Lock'"


@pytest.fixture
def database(postgres_target):
    with psycopg.connect(as_psycopg(postgres_target), autocommit=True) as connection:
        connection.execute(SCHEMA)
    return postgres_target


def as_psycopg(target):
    return target.url.set(drivername="postgresql").render_as_string(hide_password=False)


def measure(worker, observer, statement):
    """Return for each table that was there before: strongest lock, whether rewritten, whether read from end to end."""
    pid = worker.info.backend_pid
    before, scans = files(worker), dict(observer.execute(SCANS).fetchall())
    worker.execute(statement)
    held = {}
    for table, mode in observer.execute(LOCKS, [pid]).fetchall():
        held[table] = max(held.get(table, mode), mode, key=MODES.index)
    stops = {table: what_waits(observer, table) for table in held}
    after = files(worker)
    worker.rollback()
    worker.execute("SELECT pg_stat_force_next_flush()")
    worker.rollback()
    scanned = {name for name, read in observer.execute(SCANS).fetchall() if read > scans.get(name, 0)}
    rewritten = {name for oid, (name, node) in before.items() if oid in after and after[oid][1] != node}
    return {
        table: describe(mode, stops[table], rewritten=table in rewritten, scanned=table in scanned)
        for table, mode in held.items()
    }


def files(connection):
    return {oid: (name, node) for oid, name, node in connection.execute(FILES).fetchall()}


def what_waits(observer, table):
    """Return whether a reader of the table has to wait for the statement's transaction, or else a writer."""
    if must_wait(observer, f"SELECT FROM {table} LIMIT 0"):
        return "reads and writes"
    # Only the server itself writes a materialized view; of PostgreSQL's own locks it takes this one for that.
    write = (
        "REFRESH MATERIALIZED VIEW CONCURRENTLY summary" if table == "summary" else f"DELETE FROM {table} WHERE false"
    )
    return "writes" if must_wait(observer, write) else None


def must_wait(observer, statement):
    try:
        observer.execute(statement, prepare=False)  # a plan that is kept is not made anew, and looks at no index
    except psycopg.errors.LockNotAvailable:
        return True
    return False


def describe(mode, waits, *, rewritten, scanned):
    waiting = {None: "", "writes": " WRITES", "reads and writes": " READS"}[waits]
    return f"{mode.removesuffix('Lock')}{waiting}{' rewrites' * rewritten}{' scans' * scanned}"


def told(table):
    """Return what a receipt says in the same words."""
    return describe(table.lock, table.blocks, rewritten=table.rewritten, scanned=table.scanned)


def read_known(major):
    """Return the table that was measured before, for this version."""
    found, since, statement = {}, 0, {}
    for line in MEASURED.read_text().splitlines():
        if line.startswith("#"):
            since = int(line.split()[-1]) if line.startswith("# Since") else 0
        elif line.startswith("    "):
            table, _, what = line.strip().partition(" ")
            statement[table] = what
        elif line:
            statement = {}
            if major >= since:
                found[line] = statement
    return found


def test_the_receipt_of_each_kind_of_statement_is_what_the_server_did(database, postgres):
    wrong, changed = [], []
    known = read_known(postgres.major)
    engine = engine_for(database).open_tool(database)
    with (
        psycopg.connect(as_psycopg(database)) as worker,
        psycopg.connect(as_psycopg(database), autocommit=True) as observer,
        engine.connect() as connection,
    ):
        observer.execute("SET lock_timeout = 5")
        for statement, expected in known.items():
            measured = measure(worker, observer, statement)
            with watching(connection) as watch:
                connection.exec_driver_sql(statement)
                receipt = {table.table: told(table) for table in watch.finish("x", "x").tables}
                connection.rollback()
            wrong += [f"{statement}: receipt {receipt}, measured {measured}"] if receipt != measured else []
            changed += [f"{statement}: {measured}, formerly {expected}"] if measured != expected else []
    assert not wrong, "\n".join(wrong)
    assert not changed, "\n".join(changed)
    assert len(known) >= 50


def measure_outside(database, statement, holding):
    """Return the strongest lock that a statement has or wants, for each table, at the moment when it waits."""
    address = as_psycopg(database)
    with (
        psycopg.connect(address, autocommit=True) as worker,
        psycopg.connect(address, autocommit=True) as observer,
        psycopg.connect(address) as holder,
    ):
        holder.execute(holding)
        thread = Thread(target=worker.execute, args=[statement])
        thread.start()
        while not observer.execute(WAITING, [worker.info.backend_pid]).fetchall():
            assert thread.is_alive(), "it waits for nobody"
        held = {}
        for table, mode in observer.execute(LOCKS, [worker.info.backend_pid]).fetchall():
            held[table] = max(held.get(table, mode), mode, key=MODES.index)
        holder.rollback()
        thread.join()
    return held


@pytest.mark.parametrize("statement", OUTSIDE)
def test_what_is_said_of_a_statement_outside_of_a_transaction_is_what_it_wants(database, statement):
    holding, known = OUTSIDE[statement]
    measured = measure_outside(database, statement, holding)
    assert measured == known
    verdict = judge_by_rule(statement)
    stops_readers = MODES[-1] in measured.values()
    assert ("blocks reads and writes" in verdict) == stops_readers
    assert ("neither reads nor writes" in verdict) == (not stops_readers)
