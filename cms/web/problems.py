"""Errors as programs get them: problems of RFC 9457, for whatever is asked below /api/, also where no route is."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from flask import make_response, request
from werkzeug.exceptions import HTTPException
from werkzeug.wrappers import Response

PROBLEM = "application/problem+json"
FOR_PROGRAMS = "/api/"
KINDS = "/api/v1/docs#problem-"
DETAILS = {
    400: "The request is broken: its address, its headers or the JSON that it sends. Nothing was changed.",
    401: "Show a token: Authorization: Bearer cms_… Nothing was changed.",
    403: "You may not do this, or your token is not for it. Nothing was changed.",
    404: "There is nothing at this address, or nothing that you may see.",
    405: "This address does not take that method; the header Allow names those that it does.",
    409: "It is in a state in which this cannot be done, or what you chose is taken. Nothing was changed.",
    412: "It is not as you have seen it: somebody changed it since. Nothing was changed.",
    413: "What you sent is bigger than this site accepts. Nothing was changed.",
    415: "The body has another type than this address takes. Nothing was changed.",
    422: "A parameter or a field cannot be used; errors says which and why. Nothing was changed.",
    428: "Say with If-Match what you have seen. Nothing was changed.",
    429: "Many requests came from you in a short time. Wait as long as Retry-After says. Nothing was changed.",
    500: "The fault is ours, and it has been written down. Look before you repeat a change: it may have been made.",
    503: "The site cannot answer at this moment. Try again as soon as Retry-After says. Nothing was changed.",
}


class Problem(HTTPException):
    """An error with a kind of its own, and members that tell a program what to do about it.

    kind: names a heading of the documentation. more: members beside those that every problem has. headers: of the
    answer.
    """

    def __init__(
        self,
        code: int,
        kind: str,
        detail: str,
        *,
        more: Mapping[str, Any] | None = None,  # Any: values of JSON
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.code = code
        self.kind = kind
        self.more = dict(more or {})
        self.extra_headers = dict(headers or {})


def is_for_programs() -> bool:
    """Tell whether the address is one of the API."""
    return request.path.startswith(FOR_PROGRAMS)


def show_problem(error: HTTPException) -> Response:
    """Return the error as a problem, with the headers that belong to it (Allow, Retry-After, WWW-Authenticate)."""
    response = make_response(error.get_response())
    code = error.code or 500
    detail = DETAILS.get(code, "Nothing was changed.")
    problem = {"type": "about:blank", "title": error.name, "status": code, "detail": detail}
    if isinstance(error, Problem):
        problem |= {"type": KINDS + error.kind, "detail": error.description, **error.more}
        response.headers.update(error.extra_headers)
    response.set_data(json.dumps(problem, ensure_ascii=False))
    response.content_type = PROBLEM
    response.headers["Cache-Control"] = "no-store"
    return response
