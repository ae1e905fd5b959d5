"""The commands as their users run them: as processes, on both engines."""

from __future__ import annotations

import json
import os
import pty
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.database.rows import FIRST, REVISIONS, SECOND, connected, count, fill, upgrade

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def manage(environment):
    def run(*arguments, **settings):
        return subprocess.run(
            [sys.executable, str(ROOT / "manage.py"), *arguments],
            env={**environment, **settings}, cwd=ROOT, capture_output=True, text=True, check=False,
            stdin=subprocess.DEVNULL,
        )  # fmt: skip

    return run


@pytest.fixture
def flask(environment):
    def run(*arguments, **settings):
        return subprocess.run(
            [sys.executable, "-m", "flask", *arguments],
            env={**environment, **settings}, cwd=ROOT, capture_output=True, text=True, check=False,
        )  # fmt: skip

    return run


def test_the_way_of_a_site_from_nothing_to_a_restore(target, manage):
    assert manage("backup-and-migrate").returncode == 0
    assert manage("check").returncode == 0
    fill(target)
    written = json.loads(manage("backup", "--json").stdout)
    with connected(target) as connection:
        connection.exec_driver_sql("DELETE FROM blogs")
    assert manage("verify-backup", written["id"]).returncode == 0
    refused = manage("restore", written["id"])
    assert (refused.returncode, count(target, "blogs")) == (4, 0)
    unconfirmed = manage("restore", written["folder"], "--replace")
    assert (unconfirmed.returncode, count(target, "blogs")) == (4, 0)
    assert manage("restore", written["folder"], "--replace", "--dry-run").returncode == 0
    done = manage("restore", written["folder"], "--replace", "--yes", "--json")
    assert done.returncode == 0, done.stderr
    assert count(target, "blogs") == 3


def test_check_names_each_standing_by_its_id(target, manage):
    found = json.loads(manage("check", "--json").stdout)
    assert [problem["id"] for problem in found["problems"]] == (
        ["database.E002"] if target.engine_name == "sqlite" else ["database.W002"]
    )
    upgrade(target, SECOND)
    assert problem_ids(manage) == ["database.W003"]
    upgrade(target)
    with connected(target) as connection:
        connection.exec_driver_sql("CREATE TABLE huey_tasks (id INTEGER)")  # the job queue's own, and no drift
    assert problem_ids(manage) == []
    with connected(target) as connection:
        connection.exec_driver_sql("ALTER TABLE users ADD COLUMN nickname VARCHAR(10)")
    assert problem_ids(manage) == ["database.W004", "database.W005"]
    with connected(target) as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = 'feedfacecafe'")
    assert problem_ids(manage) == ["database.E004"]
    with connected(target) as connection:
        connection.exec_driver_sql("DROP TABLE alembic_version")
    assert problem_ids(manage) == ["database.W002"]


def problem_ids(manage):
    done = manage("check", "--json")
    report = json.loads(done.stdout)
    found = [problem["id"] for problem in report["problems"] if problem["level"] != "info"]
    assert done.returncode == (3 if found else 0), done.stderr
    return found


def test_check_can_be_told_what_to_look_at_and_when_to_fail(target, manage):
    upgrade(target, SECOND)
    assert manage("check", "--tag", "history").returncode == 0
    assert manage("check", "--fail-level", "error").returncode == 0
    assert manage("check", "--tag", "nonsense").returncode == 2
    deploy = json.loads(manage("check", "--tag", "configuration", "--deploy", "--json").stdout)
    assert {problem["id"] for problem in deploy["problems"]} >= {"configuration.E001", "configuration.E002"}


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("postgresql://nobody:s3cr3t-w0rd@127.0.0.1:1/none", "connection"),
        ("sqlite:////etc/hostname", "not a sqlite database|not a database"),
        ("sqlite:////etc", "it is a folder|unable to open"),
    ],
)
@pytest.mark.parametrize("command", ["check", "backup", "backup-and-migrate", "showmigrations"])
def test_a_database_that_cannot_be_used_is_one_clear_answer(tmp_path, command, url, told):
    done = subprocess.run(
        [sys.executable, "manage.py", command],
        env={"PATH": os.environ["PATH"], "DATABASE_URL": url, "BACKUP_DIR": str(tmp_path)},
        cwd=ROOT, capture_output=True, text=True, check=False, timeout=30,
    )  # fmt: skip
    shown = done.stdout + done.stderr
    assert done.returncode == (3 if command == "check" else 1), shown
    assert re.search(told, shown, re.IGNORECASE)
    assert "Traceback" not in shown
    assert "s3cr3t" not in shown


@pytest.mark.parametrize("command", ["check", "backup"])
def test_a_mistyped_path_never_becomes_an_empty_site(tmp_path, command):
    path = tmp_path / "mistyped" / "cms.db"
    done = subprocess.run(
        [sys.executable, "manage.py", command],
        env={"PATH": os.environ["PATH"], "DATABASE_URL": f"sqlite:///{path}", "BACKUP_DIR": str(tmp_path)},
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert "unable to open" in done.stdout + done.stderr
    assert not path.exists()


def test_the_history_is_shown_with_what_is_applied(target, manage):
    upgrade(target, FIRST)
    lines = manage("showmigrations").stdout.splitlines()
    assert lines[0].endswith(f"1 of {len(REVISIONS)} revisions applied")
    assert lines[1].startswith(f"[X] {FIRST}")
    assert lines[2].startswith(f"[ ] {SECOND}")


def test_flask_db_does_each_of_its_commands(target, flask):
    upgrade(target, FIRST)
    fill(target)
    for arguments, shown in (
        (("upgrade",), ""), (("current",), "(head)"), (("check",), "No new upgrade"), (("heads",), "(head)"),
        (("history",), FIRST), (("show", FIRST), "create users"), (("branches",), ""),
        (("downgrade", FIRST), ""), (("current",), FIRST), (("stamp", FIRST), ""), (("upgrade", "+1"), ""),
        (("upgrade", "--sql", f"base:{FIRST}"), "CREATE TABLE"),
    ):  # fmt: skip
        done = flask("db", *arguments)
        assert done.returncode == 0, (arguments, done.stderr)
        assert shown in done.stdout + done.stderr, arguments
    assert count(target, "blogs") == 3


def test_manage_db_is_the_same_group(target, manage):
    upgrade(target)
    assert "(head)" in manage("db", "current").stdout


def test_flask_db_answers_a_mistake_with_a_message(target, flask):
    upgrade(target)
    unknown = flask("db", "upgrade", "nonsense")
    assert unknown.returncode == 1
    assert "nonsense" in unknown.stderr
    assert "Traceback" not in unknown.stderr
    unreachable = flask("db", "current", DATABASE_URL="postgresql://u:s3cr3t@127.0.0.1:1/none")
    assert unreachable.returncode == 1
    assert "cannot be reached" in unreachable.stderr
    assert "Traceback" not in unreachable.stderr
    assert "s3cr3t" not in unreachable.stderr


@pytest.mark.parametrize("url", ["mysql://u:s3cr3t@h/d", "postgresql://u:s3cr3t@h:port/d", "sqlite:///what?.db"])
def test_a_setting_that_cannot_be_used_is_a_message_in_every_command(url, tmp_path):
    for arguments in (("manage.py", "db", "current"), ("manage.py", "check"), ("-m", "flask", "db", "current")):
        done = subprocess.run(
            [sys.executable, *arguments],
            env={"PATH": os.environ["PATH"], "DATABASE_URL": url, "BACKUP_DIR": str(tmp_path)},
            cwd=ROOT, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode in {1, 4}
        assert "DATABASE_URL cannot be used" in done.stderr
        assert "Traceback" not in done.stderr
        assert "s3cr3t" not in done.stderr


def test_a_result_that_cannot_be_written_is_a_message(sqlite_target, environment_of_sqlite):
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "manage.py", "showmigrations"],
            env=environment_of_sqlite, cwd=ROOT, stdout=full, stderr=subprocess.PIPE, text=True, check=False,
        )  # fmt: skip
    assert done.returncode == 1
    assert "No space left" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.fixture
def environment_of_sqlite(sqlite_target):
    return {"PATH": os.environ["PATH"], "DATABASE_URL": sqlite_target.url.render_as_string()}


def test_sql_that_depends_on_the_live_table_is_refused_for_sqlite(sqlite_url, tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "flask", "db", "upgrade", "--sql"],
        env={"PATH": os.environ["PATH"], "DATABASE_URL": sqlite_url},
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert "cannot be shown as SQL for SQLite" in done.stderr


def test_a_backup_that_is_told_to_stop_leaves_nothing_and_says_so(target, environment):
    upgrade(target)
    fill(target, posts=2000)
    process = subprocess.Popen(
        [sys.executable, "manage.py", "backup"], env=environment, cwd=ROOT, stderr=subprocess.PIPE, text=True
    )
    assert process.stderr
    process.stderr.readline()
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=10)
    complete = list(target.backup_dir.glob("2*"))
    assert (process.returncode, complete) == (143, []) or (process.returncode, len(complete)) == (0, 1)
    assert list(target.backup_dir.glob(".partial-*")) == []


def test_a_superuser_is_made_without_the_password_in_an_argument(target, manage, tmp_path):
    upgrade(target)
    (tmp_path / "password").write_text("correct horse battery\n")
    arguments = ("create-superuser", "--username", "ada", "--email", "ada@example.org", "--password-file")
    done = manage(*arguments, str(tmp_path / "password"))
    assert done.returncode == 0, done.stderr
    with connected(target) as connection:
        role, stored = connection.exec_driver_sql("SELECT role, password_hash FROM users").one()
    assert role == "admin"
    assert stored.startswith("$argon2id$")
    again = manage(*arguments, str(tmp_path / "password"))
    assert again.returncode != 0
    assert "Traceback" not in again.stderr


def test_the_shell_knows_the_models(target, environment):
    upgrade(target)
    fill(target)
    done = subprocess.run(
        [sys.executable, "manage.py", "shell"], env=environment, cwd=ROOT, capture_output=True, text=True, check=False,
        input="print('posts:', db.session.query(Blog).count())\n",
    )  # fmt: skip
    assert "posts: 3" in done.stdout


def test_confirmation_is_asked_on_a_terminal(sqlite_target):
    controller, terminal = pty.openpty()
    upgrade(sqlite_target)
    fill(sqlite_target)
    url = sqlite_target.url.render_as_string()
    settings = {**os.environ, "DATABASE_URL": url, "BACKUP_DIR": str(sqlite_target.backup_dir)}
    folder = json.loads(
        subprocess.run(
            [sys.executable, "manage.py", "backup", "--json"], env=settings, cwd=ROOT, capture_output=True, check=True
        ).stdout
    )["folder"]
    process = subprocess.Popen(
        [sys.executable, "manage.py", "restore", folder, "--replace"],
        env=settings, cwd=ROOT, stdin=terminal, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    os.write(controller, b"n\n")
    _, errors = process.communicate(timeout=20)
    os.close(controller)
    os.close(terminal)
    assert process.returncode == 4
    assert "[y/N]" in errors
    assert "nothing was changed" in errors
