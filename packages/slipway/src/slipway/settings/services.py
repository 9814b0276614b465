"""Discover the services' settings models, and compose them into the model of an environment.

A service defines its model in `services/<name>/settings.py`, so that the tool's model names no service.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from pydantic import create_model

from slipway.project import ROOT
from slipway.settings.model import Environment, Services, ServiceSettings

SERVICES_FOLDER = ROOT / "services"

Models = Mapping[str, type[ServiceSettings]]
"""Settings model of each service, by the service's name."""


def discover(folder: Path = SERVICES_FOLDER) -> Models:
    """Import the settings model of every service that has a folder.

    Args:
        folder: The package `services`. Default: that of this project.

    Raises:
        TypeError: A `settings.py` does not define exactly one model of a service's settings.
    """
    if str(folder.parent) not in sys.path:
        sys.path.append(str(folder.parent))
    names = sorted(file.parent.name for file in folder.glob("*/settings.py"))
    return {name: _model_in(f"{folder.name}.{name}.settings") for name in names}


def _model_in(module: str) -> type[ServiceSettings]:
    found = [
        value
        for value in vars(importlib.import_module(module)).values()
        if isinstance(value, type) and issubclass(value, ServiceSettings) and value.__module__ == module
    ]
    if len(found) != 1:
        raise TypeError(f"{module} must define one subclass of ServiceSettings; it defines {len(found)}")
    return found[0]


def compose(models: Models) -> type[Environment]:
    """Return the model of an environment that has a table for each of these services.

    Two calls with the same models return the same class, so that environments can be compared.
    """
    return _composed(tuple(models.items()))


@lru_cache
def _composed(models: tuple[tuple[str, type[ServiceSettings]], ...]) -> type[Environment]:
    fields: dict[str, Any] = {name: (model, ...) for name, model in models}
    services = create_model("Services", __base__=Services, **fields)
    return create_model("Environment", __base__=Environment, services=(services, ...))
