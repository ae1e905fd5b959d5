"""The import contracts of pyproject.toml hold, and they do notice what they forbid."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
LAYERS = "imports point down the list of layers"
DATABASE_ALONE = "cms.database works without Flask and without a feature"


def lint_imports(folder: Path) -> str:
    """Return lint-imports' report on the tree in folder."""
    program = Path(sys.executable).with_name("lint-imports")
    done = subprocess.run([program, "--no-logo", "--no-cache"], cwd=folder, capture_output=True, text=True, check=False)
    return done.stdout + done.stderr


@pytest.fixture
def copied_tree(tmp_path: Path) -> Path:
    shutil.copytree(ROOT / "cms", tmp_path / "cms", ignore=shutil.ignore_patterns("__pycache__", "static", "*.md"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


def test_the_tree_keeps_its_import_contracts():
    report = lint_imports(ROOT)
    assert f"{LAYERS} KEPT" in report, report
    assert f"{DATABASE_ALONE} KEPT" in report, report


def test_flask_in_the_database_package_breaks_its_contract(copied_tree):
    (copied_tree / "cms/database/planted.py").write_text("import flask\n")
    report = lint_imports(copied_tree)
    assert f"{DATABASE_ALONE} BROKEN" in report
    assert "cms.database.planted -> flask" in report


def test_a_lower_feature_that_imports_a_higher_one_breaks_the_layers(copied_tree):
    (copied_tree / "cms/accounts/planted.py").write_text("import cms.blogs\n")
    report = lint_imports(copied_tree)
    assert f"{LAYERS} BROKEN" in report
    assert "cms.accounts.planted -> cms.blogs" in report


def test_the_database_package_may_not_reach_the_extensions_built_on_it(copied_tree):
    (copied_tree / "cms/database/planted.py").write_text("def late():\n    import cms.extensions\n")
    report = lint_imports(copied_tree)
    assert f"{LAYERS} BROKEN" in report
    assert "cms.database.planted -> cms.extensions" in report


def test_a_new_package_must_be_given_its_place_among_the_layers(copied_tree):
    (copied_tree / "cms/planted.py").write_text("")
    assert f"{LAYERS} BROKEN" in lint_imports(copied_tree)
