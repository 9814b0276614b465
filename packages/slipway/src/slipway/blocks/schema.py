"""Convert JSON schemas of OpenAPI 3.1 to the draft that API Gateway reads."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

# Keywords without effect on validity, and keywords that draft 4 does not have.
_DROPPED = frozenset({"default", "deprecated", "description", "example", "examples", "readOnly", "title", "writeOnly"})
_BOUNDS = {"exclusiveMinimum": "minimum", "exclusiveMaximum": "maximum"}


class OpenApiDocument:
    """A service's committed OpenAPI document.

    Args:
        path: The document, JSON.
    """

    def __init__(self, path: Path) -> None:
        self._document: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))

    def schema(self, name: str) -> dict[str, Any]:
        """Return the component schema of that name with its references resolved.

        Args:
            name: Name under `components.schemas`.

        Raises:
            KeyError: No schema has this name.
        """
        resolved = self._resolve(self._document["components"]["schemas"][name])
        if not isinstance(resolved, dict):
            raise TypeError(f"{name} is not an object")
        return resolved

    def _resolve(self, node: Any) -> Any:
        if isinstance(node, dict):
            if "$ref" in node:
                return self.schema(node["$ref"].removeprefix("#/components/schemas/"))
            return {key: self._resolve(value) for key, value in node.items()}
        if isinstance(node, list):
            return [self._resolve(value) for value in node]
        return node


def draft_4(schema: Mapping[str, Any]) -> dict[str, Any]:
    """Convert a schema for API Gateway's request validation, which reads JSON Schema draft 4.

    Args:
        schema: A schema of OpenAPI 3.1 (JSON Schema 2020-12) without references.

    Returns:
        The same constraints in draft 4; words without effect on validity are left out.
    """
    return {"$schema": "http://json-schema.org/draft-04/schema#", **_convert(schema)}


def _convert(schema: Mapping[str, Any]) -> dict[str, Any]:
    converted: dict[str, Any] = {}
    for key, value in schema.items():
        if key in _DROPPED:
            continue
        if key == "const":
            converted["enum"] = [value]
        elif key in _BOUNDS:
            converted |= {_BOUNDS[key]: value, key: True}
        elif key in {"properties", "patternProperties"}:
            converted[key] = {name: _convert(inner) for name, inner in value.items()}
        elif key in {"items", "additionalProperties", "not"} and isinstance(value, Mapping):
            converted[key] = _convert(value)
        elif key in {"anyOf", "allOf", "oneOf"}:
            converted[key] = [_convert(inner) for inner in value]
        else:
            converted[key] = value
    return converted
