"""What no page needs to see is refused: broken addresses, forms with NUL, and JSON with what no text holds."""

from __future__ import annotations

import re
from typing import Any, NoReturn
from urllib.parse import unquote_to_bytes

from flask import Flask, Request, Response, abort, request
from flask.json.provider import DefaultJSONProvider

CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
NOT_IN_A_TEXT = re.compile("[\x00\ud800-\udfff]")
HOST = re.compile(r"[A-Za-z0-9.:_\[\]-]{0,255}")


class CheckedRequest(Request):
    """A request whose form is looked at when it is first read, whoever reads it."""

    def _load_form_data(self) -> None:
        """Answer 400 to NUL in a form: SQLite would store it and PostgreSQL fail."""
        is_read = "form" in self.__dict__
        super()._load_form_data()
        if not is_read and any("\0" in text for pair in self.form.items(multi=True) for text in pair):
            abort(400)


class CheckedJSON(DefaultJSONProvider):
    """Takes what not every program reads the same, and what no text can hold, for broken: that is answered with 400."""

    def loads(self, s: str | bytes, **more: Any) -> Any:  # Any: JSON
        """Return what UTF-8 says (RFC 8259). Raises ValueError, also for depth, NaN, NUL and half a surrogate pair."""
        try:
            value = super().loads(s.decode() if isinstance(s, bytes) else s, parse_constant=refuse_constant, **more)
            if not is_storable(value):
                raise ValueError("it holds what is no character")
        except RecursionError as error:
            raise ValueError("it is nested too deeply") from error
        return value


def refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number of JSON")


def is_storable(value: Any) -> bool:  # Any: JSON
    """Tell whether no text in it has NUL or half a surrogate pair."""
    if isinstance(value, dict):
        return all(is_storable(part) for pair in value.items() for part in pair)
    if isinstance(value, list):
        return all(map(is_storable, value))
    return not isinstance(value, str) or NOT_IN_A_TEXT.search(value) is None


def init_app(app: Flask) -> None:
    """Ask at the gate before each request; unknown hosts are refused by Flask's own TRUSTED_HOSTS."""
    app.request_class = CheckedRequest
    app.json = CheckedJSON(app)
    app.before_request(refuse_broken_address)
    app.after_request(leave_out_host)


def refuse_broken_address() -> None:
    """Answer 400 to an address that no link of ours has: PostgreSQL, logs and headers would stumble over it later."""
    path = request.environ.get("PATH_INFO", "").encode("latin-1", "replace")
    query = unquote_to_bytes(request.environ.get("QUERY_STRING", ""))
    if not (is_clean(path) and is_clean(query) and HOST.fullmatch(request.environ.get("HTTP_HOST", ""))):
        abort(400)


def leave_out_host(response: Response) -> Response:
    """Send on without naming the host, as routing does: whoever asks can name any, and a cache would tell it others."""
    if response.location and (place := response.location.removeprefix(request.host_url)) != response.location:
        response.location = f"/{place.lstrip('/')}"
    return response


def is_clean(part: bytes) -> bool:
    """Tell whether the bytes are UTF-8 without control characters; half a surrogate pair is not UTF-8."""
    try:
        return CONTROL.search(part.decode()) is None
    except UnicodeDecodeError:
        return False
