"""The document: valid, whole, and shown without anything from elsewhere."""

from __future__ import annotations

import re

from flask import Flask
from openapi_spec_validator import OpenAPIV31SpecValidator

from cms.api.document import PART, document

NO_OPERATIONS = {"/openapi.json", "/docs"}


def test_the_document_is_valid(sqlite_app: Flask):
    answer = sqlite_app.test_client().get("/api/v1/openapi.json")
    assert answer.headers["Cache-Control"].startswith("public")
    assert [str(each) for each in OpenAPIV31SpecValidator(answer.json).iter_errors()] == []


def test_every_route_of_the_api_is_in_the_document(sqlite_app: Flask):
    routes = {
        (PART.sub(r"{\2}", rule.rule.removeprefix("/api/v1")), method.lower())
        for rule in sqlite_app.url_map.iter_rules()
        if rule.rule.startswith("/api/")
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
    }
    described = {(path, method) for path, methods in document()["paths"].items() for method in methods}
    assert routes - described == {(path, "get") for path in NO_OPERATIONS}
    assert described <= routes


def test_every_operation_says_what_it_does_and_every_body_has_an_example():
    for methods in document()["paths"].values():
        for shown in methods.values():
            assert re.match(r"[A-Z]", shown["summary"]), shown["operationId"]
            for content in shown.get("requestBody", {}).get("content", {}).values():
                schema = document()["components"]["schemas"][content["schema"]["$ref"].rpartition("/")[2]]
                fields = schema["properties"].values()
                assert not fields or any("examples" in field for field in fields) or not schema.get("required"), schema


def test_the_page_shows_every_operation_without_a_script(sqlite_app: Flask):
    page = sqlite_app.test_client().get("/api/v1/docs")
    assert "<script" not in page.text
    names = {shown["operationId"] for methods in document()["paths"].values() for shown in methods.values()}
    assert names <= set(re.findall(r'<details id="(\w+)"', page.text))
