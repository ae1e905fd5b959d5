"""The store of pictures: what is kept, under which name, and what is refused."""

from __future__ import annotations

import hashlib
import struct
import time
import zlib
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cms.media import store
from cms.media.errors import PictureRefused
from cms.media.pictures import inspect_picture
from cms.media.store import find_picture, save_picture
from tests.media.conftest import KINDS, picture


@pytest.mark.parametrize("ending", KINDS)
def test_a_picture_is_stored_under_the_hash_of_its_bytes(ending: str, tmp_path: Path) -> None:
    data = picture(KINDS[ending])
    digest = hashlib.sha256(data).hexdigest()

    stored = save_picture(tmp_path / "media", data)

    assert stored.path == f"{digest[:2]}/{digest[2:]}.{ending}"
    assert stored.url == f"/media/{stored.path}"
    assert stored.is_new
    assert (stored.picture.width, stored.picture.height) == (3, 2)
    assert (tmp_path / "media" / stored.path).read_bytes() == data
    assert find_picture(tmp_path / "media", stored.path) == tmp_path / "media" / stored.path


def test_files_and_folders_are_private(tmp_path: Path) -> None:
    stored = save_picture(tmp_path / "media", picture())
    file = tmp_path / "media" / stored.path
    assert file.stat().st_mode & 0o777 == 0o600
    assert file.parent.stat().st_mode & 0o777 == 0o700
    assert file.parent.parent.stat().st_mode & 0o777 == 0o700


def test_the_same_picture_is_stored_once(tmp_path: Path) -> None:
    first = save_picture(tmp_path, picture())
    written = (tmp_path / first.path).stat().st_mtime_ns
    again = save_picture(tmp_path, picture())
    assert not again.is_new
    assert (tmp_path / again.path).stat().st_mtime_ns == written


def test_a_dry_run_stores_nothing(tmp_path: Path) -> None:
    planned = save_picture(tmp_path / "media", picture(), dry_run=True)
    assert not (tmp_path / "media").exists()
    assert planned == save_picture(tmp_path / "media", picture())


def test_a_disk_that_fills_up_leaves_no_partial_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_path: Path) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(store, "sync", full)
    with pytest.raises(OSError, match="No space"):
        save_picture(tmp_path, picture())
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def huge_png(width: int, height: int) -> bytes:
    """Return a picture of 57 bytes that claims to be big."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


@pytest.mark.parametrize(
    ("data", "word"),
    [
        (b"", "kind"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "kind"),
        (b"<script>alert(1)</script>", "kind"),
        (b"BM" + b"\0" * 100, "kind"),
        (b"%PDF-1.7", "kind"),
        (b"GIF89a<script>alert(1)</script>", "damaged"),
        (picture()[:30], "damaged"),
        (b"\x89PNG\r\n\x1a\n" + b"\0" * 50, "damaged"),
        (b"\xff\xd8\xff" + b"\0" * 50, "damaged"),
        (b"RIFF\x10\0\0\0WEBPVP8 ", "damaged"),
        (b"\0\0\0\x1cftypavif" + b"\0" * 50, "damaged"),
        (huge_png(40_000, 40_000), "pixels"),
        (huge_png(8_000, 8_000), "pixels"),
        (huge_png(30_000, 1), "pixels"),
        (b"\x89PNG\r\n\x1a\n" + b"\0" * (33 << 20), "big"),
        (picture("GIF", frames=201), "frames"),
    ],
    ids=range(16),
)
def test_what_is_no_picture_to_keep_is_refused_and_nothing_is_stored(data: bytes, word: str, tmp_path: Path) -> None:
    started = time.monotonic()
    with pytest.raises(PictureRefused) as caught:
        save_picture(tmp_path / "media", data)
    assert word in str(caught.value)
    assert time.monotonic() - started < 5
    assert not (tmp_path / "media").exists()


@settings(max_examples=200, deadline=None)
@given(st.sampled_from(sorted(KINDS.values())), st.data())
def test_damage_never_ends_in_anything_but_a_refusal(kind: str, data: st.DataObject) -> None:
    damaged = bytearray(picture(kind))
    for _ in range(data.draw(st.integers(1, 8))):
        damaged[data.draw(st.integers(4, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    with suppress(PictureRefused):
        inspect_picture(bytes(damaged[: data.draw(st.integers(12, len(damaged)))]))


@pytest.mark.parametrize(
    "path",
    [
        "", "/", "ab", "ab/", "../ab/x.png", "ab/../../etc/passwd", "/etc/passwd", "ab/" + "0" * 61 + ".png",
        "AB/" + "0" * 62 + ".png", "ab/" + "0" * 62 + ".svg", "ab/" + "0" * 62 + ".png\n", "ab/" + "0" * 62 + ".png\0",
        "ab/" + "0" * 62, "ab/c/" + "0" * 62 + ".png", "ab/." + "0" * 62 + ".png.1",
    ],
)  # fmt: skip
def test_only_names_that_the_store_gives_are_found(path: str, tmp_path: Path) -> None:
    assert find_picture(tmp_path, path) is None


def test_a_link_under_a_right_name_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "ab").mkdir()
    name = "ab/" + "0" * 62 + ".png"
    (tmp_path / name).symlink_to("/etc/passwd")
    assert find_picture(tmp_path, name) is None


def test_a_size_of_which_pillow_only_warns_is_refused() -> None:
    data = bytearray(picture(KINDS["gif"]))
    data[6:10] = struct.pack("<HH", 9_500, 9_500)  # 90 megapixels: over Pillow's limit, under twice its limit
    with pytest.raises(PictureRefused, match="too many pixels"):
        inspect_picture(bytes(data))
