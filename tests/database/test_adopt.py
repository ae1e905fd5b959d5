"""`stamp-existing-database` never stamps a lie."""

from __future__ import annotations

import re
import shutil
import sqlite3
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from cms.database.adopt import apply_stamp, plan_stamp
from cms.database.errors import StampRefused
from cms.database.fingerprint import read_fingerprint
from cms.database.history import list_revisions, load_scripts, read_current
from cms.database.release import apply_release
from cms.database.target import MIGRATIONS_DIR, ROOT
from cms.errors import Refused
from tests.database.adopted import run
from tests.database.rows import FIRST, SECOND, connected, count, digests, fill, quiet, upgrade


def forget_history(target):
    with connected(target) as connection:
        connection.exec_driver_sql("DROP TABLE alembic_version")


def test_a_database_built_at_any_revision_is_recognised(target):
    scripts = load_scripts(target)
    for revision in list_revisions(scripts):
        upgrade(target, revision.id)
        forget_history(target)
        plan = plan_stamp(target)
        assert plan.revision == revision.id
        assert apply_stamp(target, plan, say=quiet).revision == revision.id
        with connected(target) as connection:
            assert read_current(connection, scripts) == revision.id


def test_stamping_touches_no_row_and_the_upgrade_goes_on_from_there(target):
    upgrade(target, FIRST)
    fill(target)
    forget_history(target)
    before = {name: digest for name, digest in digests(target).items() if "alembic" not in name and "jour" not in name}
    apply_stamp(target, plan_stamp(target), say=quiet)
    after = digests(target)
    assert {name: after[name] for name in before} == before
    apply_release(target, say=quiet)
    assert count(target, "blogs") == 3


MUTATIONS = {
    "extra column": "ALTER TABLE users ADD COLUMN nickname VARCHAR(50)",
    "extra table": "CREATE TABLE reviews (id INTEGER PRIMARY KEY)",
    "missing index": "DROP INDEX ix_blogs_created_at",
    "lost uniqueness": "DROP INDEX ix_blogs_slug; CREATE INDEX ix_blogs_slug ON blogs (slug)",
    "other columns in an index": "DROP INDEX ix_blogs_status; CREATE INDEX ix_blogs_status ON blogs (title)",
    "descending index": "DROP INDEX ix_blogs_status; CREATE INDEX ix_blogs_status ON blogs (status DESC)",
    "partial index": "DROP INDEX ix_blogs_status; CREATE INDEX ix_blogs_status ON blogs (status) WHERE status = 'x'",
    "view": "CREATE VIEW recent AS SELECT id FROM blogs",
}
ON_POSTGRESQL = {
    "type": "ALTER TABLE users ALTER COLUMN bio TYPE TEXT",
    "length": "ALTER TABLE users ALTER COLUMN bio TYPE VARCHAR(161)",
    "nullable": "ALTER TABLE blogs ALTER COLUMN slug DROP NOT NULL",
    "default": "ALTER TABLE users ALTER COLUMN role SET DEFAULT 'admin'",
    "no default": "ALTER TABLE users ALTER COLUMN is_active DROP DEFAULT",
    "check": "ALTER TABLE users ADD CONSTRAINT c CHECK (length(username) > 1)",
    "unvalidated check": "ALTER TABLE users ADD CONSTRAINT c CHECK (length(username) > 1) NOT VALID",
    "no foreign key": "ALTER TABLE blogs DROP CONSTRAINT blogs_author_id_fkey",
    "other action": "ALTER TABLE blogs DROP CONSTRAINT blogs_author_id_fkey; ALTER TABLE blogs ADD CONSTRAINT "
    "blogs_author_id_fkey FOREIGN KEY (author_id) REFERENCES users",
    "no primary key": "ALTER TABLE blogs DROP CONSTRAINT blogs_pkey",
    "time without zone": "ALTER TABLE users ALTER COLUMN created_at TYPE TIMESTAMP",
    "json": "DROP INDEX ix_blogs_tags_gin; ALTER TABLE blogs ALTER COLUMN tags TYPE JSON",
    "index method": "DROP INDEX ix_users_role; CREATE INDEX ix_users_role ON users USING hash (role)",
    "collation": 'ALTER TABLE users ALTER COLUMN email TYPE VARCHAR(255) COLLATE "C"',
    "row security": "ALTER TABLE users ENABLE ROW LEVEL SECURITY",
    "trigger": "CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'; "
    "CREATE TRIGGER t BEFORE INSERT ON users FOR EACH ROW EXECUTE FUNCTION f()",
    "enum": "CREATE TYPE mood AS ENUM ('a', 'b')",
    "unlogged": "ALTER TABLE blogs SET UNLOGGED",
    "foreign key switched off": "ALTER TABLE blogs DISABLE TRIGGER ALL",
    "rule": "CREATE RULE r AS ON INSERT TO users DO INSTEAD NOTHING",
    "child table": "CREATE TABLE huey_child () INHERITS (users)",
    "invalid primary key": "UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'users_pkey'::regclass",
    "index not ready": "UPDATE pg_index SET indisready = false WHERE indexrelid = 'ix_users_role'::regclass",
}
ON_SQLITE = {
    "trigger": "CREATE TRIGGER t AFTER INSERT ON users BEGIN SELECT 1; END",
    "collation in an index": "DROP INDEX ix_users_role; CREATE INDEX ix_users_role ON users (role COLLATE NOCASE)",
    "type": "ALTER TABLE users DROP COLUMN bio; ALTER TABLE users ADD COLUMN bio TEXT",
    "default": "ALTER TABLE users DROP COLUMN bio; ALTER TABLE users ADD COLUMN bio VARCHAR(160) DEFAULT 'x'",
    "check": "ALTER TABLE users DROP COLUMN bio; ALTER TABLE users ADD COLUMN bio VARCHAR(160) CHECK (bio <> '')",
    "collation": "ALTER TABLE users DROP COLUMN bio; ALTER TABLE users ADD COLUMN bio VARCHAR(160) COLLATE NOCASE",
    "conflict clause": "ALTER TABLE blogs DROP COLUMN word_count; "
    "ALTER TABLE blogs ADD COLUMN word_count INTEGER DEFAULT 0 NOT NULL ON CONFLICT IGNORE",
}


@pytest.mark.parametrize("statements", [*MUTATIONS.values(), *ON_POSTGRESQL.values()], ids=[*MUTATIONS, *ON_POSTGRESQL])
def test_a_schema_that_differs_in_one_thing_on_postgresql_is_refused_and_nothing_changes(postgres_target, statements):
    assert_refused(postgres_target, statements)


@pytest.mark.parametrize("statements", [*MUTATIONS.values(), *ON_SQLITE.values()], ids=[*MUTATIONS, *ON_SQLITE])
def test_a_schema_that_differs_in_one_thing_on_sqlite_is_refused_and_nothing_changes(sqlite_target, statements):
    assert_refused(sqlite_target, statements)


def assert_refused(target, statements):
    upgrade(target, FIRST)
    forget_history(target)
    with connected(target) as connection:
        for statement in [statements] if "TRIGGER" in statements else statements.split("; "):
            connection.exec_driver_sql(statement)
        before = read_fingerprint(connection)
    with pytest.raises(StampRefused) as refused:
        plan_stamp(target)
    assert re.search(r"(missing|extra|differs): ", str(refused.value.why))
    with connected(target) as connection:
        assert read_fingerprint(connection) == before
        assert read_current(connection, load_scripts(target)) is None


def test_harmless_spellings_of_the_same_schema_are_recognised(postgres_target):
    upgrade(postgres_target)
    with connected(postgres_target) as connection:
        for statement in (
            "DROP INDEX ix_blogs_slug",
            "create unique index IX_BLOGS_SLUG on public.blogs using btree (slug asc nulls last)",
            "ALTER TABLE blogs ALTER COLUMN view_count SET DEFAULT (0)::integer",
            "ALTER TABLE users ALTER COLUMN role SET DEFAULT 'user'::varchar",
            "COMMENT ON TABLE blogs IS 'posts'",
        ):
            connection.exec_driver_sql(statement)
    forget_history(postgres_target)
    assert plan_stamp(postgres_target).accepted is None


def test_a_number_in_quotes_is_the_same_default_on_sqlite(sqlite_target):
    upgrade(sqlite_target, FIRST)
    with connected(sqlite_target) as connection:
        connection.exec_driver_sql("ALTER TABLE blogs DROP COLUMN view_count")
        connection.exec_driver_sql("ALTER TABLE blogs ADD COLUMN view_count INTEGER NOT NULL DEFAULT '0'")
    forget_history(sqlite_target)
    assert plan_stamp(sqlite_target).revision == FIRST


def test_a_table_that_the_role_may_only_read_is_refused_and_named(postgres_target):
    upgrade(postgres_target, FIRST)
    forget_history(postgres_target)
    with connected(postgres_target) as connection:
        connection.exec_driver_sql("CREATE ROLE half LOGIN")
        connection.exec_driver_sql("GRANT SELECT, INSERT, UPDATE, DELETE ON users TO half")
        connection.exec_driver_sql("GRANT SELECT, INSERT, UPDATE ON blogs TO half")
    try:
        with pytest.raises(StampRefused, match=r"half may not read and write .*: blogs"):
            plan_stamp(replace(postgres_target, url=postgres_target.url.set(username="half")))
    finally:
        with connected(postgres_target) as connection:
            connection.exec_driver_sql("DROP OWNED BY half")
            connection.exec_driver_sql("DROP ROLE half")


def test_an_empty_database_is_not_stamped(target):
    from cms.database.engines import engine_for

    engine_for(target).prepare(target)
    with pytest.raises(StampRefused, match="no table of ours") as refused:
        plan_stamp(target)
    assert "it holds no table at all" in refused.value.why


def test_a_database_of_something_else_is_not_stamped_and_its_tables_are_named(target):
    from cms.database.engines import engine_for

    engine_for(target).prepare(target)
    run(target, ["CREATE TABLE wp_posts (id INTEGER PRIMARY KEY)", "CREATE TABLE wp_users (id INTEGER PRIMARY KEY)"])
    with pytest.raises(StampRefused, match="no table of ours") as refused:
        plan_stamp(target, accept_differences=True)
    assert "it holds 2 tables of something else: " in refused.value.why
    assert "wp_posts" in refused.value.why
    assert ("looked in this file" if target.engine_name == "sqlite" else "schemas public") in refused.value.why
    assert (f"owned by {target.url.username}" in refused.value.why) == (target.engine_name == "postgresql")


def test_tables_that_the_search_path_does_not_find_are_named(postgres_target):
    run(postgres_target, ["CREATE SCHEMA old", "CREATE TABLE old.users (id INTEGER PRIMARY KEY)"])
    with pytest.raises(StampRefused, match="no table of ours") as refused:
        plan_stamp(postgres_target)
    assert "looked in the schemas public; it holds 1 table of something else: old.users" in refused.value.why


def test_a_database_with_a_revision_is_left_alone(target):
    upgrade(target, FIRST)
    plan = plan_stamp(target)
    assert (plan.current, plan.revision, plan.drift) == (FIRST, None, ())


def test_a_database_that_drifted_from_its_revision_is_told_what_is_missing(target):
    upgrade(target, FIRST)
    with connected(target) as connection:
        connection.exec_driver_sql("DROP INDEX ix_blogs_created_at")
    plan = plan_stamp(target)
    assert "missing index ix_blogs_created_at on blogs" in str(plan)
    assert plan.exit_code == 3


def test_another_programs_history_is_named_and_left_alone(target):
    upgrade(target)
    with connected(target) as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = 'feedfacecafe'")
    with pytest.raises(StampRefused, match="feedfacecafe") as refused:
        plan_stamp(target)
    assert "its schema is that of revision" in str(refused.value.why)


def test_a_revision_that_was_given_up_is_left_by_the_command_that_the_hint_names(target, environment):
    upgrade(target, SECOND)
    with connected(target) as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = 'feedfacecafe'")
    with pytest.raises(StampRefused) as refused:
        plan_stamp(target)
    command = re.search(r"flask (db stamp --purge \w+)", str(refused.value.hint))[1].split()
    flask = str(Path(sys.executable).with_name("flask"))
    subprocess.run([flask, *command], env={**environment, "FLASK_APP": "wsgi"}, check=True, cwd=ROOT)
    assert plan_stamp(target).current == SECOND


def test_an_unknown_revision_of_another_schema_is_described_by_the_nearest(target):
    upgrade(target, SECOND)
    with connected(target) as connection:
        connection.exec_driver_sql("ALTER TABLE users ADD COLUMN nickname VARCHAR(50)")
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = 'feedfacecafe'")
    with pytest.raises(StampRefused) as refused:
        plan_stamp(target)
    assert f"its schema is nearest to revision {SECOND}, with 1 difference" in str(refused.value.why)
    assert "--purge" not in str(refused.value.hint)


def test_several_revisions_at_once_are_named_and_left_alone(target):
    upgrade(target)
    with connected(target) as connection:
        connection.exec_driver_sql("INSERT INTO alembic_version VALUES ('feedfacecafe')")
    with pytest.raises(StampRefused, match=r"names 2 revisions at once: .*feedfacecafe"):
        plan_stamp(target)


def test_revisions_with_one_schema_are_a_tie_and_the_first_of_them_is_stamped(target, tmp_path):
    shutil.copytree(MIGRATIONS_DIR, tmp_path / "migrations", ignore=shutil.ignore_patterns("__pycache__"))
    own = replace(target, migrations_dir=tmp_path / "migrations")
    head = list_revisions(load_scripts(own))[-1].id
    (own.migrations_dir / "versions" / "own.py").write_text(
        '"""fill reading times"""\nfrom alembic import op\n'
        f'revision = "0123456789ab"\ndown_revision = "{head}"\n'
        'changes = ("blogs.reading_time_minutes",)\n'
        'def upgrade():\n    op.execute("UPDATE blogs SET reading_time_minutes = 7")\n'
    )
    upgrade(own)
    fill(own)
    forget_history(own)
    plan = plan_stamp(own)
    assert (plan.revision, plan.ties) == (head, ("0123456789ab",))
    assert "so is that of 0123456789ab, whose steps on data are run again" in str(plan)
    apply_stamp(own, plan, say=quiet)
    apply_release(own, say=quiet)
    with connected(own) as connection:
        assert connection.exec_driver_sql("SELECT min(reading_time_minutes) FROM blogs").scalar_one() == 7


def test_migrating_a_database_without_a_revision_points_to_adoption(target):
    upgrade(target)
    forget_history(target)
    if target.engine_name == "sqlite":
        run_sql(target, "PRAGMA journal_mode=DELETE")
    with pytest.raises(Refused) as refused:
        apply_release(target, say=quiet)
    assert "stamp-existing-database" in str(refused.value.hint)
    if target.engine_name == "sqlite":
        assert run_sql(target, "PRAGMA journal_mode") == "delete"  # nothing was touched


def run_sql(target, statement):
    from contextlib import closing

    with closing(sqlite3.connect(target.url.database)) as connection:
        return connection.execute(statement).fetchone()[0]
