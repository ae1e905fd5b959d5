"""A run says what it is doing in a file of its own, before it does it; what killed runs left goes before the next."""

from __future__ import annotations

import json
import os
import signal
import stat
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from cms.database.backup import PARTIAL
from cms.database.engines import engine_for
from cms.database.errors import MigrationFailed
from cms.database.history import get_head, load_scripts
from cms.database.journal import read_journal
from cms.database.postchecks import look_after, look_before
from cms.database.release import apply_release, plan_release
from cms.database.runs import FOLDER, list_runs
from cms.management.base import Terminated
from tests.database.rows import FIRST, SECOND, connected, count, digests, fill, quiet, upgrade
from tests.database.test_rehearsal import FAILING, NEXT, with_revision

ROOT = Path(__file__).resolve().parents[2]
PHASES = ["lock", "checks", "leftovers", "backup", "rehearsal", "revisions", "post-checks"]
DIE = """
import os, signal, sys
from pathlib import Path
from dataclasses import replace
from cms.database.release import apply_release
from cms.database.target import Target, parse_url
url, backups, tools, phase = sys.argv[1:]
target = Target(parse_url(url), Path(backups), Path(backups) / "media",
                backup_key="key-of-the-tests-which-is-long-enough", pg_bin_dir=Path(tools) if tools else None)
from cms.database import release
real = release.RunLog.enter
def enter(self, name, **facts):
    real(self, name, **facts)
    if name == phase:
        os.kill(os.getpid(), signal.SIGKILL)
release.RunLog.enter = enter
apply_release(target, say=print)
"""
LATER = len(list((ROOT / "migrations/versions").glob("*.py"))) - 2
"""How many revisions come after SECOND."""


def die_in(target, phase):
    """Run an upgrade that is killed as it enters a phase."""
    url = target.url.render_as_string(hide_password=False)
    arguments = [url, str(target.backup_dir), str(target.pg_bin_dir or ""), phase]
    died = subprocess.run(
        [sys.executable, "-c", DIE, *arguments], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert died.returncode == -signal.SIGKILL, died.stderr


def test_each_phase_of_a_run_is_told_with_its_time_and_so_is_who_ran_what(target):
    upgrade(target, SECOND)
    fill(target)
    result = apply_release(target, say=quiet)
    (run,) = list_runs(target)
    assert [phase.name for phase in result.phases] == PHASES
    assert [phase.name for phase in run.phases] == [*PHASES, "receipt"]
    assert sum(phase.duration_ms for phase in result.phases) <= result.duration_ms + len(PHASES)
    assert (run.id, run.came_to, run.before, run.goal) == (result.run, "done", SECOND, result.after)
    assert (run.backup, run.stored) == (result.backup.id, tuple(each.id for each in result.applied))
    assert "@" in run.by
    with connected(target) as connection:
        entry = read_journal(connection)[-1]
    assert (entry.run, entry.run_from, entry.run_to) == (run.id, SECOND, result.after)


def test_the_file_is_private_and_holds_no_secret(target):
    upgrade(target, SECOND)
    fill(target)
    apply_release(target, say=quiet)
    (file,) = (target.backup_dir / FOLDER).iterdir()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700
    text = file.read_text()
    assert str(target.backup_key) not in text
    assert target.url.password is None or target.url.password not in text


@pytest.mark.parametrize("phase", ["backup", "rehearsal", "revisions", "post-checks"])
def test_a_run_that_died_is_told_with_its_phase_and_the_next_one_goes_on(target, environment, phase):
    upgrade(target, SECOND)
    fill(target)
    die_in(target, phase)
    (run,) = list_runs(target)
    assert (run.came_to, run.phase) == ("died", phase)
    assert len(run.stored) == (LATER if phase == "post-checks" else 0)
    apply_release(target, say=quiet)
    told = subprocess.run(
        [sys.executable, str(ROOT / "manage.py"), "migration-history"],
        env=environment, capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    assert f"DIED in the phase {phase}" in told
    assert told.count("upgrade   ") == len(list((ROOT / "migrations/versions").glob("*.py")))
    assert not list(target.backup_dir.glob(f"{PARTIAL}*"))


def test_what_a_killed_rehearsal_left_is_in_the_plan_and_goes_before_the_next_run(target):
    upgrade(target, SECOND)
    fill(target)
    die_in(target, "rehearsal")
    kinds = ["partial backup", "scratch database"]
    plan = plan_release(target)
    assert [leftover.kind for leftover in plan.leftovers] == kinds
    assert "would remove the scratch database" in str(plan)
    assert [leftover.kind for leftover in plan_release(target).leftovers] == kinds
    said = []
    apply_release(target, say=said.append)
    assert len([line for line in said if line.startswith("removing the ")]) == 2
    assert plan_release(target).leftovers == ()


def test_leftovers_go_also_where_nothing_is_pending(target):
    upgrade(target, SECOND)
    fill(target)
    die_in(target, "rehearsal")
    upgrade(target)
    assert apply_release(target, say=quiet).applied == ()
    assert plan_release(target).leftovers == ()
    assert not list(target.backup_dir.glob(f"{PARTIAL}*"))


def test_an_index_that_a_killed_build_left_invalid_is_built_again(postgres_target, tmp_path):
    upgrade(postgres_target)
    fill(postgres_target)
    body = """
    with op.get_context().autocommit_block():
        op.create_index("by_title", "blogs", ["title"], postgresql_concurrently=True)"""
    longer = with_revision(postgres_target, tmp_path, body)
    engine = engine_for(postgres_target).open_tool(postgres_target).execution_options(isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.exec_driver_sql("UPDATE blogs SET summary = 'same'")
        for name, column in (("by_title", "summary"), ("of_somebody_else", "summary")):
            with pytest.raises(Exception, match="duplicate"):
                connection.exec_driver_sql(f"CREATE UNIQUE INDEX CONCURRENTLY {name} ON blogs ({column})")
    assert [str(each) for each in plan_release(longer).leftovers] == ["invalid index by_title"]
    assert plan_release(postgres_target).leftovers == ()
    apply_release(longer, say=quiet)
    with connected(postgres_target) as connection:
        query = "SELECT c.relname FROM pg_index i JOIN pg_class c ON c.oid = indexrelid WHERE NOT indisvalid"
        assert connection.exec_driver_sql(query).scalars().all() == ["of_somebody_else"]
        query = "SELECT indexdef FROM pg_indexes WHERE indexname = 'by_title'"
        assert connection.exec_driver_sql(query).scalar_one().endswith("(title)")


def test_the_half_built_table_of_another_tool_goes_if_the_rows_are_elsewhere(sqlite_target):
    upgrade(sqlite_target, SECOND)
    fill(sqlite_target)
    with connected(sqlite_target) as connection:
        connection.exec_driver_sql("CREATE TABLE _alembic_tmp_blogs AS SELECT * FROM blogs LIMIT 1")
    apply_release(sqlite_target, say=quiet)
    with connected(sqlite_target) as connection:
        assert not connection.exec_driver_sql("SELECT 1 FROM sqlite_master WHERE name LIKE '%tmp%'").all()
    assert count(sqlite_target, "blogs") == 3


def test_the_half_built_table_of_another_tool_that_has_the_only_rows_is_left_alone(sqlite_target):
    upgrade(sqlite_target, SECOND)
    fill(sqlite_target)
    with connected(sqlite_target) as connection:
        connection.exec_driver_sql("CREATE TABLE _alembic_tmp_blogs AS SELECT * FROM blogs")
        connection.exec_driver_sql("DROP TABLE blogs")
    with pytest.raises(MigrationFailed, match="the table _alembic_tmp_blogs and no table blogs") as refused:
        apply_release(sqlite_target, say=quiet)
    assert "ALTER TABLE _alembic_tmp_blogs RENAME TO blogs" in str(refused.value.hint)
    assert count(sqlite_target, "_alembic_tmp_blogs") == 3


def test_a_living_rehearsal_keeps_its_copy_and_what_sqlite_writes_beside_it(sqlite_target):
    from cms.database.engines.sqlitefiles import list_dead_scratches, scratch_file

    upgrade(sqlite_target)
    live = Path(sqlite_target.url.database)
    with scratch_file(live) as scratch:
        beside = [scratch.with_name(f"{scratch.name}{end}") for end in ("-wal", "-shm", "-journal")]
        for path in beside:
            path.touch()
        assert list_dead_scratches(live) == []
    assert not [path for path in (scratch, *beside) if path.exists()]
    beside[0].touch()
    assert list_dead_scratches(live) == beside[:1]


def test_a_failure_says_where_the_database_stands_and_what_leads_on_and_back(target, tmp_path):
    upgrade(target, SECOND)
    fill(target)
    longer = with_revision(target, tmp_path, FAILING["duplicates"])
    with pytest.raises(MigrationFailed, match=f"revision {NEXT} failed on") as failed:
        apply_release(longer, rehearsal=False, say=quiet)
    head = get_head(load_scripts(target))
    (run,) = list_runs(longer)
    hint = str(failed.value.hint)
    assert f"is at {head}: {LATER} of {LATER + 1} revisions applied" in hint
    assert "go on with: python manage.py backup-and-migrate" in hint
    assert f"python manage.py downgrade {SECOND}" in hint
    assert f"python manage.py restore {run.backup} --replace" in hint
    assert (run.came_to, len(run.stored)) == ("failed", LATER)
    assert run.why == failed.value.what


def test_a_bug_in_a_revision_is_told_with_its_place_and_where_the_database_stands(target, tmp_path):
    upgrade(target)
    fill(target)
    longer = with_revision(target, tmp_path, "    raise ZeroDivisionError('by nought')")
    with pytest.raises(MigrationFailed, match=f"revision {NEXT} failed on") as failed:
        apply_release(longer, rehearsal=False, say=quiet)
    assert "ZeroDivisionError: by nought (20990101_0000_next.py, line" in str(failed.value.why)
    assert "as before; go on with" in str(failed.value.hint)


def test_a_run_that_is_told_to_stop_says_where_the_database_stands(target, tmp_path):
    upgrade(target, SECOND)
    fill(target)
    body = """
    from cms.management.base import Terminated
    if op.get_bind().execute(sa.text("SELECT count(*) FROM blogs")).scalar():
        raise Terminated"""
    longer = with_revision(target, tmp_path, body)
    said = []
    with pytest.raises(Terminated):
        apply_release(longer, rehearsal=False, say=said.append)
    assert f"is at {get_head(load_scripts(target))}: {LATER} of {LATER + 1} revisions applied; go on with" in said[-1]
    assert list_runs(longer)[0].came_to == "stopped"


def test_a_schema_that_is_not_the_heads_after_all_is_named(target):
    upgrade(target, SECOND)
    before = look_before(target, SECOND, say=quiet)
    upgrade(target)
    head = get_head(load_scripts(target))
    assert look_after(target, before, head) == ()
    with connected(target) as connection:
        connection.exec_driver_sql("DROP INDEX ix_redirects_blog_id")
    with pytest.raises(MigrationFailed, match=f"is at {head}, and its schema is not what") as failed:
        look_after(target, before, head)
    assert "ix_redirects_blog_id" in str(failed.value.why)
    with pytest.raises(MigrationFailed, match="and not at"):
        look_after(target, before, SECOND)


def test_what_is_beside_the_history_is_counted_and_no_failure(target):
    upgrade(target, SECOND)
    fill(target)
    with connected(target) as connection:
        connection.exec_driver_sql("CREATE INDEX own ON blogs (title)")
    result = apply_release(target, say=quiet)
    (own,) = result.beside
    assert own.startswith("extra index own on blogs")
    assert "1 difference to that revision's schema, as before" in str(result)


def test_a_folder_for_backups_that_cannot_be_written_does_not_stop_a_new_site(target, tmp_path):
    (tmp_path / "file").touch()
    said = []
    apply_release(replace(target, backup_dir=tmp_path / "file" / "backups"), say=said.append)
    assert any(line.startswith("this run is not written down") for line in said)
    assert plan_release(target).pending == ()


def test_a_torn_line_of_a_killed_run_is_left_out(target):
    upgrade(target, FIRST)
    apply_release(target, say=quiet)
    (file,) = (target.backup_dir / FOLDER).iterdir()
    lines = file.read_text().splitlines(keepends=True)
    file.write_text("".join(lines[:4]) + lines[4][:20])
    (file.parent / "19990101T000000Z-strange.jsonl").write_text("no JSON\n[1]\n{}")
    (run,) = list_runs(target)
    assert (run.came_to, run.phase) == ("died", json.loads(lines[3])["phase"])
    before = digests(target)
    os.utime(file)
    assert apply_release(target, say=quiet).applied == ()
    assert digests(target) == before


def test_a_run_that_was_killed_at_its_first_line_is_told(target):
    upgrade(target, SECOND)
    fill(target)
    apply_release(target, say=quiet)
    (file,) = (target.backup_dir / FOLDER).iterdir()
    file.write_text(file.read_text().splitlines()[0] + "\n")
    (run,) = list_runs(target)
    assert (run.came_to, run.phase, run.phases) == ("died", "checks", ())
