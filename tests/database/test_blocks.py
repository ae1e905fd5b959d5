"""Building blocks of revisions: each recipe of the page runs as it stands there, and goes on after any interruption."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path
from queue import SimpleQueue

import pytest

from cms.database import steps
from cms.database.errors import MigrationFailed
from cms.database.history import get_head, load_scripts
from cms.database.lint.report import lint_migrations
from cms.database.target import parse_url
from tests.database.blocks import Interruption, identity, kill, read_recipes, read_state, terminate, with_revisions
from tests.database.rows import connected, downgrade, fill, upgrade

ROUNDS = int(os.environ.get("CMS_TEST_KILLS", "2"))
ROOT = Path(__file__).resolve().parents[2]
UPGRADE_AND_DIE = """
import sys
from pathlib import Path
from cms.database.target import Target, parse_url
from tests.database.blocks import Interruption, kill
from tests.database.rows import upgrade
target = Target(parse_url(sys.argv[1]), Path("unused"), migrations_dir=Path(sys.argv[2]))
with Interruption(int(sys.argv[3]), kill):
    upgrade(target)
"""


@pytest.fixture
def database_url(migrated_url):
    return migrated_url


@pytest.fixture
def site(target):
    """Return a database at the head with rows in every table."""
    fill(target, posts=40)
    return target


@pytest.fixture
def postgres_site(postgres_target, migrated_postgres_url):
    at_head = replace(postgres_target, url=parse_url(migrated_postgres_url))
    fill(at_head, posts=40)
    return at_head


@pytest.mark.parametrize("name", read_recipes())
def test_a_recipe_goes_up_and_down_and_up_again_with_rows_present(site, tmp_path, name):
    recipe = read_recipes()[name]
    before = read_state(site)
    head = get_head(load_scripts(site))
    longer = with_revisions(site, tmp_path / "migrations", recipe)
    upgrade(longer)
    there = read_state(longer)
    assert there.schema != before.schema or there.rows != before.rows
    assert not there.steps
    downgrade(longer, head)
    assert read_state(longer) == before
    upgrade(longer)
    assert read_state(longer).schema == there.schema
    with connected(longer) as connection:
        stored = connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalar_one()
    assert stored == identity(len(recipe))


@pytest.mark.parametrize("name", read_recipes())
def test_a_connection_that_is_lost_in_the_middle_of_a_block_is_told_and_the_rerun_completes(
    postgres_site, tmp_path, name
):
    head = get_head(load_scripts(postgres_site))
    longer = with_revisions(postgres_site, tmp_path / "migrations", read_recipes()[name])
    with Interruption(0, terminate) as uninterrupted:
        upgrade(longer)
    there = read_state(longer)
    assert uninterrupted.count >= 4
    for at in random.sample(range(1, uninterrupted.count + 1), min(ROUNDS, uninterrupted.count)):
        downgrade(longer, head)
        with Interruption(at, terminate), pytest.raises(MigrationFailed, match="was lost while") as told:
            upgrade(longer)
        assert "run the same command again" in str(told.value.hint)
        upgrade(longer)
        assert read_state(longer) == there, f"statement {at}"


@pytest.mark.parametrize("name", read_recipes())
def test_a_process_that_is_killed_in_the_middle_of_a_block_goes_on_when_it_runs_again(site, tmp_path, name):
    head = get_head(load_scripts(site))
    longer = with_revisions(site, tmp_path / "migrations", read_recipes()[name])
    with Interruption(0, kill) as uninterrupted:
        upgrade(longer)
    there = read_state(longer)
    downgrade(longer, head)
    url = longer.url.render_as_string(hide_password=False)
    at = str(random.randint(1, uninterrupted.count))
    arguments = [sys.executable, "-c", UPGRADE_AND_DIE, url, str(longer.migrations_dir), at]
    died = subprocess.run(arguments, cwd=ROOT, capture_output=True, text=True, check=False)
    assert died.returncode == -signal.SIGKILL, died.stderr
    upgrade(longer)
    assert read_state(longer) == there, f"statement {at}"


@pytest.mark.parametrize("name", read_recipes())
def test_lint_finds_nothing_in_a_recipe(site, tmp_path, name):
    head = get_head(load_scripts(site))
    longer = with_revisions(site, tmp_path / "migrations", read_recipes()[name])
    report = lint_migrations(longer, since=head)
    assert report.findings == ()
    assert len(report.revisions) == len(read_recipes()[name])


def test_a_build_that_fails_leaves_no_index_and_the_rerun_builds_it(postgres_site, tmp_path):
    code = read_recipes()["create_unique_constraint"][0]
    longer = with_revisions(postgres_site, tmp_path / "migrations", (code,))
    before = read_state(longer).schema
    with connected(longer) as connection:
        connection.exec_driver_sql("UPDATE blogs SET title = 'twice' WHERE slug < 'post-2'")
    with pytest.raises(MigrationFailed, match=f"revision {identity(1)} failed") as told:
        upgrade(longer)
    assert "could not create unique index" in str(told.value.why)
    assert "the same command goes on from there" in str(told.value.hint)
    assert read_state(longer).schema == before
    with connected(longer) as connection:
        connection.exec_driver_sql("UPDATE blogs SET title = slug")
    upgrade(longer)
    assert len(set(read_state(longer).schema) - set(before)) == 1


def test_a_build_that_must_wait_says_for_whom_and_nobody_waits_behind_it(postgres_site, tmp_path, monkeypatch):
    monkeypatch.setattr(steps, "EVERY_S", 0.05)
    longer = with_revisions(postgres_site, tmp_path / "migrations", read_recipes()["create_index"])
    said = SimpleQueue()
    with connected(longer) as writer:
        writer.exec_driver_sql("UPDATE blogs SET title = 'new' WHERE slug = 'post-1'")
        pid = writer.exec_driver_sql("SELECT pg_backend_pid()").scalar_one()
        build = threading.Thread(target=upgrade, args=(longer,), kwargs={"say": said.put})
        build.start()
        line = said.get(timeout=10)
        while "waits for" not in line:
            line = said.get(timeout=10)
        assert line.startswith("index ix_blogs_title: build: waiting for")
        assert f"waits for process {pid} (cms-tool, idle in transaction), whose transaction is 0 s old" in line
        with connected(longer) as other:
            other.exec_driver_sql("SET statement_timeout = '2s'")
            other.exec_driver_sql("UPDATE blogs SET title = 'newer' WHERE slug = 'post-2'")
        assert build.is_alive()
    build.join(timeout=10)
    assert not build.is_alive()
