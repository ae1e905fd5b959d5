"""What every command shares: discovery, exit codes, output, confirmation."""

from __future__ import annotations

import json
import signal
import sqlite3
import subprocess
import sys
import threading
import weakref
from dataclasses import dataclass
from pathlib import Path

import click
import psycopg
import pytest
from click.testing import CliRunner

from cms.errors import Busy, CmsError, Refused
from cms.management import base

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Outcome:
    number: int
    exit_code: int = 0

    def __str__(self):
        return f"number {self.number}"


@base.command
@click.option("--number", default=1)
def sample(*, number, dry_run, confirm, progress):
    """Do something."""
    progress("working")
    if number == 5:
        raise Busy("busy", why="somebody else", hint="wait")
    if number == 6:
        raise ValueError("a bug")
    if number == 7:
        raise PermissionError(13, "denied", "/somewhere")
    if number == 8:
        raise sqlite3.DatabaseError("malformed")
    if number == 9:
        raise psycopg.OperationalError("the server went away\nmore")
    if number == 10:
        try:
            raise base.Terminated
        finally:
            raise psycopg.OperationalError("another command is already in progress")
    if not dry_run:
        confirm("lose everything?")
    return Outcome(number, 3 if number == 3 else 0)


def run(*arguments):
    return CliRunner().invoke(sample, arguments)


def test_the_result_goes_to_stdout_and_progress_to_stderr():
    done = run("--yes")
    assert (done.exit_code, done.stdout, done.stderr) == (0, "number 1\n", "working\n")


def test_json_is_one_object_on_stdout():
    assert json.loads(run("--yes", "--json").stdout) == {"number": 1, "exit_code": 0}


def test_a_result_may_choose_the_exit_code():
    assert run("--yes", "--number", "3").exit_code == 3


def test_without_a_terminal_and_without_yes_it_refuses():
    done = run()
    assert done.exit_code == 4
    assert "add --yes" in done.stderr
    assert done.stdout == ""


def test_a_dry_run_needs_no_confirmation():
    assert run("--dry-run").exit_code == 0


def test_an_expected_error_is_three_lines_and_its_own_exit_code():
    done = run("--number", "5")
    assert done.exit_code == 5
    assert done.stderr == "working\nerror: busy\n  why:  somebody else\n  hint: wait\n"


def test_an_expected_error_is_json_too():
    assert json.loads(run("--number", "5", "--json").stdout)["error"] == "busy"


def test_what_the_machine_does_to_us_is_a_message():
    done = run("--number", "7")
    assert done.exit_code == 1
    assert "denied" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("number", ["8", "9"])
def test_what_a_driver_says_is_a_message(number):
    done = run("--number", number)
    assert done.exit_code == 1
    assert "why:" in done.stderr


def test_a_bug_keeps_its_traceback():
    assert isinstance(run("--number", "6").exception, ValueError)


def test_calling_from_python_returns_the_result_and_lets_errors_through(monkeypatch):
    monkeypatch.setattr(base, "load_command", lambda _name: sample)
    assert base.call_command("sample", number=2, yes=True).number == 2
    with pytest.raises(Refused):
        base.call_command("sample")
    with pytest.raises(CmsError):
        base.call_command("sample", number=5)


def test_an_unknown_command_is_an_error_of_the_caller():
    done = subprocess.run(
        [sys.executable, "manage.py", "no-such-command"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert "No such command" in done.stderr


def test_help_lists_each_file_and_survives_a_broken_one(tmp_path):
    import shutil

    for name in ("cms", "manage.py", "config.py"):
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copy(ROOT / name, tmp_path / name)
    (tmp_path / "cms/management/commands/broken_one.py").write_text("import nothing_of_that_name\n")
    done = subprocess.run(
        [sys.executable, "manage.py", "--help"], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    names = [path.stem.replace("_", "-") for path in (ROOT / "cms/management/commands").glob("[!_]*.py")]
    assert [name for name in names if f"\n  {name} " not in done.stdout] == []
    assert "(broken) ModuleNotFoundError" in done.stdout
    called = subprocess.run(
        [sys.executable, "manage.py", "broken-one", "--any"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert called.returncode == 1
    assert "nothing_of_that_name" in called.stderr


def test_help_imports_neither_flask_nor_sqlalchemy():
    code = "import sys; from cms.management.base import Manager; import click\n"
    code += "Manager(help='x').main(['--help'], standalone_mode=False)\n"
    code += "print(sorted({'flask', 'sqlalchemy', 'alembic', 'PIL', 'yaml'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.endswith("[]\n")


def test_an_error_while_tidying_up_after_a_sigterm_does_not_hide_it():
    done = run("--number", "10")
    assert done.exit_code == 143
    assert "stopped before the end" in done.stderr


def stop_in_a_callback(number):
    """Send a signal from where nothing can be raised."""
    watched = Outcome(1)
    watching = weakref.ref(watched, lambda _: signal.raise_signal(number))
    del watched
    assert watching() is None


def wait_in_vain(number):
    stop_in_a_callback(number)
    threading.Event().wait(5)


STOPS = [(signal.SIGTERM, base.Terminated), (signal.SIGHUP, base.Terminated), (signal.SIGINT, KeyboardInterrupt)]


@pytest.mark.parametrize(("number", "stop"), STOPS)
def test_a_stop_that_falls_into_a_callback_of_python_is_not_lost(number, stop):
    with base.stoppable(), pytest.raises(stop):
        wait_in_vain(number)


def test_a_stop_that_comes_when_all_is_done_ends_nothing_else():
    with base.stoppable():
        stop_in_a_callback(signal.SIGTERM)
    assert signal.getitimer(signal.ITIMER_REAL)[0] == 0.0
