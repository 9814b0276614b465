"""Set every number of a configuration to the highest or lowest value that the model allows."""

from __future__ import annotations

import typing
from collections.abc import Iterable, Iterator
from typing import Any

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from adopters.copies import Copy
from slipway import settings as config
from slipway.settings.model import PipelineSettings
from slipway.settings.services import compose, discover

_Figure = tuple[dict[str, Any], str, float]
"""A table, a key in it, and the limit of its value."""


def at_limits(copy: Copy, *, highest: bool) -> None:
    """Set each number to its limit, unless another number or the environment's kind forbids it.

    Args:
        copy: The copy whose configuration is changed.
        highest: True for the highest value, False for the lowest.
    """
    environment = compose(discover())
    for name in ("pipeline", *copy.environments()):
        document = copy.toml(name)
        model: type[BaseModel] = PipelineSettings if name == "pipeline" else environment
        moved = 0
        # A value that another one forbids at first may be allowed once that other one has changed
        for _ in range(2):
            for table, key, value in list(_figures(model, document, highest=highest)):
                before, table[key] = table[key], value
                copy.write(name, document)
                if not _loads(copy):
                    table[key] = before
                elif before != value:
                    moved += 1
        copy.write(name, document)
        assert moved, f"{name}.toml: no figure moved"


def _loads(copy: Copy) -> bool:
    try:
        config.load(copy.folder / "config")
    except config.ConfigurationError:
        return False
    return True


def _figures(model: type[BaseModel], table: dict[str, Any], *, highest: bool) -> Iterator[_Figure]:
    """Yield each number of a table, and of its nested tables, with its limit."""
    for key, field in model.model_fields.items():
        if key not in table:
            continue
        if isinstance(table[key], dict):
            for inner in _models(field.annotation):
                if set(table[key]) <= set(inner.model_fields):
                    yield from _figures(inner, table[key], highest=highest)
        elif isinstance(table[key], int | float) and not isinstance(table[key], bool):
            limits = [value for value in _limits(field, highest=highest) if value is not None]
            if limits:
                yield table, key, type(table[key])(limits[0])


def _models(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for inner in typing.get_args(annotation):
        yield from _models(inner)


def _limits(field: FieldInfo, *, highest: bool) -> Iterator[float | None]:
    for entry in _entries(field.annotation, field.metadata):
        yield getattr(entry, "le" if highest else "ge", None)
        if not highest and getattr(entry, "gt", None) is not None:
            yield entry.gt + 0.001
    options = [value for value in typing.get_args(field.annotation) if isinstance(value, int)]
    if options:
        yield max(options) if highest else min(options)


def _entries(annotation: Any, metadata: Iterable[Any]) -> Iterator[Any]:
    for entry in metadata:
        yield from entry.metadata if isinstance(entry, FieldInfo) else (entry,)
    for inner in typing.get_args(annotation):
        yield from _entries(inner, getattr(inner, "__metadata__", ()))
