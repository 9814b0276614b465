"""Read one TOML file per environment and one for the pipeline into frozen models."""

from slipway.settings.load import ConfigurationError, Problem, load
from slipway.settings.model import (
    AlarmSettings,
    Capacity,
    Environment,
    FunctionSettings,
    PipelineSettings,
    ServiceSettings,
    Settings,
    SourceKind,
    Throttle,
)

__all__ = [
    "AlarmSettings",
    "Capacity",
    "ConfigurationError",
    "Environment",
    "FunctionSettings",
    "PipelineSettings",
    "Problem",
    "ServiceSettings",
    "Settings",
    "SourceKind",
    "Throttle",
    "load",
]
