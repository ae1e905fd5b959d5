"""The address of a picture: cached for ever, of the right type, and nothing else below it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from cms.media.pictures import FORMATS
from cms.media.store import save_picture
from tests.media.conftest import KINDS, picture

if TYPE_CHECKING:
    from flask import Flask
    from flask.testing import FlaskClient


@pytest.fixture
def media_dir(sqlite_app: Flask) -> Path:
    return Path(sqlite_app.config["MEDIA_DIR"])


@pytest.fixture
def client(sqlite_app: Flask) -> FlaskClient:
    return sqlite_app.test_client()


@pytest.mark.parametrize("ending", KINDS)
def test_a_picture_is_shown_with_its_type_and_may_be_kept_for_ever(
    ending: str, client: FlaskClient, media_dir: Path
) -> None:
    data = picture(KINDS[ending])
    with client.get(save_picture(media_dir, data).url) as response:
        assert (response.status_code, response.data) == (200, data)
        assert response.content_type == FORMATS[ending].content_type
        assert response.headers["Cache-Control"] == "public, max-age=31536000, immutable"
        assert response.headers["X-Content-Type-Options"] == "nosniff"
        assert response.headers["Cross-Origin-Resource-Policy"] == "cross-origin"  # feed readers show it too


def test_who_has_it_is_not_sent_it_again(client: FlaskClient, media_dir: Path) -> None:
    url = save_picture(media_dir, picture()).url
    with client.get(url) as response:
        etag = response.headers["ETag"]
    with client.get(url, headers={"If-None-Match": etag}) as again:
        assert again.status_code == 304
    with client.head(url) as head:
        assert head.data == b""


@pytest.mark.parametrize(
    "path",
    [
        "/media/ab/" + "0" * 62 + ".png",
        "/media/../config.py",
        "/media/%2e%2e/%2e%2e/etc/passwd",
        "/media/ab/..%2f..%2f..%2fetc%2fpasswd",
        "/media//etc/passwd",
        "/media/",
        "/media/ab",
        "/media/ab/%00.png",
        "/media/ab/" + "0" * 62 + ".png%00",
        "/media/ab/%ff%fe.png",
        "/media/" + "a/" * 500,
    ],
)
def test_nothing_else_is_found(path: str, client: FlaskClient, media_dir: Path) -> None:
    save_picture(media_dir, picture())
    assert client.get(path, follow_redirects=True).status_code in {400, 404}
