"""Read the stacks of a cloud assembly for rules."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from gates.nag.own import Breach, SynthesizedStack
from gates.rules.model import Found, Stack


def read_stacks(stacks: Iterable[SynthesizedStack]) -> list[Stack]:
    """Return the stacks with their templates, sorted by path.

    Args:
        stacks: the stacks as they lie in the assembly.
    """
    return [_read(stack) for stack in sorted(stacks, key=lambda each: each.path)]


def breach(identifier: str, found: Found, *, says: str, fix: str) -> Breach:
    """Return the finding of one rule at one place, as the gate reports it.

    Args:
        identifier: id of the rule, with its pack's name.
        found: the place.
        says: what is wrong.
        fix: what to do.
    """
    return Breach(
        rule=identifier + (f"[{found.finding}]" if found.finding else ""),
        description=says,
        fix=fix,
        stack=found.stack.path,
        template=found.stack.template,
        logical_id=found.logical_id,
    )


def _read(stack: SynthesizedStack) -> Stack:
    artifact = _artifact(stack.template)
    properties = artifact.get("properties", {})
    # `aws://account/region`; CDK writes unknown-account and unknown-region where the app does not say.
    account, _, region = str(artifact.get("environment", "")).removeprefix("aws://").partition("/")
    return Stack(
        path=stack.path,
        name=str(properties.get("stackName", stack.template.name.partition(".")[0])),
        template=stack.template,
        body=json.loads(stack.template.read_text(encoding="utf-8")),
        account=account,
        region=region,
        termination_protection=bool(properties.get("terminationProtection", False)),
    )


def _artifact(template: Path) -> dict[str, Any]:
    """Return what the manifest beside a template says of its stack."""
    manifest = json.loads((template.parent / "manifest.json").read_text(encoding="utf-8"))
    for artifact in manifest["artifacts"].values():
        found: dict[str, Any] = artifact
        if found.get("properties", {}).get("templateFile") == template.name:
            return found
    return {}
