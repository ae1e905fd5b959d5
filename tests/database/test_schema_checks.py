"""Checks of the live schema, each seen to find what it is for and to be silent otherwise."""

from __future__ import annotations

import shutil
from dataclasses import replace

import pytest
import sqlalchemy as sa

from cms.checks.registry import registry
from cms.database import checks, schema_checks
from cms.database.engines import engine_for
from cms.database.history import load_scripts
from cms.database.schema import Base
from cms.database.target import MIGRATIONS_DIR
from tests.database.rows import FIRST, SECOND, connected, fill, quiet, upgrade


def find(target, *, deploy=False):
    """Return the ids and texts that the checks of the live schema find."""
    assert schema_checks
    with connected(target) as connection:
        given = {"target": target, "connection": connection, "scripts": load_scripts(target)}
        found = registry.run(("schema",), deploy=deploy, given=given)
    assert found.unchecked == ()
    return [(problem.id, problem.text) for problem in found.problems]


def run(target, *statements):
    with connected(target) as connection:
        for statement in statements:
            connection.exec_driver_sql(statement)


@pytest.mark.parametrize("revision", [FIRST, SECOND, "head"])
def test_a_schema_made_by_the_history_has_no_problem_at_any_revision(target, revision):
    upgrade(target, revision)
    fill(target)
    assert find(target) == []


def test_a_column_that_somebody_added_is_drift_and_named(target):
    upgrade(target, SECOND)
    run(target, "ALTER TABLE users ADD COLUMN nickname VARCHAR(10)")
    ((identity, text),) = find(target)
    assert identity == "database.W005"
    assert "extra column users.nickname" in text


def test_an_index_that_somebody_dropped_is_drift_and_named(target):
    upgrade(target)
    run(target, "DROP INDEX ix_blogs_created_at")
    ((identity, text),) = find(target)
    assert identity == "database.W005"
    assert "missing index" in text
    assert "ix_blogs_created_at" in text


def test_while_another_run_works_on_the_database_drift_is_not_checked_and_nobody_waits(target):
    upgrade(target)
    run(target, "DROP INDEX ix_blogs_created_at")
    with engine_for(target).deploy_lock(target, quiet):
        ((identity, text),) = find(target)
    assert identity == "database.I011"
    assert "another run works on the database" in text
    ((identity, _),) = find(target)
    assert identity == "database.W005"


def test_what_a_failed_rebuild_left_is_named(target):
    upgrade(target)
    run(target, "CREATE TABLE _alembic_tmp_blogs (id INTEGER)")
    assert ("database.W007", "the table _alembic_tmp_blogs is left of a failed migration") in find(target)


def test_a_foreign_key_without_an_index_is_named(target):
    upgrade(target)
    run(target, "DROP INDEX ix_redirects_blog_id")
    assert ("database.W008", "no index begins with blog_id of redirects, a foreign key") in find(target)


def test_a_schema_at_the_head_has_no_problem_with_models_and_foreign_keys(target):
    upgrade(target)
    with connected(target) as connection:
        assert schema_checks.check_foreign_keys_indexed(connection) == []
        assert checks.check_models_match(connection, load_scripts(target), Base.metadata) == []


def test_an_invalid_index_is_an_error(postgres_target):
    upgrade(postgres_target)
    fill(postgres_target)
    run(
        postgres_target,
        "UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'ix_blogs_status'::regclass",
    )
    assert ("database.E006", "the index ix_blogs_status is invalid") in find(postgres_target)


def test_what_an_interrupted_rebuild_of_an_index_left_is_named_with_the_statement_that_drops_it(postgres_target):
    upgrade(postgres_target)
    run(postgres_target, "CREATE INDEX ix_blogs_status_ccnew ON blogs (status)")
    run(
        postgres_target,
        "UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'ix_blogs_status_ccnew'::regclass",
    )
    with connected(postgres_target) as connection:
        (left,) = schema_checks.check_invalid_indexes(connection)
    assert left.why == "REINDEX CONCURRENTLY was interrupted; the index that it was to replace, ix_blogs_status, works"
    assert left.hint.endswith("DROP INDEX CONCURRENTLY ix_blogs_status_ccnew")


def test_a_constraint_that_was_never_validated_is_named(postgres_target):
    upgrade(postgres_target)
    run(postgres_target, "ALTER TABLE users ADD CONSTRAINT long CHECK (length(username) > 1) NOT VALID")
    assert ("database.W007", "the constraint long of users was never validated") in find(postgres_target)


def test_an_old_transaction_that_would_hold_an_upgrade_up_is_named(postgres_target, monkeypatch):
    upgrade(postgres_target)
    monkeypatch.setattr(schema_checks, "OLD_TRANSACTION_S", 0)
    with connected(postgres_target) as reader:
        reader.exec_driver_sql("SELECT count(*) FROM blogs")
        ((identity, text),) = find(postgres_target)
    assert identity == "database.W009"
    assert "(cms-tool)" in text


def test_a_role_that_may_not_make_a_schema_is_told_if_drift_was_not_checked(postgres_target, tmp_path):
    shutil.copytree(MIGRATIONS_DIR, tmp_path / "migrations", ignore=shutil.ignore_patterns("__pycache__"))
    upgrade(postgres_target)
    run(
        postgres_target,
        "CREATE ROLE reader LOGIN",
        "GRANT SELECT ON ALL TABLES IN SCHEMA public TO reader",
    )
    try:
        reader = replace(postgres_target, url=postgres_target.url.set(username="reader"))
        with connected(postgres_target) as connection:
            tables = sorted(sa.inspect(connection).get_table_names())
        unusable = ("database.E013", f"reader may not read and write {len(tables)} tables: {', '.join(tables)}")
        assert find(reader) == [unusable]
        shutil.rmtree(tmp_path / "migrations" / "fingerprints")
        (identity, text), *others = find(replace(reader, migrations_dir=tmp_path / "migrations"))
        assert identity == "database.I011"
        assert "permission denied" in text
        assert others == [unusable]
    finally:
        run(postgres_target, "DROP OWNED BY reader", "DROP ROLE reader")


def test_a_superuser_as_the_sites_role_is_named_for_a_deployment(postgres_target):
    upgrade(postgres_target)
    assert find(postgres_target) == []
    assert find(postgres_target, deploy=True) == [("database.W010", "the role postgres is a superuser")]
