"""The OpenAPI document of all operations, made from their declarations."""

from __future__ import annotations

import re
from functools import cache
from typing import Any

from flask import Response
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from cms.accounts.current import needs
from cms.accounts.permissions import PERMISSIONS, VISITOR
from cms.api.answers import as_json
from cms.api.operations import OPERATIONS, Operation, api
from cms.api.shapes import Chosen
from cms.web.pages import KEPT
from cms.web.problems import DETAILS, PROBLEM

Schema = dict[str, Any]  # Any: JSON Schema
CREATED = 201
REF = "#/components/schemas/{model}"
PART = re.compile(r"<(?:(\w+):)?(\w+)>")
PARTS: dict[str, Schema] = {
    "uuid": {"type": "string", "format": "uuid"},
    "int": {"type": "integer", "minimum": 0, "maximum": 2**31 - 1},
    "": {"type": "string", "minLength": 1, "maxLength": 100},
}
ABOUT = """Whatever a person can do in the administration, by the same rights.

Reading what is public needs nothing. For the rest show an API token, made on the page *Security* of an account:
`Authorization: Bearer cms_…`; it is for what its scopes name, and never for more than its owner may. A page of this
site may use the session instead and sends its token of forms as `X-CSRF-Token` with every change.

Times are in UTC. What is not described is refused: parameters, fields, media types. Lists are read to their end by the
addresses in `next`.

Whoever changes something says what they have seen: `If-Match` with the ETag of the last answer. If somebody else was
faster, nothing is changed, and the answer says who, when, and where the difference is shown. A change that got no
answer can be sent again, if it had an `Idempotency-Key`: it is made once, and the answer is the same."""


class ErrorPlace(BaseModel):
    """What is wrong with one parameter or field."""

    pointer: str | None = None
    parameter: str | None = None
    code: str
    message: str


class ProblemShown(BaseModel):
    """An error (RFC 9457)."""

    type: str
    title: str
    status: int
    detail: str
    errors: list[ErrorPlace] = []
    current_etag: str | None = None
    current_version: int | None = None
    changed_by: str | None = None
    changed_at: str | None = None
    change: str | None = None
    diff: str | None = None


@api.get("/openapi.json")
@needs("site.see")
def show_document() -> Response:
    """Send the document; it is the same for all."""
    return kept(Response(as_json(document()), mimetype="application/json"))


def kept(response: Response) -> Response:
    response.headers["Cache-Control"] = KEPT
    return response


@cache
def document() -> Schema:
    """Return the document, which is made once in a process."""
    return {
        "openapi": "3.1.0",
        "info": {"title": "CMS", "version": "1", "summary": "Posts and everything around them.", "description": ABOUT},
        "servers": [{"url": "/api/v1"}],
        "paths": paths(),
        "components": {
            "schemas": schemas(),
            "responses": {str(code): problem_response(text) for code, text in DETAILS.items()},
            "securitySchemes": {
                "token": {"type": "http", "scheme": "bearer", "description": "An API token: cms_…"},
                "session": {"type": "apiKey", "in": "cookie", "name": "session"},
            },
        },
    }


def paths() -> Schema:
    found: Schema = {}
    for operation in OPERATIONS.values():
        found.setdefault(PART.sub(r"{\2}", operation.path), {})[operation.method.lower()] = described(operation)
    return found


def described(operation: Operation) -> Schema:
    title, _, more = operation.about.partition("\n")
    permission = PERMISSIONS[operation.permission]
    needed = f"Needs `{permission.name}`." if VISITOR not in permission.grants else "For everybody."
    if not permission.is_scope and VISITOR not in permission.grants:
        needed += " Only for somebody signed in: no token is for it."
    is_open = VISITOR in permission.grants
    shown: Schema = {
        "operationId": operation.name,
        "tags": [group_of(operation)],
        "summary": title.rstrip("."),
        "description": f"{' '.join(more.split())} {needed}".strip(),
        "parameters": [*parts_of(operation), *query_of(operation), *headers_of(operation)],
        "responses": responses_of(operation),
        "security": [*([{}] if is_open else []), {"token": []}, {"session": []}],
    }
    if operation.body:
        content = {"schema": {"$ref": REF.format(model=operation.body.__name__)}}
        is_needed = any(field.is_required() for field in operation.body.model_fields.values())
        shown["requestBody"] = {
            "required": is_needed or operation.method == "PATCH",
            "content": {operation.takes: content},
        }
    return shown


def group_of(operation: Operation) -> str:
    return operation.path.split("/")[1]


def parts_of(operation: Operation) -> list[Schema]:
    return [
        {"name": name, "in": "path", "required": True, "description": "", "schema": PARTS[kind]}
        for kind, name in PART.findall(operation.path)
    ]


def query_of(operation: Operation) -> list[Schema]:
    """Return the parameters of the query; none of them can be null in an address."""
    shown = []
    for name, schema in operation.query.model_json_schema().get("properties", {}).items():
        about = schema.pop("description", "")
        options = [each for each in schema.pop("anyOf", []) if each.get("type") != "null"]
        one = {**schema, **(options[0] if options else {})}
        leave_out_empty(one)
        shown.append({"name": name, "in": "query", "description": about, "schema": one})
    return shown


def headers_of(operation: Operation) -> list[Schema]:
    text: Schema = {"type": "string"}
    shown = []
    if operation.matches:
        about = "The ETag of what you have seen."
        shown.append({"name": "If-Match", "in": "header", "required": True, "description": about, "schema": text})
    if operation.method != "GET" and not operation.is_secret:
        about = "Any text of your own, a new one for each change: the request may then be sent again within 24 hours."
        key = {**text, "pattern": "^[!-~]{1,255}$"}
        shown.append({"name": "Idempotency-Key", "in": "header", "description": about, "schema": key})
    return shown


def responses_of(operation: Operation) -> Schema:
    schema = {"$ref": REF.format(model=model_name(operation.answer))}
    answer: Schema = {"description": "What was asked for.", "content": {"application/json": {"schema": schema}}}
    codes = [400, 422, 429, 500, 503]
    if not is_public(operation):
        codes += [401, 403]
    else:
        codes += [401]
    if "<" in operation.path:
        codes += [404]
    if operation.body:
        codes += [413, 415]
    if operation.method != "GET":
        codes += [403, 404, 409]
    if operation.matches:
        codes += [412, 428]
    shown = {str(code): {"$ref": f"#/components/responses/{code}"} for code in sorted(set(codes))}
    answer["headers"] = headers_of_answer(operation)
    if operation.etag:
        shown["304"] = {"description": "You have it already: it is what If-None-Match names."}
    return {str(operation.status): answer, **shown}


def headers_of_answer(operation: Operation) -> Schema:
    text = {"type": "string"}
    headers: Schema = {}
    if operation.etag or operation.matches or operation.status == CREATED:
        headers["ETag"] = {"description": "Stands for its state.", "schema": text}
    if operation.status == CREATED:
        headers["Location"] = {"description": "Where it is.", "schema": text}
    if operation.method != "GET":
        headers["RateLimit"] = {"description": "How many changes are left in this minute.", "schema": text}
        headers["RateLimit-Policy"] = {"description": "How many there are in a minute.", "schema": text}
        headers["Idempotency-Replayed"] = {"description": "true: the answer to the first request.", "schema": text}
    if "before" in operation.query.model_fields:
        headers["Link"] = {"description": "The pages beside this one (RFC 8288).", "schema": text}
    return headers


def is_public(operation: Operation) -> bool:
    return VISITOR in PERMISSIONS[operation.permission].grants


def problem_response(text: str) -> Schema:
    return {
        "description": text,
        "content": {PROBLEM: {"schema": {"$ref": REF.format(model="ProblemShown")}}},
    }


def schemas() -> Schema:
    """Return the schemas of all that is sent and answered.

    Whoever asks for some fields gets no others, so of what can be asked for in part only the id is certain.
    """
    models: dict[Any, str] = {ProblemShown: "serialization"}
    partial = set()
    for operation in OPERATIONS.values():
        models[operation.answer] = "serialization"
        if operation.body:
            models[operation.body] = "validation"
        if issubclass(operation.query, Chosen):
            partial.add(item_of(operation.answer))
    _, made = models_json_schema(list(models.items()), ref_template=REF)  # type: ignore[arg-type]
    found: Schema = made["$defs"]
    for name in partial:
        found[name]["required"] = ["id"]
    for schema in found.values():
        for field in schema.get("properties", {}).values():
            leave_out_empty(field)
    return found


def leave_out_empty(field: Schema) -> None:
    """Leave out what only pydantic needs: titles made from names, and defaults that stand for nothing."""
    field.pop("title", None)
    if field.get("default", 0) in (None, ""):
        del field["default"]


def item_of(answer: Any) -> str:  # Any: a model
    items = answer.__pydantic_generic_metadata__["args"]
    return str((items[0] if items else answer).__name__)


def model_name(answer: Any) -> str:  # Any: a model
    return re.sub(r"\W+", "_", answer.__name__)
