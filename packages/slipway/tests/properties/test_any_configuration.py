"""Every configuration that the model accepts follows the rules and can be synthesised."""

from __future__ import annotations

import enum
import tempfile
import types
import typing
from pathlib import Path
from typing import Annotated, Any, Literal

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

import specimen
from infrastructure import synthesis
from slipway import settings as config
from slipway.settings import ConfigurationError, Settings
from slipway.settings.model import PipelineSettings
from slipway.settings.services import compose
from slipway.testing.rules import RULES
from specimen.delivery import SERVICES
from stages.foundation_stage import FoundationStage
from stages.service_stage import ServiceStage
from unit.settings.configuration import Documents, pristine, write

# Values known only from a list: the model's pattern would allow names that its validators refuse
_KNOWN: dict[str, st.SearchStrategy[str]] = {
    "region": st.sampled_from(["us-east-1", "eu-west-1", "eu-central-1", "ap-southeast-2"]),
    "time_zone": st.sampled_from(["Europe/Berlin", "America/New_York", "Asia/Tokyo", "UTC-05:00"]),
}
# Keys that the loader sets, that name files, or that must fit together; random values would nearly always be refused
_KEPT = {
    "app",
    "bucket_prefix",
    "name",
    "kind",
    "tools_account",
    "tools_region",
    "region",
    "environments",
    "waves",
    "source",
}


def _limits(metadata: typing.Iterable[Any]) -> dict[str, Any]:
    """Return the constraints of annotated types: `ge`, `le`, `min_length`, `pattern`, …"""
    found: dict[str, Any] = {}
    for entry in metadata:
        if isinstance(entry, FieldInfo):
            found |= _limits(entry.metadata)
            continue
        for key in ("gt", "ge", "lt", "le", "min_length", "max_length", "pattern"):
            if (value := getattr(entry, key, None)) is not None:
                found[key] = value
    return found


def _values(annotation: Any, metadata: typing.Iterable[Any] = ()) -> st.SearchStrategy[Any]:
    """Draw a TOML value of a type, within its limits."""
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is Annotated:
        return _values(arguments[0], (*arguments[1:], *metadata))
    if origin in {types.UnionType, typing.Union}:
        return st.one_of(*(_values(each, metadata) for each in arguments))
    if origin is Literal:
        return st.sampled_from(arguments)
    limits = _limits(metadata)
    if origin is dict:
        return st.dictionaries(_values(arguments[0]), _values(arguments[1]), max_size=2)
    if origin is tuple:
        return st.lists(_values(arguments[0]), min_size=limits.get("min_length", 0), max_size=3, unique_by=repr)
    if annotation is type(None):
        return st.none()
    if isinstance(annotation, type) and issubclass(annotation, enum.Enum):
        return st.sampled_from([each.value for each in annotation])
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return _tables(annotation)
    return _scalars(annotation, limits)


def _scalars(annotation: Any, limits: dict[str, Any]) -> st.SearchStrategy[Any]:
    if annotation is bool:
        return st.booleans()
    if annotation is int:
        return st.integers(limits.get("ge", 0), limits.get("le", 100_000))
    if annotation is float:
        return st.floats(max(limits.get("ge", 0), limits.get("gt", 0) + 0.001), limits.get("le", 1e6))
    if annotation is str:
        pattern = limits.get("pattern")
        text = (
            st.from_regex(pattern, fullmatch=True, alphabet=st.characters(min_codepoint=33, max_codepoint=126))
            if pattern
            else st.text(st.characters(min_codepoint=65, max_codepoint=122), min_size=1, max_size=20)
        )
        return text.filter(lambda value: len(value) <= limits.get("max_length", 10_000))
    raise TypeError(f"no strategy for {annotation!r}: teach this test the new kind of value")


def _tables(model: type[BaseModel]) -> st.SearchStrategy[dict[str, Any]]:
    """Draw a table that the model accepts, without unset keys."""
    fields = {name: _field(name, field) for name, field in model.model_fields.items()}
    return (
        st.fixed_dictionaries(fields)
        .map(lambda table: {key: value for key, value in table.items() if value is not None})
        .filter(lambda table: _is_valid(model, table))
    )


def _field(name: str, field: FieldInfo) -> st.SearchStrategy[Any]:
    return _KNOWN[name] if name in _KNOWN else _values(field.annotation, field.metadata)


def _is_valid(model: type[BaseModel], table: dict[str, Any]) -> bool:
    try:
        model.model_validate(table)
    except ValidationError:
        return False
    return True


def _paths(model: type[BaseModel], document: dict[str, Any], above: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    """Return the paths of a document's single values."""
    found = []
    for key in model.model_fields.keys() & document.keys() - _KEPT:
        annotation = model.model_fields[key].annotation
        if isinstance(annotation, type) and issubclass(annotation, BaseModel):
            found += _paths(annotation, document[key], (*above, key))
        else:
            found.append((*above, key))
    return sorted(found)


@st.composite
def _documents(draw: st.DrawFn) -> Documents:
    """Draw the specimen's files with other values that the model accepts."""
    documents = pristine()
    for file, document in documents.items():
        model: type[BaseModel] = PipelineSettings if file == "pipeline.toml" else compose(specimen.MODELS)
        for path in draw(st.lists(st.sampled_from(_paths(model, document)), max_size=4, unique=True)):
            place, at = document, model
            for part in path[:-1]:
                place, at = place[part], typing.cast("type[BaseModel]", at.model_fields[part].annotation)
            value = draw(_field(path[-1], at.model_fields[path[-1]]))
            before = place.pop(path[-1])
            if value is not None:
                place[path[-1]] = value
            # A value that another key or the environment's kind forbids is not allowed
            if isinstance(_load(documents), ConfigurationError):
                place[path[-1]] = before
    return documents


def _load(documents: Documents) -> Settings | ConfigurationError:
    with tempfile.TemporaryDirectory() as folder:
        try:
            return config.load(write(Path(folder), documents))
        except ConfigurationError as error:
            return error


# The same draws in every run, so that an adopter's build does not fail by chance
@settings(max_examples=40, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(documents=_documents())
def test_loaded_configuration_follows_the_rules(documents: Documents) -> None:
    loaded = _load(documents)

    assert isinstance(loaded, Settings)
    for rule in RULES:
        assert list(rule(loaded)) == [], rule.__name__


@settings(max_examples=4, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(documents=_documents(), which=st.integers(0, 2))
def test_loaded_configuration_is_synthesised(documents: Documents, which: int) -> None:
    loaded = _load(documents)
    assert isinstance(loaded, Settings)

    # When the pipeline, and one environment with all services, are synthesised
    synthesis.pipeline(loaded)
    environment = loaded.environments[which]
    app = synthesis.new_app()
    FoundationStage(app, environment=environment, services=[service.name for service in SERVICES])
    for service in SERVICES:
        ServiceStage(app, service=service(environment=environment, assets=synthesis.assets()))

    # Then every stage is in the assembly
    assert len(app.synth().nested_assemblies) == len(SERVICES) + 1
