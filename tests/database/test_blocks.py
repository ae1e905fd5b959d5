"""Building blocks of revisions: each recipe of the page runs as it stands there, and goes on after any interruption."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import threading
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from queue import SimpleQueue

import pytest

from cms.database import steps
from cms.database.engines import engine_for
from cms.database.errors import DatabaseBusy, MigrationFailed
from cms.database.history import get_head, load_scripts
from cms.database.lint.report import lint_migrations
from cms.database.rehearsal import rehearse
from cms.database.target import Limits, parse_url
from tests.database.blocks import Interruption, identity, kill, read_recipes, read_state, terminate, with_revisions
from tests.database.rows import connected, downgrade, fill, quiet, upgrade

ROUNDS = int(os.environ.get("CMS_TEST_KILLS", "1"))
ROOT = Path(__file__).resolve().parents[2]
UPGRADE_AND_DIE = """
import sys
from pathlib import Path
from cms.database.target import Target, parse_url
from tests.database.blocks import Interruption, kill
from tests.database.rows import upgrade
target = Target(parse_url(sys.argv[1]), Path("unused"), migrations_dir=Path(sys.argv[2]))
with Interruption(int(sys.argv[3]), kill):
    upgrade(target)
"""


@pytest.fixture
def database_url(migrated_url):
    return migrated_url


@pytest.fixture
def site(target):
    """Return a database at the head with rows in every table."""
    fill(target, posts=40)
    return target


@pytest.fixture
def postgres_site(postgres_target, migrated_postgres_url):
    at_head = replace(postgres_target, url=parse_url(migrated_postgres_url))
    fill(at_head, posts=40)
    return at_head


def comparable(target, name):
    """Return the state without the values that are different each time."""
    state = read_state(target)
    random_values = name == "add_filled_column"
    return (
        replace(state, rows={table: [str(len(rows))] for table, rows in state.rows.items()}) if random_values else state
    )


@pytest.mark.parametrize("name", read_recipes())
def test_a_recipe_goes_up_and_down_and_up_again_with_rows_present(site, tmp_path, name):
    recipe = read_recipes()[name]
    before = read_state(site)
    head = get_head(load_scripts(site))
    longer = with_revisions(site, tmp_path / "migrations", recipe)
    upgrade(longer)
    there = read_state(longer)
    assert there.schema != before.schema or there.rows != before.rows
    assert not there.steps
    downgrade(longer, head)
    assert read_state(longer) == before
    upgrade(longer)
    assert read_state(longer).schema == there.schema
    with connected(longer) as connection:
        stored = connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalar_one()
    assert stored == identity(len(recipe))


@pytest.mark.parametrize("name", read_recipes())
def test_a_block_that_is_killed_and_then_cut_off_ends_as_if_it_had_never_been_interrupted(
    postgres_site, tmp_path, name
):
    head = get_head(load_scripts(postgres_site))
    longer = with_revisions(postgres_site, tmp_path / "migrations", read_recipes()[name])
    with Interruption(0, kill) as uninterrupted:
        upgrade(longer)
    there = comparable(longer, name)
    for _ in range(ROUNDS):
        downgrade(longer, head)
        at = random.randint(1, uninterrupted.count)
        assert die_at(longer, at) == -signal.SIGKILL
        with Interruption(random.randint(1, 9), terminate) as cut, suppress(MigrationFailed):
            upgrade(longer)
        upgrade(longer)
        assert comparable(longer, name) == there, f"statements {at} and {cut.at}"


def die_at(target, statement):
    """Upgrade in a process that is killed before a statement; return how it ended."""
    url = target.url.render_as_string(hide_password=False)
    arguments = [sys.executable, "-c", UPGRADE_AND_DIE, url, str(target.migrations_dir), str(statement)]
    return subprocess.run(arguments, cwd=ROOT, capture_output=True, check=False).returncode


def test_a_lost_connection_is_told_with_where_the_database_stands(postgres_site, tmp_path):
    longer = with_revisions(postgres_site, tmp_path / "migrations", read_recipes()["create_index"])
    with (
        Interruption("CREATE INDEX", terminate),
        pytest.raises(MigrationFailed, match=f"was lost while revision {identity(1)}") as told,
    ):
        upgrade(longer)
    assert f"the database is at {get_head(load_scripts(postgres_site))}, and what" in str(told.value.hint)
    assert "had done stays; run the same command again" in str(told.value.hint)


def test_a_lost_connection_loses_the_whole_of_a_revision_that_is_one_transaction(postgres_site, tmp_path):
    longer = with_revisions(postgres_site, tmp_path / "migrations", read_recipes()["create_foreign_key"][:1])
    before = read_state(longer)
    with Interruption(1, terminate, when="after"), pytest.raises(MigrationFailed, match="was lost while") as told:
        upgrade(longer)
    assert "stays" not in str(told.value.hint)
    assert read_state(longer) == before


def test_lint_finds_nothing_in_the_recipes(postgres_site, tmp_path):
    codes = tuple(code for recipe in read_recipes().values() for code in recipe)
    longer = with_revisions(postgres_site, tmp_path / "migrations", codes)
    report = lint_migrations(longer, since=get_head(load_scripts(postgres_site)))
    assert report.findings == ()
    assert len(report.revisions) == len(codes)


def test_a_build_that_fails_leaves_no_index_and_the_rerun_builds_it(postgres_site, tmp_path):
    code = read_recipes()["create_unique_constraint"][0]
    longer = with_revisions(postgres_site, tmp_path / "migrations", (code,))
    before = read_state(longer).schema
    with connected(longer) as connection:
        connection.exec_driver_sql("UPDATE blogs SET title = 'twice' WHERE slug < 'post-2'")
    with pytest.raises(MigrationFailed, match=f"revision {identity(1)} failed") as told:
        upgrade(longer)
    assert "could not create unique index" in str(told.value.why)
    assert "the same command goes on from there" in str(told.value.hint)
    assert read_state(longer).schema == before
    with connected(longer) as connection:
        connection.exec_driver_sql("UPDATE blogs SET title = slug")
    upgrade(longer)
    assert len(set(read_state(longer).schema) - set(before)) == 1


def test_a_build_that_must_wait_says_for_whom_and_nobody_waits_behind_it(postgres_site, tmp_path, monkeypatch):
    monkeypatch.setattr(steps, "EVERY_S", 0.05)
    longer = with_revisions(postgres_site, tmp_path / "migrations", read_recipes()["create_index"])
    said = SimpleQueue()
    with connected(longer) as writer:
        writer.exec_driver_sql("UPDATE blogs SET title = 'new' WHERE slug = 'post-1'")
        pid = writer.exec_driver_sql("SELECT pg_backend_pid()").scalar_one()
        build = threading.Thread(target=upgrade, args=(longer,), kwargs={"say": said.put})
        build.start()
        line = said.get(timeout=10)
        while "waits for" not in line:
            line = said.get(timeout=10)
        assert line.startswith("index ix_blogs_title: build ix_blogs_title: waiting for")
        assert f"waits for process {pid} (cms-tool, idle in transaction), whose transaction is 0 s old" in line
        with connected(longer) as other:
            other.exec_driver_sql("SET statement_timeout = '2s'")
            other.exec_driver_sql("UPDATE blogs SET title = 'newer' WHERE slug = 'post-2'")
        assert build.is_alive()
    build.join(timeout=10)
    assert not build.is_alive()


def test_both_names_of_a_column_hold_the_same_until_the_rename_is_finished(site, tmp_path):
    longer = with_revisions(site, tmp_path / "migrations", read_recipes()["start_rename"])
    upgrade(longer, identity(1))
    author = "(SELECT author_id FROM blogs LIMIT 1)"
    common = f"SELECT {author}, 't', 'c', 'draft', '[]', created_at"
    with connected(longer) as connection:
        say = connection.exec_driver_sql
        for number, name in enumerate(("reading_time_minutes", "minutes"), start=7):
            say(f"""INSERT INTO blogs (id, author_id, title, content, status, tags, created_at, slug, {name})
                {common}, 'by-{name}', {number} FROM blogs WHERE slug = 'post-1'""".replace(
                "SELECT", f"SELECT '{number:032x}',", 1
            ))  # fmt: skip
        say("UPDATE blogs SET reading_time_minutes = 3 WHERE slug = 'post-1'")
        say("UPDATE blogs SET minutes = 4 WHERE slug = 'post-2'")
        query = "SELECT slug, reading_time_minutes, minutes FROM blogs WHERE minutes > 0 ORDER BY slug"
        expected = [("by-minutes", 8, 8), ("by-reading_time_minutes", 7, 7), ("post-1", 3, 3), ("post-2", 4, 4)]
        assert list(map(tuple, say(query))) == expected
        assert not say("SELECT 1 FROM blogs WHERE minutes IS NULL").all()
    upgrade(longer)
    with connected(longer) as connection:
        query = "SELECT slug, minutes FROM blogs WHERE minutes > 0 ORDER BY slug"
        assert [tuple(row) for row in connection.exec_driver_sql(query)] == [(slug, new) for slug, _, new in expected]


def test_what_is_written_while_a_type_changes_is_in_the_new_column(postgres_site, tmp_path):
    longer = with_revisions(postgres_site, tmp_path / "migrations", read_recipes()["change_type"])
    over, written = threading.Event(), []

    def write():
        engine = engine_for(longer).open_tool(longer).execution_options(isolation_level="AUTOCOMMIT")
        with engine.connect() as connection:
            while not over.is_set():
                connection.exec_driver_sql("UPDATE blogs SET word_count = word_count + 1")
                written.append(1)

    writer = threading.Thread(target=write)
    writer.start()
    upgrade(longer)
    over.set()
    writer.join()
    with connected(longer) as connection:
        assert connection.exec_driver_sql("SELECT DISTINCT word_count FROM blogs").scalars().all() == [len(written)]


@pytest.mark.parametrize(
    ("statement", "why"),
    [
        ("ALTER TABLE blogs ADD CONSTRAINT own_check CHECK (word_count >= 0)", "constraint own_check on table blogs"),
        ("GRANT SELECT (word_count) ON blogs TO PUBLIC", "rights on the column"),
    ],
)
def test_a_type_does_not_change_while_something_depends_on_the_column(postgres_site, tmp_path, statement, why):
    longer = with_revisions(postgres_site, tmp_path / "migrations", read_recipes()["change_type"])
    with connected(longer) as connection:
        connection.exec_driver_sql(statement)
    before = read_state(longer)
    with pytest.raises(MigrationFailed, match=r"blogs\.word_count cannot change its type") as refused:
        upgrade(longer)
    assert refused.value.why == why
    assert replace(read_state(longer), steps=False) == before


def test_the_comment_on_a_column_stays_when_its_type_changes(postgres_site, tmp_path):
    with connected(postgres_site) as connection:
        connection.exec_driver_sql("COMMENT ON COLUMN blogs.word_count IS $$the author's count$$")
    upgrade(with_revisions(postgres_site, tmp_path / "migrations", read_recipes()["change_type"]))
    with connected(postgres_site) as connection:
        query = """SELECT col_description(attrelid, attnum) FROM pg_attribute
                   WHERE attrelid = 'blogs'::regclass AND attname = 'word_count'"""
        assert connection.exec_driver_sql(query).scalar_one() == "the author's count"


def test_an_index_and_its_uniqueness_come_along_when_a_type_changes(postgres_site, tmp_path):
    code = read_recipes()["change_type"][0].replace("word_count", "view_count")
    with connected(postgres_site) as connection:
        connection.exec_driver_sql("UPDATE blogs SET view_count = right(slug, 1)::int WHERE slug < 'post-4'")
        connection.exec_driver_sql("CREATE INDEX own ON blogs (status, view_count)")
    longer = with_revisions(postgres_site, tmp_path / "migrations", (code,))
    upgrade(longer)
    assert "index own on blogs btree (status, view_count)" in read_state(longer).schema


def test_a_backfill_goes_on_behind_the_last_batch_that_was_stored(postgres_site, tmp_path, monkeypatch):
    monkeypatch.setattr("cms.database.backfill.FIRST", 7)
    monkeypatch.setattr("cms.database.backfill.AIM_S", 0.0)
    monkeypatch.setattr("cms.database.backfill.FEWEST", 7)
    add, _ = read_recipes()["backfill"]
    code = """
from cms.database.operations import backfill
changes = ("blogs.language",)


def upgrade():
    backfill("blogs", {"language": sa.text("language || '+'")}, where="true")


def downgrade():
    pass
"""
    longer = with_revisions(postgres_site, tmp_path / "migrations", (add, code))
    upgrade(longer, identity(1))
    with Interruption(0, terminate) as uninterrupted, connected(longer) as connection:
        upgrade(longer)
    assert uninterrupted.count > 40 // 7 * 3
    with connected(longer) as connection:
        connection.exec_driver_sql(f"UPDATE alembic_version SET version_num = '{identity(1)}'")
        connection.exec_driver_sql("UPDATE blogs SET language = 'en'")
    for at in range(2, uninterrupted.count, 5):
        with suppress(MigrationFailed), Interruption(at, terminate):
            upgrade(longer)
    upgrade(longer)
    with connected(longer) as connection:
        assert connection.exec_driver_sql("SELECT DISTINCT language FROM blogs").scalars().all() == ["en+"]


def test_waiting_for_a_lock_counts_from_the_last_step_that_was_stored(postgres_site, tmp_path):
    hasty = replace(postgres_site, limits=Limits(retry_s=1))
    longer = with_revisions(hasty, tmp_path / "migrations", read_recipes()["set_not_null"])
    upgrade(longer, identity(1))
    said = SimpleQueue()
    with connected(longer) as reader:
        reader.exec_driver_sql("SELECT count(*) FROM blogs")
        with pytest.raises(DatabaseBusy, match="is in use"):
            upgrade(longer, say=said.put)
    assert "a table is in use by process" in said.get(timeout=1)
    with connected(longer) as connection:  # what needs no such lock was done
        assert not connection.exec_driver_sql("SELECT 1 FROM blogs WHERE lead IS NULL").all()
    upgrade(longer)
    assert not read_state(longer).steps


def test_the_rehearsal_measures_each_step_of_a_block_and_not_the_whole(postgres_site, tmp_path):
    longer = with_revisions(postgres_site, tmp_path / "migrations", read_recipes()["change_type"])
    rehearsed = rehearse(longer, say=quiet)
    (receipt,) = rehearsed.receipts
    (blogs,) = (table for table in receipt.tables if table.table == "blogs")
    assert blogs.lock == "AccessExclusiveLock"
    assert blogs.held_s < receipt.duration_s / 2
    assert blogs.rows == 40
    assert not blogs.rewritten
