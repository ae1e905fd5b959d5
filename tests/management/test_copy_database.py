"""The command `copy-database` as its users run it."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from cms.database.target import parse_url
from tests.database.rows import count, fill
from tests.site import settings_for

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def manage(sqlite_target, migrated_sqlite_url, tmp_path):
    fill(replace(sqlite_target, url=parse_url(migrated_sqlite_url)))

    def run(*arguments, given="", **settings):
        return subprocess.run(
            [sys.executable, str(ROOT / "manage.py"), "copy-database", *arguments],
            env={**settings_for(migrated_sqlite_url, tmp_path), **settings}, cwd=ROOT, capture_output=True, text=True,
            check=False, input=given,
        )  # fmt: skip

    return run


def test_a_site_is_moved_to_postgresql_with_the_password_from_a_file(manage, postgres, sqlite_target):
    url = parse_url(postgres.create_database(with_password=True))
    address = re.sub(r"(//\w+):[^@]+@", r"\1@", url.render_as_string(hide_password=False))
    planned = manage("--to", address, "--password-file", "-", "--dry-run", given=f"{url.password}\n")
    assert planned.stdout.startswith("would move"), planned.stderr
    moved = manage("--to", address, "--json", PGPASSWORD=url.password or "")
    assert moved.returncode == 0, moved.stderr
    assert json.loads(moved.stdout)["left_out"] == []
    assert "comparing every table" in moved.stderr
    assert count(replace(sqlite_target, url=url), "blogs") == 3
    postgres.drop_database(url.set(drivername="postgresql").render_as_string(hide_password=False))


def test_a_password_on_the_command_line_is_refused(manage):
    refused = manage("--to", "postgresql://cms:secret@127.0.0.1/cms")
    assert refused.returncode == 2
    assert "others can read the password of a command line" in refused.stderr
    assert "secret" not in refused.stderr


@pytest.mark.parametrize("address", ["mysql://cms@127.0.0.1/cms", "elsewhere", "sqlite://"])
def test_an_address_that_is_none_is_refused(manage, address):
    refused = manage("--to", address)
    assert (refused.returncode, "write sqlite:///FILE" in refused.stderr) == (2, True)


def test_the_same_kind_of_database_is_refused(manage, tmp_path):
    refused = manage("--to", f"sqlite:///{tmp_path / 'other.db'}")
    assert (refused.returncode, (tmp_path / "other.db").exists()) == (4, False)
