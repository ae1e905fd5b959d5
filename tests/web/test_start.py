"""What a web worker waits for when it starts."""

from __future__ import annotations

import subprocess
import sys

HEAVY = (
    "markdown_it",
    "pygments",
    "nh3",
    "slugify",
    "argon2",
    "alembic",
    "flask_migrate",
    "PIL",
    "yaml",
    "huey",
    "redis",
)


def test_a_worker_that_serves_stored_pages_imports_nothing_heavy(migrated_sqlite_url: str):
    program = (
        "import sys; from cms.app import create_app; client = create_app().test_client();"
        "assert client.get('/').status_code == 200; print([name for name in sys.argv[1:] if name in sys.modules])"
    )
    environment = {"DATABASE_URL": migrated_sqlite_url}
    answer = subprocess.run(
        [sys.executable, "-c", program, *HEAVY], env=environment, capture_output=True, text=True, check=True
    )
    assert answer.stdout.strip() == "[]"


def test_the_list_of_commands_imports_no_queue():
    program = "import sys; from cms.management.base import Manager; import click;"
    program += "Manager().get_help(click.Context(Manager())); print([n for n in sys.argv[1:] if n in sys.modules])"
    answer = subprocess.run(
        [sys.executable, "-c", program, "flask", *HEAVY], capture_output=True, text=True, check=True
    )
    assert answer.stdout.strip() == "[]"
