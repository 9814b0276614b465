"""A rule about AWS's behaviour."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from slipway.rules.model import Found, Stack, Templates

ACCOUNT, REGION = "123456789012", "eu-west-1"
"""Account and region of planted stacks: AWS's example account, and a region other than us-east-1."""


@dataclass(frozen=True)
class AwsRule:
    """A rule about what AWS does with a template.

    Args:
        name: Id without the pack's name.
        does: What AWS does, in a sentence that stands by itself.
        says: What is wrong where the rule is broken.
        fix: What to do.
        source: AWS's page that says so.
        check: Finds the places, in a fixed order.
        planted: Resources by logical id, or a whole template where there is a key `Resources`, that break this rule.
            The pack looks at them at each run: a rule that does not see them is not believed elsewhere.
        planted_in: The region that they pretend to be in.
    """

    name: str
    does: str
    says: str
    fix: str
    source: str
    check: Callable[[Templates], Iterable[Found]]
    planted: Mapping[str, Any]
    planted_in: str = REGION

    @property
    def is_blind(self) -> bool:
        """True if the rule doesn't see its planted fault."""
        return not any(True for _ in self.check(Templates((planted_stack(self.planted, region=self.planted_in),))))


def planted_stack(body: Mapping[str, Any], *, name: str = "planted", region: str = REGION) -> Stack:
    """Return a stack of hand-written resources.

    Args:
        body: Resources by logical id, or a whole template.
        name: Name of the stack.
        region: Where it is deployed. Default: a region other than us-east-1.
    """
    return Stack(
        path=f"Planted/{name}",
        name=name,
        template=Path(f"{name}.template.json"),
        body=body if "Resources" in body else {"Resources": body},
        account=ACCOUNT,
        region=region,
    )
