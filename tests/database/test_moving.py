"""A site that is moved to the other kind of database holds the same there, or nothing at all."""

from __future__ import annotations

import json
import os
import signal
import uuid
from dataclasses import replace

import pytest
import sqlalchemy as sa

from cms.database.engines import engine_for
from cms.database.errors import DatabaseBusy, DatabaseUnreachable, MoveFailed, MoveRefused
from cms.database.expected import read_expected
from cms.database.history import load_scripts
from cms.database.journal import new_entry, read_journal, write_entry
from cms.database.maintenance import Maintenance, turn_on
from cms.database.moving import Pair, apply_move, choose_tables, is_moved, plan_move
from cms.database.portable import FROM_SQLITE, canonical_json
from cms.database.sides import side_of
from cms.database.target import parse_url
from tests.database.rows import (
    FIRST,
    MOMENT,
    NEWEST,
    SECOND,
    connected,
    count,
    count_after,
    digests,
    fill,
    insert,
    post_row,
    quiet,
    upgrade,
)


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request):
    """Return a database at the head, without rows: the test runs once on each engine."""
    return request.getfixturevalue(
        {"sqlite": "migrated_sqlite_url", "postgresql": "migrated_postgres_url"}[request.param]
    )


@pytest.fixture
def filled(target):
    fill(target)
    return target


@pytest.fixture
def other(target, request, tmp_path):
    """Return an empty database of the other kind."""
    if target.engine_name == "postgresql":
        return replace(target, url=parse_url(f"sqlite:///{tmp_path / 'moved' / 'cms.db'}"))
    url = request.getfixturevalue("postgres_url")
    return replace(target, url=parse_url(url), pg_bin_dir=request.getfixturevalue("postgres").bin_dir)


def move(source, to, say=quiet):
    return apply_move(source, to, plan_move(source, to), say=say)


def tables_of(target):
    with engine_for(target).open_tool(target).connect() as connection:
        return engine_for(target).list_tables(connection)


def holds_nothing(target):
    engine = engine_for(target)
    return engine.is_absent(target) or not tables_of(target)


def read_all(target, query):
    with connected(target) as connection:
        return [[plain(value) for value in row] for row in connection.execute(sa.text(query))]


def plain(value):
    """Return a value as it is on both kinds: SQLite keeps JSON, times, ids and truths in other forms."""
    if isinstance(value, uuid.UUID):
        return value.hex
    if isinstance(value, str):
        return json.loads(value) if value[:1] in {"[", "{"} else value
    return value.strftime("%Y-%m-%d %H:%M:%S") if hasattr(value, "strftime") else value


def begun(target):
    return engine_for(target).open_tool(target, migrating=True).begin()


def alter(target, *statements):
    with connected(target) as connection:
        for statement in statements:
            connection.exec_driver_sql(statement)


# --- what comes over --------------------------------------------------------------------------------------------


def test_everything_is_there_afterwards_and_the_source_is_as_it_was(filled, other):
    before = digests(filled)
    result = move(filled, other)
    moved = {name: rows for name, (rows, _) in before.items() if is_moved(name.rpartition(".")[2])}
    assert digests(filled) == before
    assert (result.tables, result.rows) == (len(moved), sum(moved.values()))
    assert "each table's rows and hash equal" in str(result)
    assert {name.rpartition(".")[2] for name in tables_of(other)} > {name.rpartition(".")[2] for name in moved}


def test_a_value_reads_on_the_other_kind_as_it_did(filled, other):
    queries = (
        "SELECT id, title, slug, content, tags, status FROM blogs ORDER BY slug",
        "SELECT id, details FROM activity_logs",
        "SELECT token_hash FROM password_reset_tokens",
    )
    before = [read_all(filled, query) for query in queries]
    move(filled, other)
    assert [read_all(other, query) for query in queries] == before


def test_a_site_that_went_there_and_back_is_the_site_that_it_was(filled, other, elsewhere):
    move(filled, other)
    assert move(other, elsewhere).rows == move_rows(filled) + 1  # the move's own row in the journal
    query = "SELECT id, title, content, tags, created_at FROM blogs ORDER BY slug"
    times = [row[-1].removesuffix(".000000") for row in read_all(elsewhere, query)]
    assert times == [row[-1].removesuffix(".000000") for row in read_all(filled, query)]
    assert [row[:-1] for row in read_all(elsewhere, query)] == [row[:-1] for row in read_all(filled, query)]


def move_rows(target):
    return sum(rows for name, (rows, _) in digests(target).items() if is_moved(name.rpartition(".")[2]))


def test_the_journal_comes_along_and_tells_of_the_move(filled, other):
    with connected(filled) as connection:
        before = read_journal(connection)
    result = move(filled, other)
    with connected(other) as connection:
        *earlier, last = read_journal(connection)
    assert earlier == before
    assert (last.direction, last.revision, last.rows_written) == ("copy", NEWEST, result.rows)


def test_numbers_go_on_after_those_that_came_over(filled, other):
    move(filled, other)
    with connected(other) as connection:
        write_entry(connection, new_entry(NEWEST, "stamp", duration_s=0))
        ids = connection.exec_driver_sql("SELECT id FROM migration_journal ORDER BY id").scalars().all()
    assert len(set(ids)) == len(ids)


def test_the_search_finds_what_came_over(filled, other):
    move(filled, other)
    words = {
        "sqlite": "SELECT count(*) FROM blog_words WHERE blog_words MATCH 'unicode'",
        "postgresql": "SELECT count(*) FROM blog_search WHERE words @@ to_tsquery('german', 'ünïcode')",
    }
    assert read_all(other, words[other.engine_name]) == [[3]]


def test_a_search_that_was_not_built_yet_is_whole_on_the_other_kind(filled, other):
    alter(filled, "DELETE FROM blog_search")
    move(filled, other)
    assert (count(filled, "blog_search"), count(other, "blog_search")) == (0, 3)


def test_a_foreign_key_holds_on_the_other_kind(filled, other):
    move(filled, other)
    with connected(other) as connection, pytest.raises(sa.exc.IntegrityError):
        insert(connection, "blogs", {**post_row(uuid.uuid4(), 9)})


@pytest.mark.parametrize("kinds", [("sqlite_target", "postgres_target"), ("postgres_target", "sqlite_target")])
def test_an_older_revision_comes_over_as_it_is_and_can_be_upgraded_there(request, kinds):
    target, other = map(request.getfixturevalue, kinds)
    upgrade(target, SECOND)
    fill(target)
    assert move(target, other).revision == SECOND
    upgrade(other)
    assert count(other, "blogs") == 3
    with connected(other) as connection:
        assert len(read_journal(connection)) == count_after(FIRST) + 2


def test_texts_of_every_kind_come_over(target, other):
    fill(target)
    odd = "tab\t nl\n cr\r back\\slash \\N \\. quote' \" é 東京 \U0001f600 \x01\x1f\u2028 end"
    details = {"n": None, "float": 1.5, "big": 10**30, "deep": [[{"x": odd}]], "empty": "", "e": 1e-7}
    with connected(target) as connection:
        about = {"id": uuid.uuid4(), "actor_name": odd[:50], "action": "blog.published", "details": details}
        insert(connection, "activity_logs", about, moment="happened_at")
        connection.execute(sa.text("UPDATE blogs SET title = :odd, summary = ''"), {"odd": odd})
    query = "SELECT actor_name, details FROM activity_logs ORDER BY actor_name"
    before = read_all(target, query)
    move(target, other)
    assert read_all(other, query) == before
    assert read_all(other, "SELECT DISTINCT title, summary FROM blogs") == [[odd, ""]]


def test_every_type_of_the_history_has_a_form_on_both_kinds(migrated_postgres_url, postgres_target):
    target = replace(postgres_target, url=parse_url(migrated_postgres_url))
    with connected(target) as connection:
        tables = side_of(connection).list_tables()
    there = {fact.table for fact in read_expected(target, load_scripts(target))[NEWEST].facts if fact.kind == "table"}
    assert there <= {table.name for table in tables}
    kinds = {column.kind for table in tables if is_moved(table.name) for column in table.columns}
    assert kinds <= FROM_SQLITE.keys()


@pytest.mark.parametrize(
    ("one", "same"), [('{"b": 1, "a": [1.0]}', '{"a":[1],"b":1e0}'), ("1e400", "1E+400"), ('"\\u00e9"', '"é"')]
)
def test_json_that_says_the_same_is_the_same(one, same):
    assert canonical_json(one) == canonical_json(same)


@pytest.mark.parametrize(("one", "another"), [("1.5", '"1.5"'), ("true", "1"), ('{"a": null}', "{}"), ("0.1", "0.11")])
def test_json_that_says_something_else_is_not_the_same(one, another):
    assert canonical_json(one) != canonical_json(another)


# --- what does not ----------------------------------------------------------------------------------------------


def test_what_postgresql_cannot_hold_is_named_before_anything_is_written(
    migrated_sqlite_url, sqlite_target, postgres_url
):
    source = replace(sqlite_target, url=parse_url(migrated_sqlite_url))
    fill(source, posts=9)
    changes = {
        "title = 'a' || char(0) || 'b'": "blogs.title {} holds a NUL character",
        "summary = printf('%2000s', 'x')": "blogs.summary {} has 2,000 characters, and ",
        "title = CAST(x'ff41' AS TEXT)": "blogs.title {} is not UTF-8",
        "content = x'4142'": "blogs.content {} is no text but a sequence of bytes",
        "created_at = 'long ago'": "blogs.created_at {} is no time",
        "tags = '[\"a\\u0000\"]'": "blogs.tags {} holds a NUL character",
        "tags = '[\"\\ud800\"]'": "blogs.tags {} holds half of a surrogate pair",
        "tags = '['": "blogs.tags {} is no JSON",
        "tags = '[NaN]'": "blogs.tags {} is no JSON",
    }
    alter(source, *(f"UPDATE blogs SET {change} WHERE slug = 'post-{at}'" for at, change in enumerate(changes)))
    ids = [row[0] for row in read_all(source, "SELECT id FROM blogs ORDER BY slug")]
    expected = {sign.format(f"of the row id={each}") for each, sign in zip(ids, changes.values(), strict=True)}
    alter(
        source,
        "UPDATE users SET is_active = 7",
        "UPDATE search_misses SET count = 3000000000",
        "UPDATE rate_limits SET count = 'many'",
        "UPDATE activity_logs SET id = upper(id) || '-'",
    )
    said, other = [], replace(source, url=parse_url(postgres_url))
    with pytest.raises(MoveRefused, match="13 values would not fit") as refused:
        move(source, other, said.append)
    told = str(refused.value)
    assert {sign for sign in expected if sign not in told} == set()
    assert "is neither 0 nor 1 but the number 7" in told
    assert "is 3000000000, too large for integer" in told
    assert "rate_limits.count of the row key=sign-in:0 is no whole number but a text" in told
    assert "is not 32 hexadecimal digits in lower case" in told
    assert not any("writing" in line for line in said)
    assert holds_nothing(other)


def test_what_sqlite_cannot_hold_is_named_before_anything_is_written(migrated_postgres_url, sqlite_target):
    source = replace(sqlite_target, url=parse_url(migrated_postgres_url))
    fill(source)
    alter(
        source,
        "UPDATE blogs SET created_at = 'infinity' WHERE slug = 'post-0'",
        "UPDATE blogs SET created_at = '0044-03-15 BC' WHERE slug = 'post-1'",
        "UPDATE blogs SET created_at = '12026-01-01' WHERE slug = 'post-2'",
    )
    with pytest.raises(MoveRefused, match="3 values would not fit") as refused:
        move(source, sqlite_target)
    assert all(sign in str(refused.value) for sign in ("is infinity, too far away", "BC", "12026"))
    assert holds_nothing(sqlite_target)


def test_a_row_without_its_parent_is_named(migrated_sqlite_url, sqlite_target, postgres_url):
    source = replace(sqlite_target, url=parse_url(migrated_sqlite_url))
    fill(source)
    with begun(source) as connection:
        connection.exec_driver_sql("DELETE FROM users")
    with pytest.raises(MoveRefused) as refused:
        move(source, replace(source, url=parse_url(postgres_url)))
    assert "refers to a row of users that is not there" in str(refused.value)


def test_a_database_that_is_not_empty_is_refused(filled, other):
    upgrade(other, FIRST)
    with pytest.raises(MoveRefused, match="is not empty"):
        plan_move(filled, other)


def test_a_database_of_the_same_kind_is_refused(filled, elsewhere):
    with pytest.raises(MoveRefused, match="are both"):
        plan_move(filled, elsewhere)


@pytest.mark.parametrize("kinds", [("sqlite_target", "postgres_target"), ("postgres_target", "sqlite_target")])
def test_a_database_without_a_revision_is_refused(request, kinds):
    target, other = map(request.getfixturevalue, kinds)
    engine_for(target).prepare(target)
    with pytest.raises(MoveRefused, match="has no revision"):
        plan_move(target, other)


def test_a_revision_that_is_half_done_is_refused(filled, other):
    alter(filled, "CREATE TABLE migration_steps (step text)", "INSERT INTO migration_steps VALUES ('1')")
    with pytest.raises(MoveRefused, match="half done"):
        plan_move(filled, other)


def test_a_schema_that_lacks_something_is_refused(filled, other):
    alter(filled, "DROP TABLE rate_limits", "ALTER TABLE sessions DROP COLUMN browser")
    with pytest.raises(MoveRefused) as refused:
        plan_move(filled, other)
    assert refused.value.why == "it lacks rate_limits, sessions.browser"


def test_what_no_revision_makes_is_named_and_left_behind(filled, other):
    alter(filled, "CREATE TABLE plugin (n integer)", "ALTER TABLE blogs ADD COLUMN stars integer")
    plan = plan_move(filled, other)
    assert plan.left_out == ("plugin", "blogs.stars")
    assert "without plugin, blogs.stars, which no revision makes" in str(plan)
    assert move(filled, other).left_out == plan.left_out
    assert "plugin" not in str(tables_of(other))


def test_a_plan_that_is_no_longer_true_is_refused(filled, other):
    plan = plan_move(filled, other)
    alter(filled, "CREATE TABLE plugin (n integer)")
    with pytest.raises(MoveRefused, match="is not what it was"):
        apply_move(filled, other, plan, say=quiet)
    assert holds_nothing(other)


def test_a_server_that_does_not_answer_is_named(sqlite_target):
    nobody = replace(sqlite_target, url=parse_url("postgresql://cms@127.0.0.1:1/cms"))
    with pytest.raises(DatabaseUnreachable, match="cms on 127") as error:
        plan_move(sqlite_target, nobody)
    assert "DATABASE_URL" not in str(error.value)


@pytest.mark.parametrize("held", ["source", "other"])
def test_another_run_that_holds_a_lock_is_not_disturbed(filled, other, held):
    plan = plan_move(filled, other)
    busy = filled if held == "source" else other
    limits = replace(filled.limits, deploy_wait_s=0)
    with engine_for(busy).deploy_lock(busy, quiet), pytest.raises(DatabaseBusy):
        apply_move(replace(filled, limits=limits), replace(other, limits=limits), plan, say=quiet)
    assert holds_nothing(other)


def test_what_was_written_otherwise_is_noticed(filled, other):
    upgrade(other)
    with engine_for(filled).snapshot(filled) as snapshot, begun(other) as connection:
        tables, _ = choose_tables(filled, snapshot.connection, connection)
        pair = Pair(side_of(snapshot.connection), side_of(connection), tables, quiet)
        expected = pair.look()
        pair.write()
        connection.exec_driver_sql("UPDATE blogs SET content = content || '!' WHERE slug = 'post-2'")
        connection.exec_driver_sql("DELETE FROM sessions")
        connection.exec_driver_sql("DELETE FROM blog_search")
        with pytest.raises(MoveFailed, match="differs in blogs, sessions, the search"):
            pair.compare(expected)


# --- while it runs ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("moment", ["writing", "comparing"])
def test_a_run_that_was_killed_left_nothing_and_can_be_repeated(filled, other, moment):
    plan = plan_move(filled, other)

    def die(line):
        if line.startswith(moment):
            os.kill(os.getpid(), signal.SIGKILL)

    child = os.fork()
    if child == 0:
        try:
            apply_move(filled, other, plan, say=die)
        finally:
            os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL
    assert holds_nothing(other)
    assert move(filled, other).rows == move_rows(filled)


def test_what_is_written_meanwhile_stays_behind(filled, other):
    def write(line):
        if line.startswith("looking at"):
            with connected(filled) as connection:
                row = {"id": uuid.uuid4(), "actor_name": "ada", "action": "blog.published", "details": {}}
                insert(connection, "activity_logs", row, moment="happened_at")

    move(filled, other, write)
    assert (count(filled, "activity_logs"), count(other, "activity_logs")) == (2, 1)


def test_an_open_site_is_told_that_it_is(filled, other):
    said = []
    move(filled, other, said.append)
    assert "the site is open" in said[0]


def test_a_closed_site_is_not(filled, other):
    os.close(turn_on(filled.maintenance_file, Maintenance(MOMENT, "ada", "we move", None)))
    said = []
    move(filled, other, said.append)
    assert not any("the site is open" in line for line in said)


def test_the_plan_changes_nothing(filled, other):
    assert plan_move(filled, other).tables == len(list_tables_moved(filled))
    assert holds_nothing(other)


def list_tables_moved(target):
    return [name for name in tables_of(target) if is_moved(name.rpartition(".")[2])]
