"""Checks of the revisions themselves, each seen to find what it is for and to be silent otherwise."""

from __future__ import annotations

import shutil
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import sqlalchemy as sa

from cms.checks.registry import registry
from cms.database import history_checks
from cms.database.history import load_scripts
from cms.database.journal import JOURNAL_TABLE, read_journal
from cms.database.schema import Base
from tests.database.planted import PLANTED
from tests.database.rows import FIRST, NEWEST, SECOND, connected, downgrade, upgrade

PLANT = "feedfacecafe"


def find(target, metadata=Base.metadata):
    """Return the ids and texts that the checks of the history find."""
    assert history_checks
    with connected(target) as connection:
        given = {"target": target, "connection": connection, "scripts": load_scripts(target), "metadata": metadata}
        found = registry.run(("history",), deploy=False, given=given)
    assert found.unchecked == ()
    return [(problem.id, problem.text) for problem in found.problems]


@pytest.fixture
def copied(target, tmp_path):
    """Return the target with a copy of the history that a test may change."""
    folder = tmp_path / "migrations"
    shutil.copytree(target.migrations_dir, folder, ignore=lambda *_: ["__pycache__"])
    return replace(target, migrations_dir=folder)


def plant(copied, body):
    (copied.migrations_dir / "versions/20990101_0000_planted.py").write_text(
        f'"""add subtitle to blogs"""\nimport sqlalchemy as sa\nfrom alembic import op\n\nrevision = "{PLANT}"\n'
        f'down_revision = "{NEWEST}"\n{body}'
    )


def file_of(copied, revision):
    return Path(load_scripts(copied).get_revision(revision).path)


@pytest.mark.parametrize("revision", [FIRST, SECOND, "head"])
def test_the_projects_own_revisions_have_no_problem(target, revision):
    upgrade(target, revision)
    assert [found for found in find(target) if found[0] not in {"history.I002", "history.I003"}] == []


def test_a_pending_revision_that_would_hurt_is_named_with_its_line_and_rule(copied):
    upgrade(copied)
    plant(copied, PLANTED["all rows are updated at once"][1])
    warned = [text for identity, text in find(copied) if identity == "history.W001"]
    assert any("unbatched-data" in text and "20990101_0000_planted.py:" in text for text in warned)


def test_what_only_postgresql_minds_is_told_where_the_site_runs_on_it(copied):
    upgrade(copied)
    plant(copied, PLANTED["an index blocks writers"][1])
    told = any("require-concurrent-index-creation" in text for _, text in find(copied))
    assert told == (copied.engine_name == "postgresql")


def test_on_postgresql_a_missing_squawk_is_told(postgres_target, monkeypatch):
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    monkeypatch.setenv("PATH", "/nowhere")
    upgrade(postgres_target, SECOND)
    assert any(
        identity == "history.I002" and "squawk is not installed" in text for identity, text in find(postgres_target)
    )


def test_nothing_is_said_about_applied_revisions(copied):
    plant(copied, PLANTED["all rows are updated at once"][1])
    upgrade(copied)
    assert find(copied) == []


def test_each_pending_revision_is_told_with_who_waits(target):
    upgrade(target, FIRST)
    told = [text for identity, text in find(target) if identity == "history.I003"]
    widens = {"postgresql": "changes blogs, and its readers and writers wait for a moment"}
    assert told[0] == (
        f"{SECOND} (widen blog texts): "
        + widens.get(target.engine_name, "rebuilds blogs, and all other writers wait until that is done")
    )
    assert told[2] == "71e3f58bd90c (create redirects): makes redirects"


@pytest.mark.parametrize(
    ("defect", "told"),
    [
        ("an index blocks writers", "builds an index on blogs, and its writers wait until that is done"),
        ("a concurrent index is built in the transaction", "builds an index on blogs, while others go on"),
        ("a type change rewrites the table", "reads or rewrites all of blogs, and its readers and writers wait"),
        ("a table is dropped without a copy", "drops redirects with what is in it"),
        ("a column is dropped without a copy", "drops blogs.word_count with what is in it"),
        ("all rows are updated at once", "changes rows of blogs"),
        ("a unique constraint scans the table under lock", "reads or rewrites all of blogs"),
    ],
)
def test_what_a_revision_does_on_postgresql_is_told_in_plain_words(postgres_target, tmp_path, defect, told):
    shutil.copytree(postgres_target.migrations_dir, tmp_path / "migrations", ignore=lambda *_: ["__pycache__"])
    copied = replace(postgres_target, migrations_dir=tmp_path / "migrations")
    upgrade(copied)
    plant(copied, PLANTED[defect][1])
    assert any(identity == "history.I003" and told in text for identity, text in find(copied))


# --- files that were changed after they were applied


def test_a_revision_file_that_was_changed_after_it_was_applied_is_named(copied):
    upgrade(copied)
    file = file_of(copied, SECOND)
    file.write_text(file.read_text().replace("sa.String(1000)", "sa.String(2000)"))
    ((identity, text),) = find(copied)
    assert identity == "history.W004"
    assert f"the file of revision {SECOND} is not the one that was applied on 20" in text


def test_a_comment_that_was_added_is_no_change(copied):
    upgrade(copied)
    file = file_of(copied, SECOND)
    file.write_text(file.read_text() + "\n# accepted: message: this says what changes\n")
    assert find(copied) == []


def test_a_change_of_a_revision_that_was_taken_back_is_no_matter(copied):
    upgrade(copied)
    downgrade(copied, "71e3f58bd90c")
    file = file_of(copied, "c05d1e4a8f37")
    file.write_text(file.read_text().replace("sa.String(64)", "sa.String(65)"))
    assert "history.W004" not in [identity for identity, _ in find(copied)]


def test_a_journal_of_an_older_release_stays_readable_and_goes_on(target):
    upgrade(target, FIRST)
    with connected(target) as connection:
        connection.exec_driver_sql(f"ALTER TABLE {JOURNAL_TABLE} DROP COLUMN checksum")
        assert [entry.checksum for entry in read_journal(connection)] == [None]
    assert "history.W004" not in [identity for identity, _ in find(target)]
    upgrade(target, SECOND)
    with connected(target) as connection:
        first, second = read_journal(connection)
    assert (first.revision, first.checksum) == (FIRST, None)
    assert second.revision == SECOND
    assert len(second.checksum) == 64


def test_a_stamp_has_no_checksum(target):
    from alembic import command

    from cms.database.history import alembic_config

    upgrade(target)
    command.stamp(alembic_config(target), SECOND)
    with connected(target) as connection:
        assert read_journal(connection)[-1].checksum is None


# --- models


def test_a_model_that_is_never_imported_is_named(target):
    upgrade(target)
    named = [text for identity, text in find(target, sa.MetaData()) if identity == "history.W005"]
    assert "the table blogs of cms/blogs/models.py is not among the site's models" in named
