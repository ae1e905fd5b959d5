"""Zips from strangers: nothing leaves the folder, nothing fills memory or disk, a plain one is unpacked."""

from __future__ import annotations

import stat
import zipfile

import pytest

from cms.exchange import archives
from cms.exchange.archives import unpacked
from cms.exchange.import_request import FolderUnusable


def make(path, *entries):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in entries:
            archive.writestr(name, data)
    return path


def linked(name, to):
    entry = zipfile.ZipInfo(name)
    entry.create_system, entry.external_attr = 3, (stat.S_IFLNK | 0o777) << 16
    return entry, to


def refused(archive):
    with pytest.raises(FolderUnusable) as error, unpacked(archive):
        pass
    return str(error.value)


def test_a_plain_zip_becomes_its_files_and_goes_away(tmp_path):
    archive = make(tmp_path / "a.zip", ("posts/", ""), ("posts/ä.md", "words"), ("x.md", "more"))
    with unpacked(archive) as folder:
        found = {path.relative_to(folder).as_posix(): path.read_text() for path in folder.rglob("*.md")}
        assert found == {"posts/ä.md": "words", "x.md": "more"}
    assert not folder.exists()


@pytest.mark.parametrize(
    "name", ["../out.md", "a/../../out.md", "/etc/out.md", "a//b.md", "./a.md", "a\\..\\b.md", "C:/a.md", "..", "a/."]
)
def test_a_path_that_leads_out_is_refused(tmp_path, name):
    assert "leads out of the archive" in refused(make(tmp_path / "a.zip", ("a.md", ""), (name, "x")))
    assert [path.name for path in tmp_path.iterdir()] == ["a.zip"]


def test_a_link_is_refused_before_anything_is_written_through_it(tmp_path):
    archive = make(tmp_path / "a.zip", linked("posts", str(tmp_path)), ("posts/out.md", "x"))
    assert "is a link" in refused(archive)
    assert not (tmp_path / "out.md").exists()


def test_a_name_that_comes_twice_is_refused(tmp_path):
    with pytest.warns(UserWarning, match="Duplicate"):
        archive = make(tmp_path / "a.zip", ("a.md", "one"), ("a.md", "two"))
    assert "File exists" in refused(archive)


def test_a_name_that_is_a_file_and_a_folder_is_refused(tmp_path):
    assert "cannot be imported" in refused(make(tmp_path / "a.zip", ("a", "one"), ("a/b.md", "two")))


def test_a_name_too_long_for_a_disk_is_refused(tmp_path):
    assert "too long a name" in refused(make(tmp_path / "a.zip", ("x" * 300 + ".md", "")))


def test_a_file_that_grows_while_it_is_unpacked_is_refused(tmp_path):
    assert "has 41,943,040 bytes" in refused(make(tmp_path / "a.zip", ("bomb.md", b"\0" * (40 << 20))))


def test_a_size_that_is_a_lie_is_noticed(tmp_path):
    archive = make(tmp_path / "a.zip", ("bomb.md", b"\0" * (1 << 20)))
    data = archive.read_bytes()
    archive.write_bytes(data.replace((1 << 20).to_bytes(4, "little"), (10).to_bytes(4, "little")))
    assert "cannot be imported" in refused(archive)


def test_more_than_the_disk_takes_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(archives.shutil, "disk_usage", lambda _: type("Usage", (), {"free": 3}))
    assert "are free in" in refused(make(tmp_path / "a.zip", ("a.md", "four")))


def test_a_huge_list_of_contents_is_refused_before_it_is_read(tmp_path):
    archive = make(tmp_path / "a.zip", ("a.md", "x"))
    data = bytearray(archive.read_bytes())
    at = data.rindex(archives.END)
    data[at + 12 : at + 16] = (1 << 30).to_bytes(4, "little")
    archive.write_bytes(data)
    assert "its list of contents is over 256 MiB" in refused(archive)


def test_more_files_than_agreed_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(archives, "ENTRIES_LIMIT", 2)
    assert "it holds 3 files" in refused(make(tmp_path / "a.zip", *((f"{n}.md", "") for n in range(3))))


@pytest.mark.parametrize("data", [b"", b"words", b"PK\x05\x06", b"PK\x03\x04" + b"\0" * 40])
def test_what_is_no_zip_is_refused(tmp_path, data):
    (tmp_path / "a.zip").write_bytes(data)
    assert "it is no whole zip" in refused(tmp_path / "a.zip")


def test_every_cut_of_a_zip_is_refused_or_whole(tmp_path):
    data = make(tmp_path / "a.zip", ("a.md", "words " * 50), ("b.md", "x")).read_bytes()
    for end in range(0, len(data), 7):
        (tmp_path / "cut.zip").write_bytes(data[:end])
        assert "cannot be imported" in refused(tmp_path / "cut.zip")
