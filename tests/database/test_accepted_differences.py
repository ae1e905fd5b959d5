"""What later revisions can carry is accepted, recorded and upgraded; what they cannot is refused whatever is asked."""

from __future__ import annotations

import pytest
import sqlalchemy as sa

from cms.checks.registry import registry
from cms.database import schema_checks
from cms.database.adopt import apply_stamp, plan_stamp
from cms.database.engines import engine_for
from cms.database.errors import StampRefused
from cms.database.history import get_head, load_scripts, read_current
from cms.database.release import apply_release
from tests.database.rows import FIRST, connected, digests, fill, quiet, upgrade

CARRIED = {
    "extra column": ["ALTER TABLE users ADD COLUMN nickname VARCHAR(50)"],
    "extra column with a default": ["ALTER TABLE blogs ADD COLUMN likes INTEGER NOT NULL DEFAULT 0"],
    "extra table": ["CREATE TABLE reviews (id INTEGER PRIMARY KEY, blog_id INTEGER NOT NULL)"],
    "extra index": ["CREATE INDEX ix_blogs_title ON blogs (title)"],
    "redundant uniqueness": ["CREATE UNIQUE INDEX blogs_slug_key ON blogs (slug)"],
    "missing index": ["DROP INDEX ix_blogs_created_at"],
    "other index": ["DROP INDEX ix_blogs_status", "CREATE INDEX ix_blogs_status ON blogs (title)"],
    "view": ["CREATE VIEW names AS SELECT username FROM users"],
}
CARRIED_BY_POSTGRESQL = {
    "missing default": ["ALTER TABLE blogs ALTER COLUMN view_count DROP DEFAULT"],
    "unique constraint": ["ALTER TABLE blogs ADD CONSTRAINT blogs_slug_key UNIQUE (slug)"],
    "other name": ["ALTER TABLE blogs RENAME CONSTRAINT blogs_author_id_fkey TO fk_author"],
    "other action": [
        "ALTER TABLE blogs DROP CONSTRAINT blogs_author_id_fkey",
        "ALTER TABLE blogs ADD CONSTRAINT blogs_author_id_fkey FOREIGN KEY (author_id) REFERENCES users",
    ],
}
REFUSED = {
    "lost uniqueness": ["DROP INDEX ix_blogs_slug", "CREATE INDEX ix_blogs_slug ON blogs (slug)"],
    "new uniqueness": ["CREATE UNIQUE INDEX one_title ON blogs (title)"],
    "column that a later revision adds": ["ALTER TABLE blogs ADD COLUMN content_html TEXT"],
    "table that a later revision makes": ["CREATE TABLE redirects (path VARCHAR(500) PRIMARY KEY)"],
    "missing column": ["ALTER TABLE users DROP COLUMN bio"],
}
REFUSED_BY_POSTGRESQL = {
    "column that the code does not fill": [
        "DELETE FROM blogs",
        "DELETE FROM users",
        "ALTER TABLE users ADD COLUMN must INTEGER NOT NULL",
    ],
    "time without zone": ["ALTER TABLE users ALTER COLUMN created_at TYPE TIMESTAMP"],
    "nullable": ["ALTER TABLE blogs ALTER COLUMN slug DROP NOT NULL"],
    "JSON instead of JSONB": ["DROP INDEX ix_blogs_tags_gin", "ALTER TABLE blogs ALTER COLUMN tags TYPE JSON"],
    "invalid index": ["UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'ix_blogs_status'::regclass"],
    "another default": ["ALTER TABLE users ALTER COLUMN role SET DEFAULT 'admin'"],
    "foreign key not validated": [
        "ALTER TABLE blogs DROP CONSTRAINT blogs_author_id_fkey",
        "ALTER TABLE blogs ADD CONSTRAINT c FOREIGN KEY (author_id) REFERENCES users ON DELETE CASCADE NOT VALID",
    ],
}


def adopted_site(target, statements=()):
    upgrade(target, FIRST)
    fill(target)
    run(target, [*statements, "DROP TABLE alembic_version", "DROP TABLE migration_journal"])


def run(target, statements):
    with connected(target) as connection:
        for statement in statements:
            connection.exec_driver_sql(statement)


def ids_of_drift(target):
    assert schema_checks
    with connected(target) as connection:
        given = {"target": target, "connection": connection, "scripts": load_scripts(target)}
        return [
            each.id
            for each in registry.run(("schema",), deploy=False, given=given).problems
            if each.id in {"database.W005", "database.I012"}
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


def rows_of(target):
    """Return the rows of the two first tables, in the columns that they had from the beginning."""
    with connected(target) as connection:
        return [
            connection.exec_driver_sql(f"SELECT {columns} FROM {table} ORDER BY 1").all()
            for table, columns in (
                ("users", "uuid, username, email, role, is_active, created_at"),
                ("blogs", "id, author_id, title, slug, content, summary, view_count, status, tags, created_at"),
            )
        ]


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
    assert {fact.kind for fact in plan.nearest.missing} == {"column"}
    apply_stamp(target, plan, say=quiet)
    apply_release(target, say=quiet)
    assert ids_of_drift(target) == ["database.I012"]


def test_drift_that_came_after_the_acceptance_is_told_apart(target):
    adopted_site(target, CARRIED["missing index"])
    apply_stamp(target, plan_stamp(target, accept_differences=True), say=quiet)
    run(target, ["DROP INDEX ix_users_role"])
    assert ids_of_drift(target) == ["database.W005", "database.I012"]
