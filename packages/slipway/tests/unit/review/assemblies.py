"""Builds assemblies for tests in a line or two, in memory and on disk."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from slipway.review.assembly import Assembly, ReviewedStack, StackKey
from slipway.review.comparison import Comparison, compare
from slipway.review.findings import ChangeFinding

ACCOUNT, TOOLS, STRANGER = "333333333333", "999999999999", "123456789012"
REGION = "us-east-1"
STAGE = "prod-items"

Template = Mapping[str, Any]


def resource(kind: str, properties: Mapping[str, Any] | None = None, **attributes: Any) -> dict[str, Any]:
    """Return a resource as it appears in a template."""
    return {"Type": kind, "Properties": dict(properties or {}), **attributes}


def template(resources: Mapping[str, Any], **sections: Any) -> dict[str, Any]:
    """Return a template with these resources."""
    return {"Resources": dict(resources), **sections}


def stack(
    resources: Mapping[str, Any],
    *,
    name: str = "prod-items-data",
    stage: str = STAGE,
    account: str = ACCOUNT,
    protected: bool = False,
    assets: frozenset[str] = frozenset(),
    **sections: Any,
) -> ReviewedStack:
    """Return a stack with these resources, each a construct of the stack."""
    path = f"Pipeline/{stage}/{name.rpartition('-')[2].title()}"
    return ReviewedStack(
        key=StackKey(account, REGION, name),
        stage=stage,
        path=path,
        template=template(resources, **sections),
        termination_protection=protected,
        assets=assets,
        paths={logical_id: f"{path}/{logical_id}/Resource" for logical_id in resources},
    )


def nested(parent: ReviewedStack, logical_id: str, resources: Mapping[str, Any], **sections: Any) -> ReviewedStack:
    """Return a nested stack with these resources."""
    path = f"{parent.path}/{logical_id}"
    return ReviewedStack(
        key=parent.key.nested(logical_id),
        stage=parent.stage,
        path=path,
        template=template(resources, **sections),
        assets=parent.assets,
        paths={name: f"{path}/{name}/Resource" for name in resources},
        parent=parent.key,
        parent_id=logical_id,
    )


def assembly(*stacks: ReviewedStack) -> Assembly:
    """Return an assembly with these stacks."""
    return Assembly(stacks=stacks)


def of(resources: Mapping[str, Any], **options: Any) -> Assembly:
    """Return an assembly of one stack, plus an unchanged stack of the tools account."""
    tools = stack({"Topic": resource("AWS::SNS::Topic")}, name="slipway-pipeline", stage="pipeline", account=TOOLS)
    return assembly(stack(resources, **options), tools)


def changed(before: Mapping[str, Any], after: Mapping[str, Any]) -> Comparison:
    """Compare two sets of resources."""
    return compare(of(before), of(after))


def found(before: Mapping[str, Any], after: Mapping[str, Any], kind: str | None = None) -> list[ChangeFinding]:
    """Return the findings of a change, of one kind or of all."""
    return [finding for finding in changed(before, after).findings if kind in {None, finding.kind}]


def write(folder: Path, templates: Mapping[str, Template], *, version: str = "55.0.0", **manifest: Any) -> Path:
    """Write an assembly with one stack per template, by name."""
    folder.mkdir(parents=True, exist_ok=True)
    artifacts: dict[str, Any] = {}
    for name, content in templates.items():
        (folder / f"{name}.template.json").write_text(json.dumps(content), encoding="utf-8")
        artifacts[name] = {
            "type": "aws:cloudformation:stack",
            "environment": f"aws://{ACCOUNT}/{REGION}",
            "properties": {"templateFile": f"{name}.template.json", "stackName": name},
            "displayName": f"Pipeline/{name}",
        }
    document = {"version": version, "artifacts": artifacts, **manifest}
    (folder / "manifest.json").write_text(json.dumps(document), encoding="utf-8")
    return folder
