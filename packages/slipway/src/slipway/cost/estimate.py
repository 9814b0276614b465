"""The estimate: every resource of every stack, priced."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any, TypeVar

from slipway.cost.assembly import PIPELINE, PricedStack
from slipway.cost.catalogue import PRICED, unknown_types
from slipway.cost.errors import CostError
from slipway.cost.prices import PriceFile
from slipway.cost.scope import MILLION, Charge, CostScope, Per

_Key = TypeVar("_Key", bound=Hashable)


@dataclass(frozen=True)
class CostLine:
    """One cost component of a resource.

    Args:
        environment: The environment that it belongs to, or `PIPELINE`.
        service: The service that it belongs to.
        resource: Its stack's name and logical id.
        charge: The amount.
    """

    environment: str
    service: str
    resource: str
    charge: Charge


@dataclass(frozen=True)
class Estimate:
    """All lines, with the sums that a report needs."""

    lines: Sequence[CostLine]
    parts: Sequence[tuple[str, str]]
    """Environment and service of every part of the assembly, in its order, including parts without cost."""
    file: PriceFile
    regions: Sequence[str]

    @property
    def as_of(self) -> date:
        """Date of the prices."""
        return self.file.as_of

    @property
    def environments(self) -> list[str]:
        """The environments in the pipeline's order, then the pipeline itself."""
        names = dict.fromkeys(environment for environment, _ in self.parts)
        return sorted(names, key=lambda name: name == PIPELINE)

    def times(self, line: CostLine) -> Decimal:
        """Return how often per month a line's amount is due under the assumptions."""
        match line.charge.per:
            case Per.MONTH:
                return Decimal(1)
            case Per.MILLION_REQUESTS:
                return self.file.assumptions.requests(line.environment) / MILLION
            case Per.RUN:
                return self.file.assumptions.runs_per_month

    def amount(self, per: Per, environment: str | None = None, service: str | None = None) -> Decimal:
        """Return US dollars per month, per million requests, or per run. Default: for everything."""
        return sum((line.charge.usd for line in self._some(environment, service) if line.charge.per is per), Decimal(0))

    def monthly(self, environment: str | None = None, service: str | None = None) -> Decimal:
        """Return US dollars per month under the assumptions. Default: for everything."""
        return sum((line.charge.usd * self.times(line) for line in self._some(environment, service)), Decimal(0))

    def monthly_by(self, key: Callable[[CostLine], _Key]) -> dict[_Key, Decimal]:
        """Return US dollars per month under the assumptions, by any key, the highest first."""
        sums: defaultdict[_Key, Decimal] = defaultdict(Decimal)
        for line in self.lines:
            sums[key(line)] += line.charge.usd * self.times(line)
        return dict(sorted(sums.items(), key=lambda item: (-item[1], str(item[0]))))

    def _some(self, environment: str | None, service: str | None) -> list[CostLine]:
        return [
            line for line in self.lines if environment in (None, line.environment) and service in (None, line.service)
        ]

    def as_json(self) -> dict[str, Any]:
        """Return everything as JSON-compatible data; amounts are numbers of US dollars."""
        return {
            "as_of": self.as_of.isoformat(),
            "region": self.file.region,
            "assumptions": _plain(self.file.assumptions.model_dump()),
            "parts": [
                {
                    "environment": environment,
                    "service": service,
                    "fixed_usd_per_month": _number(self.amount(Per.MONTH, environment, service)),
                    "usd_per_million_requests": _number(self.amount(Per.MILLION_REQUESTS, environment, service)),
                    "usd_per_run": _number(self.amount(Per.RUN, environment, service)),
                    "usd_per_month": _number(self.monthly(environment, service)),
                }
                for environment, service in self.parts
            ],
            "total_usd_per_month": _number(self.monthly()),
            "lines": [
                {
                    "environment": line.environment,
                    "service": line.service,
                    "resource": line.resource,
                    "aws_service": line.charge.aws,
                    "what": line.charge.what,
                    "per": line.charge.per.value,
                    "usd": _number(line.charge.usd),
                }
                for line in self.lines
            ],
        }


def estimate(stacks: Sequence[PricedStack], file: PriceFile) -> Estimate:
    """Price every resource of every stack.

    Args:
        stacks: The stacks from `read_assembly`.
        file: Prices and assumptions.

    Raises:
        CostError: A resource type, or a figure that a price needs, is unknown.
    """
    if unknown := unknown_types(stacks):
        raise CostError(
            f"{', '.join(unknown)}: no price is known; add the type to PRICED, or with a reason to FREE, "
            "in slipway.cost.catalogue"
        )
    groups: defaultdict[tuple[str, str], list[PricedStack]] = defaultdict(list)
    for stack in stacks:
        groups[stack.environment, stack.service].append(stack)
    order = list(dict.fromkeys(environment for environment, _ in groups))
    parts = sorted(groups, key=lambda part: (part[0] == PIPELINE, order.index(part[0])))
    lines: list[CostLine] = []
    for environment, service in parts:
        scope = CostScope(groups[environment, service], stacks, file)
        for stack in groups[environment, service]:
            for resource in stack.resources:
                pricer = PRICED.get(resource.type)
                lines += [
                    CostLine(environment, service, f"{stack.name}/{resource.logical_id}", charge)
                    for charge in (pricer(resource, scope) if pricer else ())
                    if charge.usd
                ]
    regions = sorted({stack.region for stack in stacks})
    return Estimate(lines=lines, parts=parts, file=file, regions=regions)


def _number(usd: Decimal) -> float:
    return float(round(usd, 6))


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(inner) for key, inner in value.items()}
    return float(value) if isinstance(value, Decimal) else value
