"""Commands of the operator's own around an upgrade: what they are told, and what their failure does."""

from __future__ import annotations

import json
import sys
import time
from dataclasses import replace

import pytest

from cms.database.errors import MigrationFailed
from cms.database.hooks import run_command
from cms.database.release import apply_release, plan_release
from cms.database.target import Hooks
from cms.errors import Refused
from tests.database.rows import FIRST, NEWEST, SECOND, digests, fill, quiet, upgrade
from tests.database.test_rehearsal import FAILING, with_revision

KEEP = "import sys; open(sys.argv[1], 'w').write(sys.stdin.read())"


def hooked(target, *, before=(), after=(), timeout_s=20):
    return replace(target, hooks=Hooks(tuple(before), tuple(after), timeout_s))


def python(code, *arguments):
    return (sys.executable, "-c", code, *map(str, arguments))


@pytest.fixture
def waiting(target):
    """Return a database with rows and something pending."""
    upgrade(target, SECOND)
    fill(target)
    return target


def test_both_are_told_what_is_to_come_and_what_came_of_it(waiting, tmp_path):
    site = hooked(waiting, before=python(KEEP, tmp_path / "before"), after=python(KEEP, tmp_path / "after"))
    assert "BEFORE_UPGRADE and AFTER_UPGRADE would be run" in str(plan_release(site))
    result = apply_release(site, say=quiet)
    before, after = (json.loads((tmp_path / name).read_text()) for name in ("before", "after"))
    assert (before["event"], before["before"], before["goal"]) == ("before-upgrade", SECOND, NEWEST)
    assert [each["id"] for each in before["revisions"]] == [each.id for each in result.applied]
    assert (after["event"], after["outcome"], after["error"]) == ("after-upgrade", "done", None)
    assert after["run"] == before["run"] == result.run
    assert after["receipt"]["after"] == NEWEST
    assert after["receipt"]["backup"]["id"] == result.backup.id


@pytest.mark.parametrize(
    ("argv", "what", "why"),
    [
        (python("print('the night watch says no'); raise SystemExit(3)"), "ended with exit code 3", "the night watch"),
        (python("import time; time.sleep(60)"), "did not end within 1 s", "printed nothing"),
        (("/nowhere/no-such-program",), "cannot be started: No such file", "printed nothing"),
        (python("import os; os.kill(os.getpid(), 9)"), "ended with exit code -9", "printed nothing"),
    ],
    ids=["says no", "hangs", "missing", "killed"],
)
def test_one_before_that_fails_stops_with_nothing_changed(waiting, tmp_path, argv, what, why):
    before = digests(waiting)
    site = hooked(waiting, before=argv, after=python(KEEP, tmp_path / "after"), timeout_s=1)
    with pytest.raises(Refused, match=f"the command before the upgrade {what}") as refused:
        apply_release(site, say=quiet)
    assert why in refused.value.why
    assert digests(waiting) == before
    assert not list(waiting.backup_dir.glob("2*"))
    assert not (tmp_path / "after").exists()


def test_one_after_that_fails_is_a_warning_with_its_exit_code(waiting):
    said = []
    site = hooked(waiting, after=python("print('chat is away'); raise SystemExit(7)"))
    assert apply_release(site, say=said.append).after == NEWEST
    assert any(
        "AFTER_UPGRADE) ended with exit code 7: chat is away; the upgrade is not affected" in line for line in said
    )


def test_one_after_hears_of_a_failure_too(waiting, tmp_path):
    upgrade(waiting)
    longer = with_revision(waiting, tmp_path, FAILING["duplicates"])
    with pytest.raises(MigrationFailed):
        apply_release(hooked(longer, after=python(KEEP, tmp_path / "after")), say=quiet)
    after = json.loads((tmp_path / "after").read_text())
    assert (after["outcome"], after["receipt"]) == ("failed", None)
    assert "failed in the rehearsal" in after["error"]["what"]


def test_with_nothing_pending_neither_runs(sqlite_target, tmp_path):
    upgrade(sqlite_target)
    commands = (python(KEEP, tmp_path / "before"), python(KEEP, tmp_path / "after"))
    apply_release(hooked(sqlite_target, before=commands[0], after=commands[1]), say=quiet)
    assert not list(tmp_path.glob("before")) + list(tmp_path.glob("after"))


def test_one_that_ignores_what_it_is_told_is_no_failure(sqlite_target):
    upgrade(sqlite_target, FIRST)
    assert apply_release(hooked(sqlite_target, before=("/bin/true",)), say=quiet).after == NEWEST


def test_what_it_leaves_running_is_not_waited_for(tmp_path):
    began = time.monotonic()
    run_command(("/bin/sh", "-c", "sleep 5 & echo started"), "{}", timeout_s=20, say=quiet)
    assert time.monotonic() - began < 4


def test_no_shell_reads_its_arguments(tmp_path):
    said = []
    run_command(("/bin/echo", "$HOME; `id`"), "{}", timeout_s=20, say=said.append)
    assert said == ["  $HOME; `id`"]
