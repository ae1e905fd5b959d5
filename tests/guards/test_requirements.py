"""The compiled requirement files can be installed from anywhere and agree with what was asked for."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
GROUPS = ["requirements", "requirements-dev"]


def read(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def plain(name: str) -> str:
    """Return a package's name as indexes compare it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def asked_for(group: str) -> set[str]:
    lines = (line for line in read(f"{group}.in").splitlines() if re.match(r"\w", line))
    return {plain(re.split(r"[\[<>=!~;\s]", line)[0]) for line in lines}


def pinned(group: str) -> dict[str, str]:
    pins = re.findall(r"^([\w.-]+)==([^\s;\\]+)", read(f"{group}.txt"), flags=re.MULTILINE)
    return {plain(name): version for name, version in pins}


@pytest.mark.parametrize("name", [f"{group}{ending}" for group in GROUPS for ending in (".in", ".txt")])
def test_no_requirement_file_says_where_packages_come_from(name):
    assert not re.findall(r"\w+://\S*|--(?:extra-)?index-url|--find-links|--trusted-host", read(name))


@pytest.mark.parametrize("group", GROUPS)
def test_every_requirement_is_pinned(group):
    assert asked_for(group) - pinned(group).keys() == set(), "run ./dev lock"


@pytest.mark.parametrize("group", GROUPS)
def test_every_pin_has_hashes(group):
    entries = re.split(r"\n(?=\w)", read(f"{group}.txt"))
    assert [entry.splitlines()[0] for entry in entries if "==" in entry and "--hash=sha256:" not in entry] == []


def test_tests_run_on_the_versions_that_a_site_gets():
    runtime, tested = pinned("requirements"), pinned("requirements-dev")
    assert {name: tested.get(name) for name in runtime} == runtime, "run ./dev lock"
