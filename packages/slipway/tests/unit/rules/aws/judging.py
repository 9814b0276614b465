"""Judge hand-written templates by one rule about AWS's behaviour."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from slipway.rules.aws.pack import RULES
from slipway.rules.aws.rule import AwsRule, planted_stack
from slipway.rules.model import Stack, Templates

BY_NAME: Mapping[str, AwsRule] = {rule.name: rule for rule in RULES}


def broken(rule: str, body: Mapping[str, Any] | None = None, *stacks: Stack) -> list[str | None]:
    """Return the logical ids of the resources that break a rule; None for a stack as a whole.

    Args:
        rule: Name of the rule.
        body: Resources of a single stack, or its template.
        stacks: Other stacks that are judged with it, created by `planted_stack`.
    """
    own = [planted_stack(body)] if body is not None else []
    return [found.logical_id for found in BY_NAME[rule].check(Templates((*own, *stacks)))]
