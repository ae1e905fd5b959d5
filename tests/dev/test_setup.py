"""./dev makes .venv once, and repairs what a killed run left."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parents[2] / "dev"
PREPARE = f"""
import sys
from importlib.machinery import SourceFileLoader
from pathlib import Path
dev = SourceFileLoader("dev_script", {str(SCRIPT)!r}).load_module()
dev.prepare(dev.Tree(Path(sys.argv[1])), "runtime")
"""
# the network is the one thing that is faked: nothing can be had, so uv is missed and pip installs an empty list
OFFLINE = {**os.environ, "PIP_NO_INDEX": "1", "PIP_CONFIG_FILE": os.devnull, "PIP_FIND_LINKS": ""}


@pytest.fixture
def tree(dev, tmp_path):
    (tmp_path / "requirements.txt").write_text("# nothing\n")
    (tmp_path / "requirements-dev.txt").write_text("# nothing\n")
    return dev.Tree(tmp_path)


@pytest.fixture
def installed(dev, tree):
    """Return a tree that looks as after ./dev test."""
    tree.python.parent.mkdir(parents=True)
    tree.python.symlink_to(sys.executable)
    dev.write_whole(tree.stamp, f'{{"runtime": "{tree.digest("runtime")}", "dev": "{tree.digest("dev")}"}}', mode=0o644)
    return tree


def start_preparing(tree) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-W", "ignore", "-c", PREPARE, str(tree.root)]
    return subprocess.Popen(command, env=OFFLINE, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def test_an_installed_tree_is_ready_for_the_site_and_for_tests(installed):
    assert installed.is_ready("runtime")
    assert installed.is_ready("dev")


def test_a_changed_development_file_leaves_the_site_ready(installed):
    (installed.root / "requirements-dev.txt").write_text("pytest==9.1.1\n")
    assert installed.is_ready("runtime")
    assert not installed.is_ready("dev")


def test_a_changed_runtime_file_makes_both_out_of_date(installed):
    (installed.root / "requirements.txt").write_text("flask==3.1.3\n")
    assert not installed.is_ready("runtime")
    assert not installed.is_ready("dev")


def test_a_run_that_was_killed_while_installing_leaves_the_tree_unready(installed):
    installed.unfinished.touch()
    assert not installed.is_ready("runtime")


@pytest.mark.parametrize("content", ["", "{", "[]", '{"runtime": 1}', "\0\xff"])
def test_a_stamp_that_makes_no_sense_counts_as_none(installed, content):
    installed.stamp.write_text(content, encoding="latin-1")
    assert not installed.is_ready("runtime")


def test_a_python_that_the_system_removed_makes_the_tree_unready(installed):
    installed.python.unlink()
    installed.python.symlink_to("/usr/bin/python3.0")
    assert not installed.is_ready("runtime")


def test_a_python_that_the_system_replaced_makes_the_tree_unready(installed, tmp_path):
    other = tmp_path / "python3.99"
    other.symlink_to("/bin/sh")
    installed.python.unlink()
    installed.python.symlink_to(other)
    assert not installed.is_ready("runtime")


def test_two_runs_at_once_repair_what_a_killed_run_left(tree):
    killed = start_preparing(tree)
    while not tree.python.exists():
        assert killed.poll() is None
        time.sleep(0.01)
    killed.kill()
    killed.wait()
    assert tree.unfinished.exists()

    both = [start_preparing(tree), start_preparing(tree)]

    assert [run.wait(timeout=60) for run in both] == [0, 0]
    assert tree.is_ready("runtime")
    assert subprocess.run([tree.python, "-c", "import pip"], check=False).returncode == 0


def test_an_installation_that_fails_is_told_and_is_not_taken_for_done(tree):
    (tree.root / "requirements.txt").write_text("nowhere-to-be-had==1 --hash=sha256:" + "0" * 64 + "\n")
    command = [sys.executable, "-W", "ignore", "-c", PREPARE, str(tree.root)]
    done = subprocess.run(command, env=OFFLINE, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "error: installing requirements.txt failed" in done.stderr
    assert "nowhere-to-be-had" in done.stderr
    assert not tree.is_ready("runtime")


def test_a_terminated_run_ends_the_installer_it_waits_for(dev, tmp_path):
    began = tmp_path / "began"
    code = f"{PREPARE.rsplit('dev.prepare', 1)[0]}import signal\n"
    code += "signal.signal(signal.SIGTERM, dev.end_at_once)\n"
    code += f"dev.run_quietly(['sh', '-c', 'sleep 0.3; echo $$ > {began}; exec sleep 60'], 'no')"
    run = subprocess.Popen([sys.executable, "-W", "ignore", "-c", code, str(tmp_path)])
    while not (began.exists() and began.read_text().strip()):
        time.sleep(0.01)
    run.send_signal(signal.SIGTERM)
    assert run.wait(timeout=10) == 143
    with pytest.raises(ProcessLookupError):
        os.kill(int(began.read_text()), 0)
