"""Two schemas that behave alike have one fingerprint; two that do not differ in a fact that names the difference."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cms.database.engines import engine_for
from cms.database.fingerprint import read_fingerprint
from cms.database.sqltext import spelled, tokens
from tests.database.rows import connected, upgrade
from tests.database.spellings import OTHER_ON_POSTGRESQL, OTHER_ON_SQLITE, SAME_ON_POSTGRESQL, SAME_ON_SQLITE


def fingerprint_of(target, ddl):
    """Return the fingerprint of what the statements make in the empty database; they are rolled back."""
    engine_for(target).prepare(target)
    with engine_for(target).open_tool(target).connect() as connection:
        for statement in ddl.split(";;"):
            connection.exec_driver_sql(statement)
        found = read_fingerprint(connection)
        connection.rollback()
    return found


@pytest.mark.parametrize(("one", "other"), SAME_ON_SQLITE.values(), ids=SAME_ON_SQLITE)
def test_another_spelling_of_the_same_schema_has_the_same_fingerprint_on_sqlite(sqlite_target, one, other):
    assert fingerprint_of(sqlite_target, one) == fingerprint_of(sqlite_target, other)


@pytest.mark.parametrize(("one", "other"), OTHER_ON_SQLITE.values(), ids=OTHER_ON_SQLITE)
def test_another_behaviour_has_another_fingerprint_on_sqlite(sqlite_target, one, other):
    before, after = fingerprint_of(sqlite_target, one), fingerprint_of(sqlite_target, other)
    assert before.hash != after.hash
    assert before.missing_from(after) or after.missing_from(before)


@pytest.mark.parametrize(("one", "other"), SAME_ON_POSTGRESQL.values(), ids=SAME_ON_POSTGRESQL)
def test_another_spelling_of_the_same_schema_has_the_same_fingerprint_on_postgresql(postgres_target, one, other):
    assert fingerprint_of(postgres_target, one) == fingerprint_of(postgres_target, other)


@pytest.mark.parametrize(("one", "other"), OTHER_ON_POSTGRESQL.values(), ids=OTHER_ON_POSTGRESQL)
def test_another_behaviour_has_another_fingerprint_on_postgresql(postgres_target, one, other):
    before, after = fingerprint_of(postgres_target, one), fingerprint_of(postgres_target, other)
    assert before.hash != after.hash
    assert before.missing_from(after) or after.missing_from(before)


def test_every_schema_on_the_search_path_counts(postgres_target):
    path = "CREATE SCHEMA other;;SET LOCAL search_path = public, other"
    found = fingerprint_of(postgres_target, f"{path};;CREATE TABLE other.t (a INT)")
    assert [str(fact) for fact in found.facts] == ["column t.a integer", "table t"]


def test_what_a_role_may_do_does_not_change_the_fingerprint(postgres_target):
    upgrade(postgres_target)
    with connected(postgres_target) as connection:
        before = read_fingerprint(connection)
        connection.exec_driver_sql("CREATE ROLE nobody_here")
        connection.exec_driver_sql("SET LOCAL ROLE nobody_here")
        assert read_fingerprint(connection) == before
        connection.rollback()


@given(st.lists(st.sampled_from(["'a '' b'", '"X y"', "(", ")", "status", "IN", "<=", "12.5", ",", "-", "x"])))
def test_spelling_a_text_twice_changes_nothing_and_keeps_its_strings(parts):
    once = spelled(tokens(" ".join(parts)))
    assert spelled(tokens(once)) == once
    assert [part for part in tokens(once) if part[0] in "'\""] == [part for part in parts if part[0] in "'\""]
