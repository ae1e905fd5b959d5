"""A manifest is believed only when its signature and every digest are right."""

from __future__ import annotations

import contextlib
import copy
import hashlib
import json
import os
import random
import shutil
from dataclasses import asdict

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cms.database.contents import Contents
from cms.database.engines import engine_for
from cms.database.engines.base import Definitions, Sequence, TableEntry
from cms.database.errors import BackupDamaged
from cms.database.files import FileEntry
from cms.database.keys import load_key, sign
from cms.database.manifest import (
    FORMAT,
    LARGEST_BYTES,
    MANIFEST_NAME,
    SIGNATURE_NAME,
    Manifest,
    Proof,
    verify_backup,
)
from cms.database.restore import plan_restore
from tests.database.backups import take_backup

DAMAGES = int(os.environ.get("CMS_TEST_DAMAGES", "100"))


MANIFEST_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


DUMP = b"the dump"
GOOD = asdict(
    Manifest(
        format=FORMAT,
        id="20260101T000000Z-00000000",
        sequence=1,
        created_at="2026-01-01T00:00:00Z",
        why="",
        who="",
        engine="sqlite",
        server_version="3",
        identity="sqlite",
        tool="t",
        duration_ms=1,
        contents=Contents(
            None,
            "f",
            (TableEntry("users", 0, "0"),),
            (Sequence("s", 1, 1),),
            TableEntry("large objects", 0, "0"),
            Definitions("sqlite", "0", None, (), ()),
        ),
        files=(FileEntry("database.sqlite3", len(DUMP), hashlib.sha256(DUMP).hexdigest()),),
        media=(),
        recipients=(),
        proof=Proof("2026-01-01T00:00:01Z", 1, 0, ()),
    )
)
FIELDS = [(name,) for name in GOOD] + [("contents", name) for name in GOOD["contents"]] + [("proof", "left_out")]


def signed(folder, manifest):
    """Write a manifest with a right signature, and its dump."""
    content = json.dumps(manifest).encode()
    (folder / "database.sqlite3").write_bytes(DUMP)
    (folder / MANIFEST_NAME).write_bytes(content)
    (folder / SIGNATURE_NAME).write_bytes(sign(b"key", content))
    return folder


@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(field=st.sampled_from(FIELDS), value=MANIFEST_VALUES)
def test_a_signed_manifest_with_any_other_value_is_refused_or_read_never_a_traceback(tmp_path, field, value):
    manifest = copy.deepcopy(GOOD)
    holder = manifest[field[0]] if len(field) == 2 else manifest
    holder[field[-1]] = value
    with contextlib.suppress(BackupDamaged):
        assert verify_backup(signed(tmp_path, manifest), b"key").dump.size_bytes == len(DUMP)


def test_a_manifest_that_says_what_it_should_is_read_as_it_was_written(tmp_path):
    assert asdict(verify_backup(signed(tmp_path, GOOD), b"key")) == GOOD


@pytest.mark.parametrize("name", ["../outside", "/etc/hostname", ".hidden", "media/../../x", "a//b"])
@pytest.mark.parametrize("kind", ["files", "media"])
def test_a_signed_manifest_cannot_name_a_file_outside_its_folder(tmp_path, name, kind):
    entry = {"name": name, "size_bytes": 1, "sha256": "0"}
    with pytest.raises(BackupDamaged, match="cannot be read") as damaged:
        verify_backup(signed(tmp_path, {**GOOD, kind: [entry]}), b"key")
    assert "a file outside its own folder" in str(damaged.value.why)


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"format": 1}, "its format is 1, and this release reads 2"),
        ({"files": []}, "it names 0 dumps"),
        ({"files": GOOD["files"] * 2}, "it names 2 dumps"),
        ({"more": 1}, "more"),
    ],
)
def test_a_signed_manifest_of_another_form_says_what_is_wrong(tmp_path, change, why):
    with pytest.raises(BackupDamaged) as damaged:
        verify_backup(signed(tmp_path, {**GOOD, **change}), b"key")
    assert why in str(damaged.value.why)


def test_a_manifest_that_is_no_object_or_far_too_large_is_refused(tmp_path):
    with pytest.raises(BackupDamaged, match="cannot be read"):
        verify_backup(signed(tmp_path, [GOOD]), b"key")
    with (signed(tmp_path, GOOD) / MANIFEST_NAME).open("ab") as file:
        file.truncate(LARGEST_BYTES + 1)
    with pytest.raises(BackupDamaged, match="is too large"):
        verify_backup(tmp_path, b"key")


def test_a_file_that_the_manifest_names_and_nobody_has_is_named(tmp_path):
    (signed(tmp_path, GOOD) / "database.sqlite3").unlink()
    with pytest.raises(BackupDamaged, match=r"lacks database\.sqlite3"):
        verify_backup(tmp_path, b"key")


def test_every_one_of_many_damages_is_refused_and_every_intact_copy_accepted(filled, tmp_path):
    chance = random.Random(20261123)
    original = take_backup(filled).folder
    other = take_backup(filled).folder
    key = load_key(filled)
    names = [path.name for path in original.iterdir() if path.is_file()]
    for number in range(DAMAGES):
        damaged = tmp_path / f"copy-{number}"
        shutil.copytree(original, damaged)
        if number % 10 == 0:
            assert verify_backup(damaged, key)
        damage(damaged / chance.choice(names), other, chance)
        with pytest.raises(BackupDamaged):
            verify_backup(damaged, key)
        shutil.rmtree(damaged)


def damage(path, other, chance):
    """Change the file in one of the ways in which disks, people and transfers do."""
    content = bytearray(path.read_bytes())
    place = chance.randrange(len(content))
    kind = chance.choice(["flip", "cut", "add", "insert", "zero", "empty", "swap", "remove"])
    changed = {
        "flip": content[:place] + bytes([content[place] ^ (1 << chance.randrange(8))]) + content[place + 1 :],
        "cut": content[:place],
        "add": content + b"\0",
        "insert": content[:place] + b"x" + content[place:],
        "zero": content[:place] + bytes([0 if content[place] else 1]) + content[place + 1 :],
        "empty": b"",
        "swap": bytearray((other / path.name).read_bytes()),
    }.get(kind)
    path.unlink()
    if changed is not None:
        # Two dumps of the same rows can be equal to the byte; a file that did not change is no damage.
        path.write_bytes(changed if changed != content else content + b" changed")


def test_a_manifest_whose_digests_were_recomputed_is_refused_by_its_signature(filled, elsewhere):
    folder = take_backup(filled).folder
    dump = folder / engine_for(filled).dump_name
    dump.write_bytes(dump.read_bytes() + b"more")
    manifest = json.loads((folder / MANIFEST_NAME).read_text())
    manifest["files"][0] |= {"size_bytes": dump.stat().st_size, "sha256": hashlib.sha256(dump.read_bytes()).hexdigest()}
    (folder / MANIFEST_NAME).write_text(json.dumps(manifest, indent=2) + "\n")
    with pytest.raises(BackupDamaged, match="signature"):
        plan_restore(elsewhere, folder)
