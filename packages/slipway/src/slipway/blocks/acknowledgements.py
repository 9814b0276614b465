"""What the blocks excuse, in the name of the team that keeps them, and when that is looked at again."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

from constructs import IConstruct

from slipway.nag.acknowledge import acknowledge

OWNER = "platform"
"""The team that answers for the blocks and for what they excuse."""

YEARLY_REVIEW = date(2027, 10, 31)
"""Until then what the blocks excuse holds; the gate is red after it, so that each reason is read once a year."""


def accept(construct: IConstruct, *rules: str, reason: str, finding: str | Sequence[str] | None = None) -> None:
    """Acknowledge findings of rules until the yearly review.

    Args:
        construct: the narrowest construct that covers the resource.
        rules: ids as the report prints them; several where one reason answers the same check of several packs.
        reason: what makes it safe here.
        finding: for rules that report findings, those meant.
    """
    acknowledge(construct, rule=rules, reason=reason, finding=finding, owner=OWNER, expires=YEARLY_REVIEW, stacklevel=2)
