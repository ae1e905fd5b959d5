"""Whatever a site has beside the history survives an upgrade, or the upgrade is rolled back and names it."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cms.database.errors import MigrationFailed
from cms.database.expected import read_expected
from cms.database.fingerprint import read_fingerprint
from cms.database.history import list_revisions, load_scripts
from cms.database.target import Limits, Target, parse_url
from tests.database.rows import FIRST, SECOND, connected, count, digests, downgrade, fill, upgrade
from tests.database.test_rehearsal import with_revision

KEPT = {
    "trigger": "CREATE TRIGGER t AFTER UPDATE ON blogs BEGIN SELECT 1; END",
    "trigger on another table": "CREATE TRIGGER t AFTER INSERT ON users BEGIN DELETE FROM blogs WHERE 0; END",
    "expression index": "CREATE INDEX i ON blogs (lower(title))",
    "descending index": "CREATE INDEX i ON blogs (created_at DESC, title)",
    "index with a collation": "CREATE INDEX i ON blogs (title COLLATE NOCASE)",
    "partial index": "CREATE INDEX i ON blogs (title) WHERE status = 'Draft'",
    "unique expression index": "CREATE UNIQUE INDEX i ON blogs (slug || id)",
    "view": "CREATE VIEW v AS SELECT title FROM blogs WHERE status = 'published'",
    "view of a view": "CREATE VIEW v AS SELECT title FROM blogs; CREATE VIEW w AS SELECT * FROM v",
    "child table": "CREATE TABLE child (id INTEGER PRIMARY KEY, blog CHAR(32) REFERENCES blogs (id) ON DELETE CASCADE)",
    "own column": "ALTER TABLE blogs ADD COLUMN shelf TEXT",
    "own column with a default": "ALTER TABLE blogs ADD COLUMN shelf TEXT NOT NULL DEFAULT 'a ''b'''",
}
LOST = {
    "collation": (
        "ALTER TABLE blogs ADD COLUMN shelf TEXT COLLATE NOCASE",
        "loses column blogs.shelf TEXT collate nocase",
    ),
    "unnamed check": ("ALTER TABLE blogs ADD COLUMN shelf TEXT CHECK (shelf <> '')", "loses constraint blogs check"),
    "conflict clause": (
        "ALTER TABLE blogs ADD COLUMN shelf TEXT NOT NULL ON CONFLICT IGNORE DEFAULT 'a'",
        "loses column blogs.shelf",
    ),
    "action of an inline key": (
        "ALTER TABLE blogs ADD COLUMN shelf CHAR(32) REFERENCES users ON DELETE SET NULL DEFERRABLE INITIALLY DEFERRED",
        "loses constraint blogs",
    ),
}


def run(target, statements):
    with connected(target) as connection:
        for statement in [statements] if "TRIGGER" in statements else statements.split("; "):
            connection.exec_driver_sql(statement)


def extras(target):
    """Return the facts that are not of the database's revision, as the history makes it."""
    with connected(target) as connection:
        found = read_fingerprint(connection)
        current = connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalar_one()
    return set(found.missing_from(read_expected(target, load_scripts(target))[current]))


def test_what_is_beside_the_history_survives_every_step_there_and_back(sqlite_target):
    upgrade(sqlite_target, FIRST)
    fill(sqlite_target)
    for number, statements in enumerate(KEPT.values()):
        make(sqlite_target, statements, number)
    own = extras(sqlite_target)
    assert len(own) > len(KEPT)
    for revision in list_revisions(load_scripts(sqlite_target))[1:]:
        upgrade(sqlite_target, revision.id)
        assert extras(sqlite_target) == own, revision.title
    downgrade(sqlite_target, FIRST)
    assert extras(sqlite_target) == own
    assert count(sqlite_target, "blogs") == 3


@pytest.mark.parametrize(("statements", "why"), LOST.values(), ids=LOST)
def test_what_a_rebuild_cannot_keep_is_named_and_nothing_changes(sqlite_target, statements, why):
    upgrade(sqlite_target, FIRST)
    run(sqlite_target, statements)
    fill(sqlite_target)
    before, own = digests(sqlite_target), extras(sqlite_target)
    with pytest.raises(MigrationFailed, match=f"revision {SECOND} would change what it is not known to") as failed:
        upgrade(sqlite_target)
    assert why in str(failed.value.why)
    assert digests(sqlite_target) == before
    assert extras(sqlite_target) == own


def test_the_historys_own_triggers_outlive_a_table_that_is_built_anew(sqlite_target, tmp_path):
    upgrade(sqlite_target)
    body = """
    with op.batch_alter_table("blogs") as batch:
        batch.alter_column("title", existing_type=sa.String(255), type_=sa.String(300))"""
    longer = with_revision(sqlite_target, tmp_path, body)
    upgrade(longer)
    assert extras(longer) == set()
    fill(longer)
    assert count(longer, "blog_words WHERE blog_words MATCH 'post'") == 3


def test_a_trigger_that_reads_what_a_new_table_lacks_is_named_and_nothing_changes(sqlite_target, tmp_path):
    upgrade(sqlite_target)
    fill(sqlite_target)
    before = digests(sqlite_target)
    body = """
    with op.batch_alter_table("blogs") as batch:
        batch.drop_column("content_text")"""
    longer = with_revision(sqlite_target, tmp_path, body)
    with pytest.raises(MigrationFailed, match=r"the trigger blog_search_\w+ on blogs does not fit the changed table"):
        upgrade(longer)
    assert digests(sqlite_target) == before


def test_rows_of_a_child_table_are_neither_deleted_nor_emptied(sqlite_target):
    upgrade(sqlite_target, FIRST)
    fill(sqlite_target)
    run(sqlite_target, KEPT["child table"])
    run(sqlite_target, "INSERT INTO child (blog) SELECT id FROM blogs")
    upgrade(sqlite_target)
    with connected(sqlite_target) as connection:
        assert connection.exec_driver_sql("SELECT count(blog) FROM child").scalar_one() == 3


@pytest.mark.parametrize(
    "body",
    ['    op.drop_table("redirects")', '    op.rename_table("redirects", "forwards")'],
    ids=["dropped", "renamed"],
)
def test_what_somebody_added_to_a_table_goes_or_moves_with_it(target, tmp_path, body):
    upgrade(target)
    run(target, "CREATE INDEX own ON redirects (created_at)")
    if target.engine_name == "sqlite":
        run(target, "CREATE TRIGGER own_too AFTER UPDATE ON redirects BEGIN SELECT 1; END")
    upgrade(with_revision(target, tmp_path, body))
    with connected(target) as connection:
        places = {fact.place for fact in read_fingerprint(connection).facts if fact.name == "own"}
    assert places == ({"own on forwards"} if "rename" in body else set())


def test_a_revision_whose_data_step_changes_the_schema_by_the_way_is_refused(target, tmp_path):
    """On an empty site it makes no table; on one with rows it does."""
    upgrade(target)
    fill(target)
    body = """
    if op.get_bind().execute(sa.text("SELECT count(*) FROM blogs")).scalar():
        op.execute("CREATE TABLE surprise (id INTEGER)")"""
    before = digests(target)
    with pytest.raises(MigrationFailed, match="would change what it is not known to") as failed:
        upgrade(with_revision(target, tmp_path, body))
    assert "it adds table surprise" in str(failed.value.why)
    assert digests(target) == before


def test_a_history_with_a_concurrent_index_leaves_nothing_of_its_scratch_place(postgres_target, tmp_path):
    body = """
    with op.get_context().autocommit_block():
        op.create_index("by_title", "blogs", ["title"], postgresql_concurrently=True)"""
    longer = with_revision(postgres_target, tmp_path, body)
    upgrade(longer)
    with connected(postgres_target) as connection:
        schemas = connection.exec_driver_sql("SELECT nspname FROM pg_namespace WHERE nspname !~ '^(pg_|inform)'")
        assert schemas.scalars().all() == ["public"]


PIECES = st.lists(
    st.sampled_from([*KEPT.values(), *(statement for statement, _ in LOST.values())]), unique=True, max_size=4
)


@settings(max_examples=10, deadline=None)
@given(pieces=PIECES)
def test_any_mixture_is_kept_whole_or_nothing_changes(pieces):
    with TemporaryDirectory() as folder:
        target = Target(parse_url(f"sqlite:///{folder}/cms.db"), Path(folder), limits=Limits(retry_s=0))
        upgrade(target, FIRST)
        for number, piece in enumerate(pieces):
            make(target, piece, number)
        fill(target)
        own, before = extras(target), digests(target)
        try:
            upgrade(target)
        except MigrationFailed:
            assert digests(target) == before
            assert any(piece in pieces for piece, _ in LOST.values())
        assert extras(target) == own
        assert count(target, "blogs") == 3


def make(target, piece, number):
    """Run a piece under names of its own."""
    for name in ("TRIGGER t ", "INDEX i ", "VIEW v ", "VIEW w ", "FROM v", "TABLE child ", "COLUMN shelf ", "(shelf "):
        piece = piece.replace(name, f"{name.rstrip()}{number}{' ' if name.endswith(' ') else ''}")
    run(target, piece)
