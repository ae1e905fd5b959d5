"""Rules about the source that no linter knows."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = [ROOT / "manage.py", ROOT / "wsgi.py", *sorted((ROOT / "cms").rglob("*.py"))]
MIGRATIONS = sorted((ROOT / "migrations").rglob("*.py"))
# the programs of a database engine are given this process's environment, and a password in it
HANDS_ENVIRONMENT_ON = ROOT / "cms/database/engines"


def list_environment_reads(source: str) -> list[int]:
    """Return the lines that name os.environ, os.getenv or their like, however imported."""
    reads = {"environ", "environb", "getenv", "getenvb"}
    lines = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "os":
            lines += [node.lineno] if node.attr in reads else []
        if isinstance(node, ast.ImportFrom) and node.module == "os":
            lines += [node.lineno] if reads & {alias.name for alias in node.names} else []
    return lines


@pytest.mark.parametrize(
    "source", ["import os\nos.environ['A']", "import os\nos.getenv('A')", "\nfrom os import environ as surroundings"]
)
def test_the_search_finds_every_way_to_read_the_environment(source):
    assert list_environment_reads(source) == [2]


def test_only_config_reads_the_environment():
    files = [file for file in PROGRAM if not file.is_relative_to(HANDS_ENVIRONMENT_ON)]
    found = {file: list_environment_reads(file.read_text(encoding="utf-8")) for file in files}
    places = [f"{file.relative_to(ROOT)}:{line}" for file, lines in found.items() for line in lines]
    assert places == [], "make it a setting in config.py"


def calls_create_all(source: str) -> bool:
    calls = (node.func for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call))
    return any(getattr(call, "attr", getattr(call, "id", "")) == "create_all" for call in calls)


def test_tables_are_made_by_the_history_alone():
    files = [file for file in [*PROGRAM, *MIGRATIONS] if calls_create_all(file.read_text(encoding="utf-8"))]
    assert [str(file.relative_to(ROOT)) for file in files] == [], "write a revision in migrations/versions instead"
