"""An upgrade closes the site where it must, and opens it however it ends; a killed one is told from one at work."""

from __future__ import annotations

import multiprocessing
import os
import signal
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from cms.database.checks import check_maintenance
from cms.database.closing import find_measured
from cms.database.errors import MigrationFailed
from cms.database.maintenance import Maintenance, find_maintenance, turn_on, under_maintenance
from cms.database.receipts import MODES, RevisionReceipt, TableReceipt
from cms.database.rehearsal import Rehearsal
from cms.database.release import apply_release, plan_release
from cms.database.rolling import Break, Rolling
from cms.errors import CmsError
from tests.database.rows import fill, quiet, upgrade
from tests.database.test_rehearsal import NEXT, with_revision

OURS = Maintenance(datetime.now(UTC), "ada@web1", "new disks")
ASKS = "maintenance = True"


def noting(target, then=""):
    """Return the body of a revision that writes down whether the site is closed while it runs on rows."""
    return f"""
    from pathlib import Path
    if not op.get_bind().execute(sa.text("SELECT count(*) FROM blogs")).scalar():
        return
    closed = Path({str(target.maintenance_file)!r}).exists()
    with Path({str(target.backup_dir.parent / "seen")!r}).open("a") as seen: seen.write(f"{{closed}} ")
    {then}"""


def seen(target):
    return (target.backup_dir.parent / "seen").read_text().split()


def test_the_site_is_closed_while_a_revision_runs_that_asks_for_it(target, tmp_path):
    upgrade(target)
    fill(target)
    longer = with_revision(target, tmp_path, noting(target), also=ASKS)
    assert f"maintenance mode is on meanwhile: revision {NEXT} asks for it" in str(plan_release(longer))
    said = []
    apply_release(longer, say=said.append)
    assert seen(target) == ["False", "True"]  # on the copy, and on the site's database
    assert f"maintenance mode is on: revision {NEXT} asks for it" in said
    assert find_maintenance(target.maintenance_file) is None


def test_other_revisions_leave_it_open(target, tmp_path):
    upgrade(target)
    fill(target)
    apply_release(with_revision(target, tmp_path, noting(target)), say=quiet)
    assert seen(target) == ["False", "False"]


def test_it_is_open_again_after_a_failure(target, tmp_path):
    upgrade(target)
    fill(target)
    body = noting(target, then="if closed: op.execute('SELECT no_such_column FROM blogs')")
    with pytest.raises(MigrationFailed):
        apply_release(with_revision(target, tmp_path, body, also=ASKS), say=quiet)
    assert seen(target) == ["False", "True"]
    assert find_maintenance(target.maintenance_file) is None


def test_what_a_killed_run_left_is_told_and_the_next_run_ends_it(target, tmp_path):
    upgrade(target)
    fill(target)
    body = noting(target, then=f"if closed and {os.getpid()} != __import__('os').getpid(): "
                  f"__import__('os').kill(__import__('os').getpid(), {signal.SIGKILL})")  # fmt: skip
    longer = with_revision(target, tmp_path, body, also=ASKS)
    killed = multiprocessing.get_context("fork").Process(target=apply_release, args=(longer,), kwargs={"say": quiet})
    killed.start()
    killed.join()
    assert killed.exitcode == -signal.SIGKILL
    left = find_maintenance(target.maintenance_file)
    assert left.abandoned
    (problem,) = check_maintenance(target)
    assert (problem.id, str(left)) == ("database.E015", problem.why)
    assert "of a run that was killed" in str(plan_release(longer))
    apply_release(longer, say=quiet)
    assert find_maintenance(target.maintenance_file) is None


def test_a_site_that_somebody_closed_stays_closed(target, tmp_path):
    upgrade(target)
    os.close(turn_on(target.maintenance_file, OURS))
    apply_release(with_revision(target, tmp_path, noting(target), also=ASKS), say=quiet)
    assert find_maintenance(target.maintenance_file) == OURS
    assert [problem.id for problem in check_maintenance(target)] == ["database.W014"]


def test_a_run_at_work_is_not_taken_for_a_dead_one(sqlite_target):
    with under_maintenance(sqlite_target.maintenance_file, replace(OURS, run="abc")):
        assert find_maintenance(sqlite_target.maintenance_file) == replace(OURS, run="abc")
    assert check_maintenance(sqlite_target) == []


def test_a_file_that_cannot_be_written_is_a_refusal(sqlite_target, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(CmsError, match="cannot be turned on"):
        turn_on(tmp_path / "file" / "maintenance.json", OURS)


def test_a_file_that_stands_in_the_way_is_replaced_as_a_whole(tmp_path):
    path = tmp_path / "maintenance.json"
    victim = tmp_path / "victim"
    victim.touch()
    path.with_name("maintenance.json.new").symlink_to(victim)
    os.close(turn_on(path, OURS))
    os.close(turn_on(path, replace(OURS, why="again")))
    assert find_maintenance(path).why == "again"
    assert victim.read_text() == ""


def receipt(lock, held_s):
    table = TableReceipt("blogs", lock, held_s, rewritten=True, scanned=True, rows=0, size_bytes=1)
    return RevisionReceipt("abc", "a title", held_s, 0, (table,), (), file_locked=False)


@pytest.mark.parametrize(
    ("lock", "held_s", "from_s", "why"),
    [
        (MODES[-1], 4.0, 3, "revision abc keeps readers of blogs waiting for about 4.0 s"),
        (MODES[-1], 2.9, 3, None),
        (MODES[-1], 4.0, 0, None),
        ("ShareLock", 60.0, 3, None),
        (None, 60.0, 3, None),
    ],
)
def test_how_long_readers_waited_on_the_copy_decides(sqlite_target, lock, held_s, from_s, why):
    target = replace(sqlite_target, limits=replace(sqlite_target.limits, maintenance_from_s=from_s))
    assert find_measured(target, Rehearsal(9.0, (receipt("ShareLock", 9.0), receipt(lock, held_s)))) == why


def test_statements_that_would_break_close_the_site(sqlite_target):
    rolling = Rolling("abc", 5, 0, (Break("SELECT x", "no such column"),))
    assert "would fail" in find_measured(sqlite_target, Rehearsal(1.0, (), rolling=rolling))
