"""A revision that changes data without saying so is rolled back and named; one that says so is let through."""

from __future__ import annotations

import os
from dataclasses import replace

import pytest

from cms.database.errors import MigrationFailed
from cms.database.history import get_head, load_scripts, read_current
from cms.database.rehearsal import rehearse
from cms.database.target import parse_url
from tests.database.rows import FIRST, connected, digests, fill, quiet, upgrade
from tests.database.test_rehearsal import with_revision

FIRST_POST = "WHERE slug = 'post-0'"
SWAP = """UPDATE blogs SET summary = CASE slug WHEN 'post-0' THEN 'one' WHEN 'post-1' THEN 'zero' ELSE summary END"""
NEW_USER = (
    "INSERT INTO users (uuid, username, email, created_at) SELECT {id}, 'eve', 'eve@example.org', created_at FROM users"
)
SILENT = {
    "one title of many": (f"UPDATE blogs SET title = 'x' {FIRST_POST}", "blogs.title"),
    "shortened texts": ("UPDATE blogs SET content = substr(content, 1, 10)", "blogs.content"),
    "white space": (f"UPDATE blogs SET content = content || ' ' {FIRST_POST}", "blogs.content"),
    "case of one letter": ("UPDATE blogs SET content = replace(content, 'words', 'Words')", "blogs.content"),
    "empty for null": ("UPDATE blogs SET images_url = '[]'", "blogs.images_url"),
    "null for a value": (f"UPDATE blogs SET summary = NULL {FIRST_POST}", "blogs.summary"),
    "two rows swapped": (SWAP, "blogs.summary"),
    "one more": (f"UPDATE blogs SET view_count = view_count + 1 {FIRST_POST}", "blogs.view_count"),
    "minus two for minus one": (f"UPDATE blogs SET word_count = -2 {FIRST_POST}", "blogs.word_count"),
    "a status": (f"UPDATE blogs SET status = 'draft' {FIRST_POST}", "blogs.status"),
    "addresses": ("UPDATE blogs SET slug = slug || '-2'", "blogs.slug"),
    "an order of tags": (f'UPDATE blogs SET tags = \'["東京", "a tag"]\' {FIRST_POST}', "blogs.tags"),
    "an author": ("UPDATE users SET email = upper(email)", "users.email"),
    "a role": ("UPDATE users SET role = 'admin'", "users.role"),
    "a switch": ("UPDATE users SET is_active = NOT is_active", "users.is_active"),
    "a row less": ("DELETE FROM blogs WHERE slug = 'post-2'", "blogs had 3 rows, and has 2"),
    "a row more": (NEW_USER, "users had 1 rows, and has 2"),
    "all rows": ("DELETE FROM redirects", "redirects had 1 rows, and has 0"),
    "another table": ("UPDATE imported_files SET sha256 = 'f' || substr(sha256, 2)", "imported_files.sha256"),
    "a time": (f"UPDATE blogs SET created_at = {{later}} {FIRST_POST}", "blogs.created_at"),
    "a key": ("UPDATE blogs SET author_id = author_id, id = {id} WHERE slug = 'post-2'", "blogs.id"),
}
RENAMED_WAYS = "UPDATE ways SET path = '/new/'"
SILENT |= {
    "a table that is renamed": (f"ALTER TABLE redirects RENAME TO ways;;{RENAMED_WAYS}", "redirects.path"),
    "a column that is renamed": (
        f"ALTER TABLE blogs RENAME COLUMN content_html TO html;;UPDATE blogs SET html = 'x' {FIRST_POST}",
        "blogs.content_html",
    ),
    "two columns that change names": (
        """ALTER TABLE users RENAME COLUMN first_name TO aside;;
           ALTER TABLE users RENAME COLUMN last_name TO first_name;;
           ALTER TABLE users RENAME COLUMN aside TO last_name""",
        "users.first_name",
    ),
    "a row of another table, copied with a condition": (
        """CREATE TABLE copied AS SELECT * FROM redirects WHERE path <> '/old/';;DELETE FROM redirects;;
           INSERT INTO redirects SELECT * FROM copied;;DROP TABLE copied""",
        "redirects had 1 rows, and has 0",
    ),
    "two values of a table without a key": (
        "UPDATE loose SET what = CASE what WHEN 'a' THEN 'b' ELSE 'a' END",
        "rows of loose",
    ),
    "the rest of a long text": ("UPDATE blogs SET content = substr(content, 1, length(content) - 1)", "blogs.content"),
    "a letter in another form": ("UPDATE blogs SET title = replace(title, 'ü', 'u\u0308')", "blogs.title"),
    "a number as it reads": ("UPDATE activity_logs SET details = '{\"title\": 1}'", "activity_logs.details"),
}
SILENT_ON_POSTGRESQL = {
    "dropped and added again": (
        "ALTER TABLE blogs DROP COLUMN content_html; ALTER TABLE blogs ADD COLUMN content_html TEXT",
        "blogs.content_html",
    ),
    "cut by a change of type": (
        "ALTER TABLE blogs ALTER content_html TYPE TEXT USING left(content_html, 5)",
        "blogs.content_html",
    ),
    "rounded by a change of type": (
        "ALTER TABLE blogs ALTER updated_at TYPE TIMESTAMPTZ(0); ALTER TABLE blogs ALTER updated_at TYPE TIMESTAMPTZ",
        "blogs.updated_at",
    ),
    "rewritten table": (
        """CREATE TABLE copy AS SELECT * FROM blogs;
           UPDATE blogs b SET title = c.slug FROM copy c WHERE c.id = b.id; DROP TABLE copy""",
        "blogs.title",
    ),
    "by a function": (
        "DO $$ BEGIN UPDATE blogs SET title = 'x'; END $$",
        "blogs.title",
    ),
    "a case that its collation ignores": ("UPDATE names SET name = lower(name)", "names.name"),
    "emptied": ("TRUNCATE redirects", "redirects had 1 rows, and has 0"),
    "children of a deleted row": (
        "DELETE FROM blogs WHERE slug = 'post-0'",
        "redirects had 1 rows, and has 0",
    ),
    "by a rule of the table": (
        """CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql
           AS $$ BEGIN UPDATE blogs SET status = 'x'; RETURN NEW; END $$;
           CREATE TRIGGER touch AFTER UPDATE ON users FOR EACH ROW EXECUTE FUNCTION touch();
           UPDATE users SET bio = bio; DROP TRIGGER touch ON users; DROP FUNCTION touch""",
        "blogs.status",
    ),
}
SILENT_ON_SQLITE = {
    "by a trigger": (
        """CREATE TRIGGER t AFTER UPDATE ON users BEGIN UPDATE blogs SET status = 'x'; END;;
           UPDATE users SET bio = bio;;DROP TRIGGER t""",
        "blogs.status",
    ),
    "by a trigger that stays": (
        """CREATE TRIGGER t AFTER UPDATE ON users BEGIN UPDATE blogs SET status = 'x'; END;;
           UPDATE users SET bio = bio""",
        "blogs.status",
    ),
    "another type": (f"UPDATE blogs SET view_count = '5x' {FIRST_POST}", "blogs.view_count"),
    "a blob for a text": (f"UPDATE blogs SET content = CAST(content AS BLOB) {FIRST_POST}", "blogs.content"),
}


def body_of(statements, target):
    given = {
        "sqlite": {"later": "'2026-03-29 01:30:00.000001'", "id": "lower(hex(randomblob(16)))"},
        "postgresql": {"later": "created_at + interval '1 microsecond'", "id": "gen_random_uuid()"},
    }[target.engine_name]
    for name, value in given.items():
        statements = statements.replace(f"{{{name}}}", value)
    parts = statements.split(";;") if ";;" in statements else [statements]
    return "\n".join(f"    op.get_bind().exec_driver_sql({part!r})" for part in parts)


def prepare(target):
    upgrade(target)
    fill(target)
    with connected(target) as connection:
        connection.exec_driver_sql("CREATE TABLE loose (name VARCHAR(9), what VARCHAR(9))")
        connection.exec_driver_sql("INSERT INTO loose VALUES ('one', 'a'), ('two', 'b')")
        connection.exec_driver_sql("UPDATE blogs SET summary = 'zero', word_count = -1 WHERE slug = 'post-0'")
        connection.exec_driver_sql("UPDATE blogs SET summary = 'one' WHERE slug = 'post-1'")
        # A draft is not in the index of the search, which would refer to its key.
        connection.exec_driver_sql("UPDATE blogs SET status = 'draft' WHERE slug = 'post-2'")
        connection.exec_driver_sql("UPDATE blogs SET content_html = '<p>words</p>'")
        connection.exec_driver_sql("UPDATE users SET first_name = 'Ada', last_name = 'Byron'")
        if target.engine_name == "postgresql":
            connection.exec_driver_sql("UPDATE blogs SET updated_at = created_at + interval '123456 microseconds'")
            connection.exec_driver_sql(
                "CREATE COLLATION any_case (provider = icu, locale = 'und-u-ks-level2', deterministic = false)"
            )
            connection.exec_driver_sql("CREATE TABLE names (id INT PRIMARY KEY, name TEXT COLLATE any_case)")
            connection.exec_driver_sql("INSERT INTO names VALUES (1, 'Ada')")


@pytest.fixture(scope="module")
def prepared(tmp_path_factory, request):
    """Return a function that makes the database of a kind, once for all cases: each of them is rolled back."""
    made, addresses = {}, []

    def make(target):
        if target.engine_name not in made:
            folder = tmp_path_factory.mktemp("prepared")
            url = f"sqlite:///{folder / 'cms.db'}"
            if target.engine_name == "postgresql":
                addresses.append(url := request.getfixturevalue("postgres").create_database())
            made[target.engine_name] = replace(target, url=parse_url(url), backup_dir=folder / "backups")
            prepare(made[target.engine_name])
        return made[target.engine_name]

    yield make
    for url in addresses:
        request.getfixturevalue("postgres").drop_database(url)


def assert_caught(target, tmp_path, statements, why):
    before = digests(target)
    failure = rehearse(with_revision(target, tmp_path, body_of(statements, target)), say=quiet).failure
    assert isinstance(failure, MigrationFailed)
    assert "changes data that it does not say it changes" in str(failure.what)
    assert why in str(failure.why)
    assert digests(target) == before


@pytest.mark.parametrize(("statements", "why"), SILENT.values(), ids=SILENT)
def test_a_silent_change_is_caught_and_named_and_undone(target, prepared, tmp_path, statements, why):
    assert_caught(prepared(target), tmp_path, statements, why)


@pytest.mark.parametrize(("statements", "why"), SILENT_ON_POSTGRESQL.values(), ids=SILENT_ON_POSTGRESQL)
def test_a_silent_change_on_postgresql_is_caught_and_named_and_undone(
    postgres_target, prepared, tmp_path, statements, why
):
    assert_caught(prepared(postgres_target), tmp_path, statements, why)


@pytest.mark.parametrize(("statements", "why"), SILENT_ON_SQLITE.values(), ids=SILENT_ON_SQLITE)
def test_a_silent_change_on_sqlite_is_caught_and_named_and_undone(sqlite_target, prepared, tmp_path, statements, why):
    assert_caught(prepared(sqlite_target), tmp_path, statements, why)


@pytest.mark.parametrize("changes", [("blogs.title", "blogs.status"), ("blogs",)])
def test_a_change_that_the_revision_declares_is_let_through(target, tmp_path, changes):
    prepare(target)
    body = "    op.execute(\"UPDATE blogs SET title = 'x', status = 'y'\")"
    assert rehearse(with_revision(target, tmp_path, body, changes=changes), say=quiet).failure is None


def test_a_declaration_covers_only_what_it_names(target, tmp_path):
    prepare(target)
    body = "    op.execute(\"UPDATE blogs SET title = 'x', status = 'y'\")"
    failure = rehearse(with_revision(target, tmp_path, body, changes=("blogs.title", "users")), say=quiet).failure
    assert failure.why == "values of blogs.status are not what they were"


@pytest.mark.parametrize("changes", ["blogs.title", (1,)])
def test_a_declaration_of_another_form_is_refused(target, tmp_path, changes):
    prepare(target)
    failure = rehearse(with_revision(target, tmp_path, "    pass", changes=changes), say=quiet).failure
    assert "no list of names" in failure.what


def test_the_projects_own_history_raises_no_false_alarm(target):
    upgrade(target, FIRST)
    fill(target)
    assert rehearse(target, say=quiet).failure is None
    with connected(target) as connection:
        assert read_current(connection, load_scripts(target)) == get_head(load_scripts(target))


def test_on_sqlite_the_live_run_looks_too(sqlite_target, tmp_path):
    prepare(sqlite_target)
    before = digests(sqlite_target)
    with pytest.raises(MigrationFailed, match="changes data that it does not say"):
        upgrade(with_revision(sqlite_target, tmp_path, body_of(SILENT["one title of many"][0], sqlite_target)))
    assert digests(sqlite_target) == before


def test_what_goes_past_sqlalchemy_is_caught_on_sqlite_too(sqlite_target, tmp_path):
    prepare(sqlite_target)
    before = digests(sqlite_target)
    body = """
    driver = op.get_bind().connection.driver_connection
    driver.execute("UPDATE blogs SET title = 'x' WHERE slug = 'post-0'")"""
    with pytest.raises(MigrationFailed, match="changes data that it does not say"):
        upgrade(with_revision(sqlite_target, tmp_path, body))
    assert digests(sqlite_target) == before


@pytest.mark.parametrize(
    "statements",
    [
        "ALTER TABLE redirects RENAME TO ways",
        "ALTER TABLE blogs RENAME COLUMN content_html TO html",
        "ALTER TABLE blogs ADD COLUMN mood VARCHAR(9);;UPDATE blogs SET mood = 'calm'",
        "UPDATE blogs SET title = title",
        "ALTER TABLE loose RENAME TO tight",
        "ALTER TABLE loose DROP COLUMN what",
        "DROP TABLE loose",
    ],
)
def test_what_changes_no_value_is_no_false_alarm(target, prepared, tmp_path, statements):
    """The rehearsal stores it, so it runs on a copy."""
    prepare(target)
    assert rehearse(with_revision(target, tmp_path, body_of(statements, target)), say=quiet).failure is None


def test_there_are_thirty_kinds_for_each_engine():
    assert min(len(SILENT) + len(SILENT_ON_SQLITE), len(SILENT) + len(SILENT_ON_POSTGRESQL)) >= 30


ROWS = int(os.environ.get("CMS_TEST_ROWS", "2000"))


def test_one_value_of_very_many_is_caught(target, tmp_path):
    prepare(target)
    numbers = f"WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {ROWS})"
    with connected(target) as connection:
        connection.exec_driver_sql("CREATE TABLE many (id INTEGER PRIMARY KEY, what VARCHAR(20))")
        connection.exec_driver_sql(f"INSERT INTO many {numbers} SELECT i, 'value ' || i FROM n")
    body = body_of(f"UPDATE many SET what = what || ' ' WHERE id = {ROWS - 1}", target)
    failure = rehearse(with_revision(target, tmp_path, body), say=quiet).failure
    assert "values of many.what are not what they were" in str(failure.why)
