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
    """A rule on AWS behaviour.

    Args:
        name: Id without the pack's name.
        does: AWS's behaviour, in a self-contained sentence.
        says: The error if the rule is broken.
        fix: How to fix it.
        source: AWS's page about it.
        check: Finds the places, in a fixed order.
        planted: Resources by logical id, or a whole template (with a key `Resources`), that break this rule. The pack
            checks them at each run: a rule that does not detect them is not trusted.
        planted_in: Region of the planted resources.
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
        region: Region of the stack. Default: a region other than us-east-1.
    """
    return Stack(
        path=f"Planted/{name}",
        name=name,
        template=Path(f"{name}.template.json"),
        body=body if "Resources" in body else {"Resources": body},
        account=ACCOUNT,
        region=region,
    )
