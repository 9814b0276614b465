"""Templates written by hand, for rules to judge."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import specimen
from slipway.rules.model import Found, Rule, Stack, Templates
from slipway.rules.pack import RULES

Body = dict[str, Any]
"""Resources of a template by their logical ids, or a whole template where it has `Resources`."""

SETTINGS = specimen.SETTINGS
DATA, COMPUTE, PIPELINE = "Pipeline/prod-items/Data", "Pipeline/prod-items/Compute", "Pipeline"
NOWHERE = Path("nowhere.template.json")

BY_NAME: Mapping[str, Rule] = {rule.name: rule for rule in RULES}


def stack(path: str, body: Body, *, template: Path = NOWHERE, termination_protection: bool = True) -> Stack:
    """A stack of the committed environment that its path names; without one, of the pipeline."""
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
    """Stacks that are judged together, beside one runbook."""
    return Templates(stacks, frozenset({"errors"}))


def found(rule: str, *stacks: Stack) -> list[tuple[str, str | None, str | None]]:
    """Path of the stack, resource and finding of each place where a rule is broken."""
    places: list[Found] = list(BY_NAME[rule].check(templates(*stacks)))
    return [(place.stack.path, place.logical_id, place.finding) for place in places]


def changed(body: Body, key: str, value: Any) -> Body:
    """A copy with one dotted key set; `None` takes it away."""
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
