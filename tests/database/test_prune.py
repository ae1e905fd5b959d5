"""Pruning removes what nobody needs any more, and never the last good backups."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cms.database.backup import partial_folder, reading
from cms.database.engines import engine_for
from cms.database.errors import BackupDamaged
from cms.database.keys import load_key, sign
from cms.database.manifest import MANIFEST_NAME, SIGNATURE_NAME
from cms.database.prune import Keep, apply_prune, choose_kept, plan_prune
from cms.database.restore import apply_restore, plan_restore
from cms.database.shelf import BackupEntry, list_backups, verify
from tests.database.backups import restore, take_backup
from tests.database.rows import digests, fill, quiet, upgrade

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


def test_a_backup_that_a_restore_reads_is_left_alone(filled):
    """Pruned at the moment at which the restore has read the manifest, and looks at what is there."""
    folder = take_backup(filled, proof=False).folder
    planned, results = plan_prune(filled, NOTHING), []
    assert planned.remove == (folder.name,)

    def prune_meanwhile(_line):
        results.extend([plan_prune(filled, NOTHING).keep, apply_prune(filled, planned).kept])

    plan = plan_restore(filled, folder, replacing=True)
    apply_restore(filled, plan, say=prune_meanwhile)
    assert len(results) >= 6  # loading, comparing, putting in place
    assert {tuple(result.items()) for result in results} == {((folder.name, "it is being read now"),)}
    assert folder.exists()
    assert apply_prune(filled, planned).removed == (folder.name,)
    with pytest.raises(BackupDamaged, match="is not a whole backup"):
        apply_restore(filled, plan, say=quiet)


def test_a_backup_that_is_being_verified_or_copied_is_left_alone(filled):
    folder = take_backup(filled, proof=False).folder
    with reading(folder):
        assert plan_prune(filled, NOTHING).keep == {folder.name: "it is being read now"}
    assert plan_prune(filled, NOTHING).remove == (folder.name,)
    assert verify(filled, folder)


def test_a_backup_in_progress_is_neither_listed_nor_pruned(filled):
    done = take_backup(filled, proof=False).folder
    with partial_folder(filled.backup_dir, "20261128T000000Z-00000000") as partial:
        shutil.copytree(done, partial, dirs_exist_ok=True)
        assert plan_prune(filled, NOTHING).remove == (done.name,)
        apply_prune(filled, plan_prune(filled, NOTHING))
        assert (partial / MANIFEST_NAME).exists()


def test_two_runs_that_prune_the_same_do_not_disturb_each_other(filled):
    take_backup(filled, proof=False)
    plan = plan_prune(filled, NOTHING)
    assert apply_prune(filled, plan) == apply_prune(filled, plan)
    assert list(filled.backup_dir.iterdir()) == []


def test_newer_is_the_higher_number_also_when_the_clock_was_set_back(filled):
    """The third backup says that it is older than the first, by its time and by its name."""
    first, second, third = (take_backup(filled).folder for _ in range(3))
    dated_back = third.rename(third.with_name("20200101T000000Z-00000000"))
    manifest = json.loads((dated_back / MANIFEST_NAME).read_text()) | {"created_at": "2020-01-01T00:00:00Z"}
    content = json.dumps(manifest).encode()
    (dated_back / MANIFEST_NAME).write_bytes(content)
    (dated_back / SIGNATURE_NAME).write_bytes(sign(load_key(filled), content))
    plan = plan_prune(filled, NOTHING)
    assert set(plan.keep) == {dated_back.name, second.name}
    assert plan.remove == (first.name,)


def test_the_way_back_from_a_restore_in_place_stays(postgres_target):
    upgrade(postgres_target)
    fill(postgres_target)
    folder = take_backup(postgres_target, proof=False).folder
    older, newer = (restore(postgres_target, folder, replace_it=True, in_place=True).safety.name for _ in range(2))
    plan = plan_prune(postgres_target, NOTHING)
    assert plan.keep == {newer: "the way back from the last restore in place"}
    assert set(plan.remove) == {folder.name, older}
