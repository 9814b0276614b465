"""The OpenAPI document: as committed, complete, and true to what the routes answer."""

import json
from pathlib import Path
from typing import Any

import pytest

from services.items.runtime import openapi, schemas
from services.items.tests.unit.fakes import Harness
from slipway_runtime import contract

COMMITTED = Path(openapi.__file__).parents[1] / "openapi.json"
DOCUMENT = json.loads(COMMITTED.read_text(encoding="utf-8"))
OPERATIONS = [
    (path, method, operation) for path, methods in DOCUMENT["paths"].items() for method, operation in methods.items()
]


@pytest.mark.requirement("items: routes")
def test_the_committed_document_is_the_one_of_the_routes() -> None:
    assert COMMITTED.read_text(encoding="utf-8") == openapi.DOCUMENT.text(), "run `make openapi`"


def test_it_has_the_routes_of_the_service() -> None:
    assert {(method.upper(), path) for path, method, _ in OPERATIONS} == {
        ("POST", "/items"),
        ("GET", "/items"),
        ("GET", "/items/{id}"),
        ("PUT", "/items/{id}"),
        ("DELETE", "/items/{id}"),
        ("GET", "/health"),
    }


@pytest.mark.parametrize(("path", "method", "operation"), OPERATIONS)
def test_errors_are_problems_and_writes_are_signed(path: str, method: str, operation: dict[str, Any]) -> None:
    for status, answer in operation["responses"].items():
        content = answer.get("content", {})
        if int(status) >= 400:
            schema = content["application/problem+json"]["schema"]
            assert {"$ref": "#/components/schemas/Problem"} in (schema, *schema.get("anyOf", ()))
        elif status in {"204", "304"}:
            assert content == {}
    assert operation.get("security") == (None if method == "get" else [{"sigv4": []}])


def test_answers_have_the_documented_form(api: Harness) -> None:
    created = api.post({"name": "Lamp", "data": {"a": 1}})
    path = created.location
    for model, answer in (
        (schemas.Item, created),
        (schemas.Item, api.get(path)),
        (schemas.Item, api.put(path, {"name": "Chair"}, If_Match='"1"')),
        (schemas.ItemPage, api.get("/items")),
        (contract.Problem, api.get("/items/none")),
        (contract.Problem, api.post("{}")),
        (contract.Health, api.get("/health")),
    ):
        model.model_validate(answer.json)
        unknown = set(answer.json) - set(model.model_fields)
        assert not unknown
