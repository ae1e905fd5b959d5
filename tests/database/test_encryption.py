"""Encrypted backups: nothing readable on the disk, proven all the same, and readable with the secret key alone."""

from __future__ import annotations

import io
import json
from dataclasses import replace

import pyrage
import pytest

from cms.database.backup import plan_backup
from cms.database.envelope import Age, envelope_for, envelope_of
from cms.database.errors import BackupDamaged, RestoreRefused
from cms.database.files import describe_file
from cms.database.keys import load_key, sign
from cms.database.manifest import MANIFEST_NAME, SIGNATURE_NAME, read_manifest, verify_backup
from cms.database.restore import plan_restore
from cms.errors import ConfigurationError
from tests.database.backups import restore, take_backup
from tests.database.rows import connected, digests

SECRET = b"words words words"  # stands in every post
PICTURE = "16/71e7910803891d3ef641bb7d8cc18d53f59a07d2b9887314e4d6d4b2ed8b25.png"


@pytest.fixture
def operator():
    """Return the key pair whose secret half is not on the server."""
    return pyrage.x25519.Identity.generate()


@pytest.fixture
def sealed(filled, operator):
    """Return a site that encrypts its backups, with a picture."""
    picture = filled.media_dir / "plain.png"
    picture.parent.mkdir(parents=True)
    picture.write_bytes(SECRET)
    return replace(filled, age_recipients=(str(operator.to_public()),))


def with_key(target, operator):
    return replace(target, age_identity=f"# created: today\n# public key: {operator.to_public()}\n{operator}\n")


def test_nothing_that_the_site_holds_can_be_read_in_an_encrypted_backup(sealed):
    result = take_backup(sealed)
    assert result.proven
    files = [path for path in result.folder.rglob("*") if path.is_file()]
    names = {path.name for path in files} - {MANIFEST_NAME, SIGNATURE_NAME}
    assert len(names) == 2
    assert all(name.endswith(".age") for name in names)
    assert not any(SECRET in path.read_bytes() for path in files)
    manifest = read_manifest(result.folder, load_key(sealed))
    assert manifest.recipients == sealed.age_recipients
    assert "encrypted" in str(result)


def test_a_scratch_file_with_readable_rows_does_not_stay(sealed):
    take_backup(sealed)
    left = [path for path in sealed.media_dir.parent.rglob(".*") if path.is_file()]
    assert left == []


def test_an_encrypted_backup_is_restored_with_the_secret_key(sealed, elsewhere, operator):
    before = digests(sealed)
    folder = take_backup(sealed).folder
    (sealed.media_dir / "plain.png").unlink()
    restore(with_key(elsewhere, operator), folder)
    assert digests(elsewhere) == before
    assert (sealed.media_dir / "plain.png").read_bytes() == SECRET


def test_what_the_file_holds_is_what_the_program_age_would_read(sealed, operator):
    folder = take_backup(sealed).folder
    plain = pyrage.decrypt((folder / "media" / "plain.png.age").read_bytes(), [operator])
    assert plain == SECRET


@pytest.mark.parametrize("key", [None, "", "# only a comment", "AGE-SECRET-KEY-1WRONG", "not a key"])
def test_without_a_key_a_restore_is_refused_before_anything_happens(sealed, elsewhere, key):
    folder = take_backup(sealed, proof=False).folder
    with pytest.raises(RestoreRefused, match="is encrypted") as refused:
        plan_restore(replace(elsewhere, age_identity=key), folder, into=elsewhere.database_name)
    assert sealed.age_recipients[0] in str(refused.value.why) or "is none" in str(refused.value.why)
    assert "BACKUP_AGE_IDENTITY" in str(refused.value.hint)


def test_with_the_key_of_another_pair_nothing_changes(sealed, operator):
    before = digests(sealed)
    folder = take_backup(sealed, proof=False).folder
    stranger = pyrage.x25519.Identity.generate()
    with pytest.raises(RestoreRefused, match="not encrypted for the key at hand"):
        restore(with_key(sealed, stranger), folder, replace_it=True)
    assert digests(sealed) == before


def test_a_public_key_that_is_none_is_refused_before_anything_is_written(sealed):
    with pytest.raises(ConfigurationError, match="BACKUP_AGE_RECIPIENTS"):
        plan_backup(replace(sealed, age_recipients=("age1nonsense",)))
    assert not sealed.backup_dir.exists()


def test_unchanged_media_are_linked_although_encryption_never_gives_the_same_bytes_twice(sealed, operator):
    first, second = take_backup(sealed, proof=False), take_backup(sealed, proof=False)
    copies = [result.folder / "media" / "plain.png.age" for result in (first, second)]
    assert copies[0].samefile(copies[1])
    (sealed.media_dir / "plain.png").write_bytes(b"another picture")
    third = take_backup(sealed, proof=False).folder / "media" / "plain.png.age"
    assert pyrage.decrypt(third.read_bytes(), [operator]) == b"another picture"


def test_media_are_encrypted_anew_when_the_keys_change(sealed):
    first = take_backup(sealed, proof=False).folder / "media" / "plain.png.age"
    other = pyrage.x25519.Identity.generate()
    changed = replace(sealed, age_recipients=(str(other.to_public()),))
    second = take_backup(changed, proof=False).folder / "media" / "plain.png.age"
    assert not first.samefile(second)
    assert pyrage.decrypt(second.read_bytes(), [other]) == SECRET


def test_a_file_that_somebody_damaged_and_signed_again_is_refused(sealed, operator):
    folder = take_backup(sealed, proof=False).folder
    manifest = json.loads((folder / MANIFEST_NAME).read_text())
    dump = folder / manifest["files"][0]["name"]
    content = bytearray(dump.read_bytes())
    content[-5] ^= 1
    dump.write_bytes(content)
    manifest["files"][0] |= {"sha256": describe_file(dump).sha256}
    signed = json.dumps(manifest).encode()
    (folder / MANIFEST_NAME).write_bytes(signed)
    (folder / SIGNATURE_NAME).write_bytes(sign(load_key(sealed), signed))
    assert verify_backup(folder, load_key(sealed))
    before = digests(sealed)
    with pytest.raises(BackupDamaged, match="cannot be decrypted"):
        restore(with_key(sealed, operator), folder, replace_it=True)
    assert digests(sealed) == before


class Stopping(io.BytesIO):
    """A stream at which the operator presses Ctrl-C."""

    def read(self, _size=-1):
        raise KeyboardInterrupt

    def write(self, _data):
        raise KeyboardInterrupt


def test_a_stop_in_the_middle_of_a_file_is_a_stop_and_no_failure_of_the_library(operator, tmp_path):
    envelope = envelope_for((str(operator.to_public()),))
    with pytest.raises(KeyboardInterrupt):
        envelope.seal(Stopping(), io.BytesIO())
    with pytest.raises(KeyboardInterrupt):
        envelope.seal(io.BytesIO(SECRET), Stopping())
    path = tmp_path / "file.age"
    envelope.store(io.BytesIO(SECRET), path)
    with pytest.raises(KeyboardInterrupt):
        envelope_of(envelope.recipients, str(operator)).unseal(path, Stopping())


def test_a_full_disk_while_encrypting_is_told_as_such(operator):
    class Full(io.BytesIO):
        def write(self, _data):
            raise OSError(28, "No space left on device")

    envelope = envelope_for((str(operator.to_public()),))
    assert isinstance(envelope, Age)
    with pytest.raises(OSError, match="No space left"):
        envelope.seal(io.BytesIO(SECRET), Full())


def test_check_and_list_say_that_backups_are_encrypted(sealed):
    from cms.database.shelf import list_backups

    take_backup(sealed, proof=False)
    with connected(sealed):
        assert "encrypted" in str(list_backups(sealed))
