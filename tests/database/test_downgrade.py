"""`downgrade` says what would be lost, asks for that number, backs up, rehearses, and then does just that."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace

import pytest

from cms.database.downgrade import apply_downgrade, plan_downgrade
from cms.database.errors import DowngradeRefused, MigrationFailed, RevisionUnknown
from cms.database.expected import replay_history
from cms.database.fingerprint import DERIVED_TABLES, read_fingerprint
from cms.database.history import get_head, list_revisions, load_scripts, read_current
from cms.database.journal import read_journal
from cms.database.shelf import list_backups
from cms.database.target import ROOT
from tests.database.backups import restore
from tests.database.rows import FIRST, REVISIONS, SECOND, connected, count, digests, fill, quiet, upgrade
from tests.database.test_rehearsal import with_revision

FIFTH = REVISIONS[4]


@pytest.fixture
def filled(target):
    """Return a site at a revision from which each way down loses what the tests say, whatever comes later."""
    upgrade(target, FIFTH)
    fill(target)
    with connected(target) as connection:
        connection.exec_driver_sql("UPDATE blogs SET content_html = '<p>' WHERE slug <> 'post-0'")
    return target


def test_the_plan_counts_values_and_rows_and_changes_nothing(filled):
    before = digests(filled)
    plan = plan_downgrade(filled, SECOND)
    assert {str(loss) for loss in plan.losses} == {
        "2 values in blogs.content_html",
        "0 values in blogs.renderer_version",
        "1 row of imported_files",
        "1 row of redirects",
    }
    assert plan.price == 4
    assert "lost, but in the backup (4 in all):" in str(plan)
    assert "renderer_version" not in str(plan)
    assert digests(filled) == before


def test_an_applied_plan_loses_just_that_and_leaves_a_proven_backup_of_it(filled):
    before = digests(filled)
    said = []
    result = apply_downgrade(filled, plan_downgrade(filled, SECOND), say=said.append)
    assert (result.after, result.lost, result.backup.proven) == (SECOND, 4, True)
    assert any(line.startswith("rehearsed on a copy") for line in said)
    with connected(filled) as connection:
        assert read_fingerprint(connection) == replay_history(filled, load_scripts(filled))[SECOND]
        assert {entry.backup for entry in read_journal(connection)[-3:]} == {result.backup.id}
    assert count(filled, "users") == 1
    restore(filled, result.backup.folder, replace_it=True)
    assert digests(filled) == before


def test_every_revision_can_be_reached_from_the_head(target):
    upgrade(target)
    fill(target)
    for revision in list_revisions(load_scripts(target))[-2::-1]:
        apply_downgrade(target, plan_downgrade(target, revision.id), proof=False, say=quiet)
        with connected(target) as connection:
            assert read_current(connection, load_scripts(target)) == revision.id


def test_what_is_made_of_the_posts_is_no_loss(target):
    upgrade(target)
    fill(target)
    assert not [loss for loss in plan_downgrade(target, SECOND).losses if loss.table.startswith(DERIVED_TABLES)]


def test_texts_that_the_older_schema_cannot_hold_stop_the_rehearsal(filled):
    with connected(filled) as connection:
        connection.exec_driver_sql(f"UPDATE blogs SET title = '{'x' * 200}' WHERE slug = 'post-1'")
    before = digests(filled)
    with pytest.raises(MigrationFailed, match=f"revision {SECOND} failed in the rehearsal") as failed:
        apply_downgrade(filled, plan_downgrade(filled, FIRST), say=quiet)
    assert "1 in blogs.title" in str(failed.value.why)
    assert digests(filled) == before
    assert len(list_backups(filled).backups) == 1


def test_more_to_lose_than_was_agreed_to_is_refused(filled):
    plan = plan_downgrade(filled, SECOND)
    agreed = replace(plan, losses=tuple(loss for loss in plan.losses if loss.table != "redirects"))
    with pytest.raises(DowngradeRefused, match="it is 4 now and was 3"):
        apply_downgrade(filled, agreed, say=quiet)
    assert list_backups(filled).backups == ()


@pytest.mark.parametrize("goal", ["head", "newer"])
def test_only_an_older_revision_is_a_goal(target, goal):
    upgrade(target, SECOND)
    head = get_head(load_scripts(target))
    with pytest.raises(DowngradeRefused, match="is not below"):
        plan_downgrade(target, head if goal == "newer" else SECOND)
    with pytest.raises(RevisionUnknown):
        plan_downgrade(target, "feedfacecafe")


def test_a_revision_without_a_way_back_says_so_in_the_rehearsal(target, tmp_path):
    upgrade(target)
    longer = with_revision(target, tmp_path, "    pass")
    file = longer.migrations_dir / "versions" / "20990101_0000_next.py"
    refusing = "from cms.database.errors import IrreversibleMigration\n"
    refusing += "def downgrade(): raise IrreversibleMigration('no way back', why='the words are gone')"
    file.write_text(file.read_text().replace("def downgrade(): pass", refusing))
    upgrade(longer)
    with pytest.raises(MigrationFailed, match="failed in the rehearsal") as failed:
        apply_downgrade(longer, plan_downgrade(longer, get_head(load_scripts(target))), say=quiet)
    assert "the words are gone" in str(failed.value.why)


def test_the_command_asks_for_the_number(filled, environment):
    def downgrade(*more):
        command = [sys.executable, str(ROOT / "manage.py"), "downgrade", SECOND, "--json", *more]
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)

    assert json.loads(downgrade("--dry-run").stdout)["goal"] == SECOND
    refused = downgrade()
    assert refused.returncode == 4
    assert "add --lose 4 if you mean it; nothing was changed" in refused.stderr
    assert downgrade("--lose", "3").returncode == 4
    done = downgrade("--lose", "4")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["after"] == SECOND
