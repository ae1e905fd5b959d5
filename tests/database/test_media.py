"""The site's files are in its backups, once each, and come back."""

from __future__ import annotations

from dataclasses import replace

from cms.database.restore import apply_restore, plan_restore
from tests.database.backups import take_backup
from tests.database.rows import quiet, upgrade


def test_media_are_in_the_backup_linked_to_the_last_one_and_come_back(filled):
    picture = filled.media_dir / "ab" / "cdef.png"
    picture.parent.mkdir(parents=True)
    picture.write_bytes(b"a picture")
    first, second = take_backup(filled, proof=False), take_backup(filled, proof=False)
    copies = [result.folder / "media" / "ab" / "cdef.png" for result in (first, second)]
    assert copies[0].samefile(copies[1])
    assert not copies[0].samefile(picture)
    copies[1].write_bytes(b"A picture")  # damaged, and through the link in both
    third = take_backup(filled, proof=False).folder / "media" / "ab" / "cdef.png"
    assert third.read_bytes() == b"a picture"
    copies[1].write_bytes(b"a picture")
    picture.unlink()
    apply_restore(filled, plan_restore(filled, second.folder, replacing=True), say=quiet)
    assert picture.read_bytes() == b"a picture"


def test_media_are_backed_up_from_a_hidden_folder_too(sqlite_target):
    upgrade(sqlite_target)
    hidden = replace(sqlite_target, media_dir=sqlite_target.media_dir.with_name(".media"))
    hidden.media_dir.mkdir()
    (hidden.media_dir / "picture.png").write_bytes(b"a picture")
    (hidden.media_dir / ".half-written").write_bytes(b"half")
    folder = take_backup(hidden, proof=False).folder
    assert [path.name for path in (folder / "media").iterdir()] == ["picture.png"]
