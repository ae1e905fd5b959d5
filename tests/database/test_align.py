"""`--align` makes a schema equal after a backup, drops nothing that is somebody's, and leaves nothing half done."""

from __future__ import annotations

import re
import sqlite3

import pytest

from cms.database.adopt import apply_stamp, plan_stamp
from cms.database.backup import find_newest
from cms.database.errors import StampRefused
from cms.database.fingerprint import read_fingerprint
from cms.database.history import get_head, load_scripts, read_current
from cms.database.identify import identify
from cms.database.release import apply_release
from tests.database.adopted import CARRIED, CARRIED_BY_POSTGRESQL, adopted_site, rows_of, run
from tests.database.rows import FIRST, connected, count, digests, quiet

OWN = {"own unique column", "extra column", "extra column with a default", "extra table", "view"}
FOREIGN_KEY = "FOREIGN KEY(author_id) REFERENCES users (uuid) ON DELETE CASCADE"
OTHER_TABLES = {
    "missing defaults": lambda sql: re.sub(r" DEFAULT ('\w+'|\w+)", "", sql),
    "other action": lambda sql: sql.replace(" ON DELETE CASCADE", ""),
    "redundant uniqueness": lambda sql: sql.replace("PRIMARY KEY (id)", "PRIMARY KEY (id), UNIQUE (slug)"),
    "own column with its own rules": lambda sql: sql.replace("title VARCHAR", "shelf TEXT, title VARCHAR").replace(
        FOREIGN_KEY, f"{FOREIGN_KEY}, UNIQUE (shelf), FOREIGN KEY (shelf) REFERENCES users (username)"
    ),
}


def remake_blogs(target, change):
    """Make the table blogs of a SQLite file anew with other SQL, as somebody's own program would have made it."""
    with connected(target) as connection:
        sql = connection.exec_driver_sql("SELECT sql FROM sqlite_master WHERE name = 'blogs'").scalar_one()
        indexes = connection.exec_driver_sql(
            "SELECT sql FROM sqlite_master WHERE tbl_name = 'blogs' AND type = 'index' AND sql IS NOT NULL"
        ).scalars()
        changed = change(sql)
        assert changed != sql
        columns = ", ".join(row[1] for row in connection.exec_driver_sql("PRAGMA table_info(blogs)"))
        run(
            target,
            [
                "ALTER TABLE blogs RENAME TO former",
                changed,
                f"INSERT INTO blogs ({columns}) SELECT {columns} FROM former",
                "DROP TABLE former",
                *indexes.all(),
            ],
        )


def assert_aligned(target, *, own=False):
    """Assert that the schema becomes the revision's, with every row, and goes to the head from there."""
    rows = rows_of(target)
    with pytest.raises(StampRefused, match="later revisions can carry"):
        plan_stamp(target)
    plan = plan_stamp(target, align=True, accept_differences=own)
    assert plan.revision == FIRST
    assert (plan.accepted is not None) == own
    result = apply_stamp(target, plan, say=quiet)
    assert result.backup.proven
    assert rows_of(target) == rows
    if not own:
        assert identify(target).equal_to == (FIRST,)
    apply_release(target, say=quiet)
    assert rows_of(target) == rows
    with connected(target) as connection:
        assert read_current(connection, load_scripts(target)) == get_head(load_scripts(target))


def cases(given):
    return {name: statements for name, statements in given.items() if name not in OWN}


@pytest.mark.parametrize("statements", cases(CARRIED).values(), ids=cases(CARRIED))
def test_what_is_derived_is_made_equal(target, statements):
    adopted_site(target, statements)
    assert_aligned(target)


@pytest.mark.parametrize("statements", CARRIED_BY_POSTGRESQL.values(), ids=CARRIED_BY_POSTGRESQL)
def test_defaults_and_constraints_are_made_equal_on_postgresql(postgres_target, statements):
    adopted_site(postgres_target, statements)
    assert_aligned(postgres_target)


@pytest.mark.parametrize("change", OTHER_TABLES.values(), ids=OTHER_TABLES)
def test_tables_are_built_anew_on_sqlite(sqlite_target, change):
    adopted_site(sqlite_target)
    remake_blogs(sqlite_target, change)
    assert_aligned(sqlite_target, own="shelf" in change("title VARCHAR"))


def test_what_is_somebodys_own_stays_with_its_data_and_must_be_accepted(target):
    adopted_site(
        target,
        [
            *CARRIED["extra table"],
            *CARRIED["extra column with a default"],
            *CARRIED["missing index"],
            "CREATE INDEX ix_blogs_likes ON blogs (likes)",
            "INSERT INTO reviews SELECT 1, 2",
            "UPDATE blogs SET likes = 7",
        ],
    )
    with pytest.raises(StampRefused, match="somebody's own") as refused:
        plan_stamp(target, align=True)
    assert "extra:   index ix_blogs_likes" in str(refused.value.why)
    assert "ix_blogs_created_at" not in str(refused.value.why)
    assert_aligned(target, own=True)
    with connected(target) as connection:
        assert connection.exec_driver_sql("SELECT sum(likes) FROM blogs").scalar_one() == 21
        assert "ix_blogs_likes" in {fact.name for fact in read_fingerprint(connection).facts}
    assert count(target, "reviews") == 1


def test_the_index_of_a_column_with_an_odd_name_is_its_owners(target):
    adopted_site(
        target, ['ALTER TABLE blogs ADD COLUMN "My ""Col" INTEGER', 'CREATE INDEX "Odd ""One" ON blogs ("My ""Col")']
    )
    plan = plan_stamp(target, align=True, accept_differences=True)
    assert plan.alignment.statements == ()
    assert plan.accepted.size == 2


def test_a_view_and_a_child_row_survive_a_table_built_anew(sqlite_target):
    adopted_site(sqlite_target)
    remake_blogs(sqlite_target, OTHER_TABLES["other action"])
    run(sqlite_target, ["CREATE VIEW names AS SELECT username FROM users"])
    run(sqlite_target, ["CREATE TABLE likes (blog CHAR(32) REFERENCES blogs (id) ON DELETE CASCADE)"])
    run(sqlite_target, ["INSERT INTO likes SELECT id FROM blogs"])
    apply_stamp(sqlite_target, plan_stamp(sqlite_target, align=True, accept_differences=True), say=quiet)
    assert count(sqlite_target, "likes") == 3
    assert count(sqlite_target, "names") == 1
    with connected(sqlite_target) as connection:
        assert connection.exec_driver_sql("PRAGMA foreign_key_check").all() == []


def test_what_cannot_be_carried_is_not_aligned(target):
    adopted_site(target, ["ALTER TABLE users DROP COLUMN bio"])
    with pytest.raises(StampRefused, match="could not carry"):
        plan_stamp(target, align=True)


def test_an_alignment_that_the_data_does_not_allow_changes_nothing(postgres_target):
    adopted_site(
        postgres_target,
        [
            "ALTER TABLE blogs DROP CONSTRAINT blogs_author_id_fkey",
            "ALTER TABLE blogs ADD CONSTRAINT blogs_author_id_fkey FOREIGN KEY (author_id) REFERENCES users",
            "SET session_replication_role = replica",
            "DELETE FROM users",
            "SET session_replication_role = DEFAULT",
        ],
    )
    before = digests(postgres_target)
    with pytest.raises(StampRefused, match="could not be aligned, and is as it was") as refused:
        apply_stamp(postgres_target, plan_stamp(postgres_target, align=True), say=quiet, proof=False)
    assert "violates foreign key constraint" in str(refused.value.why)
    assert digests(postgres_target) == before
    assert find_newest(postgres_target.backup_dir) is not None


def test_an_aligned_file_is_whole(sqlite_target):
    adopted_site(sqlite_target)
    remake_blogs(sqlite_target, OTHER_TABLES["missing defaults"])
    apply_stamp(sqlite_target, plan_stamp(sqlite_target, align=True), say=quiet)
    with sqlite3.connect(sqlite_target.url.database) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
