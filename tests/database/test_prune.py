"""Pruning removes what nobody needs any more, and never the last good backups."""

from __future__ import annotations

import shutil
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from cms.database.engines import engine_for
from cms.database.manifest import MANIFEST_NAME
from cms.database.prune import Keep, apply_prune, choose_kept, plan_prune
from cms.database.shelf import BackupEntry, list_backups
from tests.database.backups import restore, take_backup
from tests.database.rows import digests

NOTHING = Keep(daily=0, weekly=0, monthly=0, former=0)


def test_a_backup_that_cannot_be_trusted_is_listed_as_such_and_never_pruned(filled):
    for _ in range(4):
        folder = take_backup(filled, proof=False).folder
    manifest = folder / MANIFEST_NAME
    manifest.write_text(manifest.read_text().replace("a test", "a lie"))
    listed = list_backups(filled)
    assert [bool(entry.problem) for entry in listed.backups] == [False, False, False, True]
    plan = plan_prune(filled, NOTHING)
    assert folder.name in plan.keep
    assert len(plan.remove) == 3


def test_pruning_keeps_the_two_newest_proven_whatever_is_asked(filled):
    names = [take_backup(filled, proof=proof).id for proof in (True, True, True, False)]
    plan = plan_prune(filled, NOTHING)
    assert set(plan.keep) == {names[1], names[2]}
    result = apply_prune(filled, plan)
    assert set(result.removed) == {names[0], names[3]}
    assert f"removed 2 backups from {filled.backup_dir}, kept 2" in str(result)
    assert "no backup to remove; 2 backups kept" in str(apply_prune(filled, plan_prune(filled, NOTHING)))
    assert {path.name for path in filled.backup_dir.iterdir()} == {names[1], names[2]}


@settings(max_examples=200, deadline=None)
@given(
    hours=st.lists(st.integers(0, 24 * 800), max_size=40),
    proven=st.lists(st.booleans(), min_size=40, max_size=40),
    counts=st.tuples(st.integers(0, 10), st.integers(0, 10), st.integers(0, 10)),
)
def test_pruning_keeps_the_newest_of_each_period_and_nothing_else(hours, proven, counts):
    start = datetime(2026, 11, 23, tzinfo=UTC)
    entries = [entry(number, start - timedelta(hours=age), proven=proven[number]) for number, age in enumerate(hours)]
    newest_first = entries[::-1]
    kept = choose_kept(newest_first, Keep(*counts, former=0))
    assert len(kept) <= sum(counts) + 2
    assert {each.id for each in newest_first if each.proven_at} & set(kept) >= set(
        [each.id for each in newest_first if each.proven_at][:2]
    )
    if entries and counts[0]:
        assert entries[-1].id in kept


def entry(number, moment, *, proven):
    proof = moment.isoformat() if proven else None
    return BackupEntry(f"b{number}", Path(), number, moment.isoformat(), None, 0, 0, proof, None, False, "", None)


def test_a_backup_that_was_copied_and_renamed_is_pruned_under_its_own_name(filled):
    for _ in range(3):
        take_backup(filled)
    first = filled.backup_dir / list_backups(filled).backups[0].id
    shutil.copytree(first, filled.backup_dir / "copy")
    first.rename(filled.backup_dir / "renamed")
    plan = plan_prune(filled, NOTHING)
    assert set(plan.remove) == {"copy", "renamed"}
    apply_prune(filled, plan)
    assert len(list_backups(filled).backups) == 2


def test_pruning_drops_what_restores_put_aside_but_the_newest(filled):
    folder = take_backup(filled, proof=False).folder
    before = digests(filled)
    former = [restore(filled, folder, replace_it=True).kept for _ in range(3)]
    plan = plan_prune(filled, replace(NOTHING, former=1))
    assert [Path(name).name for name in former[:2]] == list(plan.former)
    assert "put aside by a restore" in str(plan)
    result = apply_prune(filled, plan)
    assert result.dropped == plan.former
    assert engine_for(filled).list_kept(filled) == [Path(former[2]).name]
    assert digests(filled) == before


def test_pruning_leaves_what_was_put_aside_alone_when_the_server_is_away(postgres_target):
    away = replace(postgres_target, url=postgres_target.url.set(port=1))
    plan = plan_prune(away, NOTHING)
    assert plan.former is None
    assert "left alone" in str(plan)
    assert apply_prune(away, plan).dropped == ()
