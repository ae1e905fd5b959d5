"""The committed fingerprints are what the history makes, on every server version; without them the history is run."""

from __future__ import annotations

import shutil
from dataclasses import replace

import pytest

from cms.database.adopt import plan_stamp
from cms.database.expected import checksums, file_of, read_expected, render, replay_history
from cms.database.history import list_revisions, load_scripts
from cms.database.target import MIGRATIONS_DIR, Target, parse_url
from tests.database.rows import connected, upgrade
from tests.postgres import installed_servers, server_of, wheel_folder

SERVERS = [folder for folder in (*installed_servers(), wheel_folder()) if folder]


def assert_true(target):
    scripts = load_scripts(target)
    made = render(replay_history(target, scripts), dict(checksums(scripts)))
    assert file_of(target).read_text() == made, "a revision was written or changed: run ./dev fingerprints"


def test_the_committed_fingerprints_are_those_of_the_history(target):
    assert_true(target)
    assert read_expected(target, load_scripts(target)) == replay_history(target, load_scripts(target))


@pytest.mark.parametrize("bin_dir", SERVERS, ids=str)
def test_every_server_here_gives_the_same_facts_and_is_recognised_at_every_revision(bin_dir, tmp_path):
    with server_of(bin_dir) as server:
        target = Target(parse_url(server.create_database()), backup_dir=tmp_path)
        assert_true(target)
        for revision in list_revisions(load_scripts(target)):
            upgrade(target, revision.id)
            with connected(target) as connection:
                connection.exec_driver_sql("DROP TABLE alembic_version")
            assert plan_stamp(target).revision == revision.id
            upgrade_again = f"INSERT INTO alembic_version VALUES ('{revision.id}')"
            with connected(target) as connection:
                connection.exec_driver_sql("CREATE TABLE alembic_version (version_num VARCHAR(32) PRIMARY KEY)")
                connection.exec_driver_sql(upgrade_again)


@pytest.fixture
def own_history(target, tmp_path):
    shutil.copytree(MIGRATIONS_DIR, tmp_path / "migrations", ignore=shutil.ignore_patterns("__pycache__"))
    return replace(target, migrations_dir=tmp_path / "migrations")


def test_a_revision_that_the_committed_file_does_not_know_is_run(own_history):
    (own_history.migrations_dir / "versions" / "own.py").write_text(
        '"""add a shelf"""\n'
        "from alembic import op\n"
        'revision = "0123456789ab"\n'
        f'down_revision = "{list_revisions(load_scripts(own_history))[-1].id}"\n'
        "def upgrade():\n"
        '    op.execute("CREATE TABLE shelf (id INTEGER PRIMARY KEY)")\n'
    )
    expected = read_expected(own_history, load_scripts(own_history))
    assert "shelf" in {fact.table for fact in expected["0123456789ab"].facts}


def test_a_changed_revision_file_is_run_and_a_comment_in_it_is_not(own_history):
    file = next(own_history.migrations_dir.glob("versions/*_create_redirects.py"))
    text = file.read_text()
    file.write_text(text + "# a comment\n")
    known = file_of(own_history).read_text()
    file_of(own_history).write_text(known.replace('"redirects"', '"from_the_file"'))
    head = list_revisions(load_scripts(own_history))[-1].id
    assert "from_the_file" in {fact.table for fact in read_expected(own_history, load_scripts(own_history))[head].facts}
    file.write_text(text.replace('"redirects"', '"moved"'))
    assert "moved" in {fact.table for fact in read_expected(own_history, load_scripts(own_history))[head].facts}
