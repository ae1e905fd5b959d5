"""Style sheets and pictures of the site itself: an address holds the content's hash, so it may be kept for a year."""

from __future__ import annotations

from functools import cache
from hashlib import sha256
from pathlib import Path

from flask import Flask, Response, request

from cms.web.headers import ONE_YEAR_S

FOLDER = Path(__file__).parent / "static"
HASH_LENGTH = 12


def init_app(app: Flask) -> None:
    """Let templates name files with ``static_file("site.css")``, and tell browsers how long to keep them."""
    app.jinja_env.globals["static_file"] = static_file
    app.after_request(set_lifetime)


def static_file(name: str) -> str:
    """Return the address of a file in cms/web/static."""
    return f"/static/{name}?v={content_hash(name)}"


@cache
def content_hash(name: str) -> str:
    return sha256((FOLDER / name).read_bytes()).hexdigest()[:HASH_LENGTH]


def set_lifetime(response: Response) -> Response:
    """Keep a file for a year if it is what the address says, else ask again each time: a deploy may be half done."""
    # OPTIONS is answered for any name, without looking for the file or keeping it inside the folder.
    if request.endpoint == "static" and request.method != "OPTIONS" and response.status_code in {200, 206, 304}:
        name = (request.view_args or {})["filename"]
        named = request.args.get("v") == content_hash(name)
        response.headers["Cache-Control"] = f"public, max-age={ONE_YEAR_S}, immutable" if named else "public, no-cache"
    return response
