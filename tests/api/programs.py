"""A program that uses the API; each answer that it gets is held against the document."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from typing import Any

from flask import Flask
from jsonschema import Draft202012Validator
from werkzeug.test import TestResponse

from cms.accounts.models import User
from cms.accounts.permissions import PERMISSIONS
from cms.api.document import document
from cms.api.operations import OPERATIONS, Operation
from tests.people import Program

BASE = "/api/v1"
PROBLEM = {"$ref": "#/components/schemas/ProblemShown"}


class Caller:
    """A program with a token of the person's, or without one: a stranger's."""

    def __init__(self, app: Flask, user: User | None = None, *, scopes: Iterable[str] = PERMISSIONS) -> None:
        self.app = app
        self.client = app.test_client(use_cookies=False)
        self.headers = {"Authorization": f"Bearer {Program(app, user, scopes=scopes).shown}"} if user else {}

    def get(self, path: str, **kwargs: Any) -> TestResponse:  # Any: as the client takes them
        return self.call("GET", path, **kwargs)

    def post(self, path: str, body: Any = None, **kwargs: Any) -> TestResponse:  # Any: values of JSON
        return self.call("POST", path, **({} if body is None else {"json": body}), **kwargs)

    def patch(self, path: str, body: Any, **kwargs: Any) -> TestResponse:  # Any: values of JSON
        return self.call("PATCH", path, json=body, content_type="application/merge-patch+json", **kwargs)

    def call(self, method: str, path: str, *, match: str | None = None, **kwargs: Any) -> TestResponse:
        """Ask, and check the answer. path: below /api/v1, or whole. match: for If-Match."""
        headers = {**self.headers, **({"If-Match": match} if match else {}), **kwargs.pop("headers", {})}
        address = path if path.startswith("/api/") else BASE + path
        answer = self.client.open(address, method=method, headers=headers, **kwargs)
        check_answer(self.app, method, address, answer)
        return answer


def check_answer(app: Flask, method: str, address: str, answer: TestResponse) -> None:
    """Fail if the document does not say that this answer can come, or not in this form."""
    operation = find_operation(app, method, address)
    if operation is None or answer.status_code == 304:
        return
    responses = described(operation)["responses"]
    assert str(answer.status_code) in responses, f"{method} {address} answers {answer.status_code}: {answer.text}"
    if answer.status_code >= 400:
        assert answer.mimetype == "application/problem+json", answer.text
        assert answer.json["status"] == answer.status_code
        complain(PROBLEM, answer.json)
        return
    assert answer.mimetype == "application/json"
    complain(responses[str(answer.status_code)]["content"]["application/json"]["schema"], answer.json)
    if "fields=" not in address:
        complain_of_gaps(operation, answer.json)


def find_operation(app: Flask, method: str, address: str) -> Operation | None:
    endpoint, _ = app.url_map.bind("localhost").match(address.partition("?")[0], method=method)
    return OPERATIONS.get(endpoint.removeprefix("api."))


def described(operation: Operation) -> Any:  # Any: a part of the document
    by_name = {each["operationId"]: each for path in document()["paths"].values() for each in path.values()}
    return by_name[operation.name]


def complain(schema: dict[str, str], value: Any) -> None:  # Any: values of JSON
    errors = [f"{each.json_path}: {each.message}" for each in validator(schema["$ref"]).iter_errors(value)]
    assert errors == []


@cache
def validator(reference: str) -> Draft202012Validator:
    schema = {"$ref": reference, "components": document()["components"]}
    return Draft202012Validator(schema, format_checker=Draft202012Validator.FORMAT_CHECKER)


def complain_of_gaps(operation: Operation, value: Any) -> None:  # Any: values of JSON
    """Fail if something is missing although everything was asked for."""
    operation.answer.model_validate(value)
