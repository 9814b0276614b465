"""How CodeDeploy moves an alias's traffic to a new version, step by step.

The predefined configurations are those of
https://docs.aws.amazon.com/codedeploy/latest/userguide/deployment-configurations.html.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from slipway.errors import RehearsalError

_PREFIX = "CodeDeployDefault.Lambda"
_CANARY = re.compile(r"Canary(\d+)Percent(\d+)Minutes?")
_LINEAR = re.compile(r"Linear(\d+)PercentEvery(\d+)Minutes?")
ALL_AT_ONCE = "AllAtOnce"

MINUTE = 60


@dataclass(frozen=True)
class Shift:
    """A deployment configuration.

    Args:
        name: CodeDeploy's, without its prefix, or what stands in the template.
        steps: seconds from the start, and the new version's share of the traffic from then on; the last share is 1.
    """

    name: str
    steps: tuple[tuple[float, float], ...]

    @classmethod
    def canary(cls, name: str, percent: float, minutes: float) -> Shift:
        """A part of the traffic for a time, then all of it."""
        return cls(name, ((0, percent / 100), (minutes * MINUTE, 1)))

    @classmethod
    def linear(cls, name: str, percent: float, minutes: float) -> Shift:
        """A part more each time."""
        steps: list[tuple[float, float]] = []
        while not steps or steps[-1][1] < 1:
            share = min(percent * (len(steps) + 1) / 100, 1)
            steps.append((len(steps) * minutes * MINUTE, share))
        return cls(name, tuple(steps))

    @classmethod
    def named(cls, name: str) -> Shift:
        """A predefined configuration.

        Raises:
            RehearsalError: CodeDeploy has none of that name.
        """
        short = name.removeprefix(_PREFIX)
        for known in PREDEFINED:
            if known.name == short:
                return known
        names = ", ".join(known.name for known in PREDEFINED)
        raise RehearsalError(f"{name!r} is no deployment configuration of CodeDeploy for Lambda: it has {names}")

    @classmethod
    def of_template(cls, name: str, properties: Mapping[str, Any]) -> Shift:
        """An `AWS::CodeDeploy::DeploymentConfig`.

        Raises:
            RehearsalError: it routes traffic in a way that CodeDeploy does not know for Lambda.
        """
        routing = properties.get("TrafficRoutingConfig") or {"Type": ALL_AT_ONCE}
        match routing:
            case {"Type": "AllAtOnce"}:
                return cls(name, ((0, 1),))
            case {"Type": "TimeBasedCanary", "TimeBasedCanary": {"CanaryPercentage": percent, "CanaryInterval": every}}:
                return cls.canary(name, float(percent), float(every))
            case {"Type": "TimeBasedLinear", "TimeBasedLinear": {"LinearPercentage": percent, "LinearInterval": every}}:
                return cls.linear(name, float(percent), float(every))
        raise RehearsalError(f"{name}: TrafficRoutingConfig = {routing} is not one that is known here")

    @property
    def full_after(self) -> float:
        """Seconds until all traffic is at the new version: from then on CodeDeploy rolls nothing back."""
        return self.steps[-1][0]

    def moved(self, begin: float, end: float) -> float:
        """How long the new version had all traffic's worth between two times, in seconds: the integral of its share."""
        total = 0.0
        for (start, share), (until, _) in pairwise([*self.steps, (max(end, self.full_after), 0.0)]):
            total += share * max(min(until, end) - max(start, begin), 0)
        return total


def _predefined(name: str) -> Shift:
    if found := _CANARY.fullmatch(name):
        return Shift.canary(name, int(found[1]), int(found[2]))
    if found := _LINEAR.fullmatch(name):
        return Shift.linear(name, int(found[1]), int(found[2]))
    return Shift(name, ((0, 1),))


PREDEFINED: Sequence[Shift] = tuple(
    _predefined(name)
    for name in (
        ALL_AT_ONCE,
        "Canary10Percent5Minutes",
        "Canary10Percent10Minutes",
        "Canary10Percent15Minutes",
        "Canary10Percent30Minutes",
        "Linear10PercentEvery1Minute",
        "Linear10PercentEvery2Minutes",
        "Linear10PercentEvery3Minutes",
        "Linear10PercentEvery10Minutes",
    )
)
"""Those that CodeDeploy has for Lambda."""
