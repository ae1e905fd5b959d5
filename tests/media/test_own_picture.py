"""The picture that people give themselves."""

from __future__ import annotations

from io import BytesIO

import pytest
from flask import Flask
from PIL import Image
from werkzeug.test import TestResponse

from cms.accounts.models import User
from cms.accounts.permissions import AUTHOR
from cms.media.pictures import cut_square
from tests.people import Visit, add_person
from tests.site import Site

GPS, ORIENTATION = 0x8825, 0x0112


def picture(kind: str = "JPEG", size: tuple[int, int] = (60, 20), **options: object) -> bytes:
    """Return a picture whose left half is red."""
    image = Image.new("RGB", size, "blue")
    image.paste("red", (0, 0, size[0] // 2, size[1]))
    written = BytesIO()
    image.save(written, kind, **options)
    return written.getvalue()


@pytest.fixture
def cleo(app: Flask) -> User:
    return add_person(app, "cleo", AUTHOR)


@pytest.fixture
def visit(app: Flask, cleo: User) -> Visit:
    return Visit(app, cleo)


def send(visit: Visit, data: bytes, name: str = "me.jpg") -> TestResponse:
    return visit.post("/account/picture", picture=(BytesIO(data), name))


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "GIF", "WEBP"])
def test_a_picture_is_kept_as_a_square_and_shown_to_readers(site: Site, kind: str):
    site.write("Post")
    visit = Visit(site.app, site.ada)
    assert send(visit, picture(kind)).location == "/account/picture?done=stored"
    url = visit.get("/author/ada/").text.partition('class="portrait" src="')[2].partition('"')[0]
    with visit.get(url) as answer:
        assert answer.mimetype == "image/webp"
        data = answer.data
    with Image.open(BytesIO(data)) as stored:
        assert (stored.format, stored.size) == ("WEBP", (400, 400))
    assert url in visit.get("/account/picture").text


def test_it_is_upright_and_says_not_where_it_was_taken():
    exif = Image.Exif()
    exif[ORIENTATION] = 3  # upside down
    exif.get_ifd(GPS)[1] = "N"
    with Image.open(BytesIO(cut_square(picture(exif=exif)))) as stored:
        assert not stored.getexif()
        red, _, blue = stored.convert("RGB").getpixel((10, 200))
    assert blue > red  # what was left is right


@pytest.mark.parametrize(
    "data", [b"", b"<svg onload=alert(1)>", picture("PNG")[:60], b"GIF89a", b"\xff\xd8\xff" + b"x" * 99]
)
def test_what_is_no_picture_is_refused_and_nothing_is_stored(app: Flask, visit: Visit, data: bytes):
    answer = send(visit, data, "me.png")
    assert answer.status_code == 422
    assert 'role="alert"' in answer.text
    assert not list(app.config["MEDIA_DIR"].rglob("*.*"))
    assert visit.post("/account/picture").status_code == 422
    assert visit.post("/account/picture", picture="text").status_code == 422


def test_what_is_too_big_is_refused(app: Flask, visit: Visit):
    form = b"--x\r\n" + b"x" * app.config["MAX_CONTENT_LENGTH"]
    answer = visit.client.post("/account/picture", data=form, content_type="multipart/form-data; boundary=x")
    assert answer.status_code == 413


def test_a_picture_is_taken_away_again(visit: Visit):
    send(visit, picture())
    assert visit.post("/account/picture/remove").status_code == 303
    assert "portrait" not in visit.get("/account/picture").text
    assert "You have no picture now." in visit.get("/account/picture?done=stored").text
