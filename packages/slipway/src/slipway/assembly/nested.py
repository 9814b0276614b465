"""Locate the templates of nested stacks in a cloud assembly.

CDK publishes the template of a nested stack as a file asset, and the parent's `TemplateURL` contains its digest. The
asset manifest of the outermost stack maps it to a file; a template can also name it itself (`aws:asset:path`, which the
CDK CLI requests).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

NESTED_STACK = "AWS::CloudFormation::Stack"
"""Type of a nested stack in its parent's template."""

MODULE = "::MODULE"
"""Suffix of a module's type: CloudFormation replaces the resource by the module's template."""

STACKS_ELSEWHERE = frozenset(
    {
        "AWS::CloudFormation::StackSet",
        "AWS::Serverless::Application",
        "AWS::ServiceCatalog::CloudFormationProvisionedProduct",
    }
)
"""Types that create stacks from templates that no assembly contains."""

_CDK_ID = re.compile(r"(?P<name>.+)NestedStack(?P=name)NestedStackResource(?P<hash>[0-9A-F]{8})")
_DIGEST = re.compile(r"[0-9a-f]{64}")


def short_id(logical_id: str) -> str:
    """Return the shortest unique form of a nested stack's logical id.

    Args:
        logical_id: CDK writes `QueuesNestedStackQueuesNestedStackResource` and eight digits for `Queues`.
    """
    named = _CDK_ID.fullmatch(logical_id)
    return f"{named['name']}{named['hash']}" if named else logical_id


def makes_unread(resource_type: str) -> bool:
    """Return True if a type creates resources from a template that no assembly contains.

    Args:
        resource_type: Such as `AWS::CloudFormation::StackSet`.
    """
    return resource_type in STACKS_ELSEWHERE or resource_type.endswith(MODULE)


def nested_stacks(template: Mapping[str, Any]) -> Iterator[str]:
    """Yield the logical ids of the nested stacks of a template."""
    for logical_id, resource in template.get("Resources", {}).items():
        if isinstance(resource, Mapping) and resource.get("Type") == NESTED_STACK:
            yield logical_id


def template_file(resource: Mapping[str, Any], folder: Path, files: Mapping[str, Any]) -> Path | None:
    """Return the file with the template of a nested stack, or None if the assembly doesn't contain it.

    Args:
        resource: The nested stack, as its parent's template has it.
        folder: Folder of the assembly that the outermost stack is in.
        files: The file assets of the outermost stack by their digests, as its asset manifest has them.
    """
    url = json.dumps((resource.get("Properties") or {}).get("TemplateURL"))
    for digest in _DIGEST.findall(url):
        source = (files.get(digest) or {}).get("source") or {}
        if (found := _file(source.get("path"), folder)) is not None:
            return found
    return _file((resource.get("Metadata") or {}).get("aws:asset:path"), folder)


def _file(name: object, folder: Path) -> Path | None:
    # A path that leads out of the assembly is not one that CDK wrote for a template.
    if not isinstance(name, str) or Path(name).is_absolute() or ".." in Path(name).parts:
        return None
    path = folder / name
    return path if path.is_file() and path.suffix == ".json" else None
