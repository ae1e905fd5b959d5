"""The schema history: up, down and up again, on both engines."""

from __future__ import annotations

import io

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext

from cms.database.environment import is_ours
from cms.database.errors import HistoryBroken, IrreversibleMigration, MigrationFailed, RevisionUnknown
from cms.database.expected import replay_history
from cms.database.fingerprint import is_counted, read_fingerprint
from cms.database.history import (
    alembic_config,
    get_head,
    list_pending,
    list_revisions,
    load_scripts,
    read_current,
    read_standing,
    render_revision,
)
from cms.database.journal import read_journal
from cms.database.schema import Base
from tests.database.rows import FIRST, SECOND, connected, count, downgrade, fill, upgrade


def test_up_down_and_up_again_restores_the_schema_with_rows_in_every_table(target):
    upgrade(target)
    with connected(target) as connection:
        before = read_fingerprint(connection)
    fill(target)
    downgrade(target, "base")
    with connected(target) as connection:
        assert read_fingerprint(connection).facts == ()
    upgrade(target)
    with connected(target) as connection:
        assert read_fingerprint(connection) == before


def test_every_single_step_can_be_taken_back_exactly(target):
    scripts = load_scripts(target)
    for revision in list_revisions(scripts):
        with connected(target) if revision.down else connected_after_first(target) as connection:
            before = read_fingerprint(connection)
        upgrade(target, revision.id)
        downgrade(target, revision.down or "base")
        with connected(target) as connection:
            assert read_fingerprint(connection) == before, revision.title
        upgrade(target, revision.id)


def connected_after_first(target):
    upgrade(target, FIRST)
    downgrade(target, "base")
    return connected(target)


def test_rows_survive_the_way_from_the_first_revision_to_the_head(target):
    upgrade(target, FIRST)
    fill(target, posts=5)
    upgrade(target)
    assert (count(target, "users"), count(target, "blogs")) == (1, 5)
    with connected(target) as connection:
        assert connection.exec_driver_sql("SELECT title FROM blogs WHERE slug = 'post-3'").scalar_one() == (
            "Post 3 ünïcode"
        )


def test_the_head_is_what_the_models_say(target):
    upgrade(target)
    with connected(target) as connection:
        options = {"compare_type": True, "compare_server_default": True, "include_name": is_ours}
        context = MigrationContext.configure(connection, opts={**options, "target_metadata": Base.metadata})
        assert compare_metadata(context, Base.metadata) == []


def test_replaying_the_history_in_a_scratch_place_gives_each_revisions_schema(target):
    scripts = load_scripts(target)
    expected = replay_history(target, scripts)
    for revision in list_revisions(scripts):
        upgrade(target, revision.id)
        with connected(target) as connection:
            assert read_fingerprint(connection) == expected[revision.id], revision.title
    with connected(target) as connection:
        assert "cms_fingerprint" not in sa.inspect(connection).get_schema_names()


def test_narrowing_refuses_to_cut_a_text_and_says_how_many(target):
    upgrade(target, SECOND)
    fill(target)
    with connected(target) as connection:
        connection.execute(sa.text("UPDATE blogs SET title = :title"), {"title": "t" * 101})
    with pytest.raises(IrreversibleMigration) as refused:
        downgrade(target, FIRST)
    assert "3 in blogs.title" in refused.value.what
    with connected(target) as connection:
        assert read_current(connection, load_scripts(target)) == SECOND


def test_each_applied_revision_leaves_a_journal_row_in_order(target):
    upgrade(target)
    downgrade(target, SECOND)
    with connected(target) as connection:
        entries = read_journal(connection)
    ids = [revision.id for revision in list_revisions(load_scripts(target))]
    ups = [entry.revision for entry in entries if entry.direction == "upgrade"]
    downs = [entry.revision for entry in entries if entry.direction == "downgrade"]
    assert (ups, downs) == (ids, ids[:1:-1])
    assert all(entry.applied_at.tzinfo and "@" in entry.applied_by for entry in entries)


def test_a_database_at_a_revision_that_no_file_has_is_named(target):
    upgrade(target)
    with connected(target) as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = 'feedfacecafe'")
    with pytest.raises(RevisionUnknown, match="feedfacecafe"):
        read_standing(target)


def test_pending_revisions_are_listed_oldest_first(target):
    scripts = load_scripts(target)
    everything = [revision.id for revision in list_revisions(scripts)]
    assert [revision.id for revision in list_pending(scripts, SECOND)] == everything[2:]
    assert list_pending(scripts, get_head(scripts)) == []


def test_a_revision_is_shown_as_sql_without_a_connection(target):
    rendered = render_revision(target, FIRST[:4])
    assert rendered.revision == FIRST
    assert "CREATE TABLE blogs" in rendered.sql
    assert "DROP TABLE blogs" in render_revision(target, FIRST, backwards=True).sql


def test_a_revision_that_does_not_exist_cannot_be_shown(target):
    with pytest.raises(RevisionUnknown, match="nonsense"):
        render_revision(target, "nonsense")


def test_every_table_has_rows_in_the_tests_of_the_history(target):
    upgrade(target)
    fill(target)
    with connected(target) as connection:
        tables = filter(is_counted, sa.inspect(connection).get_table_names())
    assert [table for table in tables if not count(target, table)] == []


def test_the_whole_way_as_sql_makes_the_same_schema_on_postgresql(target):
    if target.engine_name == "sqlite":
        with pytest.raises(MigrationFailed, match=SECOND):
            render_revision(target, SECOND)
        return
    config = alembic_config(target)
    config.output_buffer = io.StringIO()
    command.upgrade(config, "head", sql=True)
    script = config.output_buffer.getvalue()
    with connected(target) as connection:
        connection.exec_driver_sql(script.replace("BEGIN;", "").replace("COMMIT;", "").replace("%", "%%"))
        rendered = read_fingerprint(connection)
    scripts = load_scripts(target)
    assert replay_history(target, scripts)[get_head(scripts)] == rendered


def test_two_heads_are_named_with_the_command_that_joins_them(target, tmp_path):
    branched = copy_with_branch(target, tmp_path)
    with pytest.raises(HistoryBroken) as broken:
        get_head(load_scripts(branched))
    assert "aaaaaaaaaaaa (one branch)" in broken.value.what
    assert "bbbbbbbbbbbb (other branch)" in broken.value.what
    assert "flask db merge" in str(broken.value.hint)


def test_a_revision_whose_parent_is_missing_is_a_message(target, tmp_path):
    broken = copy_with_branch(target, tmp_path, parent="nowhere")
    with pytest.raises(HistoryBroken):
        load_scripts(broken)


def test_a_revision_file_that_cannot_be_imported_is_a_message(target, tmp_path):
    broken = copy_with_branch(target, tmp_path)
    (broken.migrations_dir / "versions" / "20990102_0000_broken.py").write_text("x = (\n")
    with pytest.raises(HistoryBroken) as refused:
        load_scripts(broken)
    assert "SyntaxError" in str(refused.value.why)


def copy_with_branch(target, tmp_path, parent=None):
    """Return the target with a history in which two files follow the head, or a parent that does not exist."""
    from dataclasses import replace
    from shutil import copytree

    folder = tmp_path / "migrations"
    copytree(target.migrations_dir, folder, ignore=lambda *_: ["__pycache__"])
    parent = parent or get_head(load_scripts(target))
    for identity, title in (("a" * 12, "one branch"), ("b" * 12, "other branch")):
        (folder / "versions" / f"20990101_0000_{title.replace(' ', '_')}.py").write_text(
            f'"""{title}"""\nrevision = "{identity}"\ndown_revision = "{parent}"\n'
            "def upgrade(): pass\ndef downgrade(): pass\n"
        )
    return replace(target, migrations_dir=folder)
