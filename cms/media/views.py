"""The address of each picture: /media/<2 hex>/<62 hex>.<ending>."""

from __future__ import annotations

from flask import Blueprint, Response, abort, current_app, send_file

from cms.media.pictures import FORMATS
from cms.media.store import find_picture

YEAR_S = 365 * 24 * 3600

media = Blueprint("media", __name__)


@media.get("/media/<path:path>")
def show(path: str) -> Response:
    """Show one picture. Its address is made from its content: whoever has it never needs to ask again."""
    file = find_picture(current_app.config["MEDIA_DIR"], path)
    if file is None:
        abort(404)
    kind = FORMATS[file.suffix.removeprefix(".")]
    response = send_file(file, mimetype=kind.content_type, etag=file.parent.name + file.stem, max_age=YEAR_S)
    response.cache_control.immutable = True
    # Feed readers that are web pages show the posts' pictures too.
    response.headers["Cross-Origin-Resource-Policy"] = "cross-origin"
    return response
