"""Find the parts of an app that cannot be played on this machine, in its assembly, before anything starts."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from slipway.assembly.reader import read_assets
from slipway.emulator.extensions.runtimes import HOSTED
from slipway.emulator.topology import StackArtifact, stacks
from slipway.errors import RehearsalError

_CONTAINERS = ("AWS::ECS::", "AWS::EKS::", "AWS::Batch::", "AWS::AppRunner::")
_NETWORK = frozenset({"AWS::EC2::VPC", "AWS::EC2::NatGateway", "AWS::EC2::Instance", "AWS::RDS::DBCluster"})


@dataclass(frozen=True)
class Unhosted:
    """A part of an app that cannot be played.

    Attributes:
        stack: Name of its stack.
        logical_id: Logical id of the resource.
        reason: The reason.
        stops: True if it prevents the rehearsal; otherwise it fails when it is used.
    """

    stack: str
    logical_id: str
    reason: str
    stops: bool


def find_unhosted(assembly: Path) -> list[Unhosted]:
    """Return the parts of an assembly that cannot be played.

    Args:
        assembly: Folder of the assembly, `cdk.out`.
    """
    return [each for stack in stacks(assembly) for each in (*_of_stack(stack), *_images(stack))]


def refuse_unhosted(found: Iterable[Unhosted]) -> None:
    """Raise an error if an app cannot be rehearsed.

    Args:
        found: Parts that cannot be played.

    Raises:
        RehearsalError: A part prevents the rehearsal. The message names it.
    """
    stopping = [each for each in found if each.stops]
    if not stopping:
        return
    reasons: dict[str, list[str]] = {}
    for each in stopping:
        reasons.setdefault(each.reason, []).append(f"{each.stack}: {each.logical_id}")
    said = "; ".join(
        f"{reason} ({places[0]}{f' and {len(places) - 1} more' if len(places) > 1 else ''})"
        for reason, places in reasons.items()
    )
    raise RehearsalError(f"this app cannot be rehearsed here: {said}", exit_code=2)


def _of_stack(stack: StackArtifact) -> Iterator[Unhosted]:
    for logical_id, resource in stack.template.get("Resources", {}).items():
        kind, properties = resource["Type"], resource.get("Properties") or {}
        if kind.startswith(_CONTAINERS):
            yield Unhosted(stack.name, logical_id, "containers need Docker", stops=True)
        elif kind in _NETWORK:
            yield Unhosted(stack.name, logical_id, "networks are not created here (VPC)", stops=True)
        elif kind == "AWS::CodeBuild::Project" and _is_true(properties.get("Environment", {}).get("PrivilegedMode")):
            yield Unhosted(stack.name, logical_id, "it may use Docker, which is not available here", stops=False)
        elif kind == "AWS::Lambda::Function" and (reason := unhosted_function(properties)):
            yield Unhosted(stack.name, logical_id, reason, stops=False)


def _images(stack: StackArtifact) -> Iterator[Unhosted]:
    listed = stack.entry.assets_file
    if listed.is_file():
        for name in read_assets(listed).images:
            yield Unhosted(stack.name, f"image {name[:12]}", "images are built by Docker", stops=True)


def unhosted_function(properties: Mapping[str, Any]) -> str | None:
    """Return why a function with these properties cannot run; None if it can."""
    if properties.get("PackageType") == "Image":
        return "a container image cannot run here"
    runtime = properties.get("Runtime")
    if isinstance(runtime, str) and not re.match("|".join(HOSTED), runtime):
        return f"its runtime {runtime} is not available on this machine"
    return None


def _is_true(value: object) -> bool:
    return str(value).lower() == "true"
