"""Whether the release that still serves gets along with a newer schema is found out on the copy, and said."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import replace
from shutil import copytree

import pytest
import sqlalchemy as sa
from alembic.operations import Operations
from alembic.runtime.migration import MigrationContext

from cms.database.asked import Asked, read_statements, write_statements
from cms.database.history import get_head, load_scripts
from cms.database.rehearsal import rehearse
from cms.database.rolling import Trial
from cms.database.schema import Base
from cms.database.target import Target, parse_url
from tests.database.rows import connected, quiet
from tests.database.test_rehearsal import with_revision

SELECT = "SELECT blogs.slug, blogs.summary FROM blogs WHERE blogs.slug = {0}"
INSERT = (
    "INSERT INTO blogs (id, author_id, title, slug, content, summary, status, tags, created_at) "
    "VALUES ({0}, {1}, {2}, {3}, {4}, {5}, {6}, {7}, {8})"
)
UPDATE = "UPDATE blogs SET summary={0}, view_count=(blogs.view_count + {1}) WHERE blogs.id = {2}"
DELETE = "DELETE FROM users WHERE users.uuid = {0}"
KINDS = {
    SELECT: ("str",),
    INSERT: ("UUID", "UUID", "str", "str", "str", "NoneType|str", "str", "Jsonb", "datetime"),
    UPDATE: ("str", "int", "UUID"),
    DELETE: ("UUID",),
}


def asked(engine_name: str) -> list[Asked]:
    mark = {"postgresql": "$", "sqlite": "?"}[engine_name]
    return [Asked(sql.format(*(f"{mark}{n}" for n in range(1, 10))), types) for sql, types in KINDS.items()]


@pytest.fixture
def copy(migrated_url, tmp_path) -> Target:
    """Return a database at the head, whose history has the statements of the release with that head."""
    folder = tmp_path / "history"
    target = Target(parse_url(migrated_url), tmp_path / "backups")
    copytree(target.migrations_dir, folder, ignore=lambda *_: ["__pycache__", "statements"])
    target = replace(target, migrations_dir=folder)
    write_statements(target, get_head(load_scripts(target)), asked(target.engine_name))
    return target


@contextmanager
def operations(target):
    with connected(target) as connection:
        context = MigrationContext.configure(connection, opts={"target_metadata": Base.metadata})
        with Operations.context(context) as op:
            yield op


def change(**alteration):
    def apply(op):
        with op.batch_alter_table("blogs") as batch:
            batch.alter_column(alteration["column"], **{k: v for k, v in alteration.items() if k != "column"})

    return apply


def add(column):
    def apply(op):
        # SQLite adds no required column without a default, but makes a table that has one.
        recreate = "always" if not column.nullable and op.get_bind().dialect.name == "sqlite" else "auto"
        with op.batch_alter_table("blogs", recreate=recreate) as batch:
            batch.add_column(column)

    return apply


def check(rule, *columns):
    def apply(op):
        with op.batch_alter_table("blogs") as batch:
            for column in columns:
                batch.add_column(column)
            batch.create_check_constraint("rule", rule)

    return apply


def new_table(**key):
    return lambda op: op.create_table(
        "notes",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("user_id", sa.Uuid, sa.ForeignKey("users.uuid", **key)),
    )


LANGUAGE = sa.Column("language", sa.String(10))
REQUIRED = sa.Column("language", sa.String(10), nullable=False)
DEFAULTED = sa.Column("language", sa.String(10), nullable=False, server_default="en")
SUMMARY = {"column": "summary", "existing_type": sa.String(1000)}
# What the newer schema does → which statements break on both engines, and a part of the reason.
CHANGES = {
    "a column is added": (add(LANGUAGE), {}),
    "a column with a default is added": (add(DEFAULTED), {}),
    "a required column is added": (
        add(REQUIRED),
        {INSERT: "blogs.language is required and has no default, and it does not fill it"},
    ),
    "a column is renamed": (
        change(**SUMMARY, new_column_name="abstract"),
        {SELECT: "summary", INSERT: "summary", UPDATE: "summary"},
    ),
    "a column is dropped": (lambda op: op.drop_column("blogs", "images_url"), {}),
    "a column becomes required": (
        change(**SUMMARY, nullable=False),
        {INSERT: "blogs.summary is required now, and it may send none"},
    ),
    "a default goes": (
        change(column="view_count", existing_type=sa.Integer, server_default=None),
        {INSERT: "blogs.view_count is required and has no default"},
    ),
    "a column is widened": (change(**SUMMARY, type_=sa.Text()), {}),
    "a check is added": (check("length(summary) < 10"), {INSERT: "new constraint", UPDATE: "new constraint"}),
    "a check of a new column is added": (check("length(language) < 10", LANGUAGE), {}),
    "titles become unique": (
        lambda op: op.create_index("one_title", "blogs", ["title"], unique=True),
        {INSERT: "new index: unique"},
    ),
    "a new column is unique and filled": (
        lambda op: (add(DEFAULTED)(op), op.create_index("one", "blogs", ["language"], unique=True)),
        {INSERT: "new index: unique"},
    ),
    "an index is added": (lambda op: op.create_index("by_title", "blogs", ["title"]), {}),
    "a table that holds users back": (new_table(), {DELETE: "rows of notes may hold it back now"}),
    "a table that goes with its users": (new_table(ondelete="CASCADE"), {}),
    "a table is dropped": (lambda op: (op.drop_table("redirects"), op.drop_table("imported_files")), {}),
}


def judge(copy, apply):
    trial = Trial(copy)
    with operations(copy) as op:
        apply(op)
    return trial.finish()


@pytest.mark.parametrize(("apply", "broken"), CHANGES.values(), ids=CHANGES)
def test_what_a_newer_schema_breaks_of_the_older_release_is_named(copy, apply, broken):
    rolling = judge(copy, apply)
    expected = {
        each.sql: broken[sql] for each, sql in zip(asked(copy.engine_name), KINDS, strict=True) if sql in broken
    }
    assert {each.sql for each in rolling.broken} == set(expected)
    assert all(expected[each.sql] in each.why for each in rolling.broken), rolling.broken
    assert rolling.is_safe == (not broken)
    assert rolling.checked == len(KINDS)


NARROWER = {
    "a shorter text": (change(**SUMMARY, type_=sa.String(50)), {INSERT, UPDATE}, "takes character varying(50) now"),
    "a smaller number": (
        change(column="view_count", existing_type=sa.Integer, type_=sa.SmallInteger),
        {UPDATE},
        "takes smallint now, and took integer",
    ),
    "a column that is read is another one": (
        change(**SUMMARY, type_=sa.Integer, postgresql_using="0"),
        {SELECT, INSERT, UPDATE},
        "",
    ),
}


@pytest.mark.parametrize(("apply", "broken", "why"), NARROWER.values(), ids=NARROWER)
def test_on_postgresql_a_narrower_type_is_named(copy, apply, broken, why):
    if copy.engine_name == "sqlite":
        assert judge(copy, add(LANGUAGE)).is_safe  # it enforces no length and no kind of number
        return
    found = judge(copy, apply).broken
    assert {each.sql for each in found} == {
        each.sql for each, sql in zip(asked(copy.engine_name), KINDS, strict=True) if sql in broken
    }
    assert all(why in each.why for each in found), found


def test_what_could_not_be_tried_before_does_not_count_against_the_upgrade(copy):
    head = get_head(load_scripts(copy))
    write_statements(copy, head, [*read_statements(copy, head), Asked("SELECT nothing FROM nowhere", ())])
    rolling = judge(copy, add(LANGUAGE))
    assert (rolling.is_safe, rolling.checked, rolling.unchecked) == (True, len(KINDS), 1)
    assert "(1 more could not be tried)" in str(rolling)


def test_without_statements_it_is_said_that_nothing_was_checked(copy):
    for file in (copy.migrations_dir / "statements").iterdir():
        file.unlink()
    rolling = judge(copy, add(LANGUAGE))
    assert not rolling.is_safe
    assert str(rolling).startswith("rolling deploy: not checked, since no statements of a release at ")


def test_the_rehearsal_says_whether_a_rolling_deploy_is_safe(copy, tmp_path):
    body = """
    recreate = "always" if op.get_bind().dialect.name == "sqlite" else "auto"
    with op.batch_alter_table("blogs", recreate=recreate) as batch:
        batch.add_column(sa.Column("language", sa.String(10), nullable=False))"""
    longer = with_revision(copy, tmp_path / "longer", body)
    told = str(rehearse(longer, say=quiet))
    assert "rolling deploy is NOT safe, stop the old processes first: of 4 statements of the release at " in told
    assert "blogs.language is required and has no default, and it does not fill it" in told
