"""What later revisions can carry is accepted, recorded and upgraded; what they cannot is refused whatever is asked."""

from __future__ import annotations

import shutil
from dataclasses import replace

import pytest
import sqlalchemy as sa

from cms.checks.registry import registry
from cms.database import checks, schema_checks
from cms.database.adopt import apply_stamp, plan_stamp
from cms.database.engines import engine_for
from cms.database.errors import StampRefused
from cms.database.history import get_head, load_scripts, read_current
from cms.database.release import apply_release
from cms.database.schema import Base
from cms.database.target import MIGRATIONS_DIR
from tests.database.adopted import (
    CARRIED,
    CARRIED_BY_POSTGRESQL,
    REFUSED,
    REFUSED_BY_POSTGRESQL,
    REFUSED_BY_SQLITE,
    adopted_site,
    rows_of,
    run,
)
from tests.database.rows import FIRST, NEWEST, connected, digests, quiet


def ids_of_drift(target):
    assert schema_checks
    assert checks
    with connected(target) as connection:
        given = {"target": target, "connection": connection, "scripts": load_scripts(target)}
        given["metadata"] = Base.metadata
        return [
            each.id
            for each in registry.run(("database", "schema"), deploy=False, given=given).problems
            if each.id in {"database.W004", "database.W005", "database.I012", "database.W016"}
        ]


def assert_carried(target):
    """Assert that it is refused unasked, and with the differences accepted goes to the head with every row."""
    before = digests(target)
    with pytest.raises(StampRefused, match="later revisions can carry it") as refused:
        plan_stamp(target)
    assert "--accept-differences" in str(refused.value.hint)
    apply_stamp(target, plan_stamp(target, accept_differences=True), say=quiet)
    after = digests(target)
    assert {name: after[name] for name in before} == before
    assert ids_of_drift(target) == ["database.I012"]
    rows = rows_of(target)
    apply_release(target, say=quiet)
    assert rows_of(target) == rows
    with connected(target) as connection:
        assert read_current(connection, load_scripts(target)) == get_head(load_scripts(target))
    assert ids_of_drift(target) == ["database.I012"]


@pytest.mark.parametrize("statements", CARRIED.values(), ids=CARRIED)
def test_what_later_revisions_can_carry_is_accepted_on_request(target, statements):
    adopted_site(target, statements)
    assert_carried(target)


@pytest.mark.parametrize("statements", CARRIED_BY_POSTGRESQL.values(), ids=CARRIED_BY_POSTGRESQL)
def test_what_later_revisions_can_carry_on_postgresql_is_accepted_on_request(postgres_target, statements):
    adopted_site(postgres_target, statements)
    assert_carried(postgres_target)


@pytest.mark.parametrize("statements", REFUSED.values(), ids=REFUSED)
def test_what_they_cannot_carry_is_refused_whatever_is_asked(target, statements):
    adopted_site(target, statements)
    assert_refused(target)


@pytest.mark.parametrize("statements", REFUSED_BY_POSTGRESQL.values(), ids=REFUSED_BY_POSTGRESQL)
def test_what_they_cannot_carry_on_postgresql_is_refused_whatever_is_asked(postgres_target, statements):
    adopted_site(postgres_target, statements)
    assert_refused(postgres_target)


@pytest.mark.parametrize("statements", REFUSED_BY_SQLITE.values(), ids=REFUSED_BY_SQLITE)
def test_what_a_rebuild_on_sqlite_would_forget_is_refused_whatever_is_asked(sqlite_target, statements):
    adopted_site(sqlite_target, statements)
    assert_refused(sqlite_target)


def assert_refused(target):
    before = digests(target)
    with pytest.raises(StampRefused, match="could not carry") as refused:
        plan_stamp(target, accept_differences=True)
    assert "<- cannot be carried" in str(refused.value.why)
    assert digests(target) == before


def test_a_site_of_create_all_without_server_defaults_is_adopted(target):
    module = load_scripts(target).get_revision(FIRST).module
    tables = sa.MetaData()
    for table in (module.users, module.blogs):
        for column in table.to_metadata(tables).columns:
            column.server_default = None
    engine_for(target).prepare(target)
    with connected(target) as connection:
        tables.create_all(connection)
    plan = plan_stamp(target, accept_differences=True)
    assert plan.revision == FIRST
    assert {fact.kind for fact in plan.accepted.missing} == {"column"}
    apply_stamp(target, plan, say=quiet)
    apply_release(target, say=quiet)
    assert ids_of_drift(target) == ["database.I012"]


def test_drift_that_came_after_the_acceptance_is_told_apart(target):
    adopted_site(target, CARRIED["missing index"])
    apply_stamp(target, plan_stamp(target, accept_differences=True), say=quiet)
    run(target, ["DROP INDEX ix_users_role"])
    assert ids_of_drift(target) == ["database.W005", "database.I012"]


def test_an_accepted_thing_that_a_new_revision_makes_too_is_named(sqlite_target, tmp_path):
    """Accepted while no revision knew the name; the release with the new revision comes later."""
    adopted_site(sqlite_target, ["CREATE TABLE newsletters (id INTEGER PRIMARY KEY)"])
    apply_stamp(sqlite_target, plan_stamp(sqlite_target, accept_differences=True), say=quiet)
    assert "database.W016" not in ids_of_drift(sqlite_target)
    folder = tmp_path / "migrations"
    shutil.copytree(MIGRATIONS_DIR, folder, ignore=shutil.ignore_patterns("__pycache__"))
    (folder / "versions" / "20990101_0000_create_newsletters.py").write_text(
        f'''"""create newsletters"""
import sqlalchemy as sa
from alembic import op
revision = "abcdefabcdef"
down_revision = "{NEWEST}"
def upgrade(): op.create_table("newsletters", sa.Column("id", sa.Integer, primary_key=True))
def downgrade(): op.drop_table("newsletters")
'''
    )
    found = ids_of_drift(replace(sqlite_target, migrations_dir=folder))
    assert found == ["database.I012", "database.W016"]
