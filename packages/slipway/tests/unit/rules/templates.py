"""Hand-written templates for the rules to judge."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import specimen
from slipway.rules.model import Found, Rule, Stack, Templates
from slipway.rules.pack import RULES

Body = dict[str, Any]
"""Resources of a template by logical id, or a whole template if it has `Resources`."""

SETTINGS = specimen.SETTINGS
DATA, COMPUTE, PIPELINE = "Pipeline/prod-items/Data", "Pipeline/prod-items/Compute", "Pipeline"
NOWHERE = Path("nowhere.template.json")

BY_NAME: Mapping[str, Rule] = {rule.name: rule for rule in RULES}


def stack(path: str, body: Body, *, template: Path = NOWHERE, termination_protection: bool = True) -> Stack:
    """Return a stack of the environment in its path; without one, of the pipeline."""
    name = next((each.name for each in SETTINGS.environments if f"/{each.name}-" in path), None)
    place = SETTINGS.environment(name) if name else SETTINGS.pipeline
    return Stack(
        path=path,
        name=path.removeprefix("Pipeline/").replace("/", "-").lower(),
        template=template,
        body=body if "Resources" in body or "Outputs" in body else {"Resources": body},
        account=place.account,
        region=place.region,
        stateful=place.stateful,
        environment=name,
        termination_protection=termination_protection,
    )


def templates(*stacks: Stack) -> Templates:
    """Return stacks that are judged together, with one runbook."""
    return Templates(stacks, frozenset({"errors"}))


def found(rule: str, *stacks: Stack) -> list[tuple[str, str | None, str | None]]:
    """Return the stack's path, the resource and the finding of each violation."""
    places: list[Found] = list(BY_NAME[rule].check(templates(*stacks)))
    return [(place.stack.path, place.logical_id, place.finding) for place in places]


def changed(body: Body, key: str, value: Any) -> Body:
    """Copy the template and set one dotted key; `None` deletes it."""
    copied = copy.deepcopy(body)
    *parents, last = key.split(".")
    place: Any = copied
    for parent in parents:
        place = place[int(parent) if isinstance(place, list) else parent]
    if value is None:
        del place[last]
    else:
        place[last] = value
    return copied
