"""The page that shows the OpenAPI document to people: without a script, and without anything from elsewhere."""

from __future__ import annotations

from functools import cache
from typing import Any

from flask import Response, render_template

from cms.accounts.current import needs
from cms.api.document import Schema, document, kept
from cms.api.operations import api

PLAIN = {
    "uuid": "5f3c1c0e-8a53-4c0a-9d55-0d8e6f1b2a34", "date-time": "2026-08-22T14:30:00Z", "integer": 1, "boolean": True,
    "null": None,
}  # fmt: skip
EXPLAINED = {
    "changed-meanwhile": "Somebody changed it since you read it. Read it again, put both together, send that.",
    "match-needed": "Say which state you change: If-Match with the ETag of an answer; * is not enough.",
    "invalid": "A parameter or field cannot be used; `errors` says which and why.",
    "no-json": "The body cannot be read as JSON.",
    "no-way": "From the state in which the post is, this does not lead on, or something that it needs is missing.",
    "unsaved-text": "You wrote something in the editor and did not save it. Save or discard it there first.",
    "bad-key": "What stands in Idempotency-Key is no key, or this operation takes none.",
    "key-used": "An Idempotency-Key is for one request and its repetitions; make a new one.",
    "taken": "Another account has the username or the e-mail address.",
    "last-admin": "Nobody would be left who may run the site.",
    "second-factor-needed": "Your role needs a second factor, which you have not set up yet.",
    "confirmation-needed": "This wants your password again, in a browser; no token is enough for it.",
}


@api.get("/docs")
@needs("site.see")
def show_docs() -> Response:
    """Show every operation with what it takes and answers; it is the same for all."""
    page = render_template("api/docs.html", document=document(), groups=grouped(), kinds=EXPLAINED, example=example_of)
    return kept(Response(page, mimetype="text/html"))


@cache
def grouped() -> dict[str, list[tuple[str, str, Schema]]]:
    """Return the operations as method, path and description, by what they are about."""
    found: dict[str, list[tuple[str, str, Schema]]] = {}
    for path, methods in document()["paths"].items():
        for method, shown in methods.items():
            found.setdefault(shown["tags"][0], []).append((method.upper(), path, shown))
    return found


def example_of(schema: Schema) -> Any:  # Any: values of JSON
    """Return a value as the schema describes it: its example, else the plainest one."""
    if "$ref" in schema:
        return example_of(document()["components"]["schemas"][schema["$ref"].rpartition("/")[2]])
    given = (
        schema.get("examples")
        or schema.get("enum")
        or [schema[name] for name in ("const", "default") if name in schema]
    )
    if given:
        return given[0]
    if "anyOf" in schema:
        return example_of(schema["anyOf"][0])
    if schema.get("type") == "object":
        return {name: example_of(field) for name, field in schema.get("properties", {}).items()}
    if schema.get("type") == "array":
        return [example_of(schema["items"])]
    return PLAIN.get(schema.get("format") or schema.get("type", ""), "…")
