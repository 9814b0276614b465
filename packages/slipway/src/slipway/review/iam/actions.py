"""IAM's actions, from the list in cfn-lint."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import cfnlint

from slipway.review.patterns import covered

_FILE = Path(cfnlint.__file__).parent / "data" / "AdditionalSpecs" / "Policies.json"


@cache
def _services() -> Mapping[str, Mapping[str, Any]]:
    found: Mapping[str, Any] = json.loads(_FILE.read_text(encoding="utf-8"))
    return {service: entry.get("Actions", {}) for service, entry in found.items()}


@cache
def known_actions() -> frozenset[str]:
    """Return every action, in lower case: `s3:getobject`."""
    return frozenset(f"{service}:{action}" for service, actions in _services().items() for action in actions)


@cache
def matching_actions(pattern: str) -> frozenset[str]:
    """Return the existing actions that a lower-case pattern matches.

    Args:
        pattern: `s3:get*`; an action without wildcards is returned as it is, even if it is unknown.
    """
    if "*" not in pattern and "?" not in pattern:
        return frozenset({pattern})
    service, colon, _ = pattern.partition(":")
    if colon and "*" not in service and "?" not in service:
        candidates = frozenset(f"{service}:{action}" for action in _services().get(service, ()))
    else:
        candidates = known_actions()
    by = frozenset({pattern})
    return frozenset(action for action in candidates if covered(action, by))


def has_resources(action: str) -> bool:
    """Return True if policies can name the resources of an action; also for unknown actions."""
    service, _, name = action.partition(":")
    actions = _services().get(service, {})
    return bool(actions[name].get("Resources")) if name in actions else True
