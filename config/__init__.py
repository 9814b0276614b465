"""Settings: one TOML file an environment and one for the pipeline, read once into frozen models."""

from config.load import ConfigurationError, Problem, load
from config.model import (
    AlarmSettings,
    Capacity,
    Environment,
    FunctionSettings,
    IngestSettings,
    ItemsSettings,
    PipelineSettings,
    ProcessingSettings,
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
    "IngestSettings",
    "ItemsSettings",
    "PipelineSettings",
    "Problem",
    "ProcessingSettings",
    "Settings",
    "SourceKind",
    "Throttle",
    "load",
]
