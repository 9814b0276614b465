"""Write the reference pages of the documentation: every verb, and every key of the configuration."""

from __future__ import annotations

import ast
import inspect
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from pydantic import BaseModel
from typer import Context
from typer.cli import get_docs_for_click

from slipway import project
from slipway.cli.run import load
from slipway.cli.verbs import VERBS, Verb, service_verbs
from slipway.settings.model import Environment, PipelineSettings, ServiceSettings
from slipway.settings.services import discover

FOLDER = project.ROOT / "docs" / "reference"
"""Folder of the committed pages."""

VERBS_PAGE = FOLDER / "verbs.md"
SETTINGS_PAGE = FOLDER / "settings.md"

_VERBS_HEAD = """# Verbs

People, CI and the pipeline run the same verbs. `make VERB` covers everyday use in this repository and installs missing
packages; `slipway VERB` is the command line behind it and has every option. This page is written by `make docs`.

Exit codes: 0 if all is well, 1 if something isn't, 2 for wrong input, 130 if interrupted.

## make

"""

_SLIPWAY_HEAD = """
## slipway

`--project DIR` works on the app in another folder; `--install-completion` teaches the shell the verbs and options.
A service with a file `commands.py` has verbs of its own: `slipway SERVICE COMMAND`.
"""

_SETTINGS_HEAD = """# Settings

Every key of `config/*.toml` with its type, limits and default. [Configuration](../configuration.md) explains how the
files fit together. A key without a default is required, unless its meaning names one. `make docs` writes this page from
the models in `packages/slipway/src/slipway/settings/model.py` and `services/<name>/settings.py`.
"""

# These come from the file's name, `pipeline.toml` or the environment, never from the table itself.
_FROM_ELSEWHERE = {
    "Environment": {
        "app",
        "bucket_prefix",
        "group",
        "leads",
        "name",
        "sandbox",
        "services",
        "tools_account",
        "tools_region",
    },
    "PipelineSettings": {"group", "name"},
}

# The pipeline's file uses another name than the model.
_CALLED = {("PipelineSettings", "app"): "name"}

_TABLE_HEAD = "| key | type | default | meaning |\n|---|---|---|---|\n"


def pages(makefile: Path = project.ROOT / "Makefile") -> Mapping[Path, str]:
    """Return each reference page with its text.

    Args:
        makefile: The file that lists the verbs of `make`.
    """
    verbs = (*VERBS, *service_verbs(project.ROOT))
    return {VERBS_PAGE: verbs_page(makefile, verbs), SETTINGS_PAGE: settings_page(discover())}


def verbs_page(makefile: Path, verbs: Iterable[Verb]) -> str:
    """Return the page of the verbs in Markdown.

    Args:
        makefile: The file that lists the verbs of `make`.
        verbs: The verbs of the command line.
    """
    listed = re.findall(r"^([a-z-]+):.* ## (.*)$", makefile.read_text(encoding="utf-8"), flags=re.MULTILINE)
    rows = "".join(f"| `make {name}` | {_cell(summary)} |\n" for name, summary in listed)
    shown = [verb for verb in verbs if not verb.hidden]
    sections = [_verb(verb) for verb in sorted(shown, key=lambda verb: verb.name)]
    return "\n".join([f"{_VERBS_HEAD}| verb | what it does |\n|---|---|\n{rows}", _SLIPWAY_HEAD.strip(), "", *sections])


def _verb(verb: Verb) -> str:
    command = load(verb)
    # typer's page has its own headings; here each verb is one section.
    text: str = get_docs_for_click(obj=command, ctx=Context(command), indent=2, call_prefix="slipway")
    # Defaults inside the project are the same in every checkout.
    text = text.replace(f"{project.ROOT}/", "")
    # Angle brackets outside code would be parsed as HTML.
    lines = [line if line.startswith("$ ") else _escaped(line) for line in text.strip().splitlines()]
    return "\n".join(lines) + "\n"


def _escaped(line: str) -> str:
    parts = line.split("`")
    parts[::2] = [part.replace("<", "&lt;") for part in parts[::2]]
    return "`".join(parts)


def settings_page(services: Mapping[str, type[ServiceSettings]]) -> str:
    """Return the page of the settings in Markdown.

    Args:
        services: The settings' model of each service.
    """
    parts = [
        _SETTINGS_HEAD,
        "## `<environment>.toml`\n",
        *_tables(Environment, ()),
        *(part for name, model in services.items() for part in _tables(model, ("services", name))),
        "## `pipeline.toml`\n",
        *_tables(PipelineSettings, ()),
    ]
    return "\n".join(parts)


def _tables(model: type[BaseModel], path: tuple[str, ...]) -> Iterator[str]:
    """Yield a table for a model, then one for each TOML table in it."""
    schema = model.model_json_schema()
    definitions = schema.get("$defs", {})
    yield from _table(schema, definitions, path, _docstrings(model))


def _table(
    schema: Mapping[str, Any],
    definitions: Mapping[str, Any],
    path: tuple[str, ...],
    said: Mapping[str, Mapping[str, str]],
) -> Iterator[str]:
    """Yield the Markdown of one TOML table and those in it."""
    required = set(schema.get("required", ()))
    rows, below = [], []
    for key, field in schema.get("properties", {}).items():
        if key in _FROM_ELSEWHERE.get(schema["title"], ()):
            continue
        inner = _models(field, definitions)
        if inner:
            # A table of tables: the app chooses its keys.
            chosen = (key, "<name>") if _each(field) else (key,)
            below += [(chosen, name) for name in inner]
            continue
        text = said[schema["title"]].get(key, "")
        default = "" if key in required else _default(field)
        name = _CALLED.get((schema["title"], key), key)
        rows.append(f"| `{name}` | {_cell(_type(field, definitions))} | {default} | {_cell(text)} |\n")
    if path:
        yield f"### `[{'.'.join(path)}]`{_variant(schema)}\n"
    if text := schema.get("description", ""):
        yield f"{_first_paragraph(text)}\n"
    if rows:
        yield _TABLE_HEAD + "".join(rows)
    for key, name in below:
        yield from _table(definitions[name], definitions, (*path, *key), said)


def _variant(schema: Mapping[str, Any]) -> str:
    """Return which variant of a table this is, by the key that distinguishes them."""
    for key, field in schema.get("properties", {}).items():
        if "const" in field:
            return f', `{key} = "{field["const"]}"`'
    return ""


def _models(field: Mapping[str, Any], definitions: Mapping[str, Any]) -> list[str]:
    """Return the names of the models that a key contains; an empty list for a value."""
    options = [field, *field.get("anyOf", ()), *field.get("oneOf", ()), *_each(field)]
    names = [option["$ref"].rpartition("/")[2] for option in options if "$ref" in option]
    return [name for name in names if "properties" in definitions[name]]


def _each(field: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Return the schemas of the values of a table with chosen keys; an empty list for any other."""
    return [*field.get("patternProperties", {}).values()]


def _type(field: Mapping[str, Any], definitions: Mapping[str, Any]) -> str:
    """Return the type of a key's values, as text."""
    if "$ref" in field:
        field = definitions[field["$ref"].rpartition("/")[2]]
    if options := [option for option in field.get("anyOf", ()) if option.get("type") != "null"]:
        return " or ".join(_type(option, definitions) for option in options)
    if "const" in field:
        return f"`{json.dumps(field['const'])}`"
    if "enum" in field:
        return ", ".join(f"`{json.dumps(value)}`" for value in field["enum"])
    if field.get("type") == "array":
        item = _type(field.get("items") or field.get("prefixItems", [{}])[0], definitions)
        most = f", {field['maxItems']} at most" if "maxItems" in field else ""
        least = ", at least one" if field.get("minItems") else ""
        return f"list of {item}{least}{most}"
    return f"{field.get('type', 'value')}{_limits(field)}"


def _limits(field: Mapping[str, Any]) -> str:
    low, high = field.get("minimum"), field.get("maximum")
    if "exclusiveMinimum" in field:
        return f" above {field['exclusiveMinimum']:g}" + (f", at most {high:,}" if high is not None else "")
    if low is not None and high is not None:
        return f", {low:,} to {high:,}"
    if low is not None:
        return f", at least {low:,}"
    if "pattern" in field:
        return f" matching `{field['pattern']}`"
    if "maxLength" in field:
        return f" of up to {field['maxLength']:,} characters"
    return ""


def _default(field: Mapping[str, Any]) -> str:
    value = field.get("default")
    return "none" if value is None or value in ("", []) else f"`{json.dumps(value)}`"


def _docstrings(model: type[BaseModel]) -> Mapping[str, Mapping[str, str]]:
    """Return the docstrings of a model's keys, by model and key, including nested models."""
    found: dict[str, dict[str, str]] = {}
    for kind in _reached(model):
        texts: dict[str, str] = {}
        for base in reversed(kind.__mro__):
            if issubclass(base, BaseModel) and base is not BaseModel:
                texts |= _written(base)
        found[kind.__name__] = texts
    return found


def _reached(model: type[BaseModel]) -> Iterator[type[BaseModel]]:
    """Yield a model and every nested model."""
    seen, todo = set(), [model]
    while todo:
        kind = todo.pop()
        if kind in seen:
            continue
        seen.add(kind)
        yield kind
        for field in kind.model_fields.values():
            todo += _models_in(field.annotation)


def _models_in(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for part in getattr(annotation, "__args__", ()) for model in _models_in(part)]


@cache
def _written(model: type[BaseModel]) -> Mapping[str, str]:
    """Return the docstring below each attribute of a class."""
    (node,) = ast.parse(inspect.cleandoc(f"\n{inspect.getsource(model)}")).body
    assert isinstance(node, ast.ClassDef)  # noqa: S101  # nosec B101  # a class's source is a class
    pairs = zip(node.body, node.body[1:], strict=False)
    return {
        field.target.id: inspect.cleandoc(below.value.value)
        for field, below in pairs
        if isinstance(field, ast.AnnAssign)
        and isinstance(field.target, ast.Name)
        and isinstance(below, ast.Expr)
        and isinstance(below.value, ast.Constant)
        and isinstance(below.value.value, str)
    }


def _first_paragraph(text: str) -> str:
    return " ".join(text.partition("\n\n")[0].split())


def _cell(text: str) -> str:
    """Return text escaped for a table cell."""
    return " ".join(text.split()).replace("|", "\\|")
