"""The files of a finished assembly that the gate reads: the report, the manifests, the metadata. No CDK is loaded."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError
from pydantic.alias_generators import to_camel

REPORT_FILE = "validation-report.json"
"""Name that CDK gives its report in the assembly."""

MANIFEST_FILE = "manifest.json"


class UnreadableError(Exception):
    """A file that is missing, damaged or too old; the message is one line, without the file."""

    def __init__(self, file: Path, message: str) -> None:
        self.file = file
        super().__init__(message)


# What is read of CDK's files (cloud-assembly-schema 55). Other keys are left alone.
class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, alias_generator=to_camel)


class ViolatingConstruct(_Model):
    """A construct that breaks a rule; empty for a finding about none."""

    construct_path: str = ""


class Violation(_Model):
    """One rule, and the constructs that break it."""

    rule_name: str
    description: str
    severity: str
    suggested_fix: str | None = None
    rule_metadata: dict[str, str] | None = None
    violating_constructs: tuple[ViolatingConstruct, ...]


class Suppressed(Violation):
    """One rule, and the constructs for which breaking it is acknowledged."""

    acknowledged_id: str
    reason: str = ""
    acknowledged_at: str = ""


class PluginReport(_Model):
    """What one pack found."""

    plugin_name: str
    conclusion: str
    violations: tuple[Violation, ...]
    suppressed_violations: tuple[Suppressed, ...] = ()
    metadata: dict[str, str] = Field(default_factory=dict)


class Report(_Model):
    """`validation-report.json`."""

    version: str
    plugin_reports: tuple[PluginReport, ...]


class _Artifact(_Model):
    type: str
    display_name: str = ""
    properties: dict[str, Any] = Field(default_factory=dict)
    metadata: dict[str, Any] = Field(default_factory=dict)
    additional_metadata_file: str | None = None


class _Manifest(_Model):
    artifacts: dict[str, _Artifact]


class MetadataEntry(_Model):
    """One entry of a construct's metadata."""

    type: str
    data: Any = None


_METADATA = TypeAdapter(dict[str, tuple[MetadataEntry, ...]])


@dataclass(frozen=True)
class StackFiles:
    """One stack of an assembly."""

    name: str
    """Path of its construct, such as `Pipeline/prod-items/Data`."""
    template: Path
    template_key: str
    """Path of the template within the assembly."""
    metadata: Mapping[str, tuple[MetadataEntry, ...]]


def read_report(assembly: Path, *, since: float | None) -> Report:
    """CDK's report on an assembly.

    Args:
        assembly: folder that `app.synth()` wrote.
        since: start of the run, seconds since the epoch; a report that is older is refused. Default: any is taken.

    Raises:
        UnreadableError: it is missing, damaged or older than the run.
    """
    path = assembly / REPORT_FILE
    try:
        report = Report.model_validate_json(path.read_bytes())
        written = path.stat().st_mtime
    except OSError as error:
        raise UnreadableError(path, "is missing: no rule was asked") from error
    except ValidationError as error:
        raise UnreadableError(path, f"is damaged ({_first(error)})") from error
    if since is not None and written < since:
        raise UnreadableError(path, "is older than this run")
    return report


def read_stacks(assembly: Path) -> list[StackFiles]:
    """Every stack of an assembly and of the assemblies nested in it.

    Raises:
        UnreadableError: a manifest or a file that it names is missing or damaged.
    """
    return _stacks(assembly, assembly)


def _stacks(assembly: Path, root: Path) -> list[StackFiles]:
    path = assembly / MANIFEST_FILE
    try:
        manifest = _Manifest.model_validate_json(path.read_bytes())
    except OSError as error:
        raise UnreadableError(path, f"is missing: {os.path.relpath(assembly, Path.cwd())} is no assembly") from error
    except ValidationError as error:
        raise UnreadableError(path, f"is damaged ({_first(error)})") from error
    stacks: list[StackFiles] = []
    for identifier, artifact in sorted(manifest.artifacts.items()):
        if artifact.type == "cdk:cloud-assembly":
            stacks.extend(_stacks(assembly / _named(path, artifact, "directoryName"), root))
        elif artifact.type == "aws:cloudformation:stack":
            template = assembly / _named(path, artifact, "templateFile")
            stacks.append(
                StackFiles(
                    name=artifact.display_name.split(" (")[0] or identifier,
                    template=template,
                    template_key=os.path.relpath(template, root),
                    metadata=_metadata(assembly, artifact),
                )
            )
    return stacks


def _named(manifest: Path, artifact: _Artifact, key: str) -> str:
    value = artifact.properties.get(key)
    if not isinstance(value, str):
        raise UnreadableError(manifest, f"is damaged (artifacts: {key} is missing)")
    return value


def _metadata(assembly: Path, artifact: _Artifact) -> Mapping[str, tuple[MetadataEntry, ...]]:
    path = assembly / (artifact.additional_metadata_file or MANIFEST_FILE)
    try:
        if artifact.additional_metadata_file is None:
            return _METADATA.validate_python(artifact.metadata)
        return _METADATA.validate_json(path.read_bytes())
    except OSError as error:
        raise UnreadableError(path, "is missing") from error
    except ValidationError as error:
        raise UnreadableError(path, f"is damaged ({_first(error)})") from error


def _first(error: ValidationError) -> str:
    detail = error.errors(include_url=False)[0]
    place = ".".join(str(part) for part in detail["loc"])
    return f"{place}: {detail['msg']}" if place else detail["msg"]
