"""Assemblies whose stacks have one resource each."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

PIPELINE = {"Type": "AWS::CodePipeline::Pipeline"}
TOPIC = {"Type": "AWS::SNS::Topic"}


def stack(environment: str, resource: dict[str, Any] = TOPIC, **properties: str) -> dict[str, Any]:
    """Return a stack with one resource."""
    return {"environment": environment, "resource": resource, "properties": properties}


def write(folder: Path, made: dict[str, dict[str, Any]]) -> Path:
    """Write an assembly with these stacks."""
    folder.mkdir(parents=True, exist_ok=True)
    artifacts = {}
    for name, described in made.items():
        properties = {"templateFile": f"{name}.template.json", **described["properties"]}
        artifacts[name] = {
            "type": "aws:cloudformation:stack",
            "environment": described["environment"],
            "properties": properties,
        }
        template = {"Resources": {"It": described["resource"]}}
        (folder / properties["templateFile"]).write_text(json.dumps(template), encoding="utf-8")
    (folder / "manifest.json").write_text(json.dumps({"version": "16.0.0", "artifacts": artifacts}), encoding="utf-8")
    return folder
