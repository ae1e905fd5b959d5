"""A manifest is believed only when its signature and every digest are right."""

from __future__ import annotations

import hashlib
import json
import os
import random
import shutil

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cms.database.engines import engine_for
from cms.database.errors import BackupDamaged
from cms.database.keys import load_key, sign
from cms.database.manifest import MANIFEST_NAME, SIGNATURE_NAME, verify_backup
from cms.database.restore import plan_restore
from tests.database.backups import take_backup

DAMAGES = int(os.environ.get("CMS_TEST_DAMAGES", "100"))


MANIFEST_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


FIELDS = ["format", "id", "engine", "contents", "files", "media", "proof", "created_at", "sequence", "more"]


GOOD = {
    "format": 1, "id": "x", "sequence": 1, "created_at": "2026-01-01T00:00:00Z", "why": "", "who": "", "tool": "t",
    "engine": "sqlite", "server_version": "3", "identity": "sqlite", "duration_ms": 1, "proof": None, "media": [],
    "files": [{"name": "database.sqlite3", "size_bytes": 1, "sha256": "0"}],
    "contents": {"revision": None, "fingerprint": "", "tables": [{"name": "users", "rows": 0, "digest": "0"}]},
}  # fmt: skip


@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(field=st.sampled_from(FIELDS), value=MANIFEST_VALUES)
def test_a_signed_manifest_with_any_other_value_is_refused_or_read_never_a_traceback(tmp_path, field, value):
    content = json.dumps({**GOOD, field: value}).encode()
    (tmp_path / MANIFEST_NAME).write_bytes(content)
    (tmp_path / SIGNATURE_NAME).write_bytes(sign(b"key", content))
    try:
        manifest = verify_backup(tmp_path, b"key")
    except BackupDamaged:
        return
    assert manifest.files == ()


@pytest.mark.parametrize("name", ["../outside", "/etc/hostname", ".hidden", "media/../../x", "a//b"])
def test_a_signed_manifest_cannot_name_a_file_outside_its_folder(tmp_path, name):
    content = json.dumps({**GOOD, "files": [{"name": name, "size_bytes": 1, "sha256": "0"}]}).encode()
    (tmp_path / MANIFEST_NAME).write_bytes(content)
    (tmp_path / SIGNATURE_NAME).write_bytes(sign(b"key", content))
    with pytest.raises(BackupDamaged, match="cannot be read"):
        verify_backup(tmp_path, b"key")


def test_every_one_of_many_damages_is_refused_and_every_intact_copy_accepted(filled, tmp_path):
    chance = random.Random(20261123)
    original = take_backup(filled).folder
    other = take_backup(filled).folder
    key = load_key(filled)
    names = [path.name for path in original.iterdir() if path.is_file()]
    for number in range(DAMAGES):
        copy = tmp_path / f"copy-{number}"
        shutil.copytree(original, copy)
        if number % 10 == 0:
            assert verify_backup(copy, key)
        damage(copy / chance.choice(names), other, chance)
        with pytest.raises(BackupDamaged):
            verify_backup(copy, key)
        shutil.rmtree(copy)


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
