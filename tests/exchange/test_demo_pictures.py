"""The demo posts and their pictures fit together."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml
from PIL import Image

from cms.exchange import demo
from cms.exchange.demo.pictures import PICTURES, draw_pictures

POSTS = sorted((Path(demo.__file__).parent / "posts").glob("*.md"))
REQUIRED = {"title", "date", "authors", "tags", "summary"}
OPTIONAL = {"image", "image_alt", "aliases"}
FILE_NAME = re.compile(r"(?P<day>\d{4}-\d\d-\d\d)-(?P<slug>[a-z0-9-]+)\.md")
SLUGS = {FILE_NAME.fullmatch(post.name)["slug"] for post in POSTS}  # type: ignore[index]  # a misnamed file must fail


def parse_post(post: Path) -> tuple[dict[str, Any], str]:  # Any: what YAML holds is for the tests to find out
    """Return the front matter and the body of a post."""
    _, facts, body = post.read_text(encoding="utf-8").split("---\n", 2)
    return yaml.safe_load(facts), body


def without_code(body: str) -> str:
    """Take out code, which may show addresses that lead nowhere."""
    return re.sub(r"^```.*?^```|`[^`\n]+`", "", body, flags=re.DOTALL | re.MULTILINE)


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    return draw_pictures(tmp_path_factory.mktemp("pictures"))


@pytest.fixture(params=POSTS, ids=lambda post: post.stem)
def post(request: pytest.FixtureRequest) -> Path:
    return request.param  # type: ignore[no-any-return]


def test_there_are_twelve_posts_by_three_authors() -> None:
    authors = {author for post in POSTS for author in parse_post(post)[0]["authors"]}

    assert (len(POSTS), authors) == (12, {"ines-marrow", "june-okafor", "tomasz-field"})


def test_every_picture_named_in_a_post_is_drawn_and_none_is_left_over(drawn: list[Path]) -> None:
    named = {name for post in POSTS for name in re.findall(r"/assets/([\w.-]+)", post.read_text(encoding="utf-8"))}

    assert named == {file.name for file in drawn} == set(PICTURES)


def test_drawing_twice_gives_identical_bytes(drawn: list[Path], tmp_path: Path) -> None:
    again = draw_pictures(tmp_path)

    assert [file.read_bytes() for file in again] == [file.read_bytes() for file in drawn]


def test_a_picture_is_a_png_of_1600_pixels_and_at_most_150_kb(drawn: list[Path]) -> None:
    for file in drawn:
        with Image.open(file) as picture:
            assert (picture.format, picture.width) == ("PNG", 1600), file.name
        assert file.stat().st_size <= 150_000, file.name


def test_covers_are_900_pixels_high(drawn: list[Path]) -> None:
    for file in drawn:
        if file.stem.endswith("-cover"):
            with Image.open(file) as picture:
                assert picture.height == 900, file.name


def test_a_post_has_the_front_matter_that_an_import_needs(post: Path) -> None:
    facts, _ = parse_post(post)

    assert REQUIRED <= facts.keys() <= REQUIRED | OPTIONAL
    assert ("image" in facts) == ("image_alt" in facts)
    assert 2 <= len(facts["tags"]) <= 4
    assert len(facts["title"]) <= 300
    assert len(facts["summary"]) <= 280


def test_the_date_has_a_zone_and_agrees_with_the_file_name(post: Path) -> None:
    date = parse_post(post)[0]["date"]

    assert date.tzinfo is not None
    assert post.name.startswith(f"{date:%Y-%m-%d}-")
    assert datetime(2025, 2, 1, tzinfo=UTC) <= date < datetime(2026, 11, 21, tzinfo=UTC)


def test_links_inside_the_site_lead_to_existing_posts(post: Path) -> None:
    _, body = parse_post(post)
    links = re.findall(r"(?:\]\(|\]: )/(?!assets/)([^/\s)]*)/", without_code(body))

    assert set(links) <= SLUGS - {FILE_NAME.fullmatch(post.name)["slug"]}  # type: ignore[index]


def test_headings_start_at_the_second_level_and_pictures_have_words(post: Path) -> None:
    body = without_code(parse_post(post)[1])

    assert not re.search(r"^# ", body, flags=re.MULTILINE)
    assert "![](" not in body


def test_old_addresses_belong_to_one_post_each() -> None:
    aliases = [alias for post in POSTS for alias in parse_post(post)[0].get("aliases", [])]

    assert len(aliases) == len(set(aliases)) == 2
    assert all(re.fullmatch(r"/[a-z0-9/-]+/", alias) for alias in aliases)
