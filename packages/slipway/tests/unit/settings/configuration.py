"""Configurations for tests: the specimen's, modified, and written as TOML."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Any

from specimen import FOLDER

FILES = tuple(sorted(path.name for path in FOLDER.glob("*.toml")))

Documents = dict[str, dict[str, Any]]


def pristine() -> Documents:
    """Read the specimen's files as data, by their names; the caller may change them."""
    return {name: tomllib.loads((FOLDER / name).read_text(encoding="utf-8")) for name in FILES}


def put(document: dict[str, Any], key: str, value: Any) -> None:
    """Set a dotted key."""
    *parents, last = key.split(".")
    for parent in parents:
        document = document[parent]
    document[last] = value


def take(document: dict[str, Any], key: str) -> None:
    """Delete a dotted key."""
    *parents, last = key.split(".")
    for parent in parents:
        document = document[parent]
    del document[last]


def write(folder: Path, documents: Documents) -> Path:
    """Write the documents as TOML, each table inline."""
    for name, document in documents.items():
        lines = (f"{json.dumps(key)} = {_toml(value)}\n" for key, value in document.items())
        (folder / name).write_text("".join(lines), encoding="utf-8")
    return folder


def _toml(value: Any) -> str:
    match value:
        case dict():
            return "{" + ", ".join(f"{json.dumps(key)} = {_toml(inner)}" for key, inner in value.items()) + "}"
        case list():
            return "[" + ", ".join(map(_toml, value)) + "]"
        case float():
            return repr(value)
        case str() | bool() | int():
            return json.dumps(value).replace("\x7f", "\\u007f")
    raise TypeError(f"{value!r} has no place in TOML")
