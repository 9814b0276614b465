"""Check feature flags: what a change of AppConfig's content opens, closes or decides differently."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from slipway.review.checks.registry import CheckContext, fields, on, shown
from slipway.review.findings import ChangeFinding, found
from slipway.review.resources import Pair, ReviewedResource


@on("AWS::AppConfig::HostedConfigurationVersion", judges="Content")
def flags(pair: Pair, _: CheckContext) -> Iterator[ChangeFinding]:
    """Yield a finding for each flag whose state may change for requests.

    Adding or removing a closed flag changes nothing. Content that isn't a document of flags is reported as a whole.
    """
    if pair.after is None:
        return
    before = {} if pair.before is None else _flags(pair.before)
    after = _flags(pair.after)
    if before is None or after is None:
        if pair.before is not None and pair.before.get("Content") != pair.after.get("Content"):
            yield found("flag-changed", pair.after, "functions get a different configuration")
        return
    for name in sorted(before.keys() | after.keys()):
        if what := _change(before.get(name, _CLOSED), after.get(name, _CLOSED)):
            yield found("flag-changed", pair.after, f"the flag {name} {what}", detail=name)


_CLOSED: Mapping[str, Any] = {"default": False}


def _flags(version: ReviewedResource) -> dict[str, Mapping[str, Any]] | None:
    """Return the flags of a document by name; None if it isn't one."""
    try:
        document = json.loads(str(version.get("Content")))
    except ValueError:
        return None
    if not isinstance(document, dict) or not all("default" in fields(flag) for flag in document.values()):
        return None
    return document


def _change(before: Mapping[str, Any], after: Mapping[str, Any]) -> str:
    """Return a description of a flag's change; empty if it doesn't change."""
    parts = []
    if before["default"] != after["default"]:
        parts.append(f"goes from {_state(before['default'])} to {_state(after['default'])}")
    old, new = (fields(flag.get("rules")) for flag in (before, after))
    parts += [f"is decided by the new rule {name}: {_rule(new[name])}" for name in sorted(new.keys() - old.keys())]
    parts += [f"is no longer decided by the rule {name}" for name in sorted(old.keys() - new.keys())]
    parts += [
        f"is decided differently by the rule {name}: {_rule(new[name])}"
        for name in sorted(old.keys() & new.keys())
        if old[name] != new[name]
    ]
    return ", and ".join(parts)


def _state(value: Any) -> str:
    return {True: "on", False: "off"}.get(value, shown(value)) if isinstance(value, bool) else shown(value)


def _rule(rule: Any) -> str:
    conditions = " and ".join(
        f"{each.get('key')} {each.get('action')} {shown(each.get('value'))}"
        for each in fields(rule).get("conditions", ())
    )
    return f"{_state(fields(rule).get('when_match'))} if {conditions}"
