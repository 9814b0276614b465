"""OpenAPI 3.1 schemas are converted to draft 4, which API Gateway reads, without losing constraints."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from slipway.blocks.schema import OpenApiDocument, draft_4

DRAFT = {"$schema": "http://json-schema.org/draft-04/schema#"}


@pytest.mark.parametrize(
    ("schema", "converted"),
    [
        ({"type": "integer", "exclusiveMinimum": 0}, {"type": "integer", "minimum": 0, "exclusiveMinimum": True}),
        ({"exclusiveMaximum": 9.5}, {"maximum": 9.5, "exclusiveMaximum": True}),
        ({"const": "on"}, {"enum": ["on"]}),
        ({"const": None}, {"enum": [None]}),
        ({"type": "string", "title": "T", "description": "D", "default": "x", "examples": ["y"]}, {"type": "string"}),
        (
            {"type": "object", "properties": {"title": {"type": "string", "title": "Title"}}, "required": ["title"]},
            {"type": "object", "properties": {"title": {"type": "string"}}, "required": ["title"]},
        ),
        ({"properties": {"description": {"const": 1}}}, {"properties": {"description": {"enum": [1]}}}),
        ({"type": "array", "items": {"const": 1}}, {"type": "array", "items": {"enum": [1]}}),
        ({"additionalProperties": False}, {"additionalProperties": False}),
        (
            {"additionalProperties": {"exclusiveMinimum": 1}},
            {"additionalProperties": {"minimum": 1, "exclusiveMinimum": True}},
        ),
        ({"anyOf": [{"const": 1}, {"type": "null"}]}, {"anyOf": [{"enum": [1]}, {"type": "null"}]}),
        ({"not": {"const": 1}}, {"not": {"enum": [1]}}),
        ({"enum": ["description", "title"]}, {"enum": ["description", "title"]}),
        ({"patternProperties": {"^x-": {"deprecated": True}}}, {"patternProperties": {"^x-": {}}}),
    ],
)
def test_a_schema_demands_the_same_in_draft_4(schema: dict[str, Any], converted: dict[str, Any]) -> None:
    before = json.dumps(schema)

    assert draft_4(schema) == DRAFT | converted
    assert json.dumps(schema) == before


def _document(tmp_path: Path, schemas: dict[str, Any]) -> OpenApiDocument:
    path = tmp_path / "openapi.json"
    path.write_text(json.dumps({"components": {"schemas": schemas}}), encoding="utf-8")
    return OpenApiDocument(path)


def test_references_are_resolved_at_any_depth(tmp_path: Path) -> None:
    document = _document(
        tmp_path,
        {
            "Order": {"properties": {"lines": {"type": "array", "items": {"$ref": "#/components/schemas/Line"}}}},
            "Line": {"properties": {"count": {"$ref": "#/components/schemas/Count"}}},
            "Count": {"type": "integer"},
        },
    )

    resolved = document.schema("Order")

    assert "$ref" not in json.dumps(resolved)
    assert resolved["properties"]["lines"]["items"]["properties"]["count"] == {"type": "integer"}


def test_a_schema_that_is_not_there_is_a_key_error(tmp_path: Path) -> None:
    with pytest.raises(KeyError, match="Order"):
        _document(tmp_path, {}).schema("Order")
