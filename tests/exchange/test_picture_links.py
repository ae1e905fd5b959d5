"""Pictures that a post names: taken from the folder, and from nowhere else."""

from __future__ import annotations

import os
import time
from io import BytesIO
from pathlib import Path, PurePosixPath

import pytest
from PIL import Image

from cms.exchange.picture_links import PictureSource, rewrite_pictures

POST = PurePosixPath("2016/post.md")


def png(colour: str = "red") -> bytes:
    buffer = BytesIO()
    Image.new("RGB", (2, 2), colour).save(buffer, "PNG")
    return buffer.getvalue()


@pytest.fixture
def source(tmp_path: Path) -> PictureSource:
    """Return a folder with pictures in every place that a post may mean."""
    folder, assets = tmp_path / "posts", tmp_path / "assets"
    for path in (folder / "2016/near.png", folder / "images/top.png", assets / "blog/a b.png", assets / "plain.png"):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(png(path.stem.replace("a b", "blue").replace("plain", "green").replace("near", "black")[:5]
                             if path.stem != "top" else "white"))  # fmt: skip
    (tmp_path / "secret.png").write_bytes(png("gold"))
    (assets / "text.png").write_text("no picture")
    (assets / "link.png").symlink_to(tmp_path / "secret.png")
    (assets / "folder").symlink_to(tmp_path)
    os.mkfifo(assets / "pipe.png")
    return PictureSource(folder, assets, tmp_path / "media")


def rewrite(text: str, source: PictureSource) -> tuple[str, list[str]]:
    notes: list[str] = []
    return rewrite_pictures(text, POST, source, notes), notes


@pytest.mark.parametrize(
    "text",
    [
        "![x](/assets/plain.png)",
        '![x](/assets/plain.png "title")',
        "![x](assets/plain.png)",
        "![x](/plain.png?v=1)",
        "![x](near.png)",
        "![x](./near.png)",
        "![x](../images/top.png)",
        "![x](/images/top.png)",
        "![x](/assets/blog/a%20b.png)",
        "![x](</assets/blog/a b.png>)",
        "[![x](/assets/plain.png)](/assets/plain.png)",
        '<img alt="x" src="/assets/plain.png">',
        "<a href='/assets/plain.png'>x</a>",
        "![x][p]\n\n[p]: /assets/plain.png\n",
    ],
)
def test_a_picture_in_the_folder_is_stored_and_its_address_changed(text: str, source: PictureSource) -> None:
    after, notes = rewrite(text, source)
    assert "/media/" in after
    assert ".png?" not in after
    assert "assets" not in after
    assert notes == []
    assert len(list(source.media_dir.rglob("*.png"))) == len(source.stored) == 1


@pytest.mark.parametrize(
    "address",
    [
        "/assets/../secret.png",
        "../../secret.png",
        "/../secret.png",
        "/assets/%2e%2e/secret.png",
        "..%2f..%2fsecret.png",
        "/assets/link.png",
        "/assets/folder/secret.png",
        "/assets//etc/x.png",
        "/assets/missing.png",
        "/assets/pipe.png",
        "/assets/%00.png",
        "/assets/" + "a" * 300 + ".png",
        "/assets",
    ],
)
def test_nothing_outside_the_folder_and_no_link_is_taken(address: str, source: PictureSource) -> None:
    text = f"![x]({address})"
    after, notes = rewrite(text, source)
    assert after == text
    assert not source.media_dir.exists()
    assert notes == ([f"picture {address:.200} not found in the folder"] if address.endswith(".png") else [])


def test_a_picture_that_is_none_is_noted_once(source: PictureSource) -> None:
    after, notes = rewrite("![x](/assets/text.png) ![y](/assets/text.png)", source)
    assert "/assets/text.png" in after
    assert len(notes) == 1
    assert "not kept" in notes[0]


@pytest.mark.parametrize(
    "text",
    [
        "`![x](/assets/plain.png)`",
        "```\n![x](/assets/plain.png)\n```\n",
        "![x](https://example.org/assets/plain.png)",
        "![x](//example.org/assets/plain.png)",
        "![x](http://[broken/assets/plain.png)",
        "[x](/2016/01/04/x/)",
        "[x](data:image/png;base64,AAAA.png)",
    ],
)
def test_code_and_addresses_elsewhere_stay(text: str, source: PictureSource) -> None:
    assert rewrite(text, source) == (text, [])


def test_a_dry_run_stores_nothing_and_gives_the_same_text(source: PictureSource) -> None:
    dry = PictureSource(source.folder, source.assets, source.media_dir, dry_run=True)
    text = "![x](/assets/plain.png)"
    planned = rewrite(text, dry)
    assert not source.media_dir.exists()
    assert planned == rewrite(text, source)
    assert dry.stored == source.stored


@pytest.mark.parametrize("piece", ["](", "](<", "[a", "[a]:", "src='", "`](", "![](a.png", 'href="', "\n[a"])
def test_hostile_texts_take_no_quadratic_time(piece: str, source: PictureSource) -> None:
    started = time.monotonic()
    rewrite(piece * (200_000 // len(piece)), source)
    assert time.monotonic() - started < 10
