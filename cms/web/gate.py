"""What no page needs to see: addresses with control characters or broken text are refused before any work is done."""

from __future__ import annotations

import re
from urllib.parse import unquote_to_bytes

from flask import Flask, abort, request

CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
HOST = re.compile(r"[A-Za-z0-9.:_\[\]-]{0,255}")


def init_app(app: Flask) -> None:
    """Ask at the gate before each request; unknown hosts are refused by Flask's own TRUSTED_HOSTS."""
    app.before_request(refuse_broken_address)


def refuse_broken_address() -> None:
    """Answer 400 to an address that no link of ours has: PostgreSQL, logs and headers would stumble over it later."""
    path = request.environ.get("PATH_INFO", "").encode("latin-1", "replace")
    query = unquote_to_bytes(request.environ.get("QUERY_STRING", ""))
    if not (is_clean(path) and is_clean(query) and HOST.fullmatch(request.environ.get("HTTP_HOST", ""))):
        abort(400)


def is_clean(part: bytes) -> bool:
    """Tell whether the bytes are UTF-8 without control characters; half a surrogate pair is not UTF-8."""
    try:
        return CONTROL.search(part.decode()) is None
    except UnicodeDecodeError:
        return False
