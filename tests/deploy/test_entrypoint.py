"""docker-entrypoint.sh where the image has it: only what .dockerignore lets in, read-only, as a user with no name."""

from __future__ import annotations

import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest

from cms.database.engines.pglock import DEPLOY_LOCK
from tests.deploy.programs import ROOT, has_processes, run, running, settings_of_site, wait_until
from tests.postgres import PostgresServer

USER = 5678
MIGRATE_ONLY = ["gunicorn", "--version"]  # a server that ends at once: what is seen is the migration's


@dataclass(frozen=True)
class Image:
    """A copy of what the image holds, a folder for the site's data, and how the image's user is taken on."""

    tree: Path
    data: Path
    prefix: tuple[str, ...]
    settings: dict[str, str]

    def command(self, *arguments: str) -> list[str]:
        return [*self.prefix, str(self.tree / "docker-entrypoint.sh"), *arguments]

    def run(self, *arguments: str, **settings: str) -> subprocess.CompletedProcess[str]:
        return run(self.command(*arguments), {**self.settings, **settings}, cwd=Path("/"))

    def start(self, *arguments: str):
        return running(self.command(*arguments), self.settings, self.data / "log", cwd=Path("/"))


def prefixes() -> list[tuple[str, ...]]:
    """Return ways to run a program as somebody else than root, best first; as it is where this is not root."""
    if os.geteuid() != 0:
        return [()]
    other_user = ("setpriv", f"--reuid={USER}", f"--regid={USER}", "--clear-groups")
    return [other_user, ("unshare", "--user", f"--map-user={USER}")]  # the second owns what root owns


def works(prefix: Sequence[str]) -> bool:
    """Tell whether that user can run this environment's Python, which may lie in a folder of root's."""
    if prefix and not shutil.which(prefix[0]):
        return False
    # through a shell: the program that setpriv itself starts is still found with root's rights
    command = [*prefix, "sh", "-c", '"$0" -c "import flask, os; assert os.geteuid()"', sys.executable]
    return subprocess.run(command, capture_output=True, check=False, cwd="/").returncode == 0


@pytest.fixture(scope="session")
def ordinary_user() -> tuple[str, ...]:
    return next(filter(works, prefixes()), ())


@pytest.fixture(scope="session")
def image_tree() -> Iterator[Path]:
    """Return a copy of the files that .dockerignore names; outside pytest's folders, which only their owner opens."""
    folder = Path(tempfile.mkdtemp(prefix="cms-image-"))
    listed = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    for name in (line[1:] for line in listed if line.startswith("!")):
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, folder / name, ignore=shutil.ignore_patterns("__pycache__", "*.pyc"))
        else:
            shutil.copy(source, folder / name)
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def image(image_tree: Path, ordinary_user: tuple[str, ...]) -> Iterator[Image]:
    """Return the image with an empty data folder and no database yet: SQLite."""
    data = Path(tempfile.mkdtemp(prefix="cms-data-"))
    if ordinary_user[:1] == ("setpriv",):
        os.chown(data, USER, USER)
    yield Image(image_tree, data, ordinary_user, settings_of_site(data))
    shutil.rmtree(data)


@pytest.fixture(params=["sqlite", "postgresql"])
def site(request: pytest.FixtureRequest, image: Image) -> Image:
    """Return the image set up for an empty database: the test runs once on each engine."""
    if request.param == "postgresql":
        use_postgres(image, request.getfixturevalue("postgres_url"), request.getfixturevalue("postgres"))
    return image


def use_postgres(image: Image, url: str, server: PostgresServer) -> None:
    image.settings["DATABASE_URL"] = url
    image.settings.update({"PG_BIN_DIR": str(server.bin_dir)} if server.bin_dir else {})


def list_backups(site: Image) -> list[Path]:
    folder = site.data / "backups"
    return [each.parent for each in folder.glob("*/manifest.json")]


def test_a_first_start_migrates_and_serves(site: Image):
    with site.start() as program:
        assert program.get("/readyz") == (200, "ok\n")
        assert program.stop() == 0
    assert "Traceback" not in program.printed()


def test_these_tests_do_not_run_the_site_as_root(image: Image):
    user = image.run("python", "-c", "import os; print(os.geteuid())").stdout.strip()
    if user == "0":
        pytest.skip("no way here to run this Python as somebody else")
    assert image.prefix == () or user == str(USER)


def test_a_second_start_has_nothing_to_do_and_makes_no_backup(site: Image):
    site.run(*MIGRATE_ONLY)
    again = site.run(*MIGRATE_ONLY)
    assert again.returncode == 0
    assert "nothing to do" in again.stdout
    assert list_backups(site) == []


def test_a_start_on_an_older_schema_makes_a_backup_first(site: Image):
    site.run("python", "-m", "flask", "db", "upgrade", "+1")
    done = site.run(*MIGRATE_ONLY)
    assert done.returncode == 0, done.stdout
    assert len(list_backups(site)) == 1


def test_without_migrate_on_start_the_database_is_left_alone(site: Image):
    done = site.run(*MIGRATE_ONLY, MIGRATE_ON_START="off")
    assert done.returncode == 0
    assert "gunicorn" in done.stdout
    assert "applying" not in site.run("python", "manage.py", "backup-and-migrate", "--dry-run").stdout
    assert not (site.data / "cms.db").exists()


def test_another_program_is_run_as_it_is_and_without_a_migration(image: Image):
    done = image.run("python", "-c", "import os; print(os.getcwd()); raise SystemExit(7)")
    assert (done.stdout, done.returncode) == (f"{image.tree}\n", 7)
    assert not (image.data / "cms.db").exists()


def test_a_database_that_is_not_ours_stops_the_start_with_the_commands_own_status(image: Image):
    with sqlite3.connect(image.data / "cms.db") as connection:
        connection.execute("CREATE TABLE somebody_elses (id INTEGER)")
    connection.close()
    if image.prefix[:1] == ("setpriv",):
        os.chown(image.data / "cms.db", USER, USER)
    done = image.run()
    assert done.returncode == 4
    assert "stamp-existing-database" in done.stdout
    assert "Starting gunicorn" not in done.stdout


def test_a_database_that_does_not_answer_stops_the_start_and_keeps_its_password(image: Image):
    done = image.run(DATABASE_URL="postgresql://cms:database-pass@127.0.0.1:1/cms")
    assert done.returncode == 1
    assert "error: " in done.stdout
    assert "Traceback" not in done.stdout
    assert "database-pass" not in done.stdout
    assert "Starting gunicorn" not in done.stdout


def test_nothing_is_written_into_the_tree(image: Image):
    before = set(image.tree.rglob("*"))
    image.run(*MIGRATE_ONLY)
    written = {path for path in set(image.tree.rglob("*")) - before if "__pycache__" not in path.parts}
    assert written == set()


@pytest.fixture
def held_lock(postgres_url: str) -> Iterator[psycopg.Connection]:
    """Hold the deploy lock, as another machine's migration does."""
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute("SELECT pg_advisory_lock(%s)", [DEPLOY_LOCK])
        yield connection


def is_waited_for(connection: psycopg.Connection) -> bool:
    rows = connection.execute(
        "SELECT FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
    )
    return bool(rows.rowcount)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_start_that_is_stopped_while_it_migrates_stops_the_migration(
    image: Image, postgres: PostgresServer, postgres_url: str, held_lock: psycopg.Connection, number: signal.Signals
):
    use_postgres(image, postgres_url, postgres)
    with image.start() as program:
        wait_until(lambda: is_waited_for(held_lock), "the migration to ask for the lock")
        program.process.send_signal(number)
        assert program.process.wait(timeout=20) == 143
        assert not has_processes(program.process.pid)
    assert "Starting gunicorn" not in program.printed()
    wait_until(lambda: not is_waited_for(held_lock), "the server to see the migration go")
