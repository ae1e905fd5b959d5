"""What finds posts by their words is backed up, proven and restored with them: virtual tables, triggers, settings."""

from __future__ import annotations

import os
import sqlite3
import uuid
from contextlib import closing

import pytest
from sqlalchemy.orm import Session

from cms.blogs.search import find_posts
from cms.database.engines import engine_for
from cms.database.errors import RestoreFailed
from cms.database.keys import load_key
from cms.database.manifest import read_manifest
from cms.database.proof import compare
from cms.database.restore import apply_restore, plan_restore
from cms.database.undo import apply_undo, choose_target, plan_undo
from tests.database.backups import restore, take_backup
from tests.database.rows import connected, count, digests, insert, post_row, quiet

WORDS = {f"blog_words_{part}" for part in ("config", "content", "data", "docsize", "idx")}
TABLES = {
    "sqlite": {"blog_search", "blog_words", *WORDS},
    "postgresql": {"public.blog_search", "public.blog_search_settings"},
}


def found(target, *words):
    """Return how many posts the site finds by these words."""
    with connected(target) as connection, Session(connection) as session:
        return len(find_posts(session, words, language="english"))


def write_about(target, word):
    with connected(target) as connection:
        author = connection.exec_driver_sql("SELECT uuid FROM users").scalars().first()
        author = author if isinstance(author, uuid.UUID) else uuid.UUID(author)
        insert(connection, "blogs", {**post_row(author, count(target, "blogs")), "title": word})


def forget(target, word):
    with connected(target) as connection:
        connection.exec_driver_sql(f"DELETE FROM blogs WHERE title = '{word}'")


@pytest.fixture
def backed_up(filled):
    """Return a site that finds three posts by their text, and the folder of its backup, which is proven."""
    assert found(filled, "words") == 3
    backup = take_backup(filled)
    assert backup.proven
    return filled, backup.folder


def test_a_backup_counts_and_hashes_every_table_of_the_search(backed_up):
    target, folder = backed_up
    tables = {table.name: table for table in read_manifest(folder, load_key(target)).contents.tables}
    assert TABLES[target.engine_name] <= tables.keys()
    prefix = "public." if target.engine_name == "postgresql" else ""
    assert tables[f"{prefix}blog_search"].rows == 3
    assert {name: (table.rows, table.digest) for name, table in tables.items()} == digests(target)


@pytest.mark.parametrize("in_place", [False, True], ids=["beside", "in place"])
def test_after_a_restore_and_its_undo_the_search_finds_what_it_found(backed_up, in_place):
    target, folder = backed_up
    if in_place and target.engine_name == "sqlite":
        pytest.skip("on SQLite there is no restore in place")
    write_about(target, "zebra")
    changed = digests(target)
    restore(target, folder, replace_it=True, in_place=in_place)
    assert (found(target, "words"), found(target, "zebra")) == (3, 0)
    follows_what_is_written(target)
    if not in_place:
        apply_undo(target, plan_undo(target), say=quiet)
        assert digests(target) == changed
        assert (found(target, "words"), found(target, "zebra")) == (4, 1)
        follows_what_is_written(target)


def follows_what_is_written(target):
    """The triggers came back: a post is found once it is there, and no longer once it is gone."""
    before = found(target, "words")
    write_about(target, "giraffe")
    assert (found(target, "giraffe"), found(target, "words")) == (1, before + 1)
    forget(target, "giraffe")
    assert (found(target, "giraffe"), found(target, "words")) == (0, before)


def test_a_new_database_finds_the_same(backed_up):
    target, folder = backed_up
    new = choose_target(target, f"search_{os.getpid()}")
    try:
        apply_restore(new, plan_restore(new, folder, into=new.database_name), say=quiet)
        assert (found(new, "words"), digests(new)) == (3, digests(target))
        follows_what_is_written(new)
        assert found(target, "giraffe") == 0
    finally:
        engine_for(target).discard(target, new.database_name)


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)  # on PostgreSQL the session is ended
def test_a_connection_that_has_searched_before_a_restore_searches_the_restored_words(backed_up):
    target, folder = backed_up
    query = "SELECT count(*) FROM blog_words WHERE blog_words MATCH 'words'"
    with closing(sqlite3.connect(target.url.database, isolation_level=None)) as site:
        for number in range(30):  # so many that the index has other pages than the backup's
            write_about(target, f"about {number}")
        assert site.execute(query).fetchone() == (33,)
        restore(target, folder, replace_it=True)
        assert site.execute(query).fetchone() == (3,)
        write_about(target, "giraffe")
        assert site.execute(query).fetchone() == (4,)
        assert site.execute("INSERT INTO blog_words (blog_words) VALUES ('integrity-check')").fetchall() == []


LOSSES = {
    "a post that is not found": ("DELETE FROM blog_words WHERE rowid = (SELECT max(rowid) FROM blog_words)",
                                 "DELETE FROM blog_search WHERE blog_id = (SELECT blog_id FROM blog_search LIMIT 1)"),
    "a word that is not found": ("UPDATE blog_words SET body = replace(body, '2', '')",
                                 "UPDATE blog_search SET words = ts_delete(words, '2')"),
    "words of the index alone": ("UPDATE blog_words_data SET block = zeroblob(length(block)) WHERE id > 10",
                                 "UPDATE blog_search SET words = setweight(words, 'C')"),
    "a trigger": ("DROP TRIGGER blog_search_insert", "DROP TRIGGER blog_search ON blogs"),
    "what it is set to": ("INSERT INTO blog_words (blog_words, rank) VALUES ('rank', 'bm25(2.0)')",
                     "UPDATE blog_search_settings SET language = 'simple'"),
}  # fmt: skip


@pytest.mark.parametrize("loss", LOSSES)
def test_a_copy_that_lost_something_of_the_search_is_no_proof(backed_up, loss):
    target, folder = backed_up
    contents = read_manifest(folder, load_key(target)).contents
    compare(target, contents, say=quiet)
    with connected(target) as connection:
        changed = connection.exec_driver_sql(LOSSES[loss][target.engine_name == "postgresql"])
        assert loss == "a trigger" or changed.rowcount
    with pytest.raises(RestoreFailed, match="differs from the backup's manifest"):
        compare(target, contents, say=quiet)
