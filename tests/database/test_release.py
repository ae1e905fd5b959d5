"""`backup-and-migrate`: what it does, what it leaves when something fails."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from shutil import copytree

import pytest

from cms.database.environment import Run, read_back
from cms.database.errors import MigrationFailed, RevisionUnknown
from cms.database.fingerprint import read_fingerprint
from cms.database.history import get_head, load_scripts, read_current
from cms.database.keys import load_key
from cms.database.manifest import read_manifest
from cms.database.release import apply_release, plan_release
from cms.database.schema import Base
from tests.database.rows import FIRST, SECOND, connected, count, digests, fill, quiet, upgrade

ROOT = Path(__file__).resolve().parents[2]


def with_revision(target, tmp_path, body):
    """Return the target with one more revision after the head."""
    folder = tmp_path / "migrations"
    copytree(target.migrations_dir, folder, ignore=lambda *_: ["__pycache__"])
    (folder / "versions" / "20990101_0000_next.py").write_text(
        f'"""the next"""\nimport sqlalchemy as sa\nfrom alembic import op\nrevision = "{"e" * 12}"\n'
        f'down_revision = "{get_head(load_scripts(target))}"\ndef upgrade():\n{body}\ndef downgrade(): pass\n'
    )
    return replace(target, migrations_dir=folder)


def test_an_empty_database_is_brought_to_the_head_without_a_backup(target):
    result = apply_release(target, say=quiet)
    assert (result.before, result.after) == (None, get_head(load_scripts(target)))
    assert result.backup is None


def test_pending_revisions_are_applied_after_a_backup_of_the_older_state(target):
    upgrade(target, SECOND)
    fill(target)
    result = apply_release(target, say=quiet)
    assert result.backup
    assert read_manifest(result.backup.folder, load_key(target)).contents.revision == SECOND
    assert count(target, "blogs") == 3


def test_tables_in_another_schema_do_not_stop_a_new_site(postgres_target):
    with connected(postgres_target) as connection:
        connection.exec_driver_sql("CREATE SCHEMA other")
        connection.exec_driver_sql("CREATE TABLE other.things (id INTEGER)")
    result = apply_release(postgres_target, say=quiet)
    assert result.after == get_head(load_scripts(postgres_target))
    assert result.backup


def test_with_nothing_pending_nothing_is_done(target):
    upgrade(target)
    result = apply_release(target, say=quiet)
    assert (result.applied, result.backup) == ((), None)
    assert not target.backup_dir.exists()


def test_the_plan_changes_nothing(target):
    plan = plan_release(target)
    assert [revision.id for revision in plan.pending][:2] == [FIRST, SECOND]
    with pytest.raises(Exception, match="reached") if target.engine_name == "sqlite" else connected(target):
        from cms.database.engines import engine_for
        from cms.database.engines.base import connecting

        with connecting(target, engine_for(target).open_tool(target)) as connection:
            assert read_fingerprint(connection).facts == ()


@pytest.mark.parametrize(
    "body",
    [
        '    op.add_column("blogs", sa.Column("x", sa.Integer))\n    op.execute("SELECT * FROM nowhere")',
        """
    op.create_table("t", sa.Column("a", sa.Integer))
    op.execute("INSERT INTO t VALUES (1)")
    op.execute("UPDATE blogs SET slug = 'same'")
""",
        '    op.add_column("blogs", sa.Column("x", sa.Integer))\n    raise ZeroDivisionError',
    ],
    ids=["bad SQL", "duplicate keys in the data", "a bug in Python"],
)
def test_a_revision_that_fails_leaves_schema_and_rows_as_they_were(target, tmp_path, body):
    upgrade(target)
    fill(target)
    with connected(target) as connection:
        before = read_fingerprint(connection)
    rows = digests(target)
    with pytest.raises((MigrationFailed, ZeroDivisionError)) as failed:
        apply_release(with_revision(target, tmp_path, body), say=quiet)
    if isinstance(failed.value, MigrationFailed):
        assert "e" * 12 in failed.value.what
    with connected(target) as connection:
        assert read_fingerprint(connection) == before
    assert digests(target) == rows


def test_success_is_believed_only_when_it_can_be_read_back(target):
    upgrade(target)
    work = Run(target, Base.metadata, say=quiet)
    work.heads = {"e" * 12}
    with pytest.raises(MigrationFailed, match="not stored"):
        read_back(work)


def test_rows_that_lose_their_parent_in_a_sqlite_rebuild_stop_the_revision(sqlite_target, tmp_path):
    upgrade(sqlite_target)
    fill(sqlite_target)
    orphaning = with_revision(sqlite_target, tmp_path, '    op.execute("DELETE FROM users")')
    with pytest.raises(MigrationFailed, match="without the row they refer to"):
        apply_release(orphaning, say=quiet)
    assert (count(sqlite_target, "users"), count(sqlite_target, "blogs")) == (1, 3)


def test_a_sqlite_rebuild_of_a_parent_table_keeps_its_children(sqlite_target, tmp_path):
    upgrade(sqlite_target)
    fill(sqlite_target)
    body = '    with op.batch_alter_table("users") as users:\n        users.alter_column("bio", type_=sa.String(200))'
    apply_release(with_revision(sqlite_target, tmp_path, body), say=quiet)
    assert count(sqlite_target, "blogs") == 3


@pytest.mark.parametrize(("number", "status"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_migration_that_is_told_to_stop_ends_soon_and_leaves_the_old_state(postgres_target, tmp_path, number, status):
    upgrade(postgres_target)
    slow = '    op.add_column("blogs", sa.Column("x", sa.Integer))\n    op.execute("SELECT pg_sleep(60)")'
    long = with_revision(postgres_target, tmp_path, slow)
    url, folder = long.url.render_as_string(hide_password=False), long.migrations_dir
    code = (
        "import sys; from pathlib import Path; from dataclasses import replace; from cms.management import base;"
        "import cms.database.target as t; t.Target.of = classmethod(lambda cls, config: cls("
        f"t.parse_url({url!r}), Path({str(tmp_path / 'b')!r}), pg_bin_dir=Path({str(long.pg_bin_dir)!r}),"
        f"migrations_dir=Path({str(folder)!r}))); sys.argv[1:] = ['backup-and-migrate']; base.main()"
    )
    process = subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, stderr=subprocess.PIPE, text=True)
    wait_until(
        postgres_target, "SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%%pg_sleep(60)' AND state = 'active'"
    )
    process.send_signal(number)
    _, errors = process.communicate(timeout=10)
    assert process.returncode == status, errors
    assert "Traceback" not in errors
    with connected(postgres_target) as connection:
        assert read_current(connection, load_scripts(postgres_target)) == get_head(load_scripts(postgres_target))
        assert "column blogs.x integer" not in map(str, read_fingerprint(connection).facts)


def wait_until(target, query):
    """Poll until the query counts at least one."""
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        with connected(target) as connection:
            if connection.exec_driver_sql(query).scalar_one():
                return
    raise AssertionError(query)


def test_code_older_than_the_database_is_refused(target):
    upgrade(target)
    with connected(target) as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = 'feedfacecafe'")
    with pytest.raises(RevisionUnknown, match="feedfacecafe"):
        apply_release(target, say=quiet)
