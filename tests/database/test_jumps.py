"""From every revision to the head, in one run and step by step: the same schema and the same rows; and down again."""

from __future__ import annotations

import pytest

from cms.database.expected import read_expected
from cms.database.fingerprint import is_counted, read_fingerprint
from cms.database.history import get_head, list_revisions, load_scripts
from cms.database.target import MIGRATIONS_DIR, Target, parse_url
from tests.database.rows import connected, digests, downgrade, fill, upgrade

IDS = [revision.id for revision in list_revisions(load_scripts(Target(parse_url("sqlite://"), MIGRATIONS_DIR)))]


def rows(target):
    """Return count and hash of each of the site's tables."""
    return {name: found for name, found in digests(target).items() if is_counted(name.rpartition(".")[2])}


def schema(target):
    with connected(target) as connection:
        return read_fingerprint(connection)


@pytest.mark.parametrize("start", IDS)
def test_one_run_and_single_steps_lead_to_the_same_site_and_back(target, start):
    upgrade(target, start)
    fill(target)
    expected = read_expected(target, load_scripts(target))
    before = rows(target)

    upgrade(target)
    at_once, there = rows(target), schema(target)
    assert there == expected[get_head(load_scripts(target))]
    downgrade(target, start)
    assert (rows(target), schema(target)) == (before, expected[start])

    for step in IDS[IDS.index(start) + 1 :]:
        upgrade(target, step)
        assert schema(target) == expected[step]
    assert (rows(target), schema(target)) == (at_once, there)
