"""A variant's pipeline, synthesised once, with helpers to read it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import cache
from typing import Any

from infrastructure import synthesis
from infrastructure.matrix import PIPELINES
from slipway.service import Service
from slipway.settings import Settings


class Pipeline:
    """The pipeline of a variant, and the stacks that it deploys."""

    def __init__(
        self, settings: Settings, services: Sequence[type[Service]] = (synthesis.Tiny, synthesis.Small)
    ) -> None:
        self.settings = settings
        self.template, self.all, self.assembly = synthesis.pipeline(settings, services)

    @property
    def properties(self) -> dict[str, Any]:
        return self.template.only("AWS::CodePipeline::Pipeline")

    @property
    def stages(self) -> dict[str, list[dict[str, Any]]]:
        """Actions by stage, in order."""
        return {stage["Name"]: stage["Actions"] for stage in self.properties["Stages"]}

    def text(self, value: Any) -> str:
        match value:
            case str():
                return value
            case {"Fn::Join": [str(delimiter), list(parts)]}:
                return delimiter.join(self.text(part) for part in parts)
        return json.dumps(value)

    def artifacts(self) -> tuple[str, dict[str, Any]]:
        """Return logical id and resource of the artifact bucket."""
        store = self.properties.get("ArtifactStore") or next(
            entry["ArtifactStore"]
            for entry in self.properties["ArtifactStores"]
            if entry["Region"] == self.settings.pipeline.region
        )
        name = store["Location"]["Ref"]
        return name, self.template.resources[name]

    def project(self, name: str, action: str = "") -> dict[str, Any]:
        """Return the properties of the project of a stage's action; by default, the first action."""
        found = next(each for each in self.stages[name] if action in {"", each["Name"]})
        reference = found["Configuration"]["ProjectName"]["Ref"]
        properties: dict[str, Any] = self.template.resources[reference]["Properties"]
        return properties

    def statements(self, role: str) -> list[dict[str, Any]]:
        """Return the statements of a role's policies."""
        return [
            statement
            for policy in self.template.properties_of("AWS::IAM::Policy")
            if {"Ref": role} in policy["Roles"]
            for statement in policy["PolicyDocument"]["Statement"]
        ]


@cache
def pipeline_of(variant: str) -> Pipeline:
    return Pipeline(PIPELINES[variant])
