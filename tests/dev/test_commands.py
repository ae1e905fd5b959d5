"""The parts of ./dev up, test, check and lock that need no installation."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading

import pytest


@pytest.fixture
def taken_port():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]


def test_a_secret_key_is_made_once_and_only_its_owner_reads_it(dev, tmp_path):
    file = tmp_path / "instance" / "secret_key"
    dev.make_secret_key(file)
    first = file.read_text()
    dev.make_secret_key(file)
    assert file.read_text() == first
    assert len(first) == 64
    assert (file.stat().st_mode & 0o777, file.parent.stat().st_mode & 0o777) == (0o600, 0o700)
    assert [path.name for path in file.parent.iterdir()] == ["secret_key"]


def test_a_given_secret_key_is_used_and_none_is_made(dev, tmp_path, monkeypatch):
    monkeypatch.setenv("SECRET_KEY", "given")
    environment = dev.site_environment(dev.Tree(tmp_path))
    assert "SECRET_KEY_FILE" not in environment
    assert not (tmp_path / "instance").exists()


def test_the_callers_settings_reach_the_site(dev, tmp_path, monkeypatch):
    monkeypatch.setenv("DATABASE_URL", "postgresql://ada@db.example.org/cms")
    monkeypatch.delenv("SECRET_KEY", raising=False)
    environment = dev.site_environment(dev.Tree(tmp_path))
    assert environment["DATABASE_URL"] == "postgresql://ada@db.example.org/cms"
    assert environment["SECRET_KEY_FILE"] == str(tmp_path / "instance" / "secret_key")


def test_a_taken_port_gives_way_to_the_next_free_one_and_says_so(dev, taken_port, capsys):
    assert taken_port < dev.choose_port(taken_port) <= taken_port + 20
    assert f"port {taken_port} is taken" in capsys.readouterr().err


def test_no_free_port_stops_with_the_way_out(dev, taken_port, monkeypatch):
    monkeypatch.setattr(dev, "PORTS_TRIED", 0)
    with pytest.raises(dev.Stop, match=f"no free port from {taken_port}") as stop:
        dev.choose_port(taken_port)
    assert "--port" in stop.value.hint


def test_a_stop_reads_as_every_error_of_this_house(dev):
    text = str(dev.Stop("the port is taken", why="nginx listens there", hint="name another with --port"))
    assert text == "error: the port is taken\n  why:  nginx listens there\n  hint: name another with --port"


def test_arguments_of_test_go_to_pytest_untouched(dev):
    options = dev.parse(["test", "-k", "upgrade", "--pdb", "tests/dev", "-n0"])
    assert options.arguments == ["-k", "upgrade", "--pdb", "tests/dev", "-n0"]


def test_lock_tells_which_versions_changed(dev, tmp_path):
    file = tmp_path / "requirements.txt"
    file.write_text("alembic==1.20.1 \\\n    --hash=sha256:0\nmako==1.3.0 ; sys_platform == 'linux' \\\nold==1\n")
    before = dev.read_pins(file)
    assert dev.list_changes(before, {"alembic": "1.21.0", "mako": "1.3.0", "new": "2"}) == [
        "alembic 1.20.1 → 1.21.0",
        "new added, 2",
        "old removed",
    ]
    assert dev.list_changes(before, before) == ["nothing changed"]


def test_without_chromium_a_developer_goes_on_and_is_told(dev, monkeypatch, tmp_path, capsys):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CI", raising=False)
    assert dev.get_chromium() is None
    assert "browser tests will be skipped" in capsys.readouterr().err


def test_without_chromium_ci_stops(dev, monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("CI", "true")
    with pytest.raises(dev.Stop, match="browser tests cannot run"):
        dev.get_chromium()


def test_an_old_python_is_refused_in_words(dev, monkeypatch):
    monkeypatch.setattr(sys, "version_info", (3, 9, 2))
    with pytest.raises(dev.Stop, match="too old") as stop:
        dev.refuse_old_python(["up"])
    assert "3.11" in stop.value.why


def send_soon(number: signal.Signals) -> None:
    """Send this process a signal, as a person does who has looked at the first page."""
    threading.Timer(0.5, os.kill, [os.getpid(), number]).start()


def serve(dev, code: str) -> int:
    return dev.serve(subprocess.Popen([sys.executable, "-c", code], start_new_session=True))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_the_server_and_counts_as_success(dev, number, capsys):
    send_soon(number)
    assert serve(dev, "import time; time.sleep(60)") == 0
    assert "stopped" in capsys.readouterr().err


def test_a_server_that_ends_by_itself_is_an_error(dev):
    with pytest.raises(dev.Stop, match="ended by itself with 3"):
        serve(dev, "raise SystemExit(3)")


def test_a_stop_signal_waits_for_the_program_in_front(dev, tmp_path):
    code = "import signal, time; signal.signal(signal.SIGTERM, lambda *_: (time.sleep(0.5), exit(7))); time.sleep(60)"
    send_soon(signal.SIGTERM)
    assert dev.run_in_front([sys.executable, "-c", code], cwd=tmp_path, environment={}) == 7
