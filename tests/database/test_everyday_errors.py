"""What people meet with `flask db`: the cause in this database and the next command, never a traceback."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.database.rows import FIRST, NEWEST, SECOND, connected, count_after, upgrade

ROOT = Path(__file__).resolve().parents[2]
HEAD = NEWEST


@pytest.fixture
def flask_db(environment, tmp_path):
    """Return `flask db` on a copy of the history, and the folder of that copy's files."""
    folder = tmp_path / "migrations"
    shutil.copytree(ROOT / "migrations", folder, ignore=lambda *_: ["__pycache__"])

    def run(command, *arguments):
        done = subprocess.run(
            [sys.executable, "-m", "flask", "db", command, "-d", str(folder), *arguments],
            env=environment, cwd=ROOT, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert "Traceback" not in done.stderr
        return done

    run.versions = folder / "versions"
    return run


def add_revision(versions, identity, *, parent=HEAD, name=None, upgrade="pass"):
    file = versions / (name or f"20990101_0000_add_{identity[:4]}.py")
    file.write_text(
        f'"""add {identity}"""\nfrom alembic import op\nrevision = "{identity}"\ndown_revision = "{parent}"\n'
        f"def upgrade():\n    {upgrade}\n\n\ndef downgrade(): pass\n"
    )
    return file


def set_revision(target, revision):
    with connected(target) as connection:
        connection.exec_driver_sql(f"UPDATE alembic_version SET version_num = '{revision}'")


def assert_says(done, *parts, code=1):
    assert done.stderr.startswith("error: ") or "\nerror: " in done.stderr, done.stderr
    for part in parts:
        assert part in done.stderr, done.stderr
    assert done.returncode == code


@pytest.mark.parametrize("command", ["current", "upgrade", "check", "migrate"])
def test_a_revision_of_the_database_that_no_file_has_is_told_as_such(target, flask_db, command):
    upgrade(target)
    set_revision(target, "feedfacecafe")
    done = flask_db(command)
    assert_says(done, "the database is at revision feedfacecafe", "older than the database", "deploy the release")


def test_the_commit_that_removed_a_revisions_file_is_named(target, flask_db):
    git = ["git", "-C", str(flask_db.versions), "-c", "user.name=Ada", "-c", "user.email=ada@example.org"]
    file = add_revision(flask_db.versions, "feedfacecafe")
    subprocess.run([*git, "init", "-q"], check=True)
    for message in ("Add a column", "Take it back"):
        subprocess.run([*git, "add", "-A", "."], check=True)
        subprocess.run([*git, "commit", "-qm", message], check=True)
        file.unlink(missing_ok=True)
    upgrade(target)
    set_revision(target, "feedfacecafe")
    assert_says(flask_db("upgrade"), "(Take it back) removed its file", "git checkout")


@pytest.mark.parametrize("command", ["upgrade", "downgrade", "stamp", "show"])
def test_a_revision_that_somebody_mistyped_is_told_with_what_is_near(target, flask_db, command):
    upgrade(target)
    done = flask_db(command, "2d8e51b07fa8")
    assert_says(done, "there is no revision 2d8e51b07fa8", "these are near: 2d8e51b07fa9", "showmigrations")


def test_the_beginning_of_several_revisions_is_told_with_all_of_them(target, flask_db):
    add_revision(flask_db.versions, "2d8e00000000")
    upgrade(target)
    assert_says(flask_db("show", "2d8e"), "2d8e51b07fa9", "2d8e00000000")


def test_a_database_that_is_behind_is_told_with_what_it_lacks(target, flask_db):
    upgrade(target, SECOND)
    done = flask_db("migrate", "-m", "add mood")
    lacks = f"lacks {count_after(SECOND)} revisions: b94c7d20a6e1 (store rendered posts)"
    assert_says(done, lacks, SECOND, "run `flask db upgrade`")


def test_differences_to_the_models_are_told_in_words(target, flask_db):
    upgrade(target)
    with connected(target) as connection:
        connection.exec_driver_sql("ALTER TABLE users ADD COLUMN nickname VARCHAR(10)")
    assert_says(flask_db("check"), "1 difference between models and database", "nickname", "flask db migrate -m")


@pytest.mark.parametrize("command", ["upgrade", "downgrade", "migrate", "revision", "stamp"])
def test_two_heads_are_told_with_the_command_that_joins_them(target, flask_db, command):
    upgrade(target)
    add_revision(flask_db.versions, "aaaaaaaaaaaa")
    add_revision(flask_db.versions, "bbbbbbbbbbbb")
    assert_says(flask_db(command), "the history has 2 heads", 'flask db merge -m "merge heads" ')


def test_a_way_up_that_forks_is_told_with_the_command_that_joins_it(target, flask_db):
    upgrade(target, FIRST)
    add_revision(flask_db.versions, "aaaaaaaaaaaa")
    add_revision(flask_db.versions, "bbbbbbbbbbbb")
    assert_says(flask_db("upgrade", f"+{count_after(FIRST) + 1}"), "the history has 2 heads")


def test_a_missing_parent_is_told_with_the_file_that_names_it(flask_db):
    add_revision(flask_db.versions, "aaaaaaaaaaaa", parent="feedfacecafe")
    assert_says(flask_db("history"), "20990101_0000_add_aaaa.py follows feedfacecafe, which no file has")


def test_an_id_in_two_files_is_told_with_both(flask_db):
    add_revision(flask_db.versions, "aaaaaaaaaaaa", name="20990101_0000_one.py")
    add_revision(flask_db.versions, "aaaaaaaaaaaa", name="20990101_0000_other.py")
    done = flask_db("heads")
    assert_says(done, "20990101_0000_one.py and 20990101_0000_other.py have the same id aaaaaaaaaaaa")


def test_a_file_that_is_no_python_is_told(flask_db):
    (flask_db.versions / "20990101_0000_broken.py").write_text("x = (\n")
    assert_says(flask_db("upgrade"), "do not form a history", "SyntaxError")


def test_going_down_further_than_there_is_is_told_with_how_far_it_goes(target, flask_db):
    upgrade(target, SECOND)
    told = f"has 2 revisions and lacks {count_after(SECOND)}"
    assert_says(flask_db("downgrade", "--", "-9"), told, "flask db downgrade base")


def test_going_up_further_than_there_is_is_told_with_how_far_it_goes(target, flask_db):
    upgrade(target, SECOND)
    told = f"has 2 revisions and lacks {count_after(SECOND)}"
    assert_says(flask_db("upgrade", f"+{count_after(SECOND) + 1}"), told, "flask db upgrade")


def test_a_downgrade_to_a_newer_revision_is_told(target, flask_db):
    upgrade(target, FIRST)
    assert_says(flask_db("downgrade", HEAD), f"not below {FIRST}", "showmigrations")


def test_a_way_down_that_forks_is_told(target, flask_db):
    add_revision(flask_db.versions, "aaaaaaaaaaaa")
    add_revision(flask_db.versions, "bbbbbbbbbbbb")
    assert flask_db("merge", "-m", "merge heads", "aaaaaaaaaaaa", "bbbbbbbbbbbb").returncode == 0
    assert flask_db("upgrade").returncode == 0
    assert_says(flask_db("downgrade"), "two ways lead on", "name the revision to go to")


def test_a_folder_without_a_history_is_told(flask_db):
    shutil.rmtree(flask_db.versions.parent)
    assert_says(flask_db("current"), "Path doesn't exist", "--directory")


def test_making_a_history_where_one_is_is_told(flask_db):
    assert_says(flask_db("init"), "already exists and is not empty", "flask db migrate")


def test_sql_of_a_downgrade_without_both_ends_is_told(flask_db):
    assert_says(
        flask_db("downgrade", "--sql", "2d8e"), "requires <fromrev>:<torev>", "flask db downgrade --sql FROM:TO"
    )


def test_sql_of_a_revision_that_reads_is_told(flask_db):
    add_revision(flask_db.versions, "aaaaaaaaaaaa", upgrade='op.get_bind().exec_driver_sql("SELECT 1").all()')
    done = flask_db("upgrade", "--sql", f"{HEAD}:aaaaaaaaaaaa")
    assert_says(done, "revision aaaaaaaaaaaa cannot be shown as SQL", "as_sql")


def test_a_statement_that_fails_is_told_with_its_revision(target, flask_db):
    upgrade(target)
    add_revision(flask_db.versions, "aaaaaaaaaaaa", upgrade='op.execute("DROP TABLE nonsense")')
    assert_says(flask_db("upgrade"), "revision aaaaaaaaaaaa failed on", "nonsense", "rolled back")


def test_a_bug_in_a_revision_keeps_its_traceback(target, environment, tmp_path):
    folder = tmp_path / "migrations"
    shutil.copytree(ROOT / "migrations", folder, ignore=lambda *_: ["__pycache__"])
    upgrade(target)
    add_revision(folder / "versions", "aaaaaaaaaaaa", upgrade="1 / 0")
    command = [sys.executable, "-m", "flask", "db", "upgrade", "-d", str(folder)]
    done = subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True, check=False)
    assert "ZeroDivisionError" in done.stderr
    assert "Traceback" in done.stderr


def test_tables_that_are_there_already_are_told_with_how_to_adopt_them(target, flask_db):
    upgrade(target)
    with connected(target) as connection:
        connection.exec_driver_sql("DROP TABLE alembic_version")
    assert_says(flask_db("upgrade"), "already exists", "stamp-existing-database")


def run_current(url):
    settings = {"PATH": os.environ["PATH"], "DATABASE_URL": url}
    command = [sys.executable, "-m", "flask", "db", "current"]
    return subprocess.run(command, env=settings, cwd=ROOT, capture_output=True, text=True, check=False)


def test_a_database_that_does_not_answer_is_told():
    done = run_current("postgresql://ada:secret@127.0.0.1:1/blog")
    assert_says(done, "the database blog on 127.0.0.1:1 cannot be reached", "check DATABASE_URL")
    assert "Traceback" not in done.stderr
    assert "secret" not in done.stderr


def test_a_version_table_that_may_not_be_read_is_told(postgres_target):
    upgrade(postgres_target)
    with connected(postgres_target) as connection:
        connection.exec_driver_sql("CREATE ROLE nosy LOGIN")
    try:
        done = run_current(postgres_target.url.set(username="nosy").render_as_string(hide_password=False))
        assert "Traceback" not in done.stderr
        assert_says(done, "the database failed while the command ran", "permission denied for table alembic_version")
    finally:
        with connected(postgres_target) as connection:
            connection.exec_driver_sql("DROP ROLE nosy")


def test_manage_py_db_says_the_same(target, environment):
    upgrade(target)
    command = [sys.executable, "manage.py", "db", "upgrade", "nonsense"]
    done = subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True, check=False)
    assert_says(done, "there is no revision nonsense")


@pytest.mark.parametrize("command", ["upgrade", "downgrade", "stamp", "show"])
def test_an_empty_revision_is_refused(target, flask_db, command):
    upgrade(target)
    assert_says(flask_db(command, ""), "the revision that was given is an empty text", "nothing was changed")


def test_a_stamp_says_the_title_of_the_revision_where_the_database_then_stands(target, flask_db):
    upgrade(target)
    assert f"stamp {SECOND}  widen blog texts" in flask_db("stamp", SECOND).stderr
