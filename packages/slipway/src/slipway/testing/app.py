"""The app under test, synthesised once for many tests: what `app.py` deploys with the configuration in `config/`."""

from __future__ import annotations

import importlib
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from slipway import settings as config
from slipway.app import Delivery
from slipway.delivery.names import foundation_stack
from slipway.project import ROOT
from slipway.settings import Environment, Settings
from slipway.settings.services import SERVICES_FOLDER, discover
from slipway.testing.synthesis import Kept, app_sources, new_folder, stand_in_assets
from slipway.testing.templates import DeployedTemplates, Template, templates_of


@dataclass(frozen=True)
class Subject:
    """The app that a suite runs on.

    Attributes:
        settings: The configuration of all of it.
        cases: Environment and service, by name, of each deployment.
        deploy: Returns the deployment of a service in an environment.
        ships: True if this project builds the assets of these services.
    """

    settings: Settings
    cases: Sequence[tuple[str, str]]
    deploy: Callable[[str, str], DeployedTemplates]
    ships: bool = False


@cache
def delivery() -> Delivery:
    """Return the app of this project's `app.py`."""
    if str(ROOT) not in sys.path:
        sys.path.insert(0, str(ROOT))
    found = importlib.import_module("app").delivery
    assert isinstance(found, Delivery)
    return found


@cache
def settings() -> Settings:
    """Return the committed configuration."""
    return config.load(ROOT / "config", services=discover(SERVICES_FOLDER))


@cache
def subject() -> Subject:
    """Return every service in every environment of the app under test."""
    cases = [
        (environment.name, service.name) for environment in settings().environments for service in delivery().services
    ]
    return Subject(settings(), cases, deployment, ships=True)


@cache
def deployment(environment: str, service: str) -> DeployedTemplates:
    """Return a service in an environment with the committed settings."""
    return _of(settings().environment(environment), service, _whole())


def pipeline() -> Template:
    """Return the pipeline's own template."""
    name = f"{settings().pipeline.app}-pipeline"
    return next(template for template in _whole() if template.stack_name == name)


def changed_deployment(environment: str, service: str, changes: Mapping[str, Any]) -> DeployedTemplates:
    """Return a service in an environment whose settings differ from the committed ones.

    Args:
        environment: Name of a committed environment.
        service: Name of the service.
        changes: Dotted key → value; None removes the key.
    """
    other = changed(settings().environment(environment), changes)
    name = json.dumps([environment, service, changes], sort_keys=True)
    return _of(other, service, _kept().templates(name, lambda: _synthesize((other,), [service])))


def in_variants(service: str, **variants: tuple[int, Mapping[str, Any]]) -> Any:
    """Return a fixture with a service in every environment as committed, and in some variants of one.

    Args:
        service: Name of the service.
        variants: Name → index of the environment, and what differs from it, as `changed_deployment` takes it.
    """
    names = [environment.name for environment in settings().environments]
    cases: dict[str, tuple[str, Mapping[str, Any]]] = {name: (name, {}) for name in names}
    cases |= {name: (names[index], changes) for name, (index, changes) in variants.items()}

    @pytest.fixture(params=cases)
    def deployed(request: pytest.FixtureRequest) -> DeployedTemplates:
        environment, changes = cases[request.param]
        return changed_deployment(environment, service, changes) if changes else deployment(environment, service)

    return deployed


def changed(environment: Environment, changes: Mapping[str, Any]) -> Environment:
    """Return an environment with some keys changed, validated like a file.

    Args:
        environment: The environment, which is not changed.
        changes: Dotted key → value; None removes the key.
    """
    document = environment.model_dump(mode="json", exclude_none=True)
    for path, value in changes.items():
        *parents, last = path.split(".")
        place = document
        for parent in parents:
            place = place[parent]
        if value is None:
            place.pop(last, None)
        else:
            place[last] = value
    return type(environment).model_validate(document)


@cache
def _kept() -> Kept:
    return Kept(app_sources())


@cache
def _whole() -> Sequence[Template]:
    names = [service.name for service in delivery().services]
    return _kept().templates("app", lambda: _synthesize(settings().environments, names))


def _synthesize(environments: Sequence[Environment], services: Sequence[str]) -> list[Template]:
    known = {service.name: service for service in delivery().services}
    document = settings().pipeline.model_dump(mode="json", exclude_none=True)
    names = [environment.name for environment in environments]
    document |= {
        "environments": names,
        "side_by_side": [each for each in document.get("side_by_side", []) if set(each) <= set(names)],
        "approval_before": [name for name in document.get("approval_before", []) if name in names],
    }
    if list(services) != list(known):
        document.pop("waves", None)
    of = Settings(pipeline=type(settings().pipeline).model_validate(document), environments=tuple(environments))
    app = delivery().build(
        of, stand_in_assets(tuple(known)), outdir=str(new_folder()), services=[known[name] for name in services]
    )
    return list(templates_of(Path(app.synth().directory)))


def _of(environment: Environment, service: str, templates: Sequence[Template]) -> DeployedTemplates:
    prefixes = (f"{environment.name}-{service}-", foundation_stack(environment))
    found = {template.name: template for template in templates if template.stack_name.startswith(prefixes)}
    return DeployedTemplates(f"{service} in {environment.name}", environment, found)
