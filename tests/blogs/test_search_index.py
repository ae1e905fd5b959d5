"""The search index as a whole, and what searches missed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import timedelta

import pytest
import sqlalchemy as sa
from flask.testing import FlaskClient

from cms.blogs import indexing, search_misses
from cms.blogs.checks import check_index_is_complete, check_index_language
from cms.blogs.models import Blog, SearchMiss
from cms.blogs.search_misses import KEPT, MissCounter, list_misses, store_misses
from cms.extensions import db, transaction
from cms.management.base import call_command
from tests.blogs.test_search import FOX, found
from tests.site import NOON, Site, counted, open_site, running, settings_for


@pytest.fixture
def within(site: Site) -> Iterator[Site]:
    with site.app.app_context():
        yield site


def empty_index() -> None:
    with transaction() as session:
        session.execute(sa.text("DELETE FROM blog_search"))


def is_postgresql(site: Site) -> bool:
    return site.app.config["DATABASE_URL"].startswith("postgresql")


# --- made anew ----------------------------------------------------------------------------------------------------


def test_an_adopted_site_is_indexed_post_by_post(within: Site, client: FlaskClient, monkeypatch):
    monkeypatch.setattr(indexing, "BATCH_POSTS", 2)
    for number in range(5):
        within.write(f"Post {number}", content=FOX)
    within.write("Draft", content=FOX, status="draft")
    empty_index()
    assert found(client, "fox") == []
    report = call_command("reindex-search")
    assert (report.posts, report.indexed, report.language) == (5, 5, "english")
    assert found(client, "fox") == ["post-4", "post-3", "post-2"]
    assert {blog.updated_at for blog in db.session.scalars(sa.select(Blog))} == {None}


def test_a_dry_run_counts_and_indexes_nothing(within: Site, client: FlaskClient):
    within.write("Post", content=FOX)
    empty_index()
    report = call_command("reindex-search", dry_run=True)
    assert (report.posts, report.indexed) == (1, 0)
    assert found(client, "fox") == []


def test_indexing_again_leaves_one_entry_for_each_post(within: Site, client: FlaskClient):
    within.write("Post", content=FOX)
    call_command("reindex-search")
    call_command("reindex-search")
    assert db.session.scalar(sa.text("SELECT count(*) FROM blog_search")) == 1
    assert found(client, "fox") == ["post"]


def test_another_language_finds_its_own_forms(postgres_site_in_german: Site):
    site = postgres_site_in_german
    site.write("Post", content="Die Häuser stehen.")
    client = site.app.test_client()
    assert found(client, "Haus") == []
    with site.app.app_context(), db.engine.connect() as connection:
        config = site.app.extensions["settings"]
        assert [problem.id for problem in check_index_language(config, connection)] == ["search.W002"]
        call_command("reindex-search")
        assert check_index_language(config, connection) == []
    assert found(client, "Haus") == ["post"]


@pytest.fixture
def postgres_site_in_german(migrated_postgres_url: str, tmp_path) -> Iterator[Site]:
    with running(settings_for(migrated_postgres_url, tmp_path, SITE_LANGUAGE="de-AT")) as app:
        yield open_site(app)


def test_a_check_counts_the_posts_that_the_index_lacks(within: Site):
    for number in range(3):
        within.write(f"Post {number}")
    within.write("Draft", status="draft")
    with db.engine.connect() as connection:
        assert check_index_is_complete(connection) == []
    empty_index()
    with db.engine.connect() as connection:
        [problem] = check_index_is_complete(connection)
    assert problem.id == "search.W001"
    assert "3 published posts" in str(problem)


def test_the_checks_wait_for_a_schema_that_has_an_index(database_url: str):
    engine = sa.create_engine(database_url.replace("postgresql://", "postgresql+psycopg://"))
    with engine.connect() as connection:
        assert check_index_is_complete(connection) == []
    engine.dispose()


# --- what was missed ----------------------------------------------------------------------------------------------


def stored() -> dict[str, int]:
    db.session.rollback()
    return {miss.words: miss.count for miss in list_misses(db.session)}


def test_what_is_missed_three_times_is_counted_without_case(within: Site, client: FlaskClient):
    for typed in ("Unicorn", "unicorn!", "dragon"):
        found(client, typed)
    assert stored() == {}
    found(client, "UNICORN")
    assert stored() == {"unicorn": 3}
    assert call_command("search-misses").misses[0].words == "unicorn"
    assert "     3  20" in str(call_command("search-misses"))


def test_what_is_found_is_not_counted(within: Site, client: FlaskClient):
    within.write("Post", content=FOX)
    for _ in range(4):
        found(client, "fox")
        found(client, "...")
    assert stored() == {}


def test_misses_are_stored_once_a_minute_however_many_there_are(within: Site, client: FlaskClient, monkeypatch):
    clock = [1000.0]
    monkeypatch.setattr(search_misses.time, "monotonic", lambda: clock[0])
    for _ in range(3):
        found(client, "unicorn")
    for _ in range(5):
        with counted(within.app) as statements:
            found(client, "unicorn")
            found(client, "dragon")
        assert len(statements.sent) == 2
    assert stored() == {"unicorn": 3}
    clock[0] += 60
    found(client, "unicorn")
    assert stored() == {"unicorn": 9, "dragon": 5}


def test_a_process_counts_a_bounded_number_of_searches():
    counter = MissCounter()
    for number in range(3 * search_misses.COUNTED):
        assert counter.count([str(number)]) == {}
    assert len(counter._counts) <= search_misses.COUNTED


def test_the_latest_misses_are_kept(within: Site, monkeypatch):
    monkeypatch.setattr(search_misses, "KEPT", 3)
    for number in range(5):
        store_misses({f"word {number}": 3}, at=NOON + timedelta(hours=number))
    store_misses({"word 4": 2}, at=NOON + timedelta(hours=9))
    assert stored() == Counter({"word 4": 5, "word 2": 3, "word 3": 3})
    assert KEPT == 1_000


def test_a_search_that_cannot_be_counted_is_answered_all_the_same(within: Site, client: FlaskClient):
    with transaction() as session:
        session.execute(sa.text("DROP TABLE search_misses"))
    for _ in range(4):
        assert found(client, "unicorn") == []


def test_nothing_but_words_count_and_time_is_stored():
    assert {column.name for column in SearchMiss.__table__.columns} == {"words", "count", "missed_at"}
