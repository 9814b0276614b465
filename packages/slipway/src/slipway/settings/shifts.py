"""CodeDeploy's deployment configurations for Lambda: how an alias's traffic moves to a new version.

The settings, the construct, the gates, the player and `make detectability` share this module. The predefined
configurations, and what a custom one may contain, are documented at
https://docs.aws.amazon.com/codedeploy/latest/userguide/deployment-configurations.html.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from itertools import pairwise
from typing import Any

MINUTE = 60

LONGEST_MINUTES = 2_880
"""Maximum time from the first to the last step, minutes: 48 hours
(https://docs.aws.amazon.com/codedeploy/latest/userguide/limits.html).
"""

PREFIX = "CodeDeployDefault.Lambda"
"""Prefix of CodeDeploy's predefined configurations for Lambda."""

_NAME = re.compile(
    r"AllAtOnce"
    r"|(?P<kind>Canary|Linear)(?P<percent>[1-9][0-9]?)Percent(?P<every>Every)?(?P<minutes>[1-9][0-9]{0,3})Minutes?"
)
_GRAMMAR = (
    "must be AllAtOnce, Canary<percent>Percent<minutes>Minutes such as Canary5Percent15Minutes, or "
    "Linear<percent>PercentEvery<minutes>Minutes such as Linear20PercentEvery2Minutes"
)


class ShiftKind(StrEnum):
    """Shape of the traffic shift. The values are CodeDeploy's own, as they appear in names."""

    ALL_AT_ONCE = "AllAtOnce"
    CANARY = "Canary"
    LINEAR = "Linear"


@dataclass(frozen=True)
class Shift:
    """A deployment configuration.

    Args:
        kind: All traffic at once, a share for some minutes and then all, or an additional share at each interval.
        percent: The share.
        minutes: The minutes, or the interval.

    Raises:
        ValueError: CodeDeploy would refuse the values.
    """

    kind: ShiftKind = ShiftKind.ALL_AT_ONCE
    percent: int = 100
    minutes: int = 0

    def __post_init__(self) -> None:
        if self.kind is ShiftKind.ALL_AT_ONCE:
            return
        if not (0 < self.percent < 100 and self.minutes > 0):
            raise ValueError(f"{self.name} must move 1 to 99 percent of the traffic for 1 minute or more")
        if self.full_after > LONGEST_MINUTES * MINUTE:
            raise ValueError(
                f"{self.name} takes {self.full_after // MINUTE} minutes until all traffic is moved; "
                f"CodeDeploy allows at most {LONGEST_MINUTES}"
            )

    @classmethod
    def named(cls, name: str) -> Shift:
        """Read a name such as `Canary5Percent15Minutes`, with or without CodeDeploy's prefix.

        Raises:
            ValueError: The name is invalid, or CodeDeploy would refuse its values.
        """
        match = _NAME.fullmatch(name.removeprefix(PREFIX))
        if match is None or (match["every"] is not None) is not (match["kind"] == ShiftKind.LINEAR):
            raise ValueError(f"{name!r} {_GRAMMAR}")
        if match["kind"] is None:
            return cls()
        return cls(ShiftKind(match["kind"]), int(match["percent"]), int(match["minutes"]))

    @classmethod
    def of_template(cls, properties: Mapping[str, Any]) -> Shift:
        """Read a shift from the properties of an `AWS::CodeDeploy::DeploymentConfig`.

        Raises:
            ValueError: It routes traffic in a way that CodeDeploy does not know for Lambda.
        """
        routing = properties.get("TrafficRoutingConfig") or {"Type": ShiftKind.ALL_AT_ONCE}
        match routing:
            case {"Type": "AllAtOnce"}:
                return cls()
            case {"Type": "TimeBasedCanary", "TimeBasedCanary": {"CanaryPercentage": percent, "CanaryInterval": every}}:
                return cls(ShiftKind.CANARY, int(percent), int(every))
            case {"Type": "TimeBasedLinear", "TimeBasedLinear": {"LinearPercentage": percent, "LinearInterval": every}}:
                return cls(ShiftKind.LINEAR, int(percent), int(every))
        raise ValueError(f"TrafficRoutingConfig = {routing} is not supported by CodeDeploy for Lambda")

    @property
    def name(self) -> str:
        """Return CodeDeploy's name, without its prefix; a custom configuration is named in the same way."""
        if self.kind is ShiftKind.ALL_AT_ONCE:
            return str(self.kind)
        every = f"Every{self.minutes}" if self.kind is ShiftKind.LINEAR else str(self.minutes)
        return f"{self.kind}{self.percent}Percent{every}Minute{'' if self.minutes == 1 else 's'}"

    @property
    def predefined(self) -> bool:
        """Return True if CodeDeploy predefines it in every account."""
        return self in PREDEFINED

    @cached_property
    def steps(self) -> tuple[tuple[int, float], ...]:
        """Return seconds from the start, and the new version's share of traffic from then on; the last share is 1."""
        if self.kind is ShiftKind.ALL_AT_ONCE:
            return ((0, 1),)
        if self.kind is ShiftKind.CANARY:
            return ((0, self.percent / 100), (self.minutes * MINUTE, 1))
        shares = [*range(self.percent, 100, self.percent), 100]
        return tuple((number * self.minutes * MINUTE, share / 100) for number, share in enumerate(shares))

    @property
    def full_after(self) -> int:
        """Return seconds until all traffic is on the new version; after that CodeDeploy no longer rolls back."""
        return self.steps[-1][0]

    @property
    def weights(self) -> list[float]:
        """Return the new version's share of the traffic in each minute before it has all of it."""
        return [share for (start, share), (until, _) in pairwise(self.steps) for _ in range((until - start) // MINUTE)]

    def moved(self, begin: float, end: float) -> float:
        """Return the integral of the new version's traffic share between two times, in seconds."""
        total = 0.0
        for (start, share), (until, _) in pairwise([*self.steps, (max(end, self.full_after), 0.0)]):
            total += share * max(min(until, end) - max(start, begin), 0)
        return total

    def is_looser_than(self, other: Shift) -> bool:
        """Return True if a bad version gets more requests at first, or gets all of them sooner."""
        return self.steps[0][1] > other.steps[0][1] or self.full_after < other.full_after


PREDEFINED: Sequence[Shift] = (
    Shift(),
    *(Shift(ShiftKind.CANARY, 10, minutes) for minutes in (5, 10, 15, 30)),
    *(Shift(ShiftKind.LINEAR, 10, minutes) for minutes in (1, 2, 3, 10)),
)
"""CodeDeploy's predefined configurations for Lambda."""
