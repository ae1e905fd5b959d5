"""An upgrade runs first on a copy of this very database; what fails there touches nothing, what it did is told."""

from __future__ import annotations

from dataclasses import replace
from shutil import copytree

import pytest

from cms.database.engines import engine_for
from cms.database.errors import MigrationFailed
from cms.database.history import get_head, load_scripts, read_current
from cms.database.journal import read_journal
from cms.database.rehearsal import rehearse
from cms.database.release import apply_release, plan_release
from cms.database.shelf import list_backups
from tests.database.rows import SECOND, connected, digests, fill, quiet, upgrade

NEXT = "e" * 12


def with_revision(target, tmp_path, body, *, changes=(), also=""):
    """Return the target with one more revision after the head. changes: what it says that it changes."""
    folder = tmp_path / "migrations"
    copytree(target.migrations_dir, folder, ignore=lambda *_: ["__pycache__"])
    (folder / "versions" / "20990101_0000_next.py").write_text(
        f'"""the next"""\nimport sqlalchemy as sa\nfrom alembic import op\nrevision = "{NEXT}"\n'
        f'down_revision = "{get_head(load_scripts(target))}"\nchanges = {changes!r}\n{also}\n'
        f"def upgrade():\n{body}\ndef downgrade(): pass\n"
    )
    return replace(target, migrations_dir=folder)


FAILING = {
    "nulls": """
    with op.batch_alter_table("blogs") as batch:
        batch.alter_column("summary", existing_type=sa.String(1000), nullable=False)""",
    "duplicates": """
    op.create_index("one_status", "blogs", ["status"], unique=True)""",
    "check": """
    with op.batch_alter_table("blogs") as batch:
        batch.create_check_constraint("short", "length(slug) < 6")""",
    "its own mistake": """
    op.execute("UPDATE blogs SET no_such_column = 1")""",
    "a row at a time": """
    for number, row in enumerate(op.get_bind().execute(sa.text("SELECT slug FROM blogs ORDER BY slug")).all()):
        if number == 2:
            raise ValueError(f"cannot convert {row.slug}")
        op.get_bind().execute(sa.text("UPDATE blogs SET title = 'new' WHERE slug = :slug"), {"slug": row.slug})""",
}
FAILING_ON_POSTGRESQL = {
    "bad cast": """
    op.alter_column("blogs", "slug", type_=sa.Integer, postgresql_using="slug::integer")""",
    "too long": """
    op.alter_column("blogs", "content", type_=sa.String(20))""",
}


def assert_untouched(target, tmp_path, body):
    upgrade(target)
    fill(target)
    before = digests(target)
    longer = with_revision(target, tmp_path, body)
    said = []
    with pytest.raises(MigrationFailed, match="failed in the rehearsal, so nothing was applied") as failed:
        apply_release(longer, say=said.append)
    assert f"revision {NEXT} failed" in str(failed.value.what)
    assert digests(target) == before
    assert not [line for line in said if line.startswith("applying")]
    (backup,) = list_backups(longer).backups
    assert backup.proven_at


@pytest.mark.parametrize("body", FAILING.values(), ids=FAILING)
def test_a_revision_that_fails_only_on_data_stops_at_the_rehearsal(target, tmp_path, body):
    assert_untouched(target, tmp_path, body)


@pytest.mark.parametrize("body", FAILING_ON_POSTGRESQL.values(), ids=FAILING_ON_POSTGRESQL)
def test_a_revision_that_fails_only_on_data_stops_at_the_rehearsal_on_postgresql(postgres_target, tmp_path, body):
    assert_untouched(postgres_target, tmp_path, body)


def test_what_was_rehearsed_is_told_and_written_into_the_journal(target):
    upgrade(target, SECOND)
    fill(target)
    said = []
    result = apply_release(target, say=said.append)
    assert [receipt.revision for receipt in result.rehearsal.receipts] == [each.id for each in result.applied]
    assert any(line.startswith("rehearsed on a copy in ") for line in said)
    with connected(target) as connection:
        applied = [entry for entry in read_journal(connection) if entry.run]
        assert read_current(connection, load_scripts(target)) == get_head(load_scripts(target))
    assert [entry.revision for entry in applied] == [each.id for each in result.applied]
    assert {entry.backup for entry in applied} == {result.backup.id}
    assert len({entry.run for entry in applied}) == 1
    assert {entry.rehearsal.endswith(" s") for entry in applied} == {True}


@pytest.mark.parametrize(
    ("given", "limit_gb", "why"),
    [
        ({"rehearsal": False}, 0, "--no-rehearsal was given"),
        ({"proof": False}, 0, "the backup is not proven, so there is no copy"),
        ({}, 1e-9, "REHEARSAL_MAX_GB is"),
    ],
)
def test_what_is_not_rehearsed_is_said_in_the_plan_on_the_way_and_in_the_journal(target, given, limit_gb, why):
    upgrade(target, SECOND)
    fill(target)
    target = replace(target, limits=replace(target.limits, rehearsal_max_gb=limit_gb))
    assert f"not rehearsed: {why}" in str(plan_release(target, **given)).replace("the database has", "").replace(
        "not rehearsed:  0.0 GB, and", "not rehearsed:"
    )
    said = []
    assert apply_release(target, say=said.append, **given).rehearsal is None
    assert any(line.startswith("not rehearsed: ") and why in line for line in said)
    with connected(target) as connection:
        assert why in read_journal(connection)[-1].rehearsal


def test_how_many_rows_a_revision_wrote_is_in_the_journal(target, tmp_path):
    upgrade(target)
    fill(target)
    body = "    op.execute(\"UPDATE blogs SET view_count = 7 WHERE slug <> 'post-0'\")"
    longer = with_revision(target, tmp_path, body, changes=("blogs.view_count",))
    apply_release(longer, say=quiet)
    with connected(target) as connection:
        assert read_journal(connection)[-1].rows_written == 2


def test_on_failure_the_backup_can_be_restored_and_what_was_there_is_kept(target, tmp_path):
    upgrade(target, SECOND)
    fill(target)
    before = digests(target)
    longer = with_revision(target, tmp_path, FAILING["duplicates"])
    with pytest.raises(MigrationFailed, match="the backup from before the upgrade was restored") as failed:
        apply_release(longer, rehearsal=False, restoring=True, say=quiet)
    assert "UNIQUE" in str(failed.value.why).upper()
    assert "is kept as" in str(failed.value.hint)
    assert digests(target) == before
    for name in engine_for(target).list_kept(target):
        engine_for(target).discard(target, name)


def test_unasked_a_failure_leaves_what_was_applied_before_it(target, tmp_path):
    upgrade(target, SECOND)
    fill(target)
    longer = with_revision(target, tmp_path, FAILING["duplicates"])
    with pytest.raises(MigrationFailed, match=f"revision {NEXT} failed on"):
        apply_release(longer, rehearsal=False, say=quiet)
    with connected(target) as connection:
        assert read_current(connection, load_scripts(target)) == get_head(load_scripts(target))


def test_where_nothing_was_applied_nothing_is_restored(target, tmp_path):
    upgrade(target)
    fill(target)
    longer = with_revision(target, tmp_path, FAILING["duplicates"])
    with pytest.raises(MigrationFailed, match=f"revision {NEXT} failed on"):
        apply_release(longer, rehearsal=False, restoring=True, say=quiet)
    assert engine_for(target).list_kept(target) == []


def test_a_statement_outside_of_a_transaction_is_named(postgres_target, tmp_path):
    upgrade(postgres_target)
    fill(postgres_target)
    body = """
    with op.get_context().autocommit_block():
        op.create_index("by_title", "blogs", ["title"], postgresql_concurrently=True)"""
    rehearsal = apply_release(with_revision(postgres_target, tmp_path, body), say=quiet).rehearsal
    assert "CREATE INDEX CONCURRENTLY by_title" in str(rehearsal)
    assert "outside of a transaction: by its rules it blocks neither reads nor writes" in str(rehearsal)


def test_a_rehearsal_uses_the_limits_of_the_real_run(postgres_target, tmp_path):
    upgrade(postgres_target)
    body = "\n    op.execute(\"SELECT set_config('cms.seen', current_setting('lock_timeout'), false)\")"
    body += "\n    assert op.get_bind().execute(sa.text(\"SELECT current_setting('cms.seen')\")).scalar() == '77ms'"
    longer = with_revision(postgres_target, tmp_path, body)
    assert rehearse(replace(longer, limits=replace(longer.limits, lock_timeout_ms=77)), say=quiet).failure is None
