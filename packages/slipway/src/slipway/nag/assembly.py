"""Read the files of a finished assembly that the gate needs: report, manifests and metadata, without loading CDK."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError
from pydantic.alias_generators import to_camel

from slipway.assembly.reader import AssemblyError, Manifest, StackEntry, damaged, read_manifests

REPORT_FILE = "validation-report.json"
"""Name that CDK gives its report in the assembly."""


class UnreadableError(Exception):
    """A file that is missing, damaged or too old. The message is one line without the file's name."""

    def __init__(self, file: Path, message: str) -> None:
        self.file = file
        super().__init__(message)


# The parts of CDK's files that are read (cloud-assembly-schema 55). Other keys are ignored.
class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, alias_generator=to_camel)


class ViolatingConstruct(_Model):
    """A construct that breaks a rule; empty if the finding is about no construct."""

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
    """Findings of one pack."""

    plugin_name: str
    conclusion: str
    violations: tuple[Violation, ...]
    suppressed_violations: tuple[Suppressed, ...] = ()
    metadata: dict[str, str] = Field(default_factory=dict)


class ValidationReport(_Model):
    """`validation-report.json`."""

    version: str
    plugin_reports: tuple[PluginReport, ...]


class MetadataEntry(_Model):
    """One entry of a construct's metadata."""

    type: str
    data: Any = None


_METADATA = TypeAdapter(dict[str, tuple[MetadataEntry, ...]])


@dataclass(frozen=True)
class StackFiles:
    """One stack of an assembly."""

    name: str
    """Path of its construct, such as `Pipeline/prod-<service>/Data`."""
    template: Path
    template_key: str
    """Path of the template within the assembly."""
    metadata: Mapping[str, tuple[MetadataEntry, ...]]


def read_report(assembly: Path, *, since: float | None) -> ValidationReport:
    """Return CDK's report on an assembly.

    Args:
        assembly: Folder that `app.synth()` wrote.
        since: Start of the run, Unix time; older reports are refused. Default: any age is accepted.

    Raises:
        UnreadableError: It is missing, damaged or older than the run.
    """
    path = assembly / REPORT_FILE
    try:
        report = ValidationReport.model_validate_json(path.read_bytes())
        written = path.stat().st_mtime
    except OSError as error:
        raise UnreadableError(path, "is missing: no rule has run") from error
    except ValidationError as error:
        raise UnreadableError(path, f"is damaged ({_first(error)})") from error
    if since is not None and written < since:
        raise UnreadableError(path, "is older than this run")
    return report


def read_stacks(assembly: Path) -> list[StackFiles]:
    """Return every stack of an assembly and of the assemblies nested in it.

    Raises:
        UnreadableError: A manifest or a file that it names is missing or damaged.
    """
    try:
        return [
            StackFiles(
                name=entry.path,
                template=entry.template_file,
                template_key=os.path.relpath(entry.template_file, assembly),
                metadata=_metadata(entry),
            )
            for _, manifest in read_manifests(assembly)
            for entry in _entries(manifest)
        ]
    except AssemblyError as error:
        raise UnreadableError(error.file, error.what) from error


def _entries(manifest: Manifest) -> Iterator[StackEntry]:
    if "artifacts" not in manifest.document:
        raise damaged(manifest.path, "it names no artifacts")
    return manifest.stacks()


def _metadata(entry: StackEntry) -> Mapping[str, tuple[MetadataEntry, ...]]:
    try:
        return _METADATA.validate_python(entry.metadata)
    except ValidationError as error:
        raise UnreadableError(entry.metadata_file, f"is damaged ({_first(error)})") from error


def _first(error: ValidationError) -> str:
    detail = error.errors(include_url=False)[0]
    place = ".".join(str(part) for part in detail["loc"])
    return f"{place}: {detail['msg']}" if place else detail["msg"]
