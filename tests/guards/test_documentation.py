"""Every command, setting, check id and rule has a heading in docs/, where a person looks it up."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path

import pytest

from cms.database.lint.findings import RULES
from config import Config

ROOT = Path(__file__).resolve().parents[2]


def headings(page: str) -> set[str]:
    """Return what stands in backticks at the begin of a page's headings."""
    file = ROOT / "docs" / page
    text = file.read_text(encoding="utf-8") if file.exists() else ""
    return set(re.findall(r"^#{2,4} `([^`]+)`", text, flags=re.MULTILINE))


def list_commands() -> list[str]:
    files = (ROOT / "cms/management/commands").glob("[!_]*.py")
    return sorted(file.stem.replace("_", "-") for file in files)


def list_check_ids() -> list[str]:
    files = (ROOT / "cms").rglob("*.py")
    ids = {found for file in files for found in re.findall(r"\b[a-z]+\.[EWI]\d{3}\b", file.read_text("utf-8"))}
    return sorted(ids - {"tag.W001"})  # stands for any id in an explanation


@pytest.mark.parametrize(
    ("page", "names"),
    [
        ("COMMANDS.md", list_commands()),
        ("SETTINGS.md", [field.name for field in fields(Config)]),
        ("CHECKS.md", list_check_ids()),
        ("LINT.md", sorted(RULES)),
    ],
)
def test_every_name_has_its_heading(page, names):
    missing = sorted(set(names) - headings(page))
    assert not missing, f"docs/{page} has no heading for {', '.join(missing)}; write one such as: ## `{missing[0]}`"
