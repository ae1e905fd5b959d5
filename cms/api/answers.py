"""Answers: JSON, its ETag, and the pages beside it. Values are made by hand; the tests hold them against the shapes."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import sha256
from typing import Any, TypeVar
from urllib.parse import urlencode

from flask import Response, request
from werkzeug.wrappers import Response as AnyResponse

from cms.web.paging import Page
from cms.web.problems import Problem

Facts = Mapping[str, Any]  # Any: values of JSON
Found = TypeVar("Found")


@dataclass(frozen=True)
class Answer:
    """What an operation found or did. etag: None for what nobody writes. location: of what is new."""

    facts: Facts
    etag: str | None = None
    location: str | None = None
    links: Mapping[str, str] = field(default_factory=dict)


def moment(at: datetime | None) -> str | None:
    """Return a time in UTC as RFC 3339 writes it."""
    return at.isoformat().replace("+00:00", "Z") if at else None


def as_json(facts: Any) -> str:  # Any: values of JSON
    return json.dumps(facts, ensure_ascii=False, separators=(",", ":"))


def etag_of(*parts: object) -> str:
    """Return what stands for the state of something: other parts, another text."""
    return sha256("\0".join(map(str, parts)).encode()).hexdigest()[:20]


def respond(answer: Answer, status: int) -> AnyResponse:
    """Return the answer, or 304 if whoever asks has it already."""
    response = Response(as_json(answer.facts), status, mimetype="application/json")
    response.vary.update(("Authorization", "Cookie"))
    if answer.location:
        response.headers["Location"] = answer.location
    if answer.links:
        response.headers["Link"] = ", ".join(f'<{path}>; rel="{name}"' for name, path in answer.links.items())
    if answer.etag is None:
        return response
    response.set_etag(answer.etag)
    return response.make_conditional(request) if request.method in {"GET", "HEAD"} else response


def chosen(facts: dict[str, Any], fields: str | None, known: Collection[str]) -> dict[str, Any]:
    """Leave out what was not asked for. 422 for a field that there is not."""
    if fields is None:
        return facts
    return {name: value for name, value in facts.items() if name in wanted(fields, known)}


def wanted(fields: str, known: Collection[str]) -> frozenset[str]:
    names = frozenset(name.strip() for name in fields.split(","))
    if unknown := sorted(names - set(known)):
        raise invalid("fields", f"there is no field {unknown[0][:60]!r}; choose from {', '.join(sorted(known))}")
    return names | {"id"}


def paged(page: Page[Found], show: Callable[[Found], dict[str, Any]]) -> Answer:
    """Return a page of a list with the addresses of those beside it."""
    links = {}
    if page.older:
        links["next"] = address_with(before=str(page.older))
    if page.newer:
        links["prev"] = address_with(after=str(page.newer))
    items = [show(item) for item in page.items]
    return Answer({"items": items, "next": links.get("next"), "prev": links.get("prev")}, links=links)


def whole(items: list[dict[str, Any]]) -> Answer:
    """Return a list that is so short that it has one page."""
    return Answer({"items": items, "next": None, "prev": None})


def address_with(**place: str) -> str:
    """Return the address that was asked for, at another place of the list."""
    others = [(name, value) for name, value in request.args.items(multi=True) if name not in {"before", "after"}]
    return f"{request.path}?{urlencode([*others, *place.items()])}"


def invalid(parameter: str, message: str) -> Problem:
    """Return the error for a parameter of the address."""
    errors = [{"parameter": parameter, "code": "invalid", "message": message}]
    return Problem(422, "invalid", "A parameter of the address cannot be used.", more={"errors": errors})
