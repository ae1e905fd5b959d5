"""A setting that cannot be used: every way to start says which and what to do, ends at once, and shows no secret."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.deploy.programs import run, settings_of_site

SECRETS = {"DATABASE_URL": "postgresql://cms:database-pass@127.0.0.1:1/cms", "SECRET_KEY": "too-short-a-key"}
UNSAFE = {"CMS_ENV": "production", **SECRETS}
CONF = "deploy/gunicorn.conf.py"
SERVERS = [
    "gunicorn --bind 127.0.0.1:0 wsgi:app",
    "gunicorn --bind 127.0.0.1:0 --preload wsgi:app",
    f"gunicorn -c {CONF} wsgi:app",
    f"gunicorn -c {CONF} --preload wsgi:app",
    f"gunicorn -c {CONF} --check-config wsgi:app",
    f"sh docker-entrypoint.sh gunicorn -c {CONF} wsgi:app",
]
COMMANDS = ["flask db current", "flask db upgrade", "flask --help", "python manage.py check"]


@pytest.mark.parametrize("command", [*SERVERS, *COMMANDS])
def test_production_without_a_secret_key_is_refused_in_words(tmp_path: Path, command: str):
    done = run(command.split(), settings_of_site(tmp_path, **UNSAFE, MIGRATE_ON_START="off"))
    assert done.returncode == (1 if "manage.py" in command else 4)
    assert "error: production needs a real SECRET_KEY\n  why:  " in done.stdout
    assert "\n  hint: make one with: python -c" in done.stdout
    assert "Traceback" not in done.stdout
    assert done.stdout.count("Booting worker") <= 1
    assert not [secret for secret in ("database-pass", "too-short-a-key") if secret in done.stdout]


@pytest.mark.parametrize("command", SERVERS)
def test_a_value_that_makes_no_sense_is_named(tmp_path: Path, command: str):
    done = run(command.split(), settings_of_site(tmp_path, WEB_THREADS="many", MIGRATE_ON_START="off"))
    assert done.returncode == 4
    assert "error: the setting WEB_THREADS cannot be used\n  why:  'many' was not understood" in done.stdout
    assert "Traceback" not in done.stdout


def test_the_entrypoint_tells_a_wrong_setting_before_it_migrates(tmp_path: Path):
    done = run(["sh", "docker-entrypoint.sh"], settings_of_site(tmp_path, **UNSAFE))
    assert done.returncode == 1
    assert done.stdout.count("error: ") == 1
    assert "Starting gunicorn" not in done.stdout
