"""The resources of one service in one environment, and the path of a request through them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from functools import cached_property
from typing import Any

from slipway.cost.assembly import PricedResource, PricedStack, Value, references, stack_outputs
from slipway.cost.prices import PriceFile

HOURS = Decimal(730)
"""Hours per month, as in AWS's own calculator."""

SECONDS = HOURS * 3600
MILLION = Decimal(1_000_000)


class Per(StrEnum):
    """The quantity that an amount is multiplied by."""

    MONTH = "month"
    MILLION_REQUESTS = "million requests"
    RUN = "run"


@dataclass(frozen=True)
class Charge:
    """US dollars for one item of an AWS service."""

    per: Per
    aws: str
    what: str
    usd: Decimal

    @classmethod
    def monthly(cls, aws: str, what: str, usd: Decimal) -> Charge:
        """Return a fixed monthly charge, independent of traffic."""
        return cls(Per.MONTH, aws, what, usd)

    @classmethod
    def per_million(cls, aws: str, what: str, usd: Decimal) -> Charge:
        """Return the charge per million viewer requests to the service."""
        return cls(Per.MILLION_REQUESTS, aws, what, usd)

    @classmethod
    def per_run(cls, aws: str, what: str, usd: Decimal) -> Charge:
        """Return the charge per run of the pipeline."""
        return cls(Per.RUN, aws, what, usd)


@dataclass(frozen=True)
class RequestPath:
    """The average path of a viewer's request.

    Args:
        edge: Requests that reach the distribution.
        api: Requests that reach the API.
        direct: Those of them that bypassed the distribution.
        reads: Reads that reach the API.
        writes: Writes that reach the API.
    """

    edge: Decimal
    api: Decimal
    direct: Decimal
    reads: Decimal
    writes: Decimal


_NONE = RequestPath(*(Decimal(0),) * 5)
_RATE = re.compile(r"rate\((?P<number>\d+) (?P<unit>minute|hour|day)s?\)")
"""https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-scheduled-rule-pattern.html"""
_UNIT_SECONDS = {"minute": 60, "hour": 3_600, "day": 86_400}
_APIS = ("AWS::ApiGateway::RestApi", "AWS::ApiGatewayV2::Api")


class CostScope:
    """The stacks of one service in one environment, and its traffic.

    Args:
        stacks: Its stacks.
        everything: All stacks of the assembly, for references between them.
        file: Prices and assumptions.
    """

    def __init__(self, stacks: Sequence[PricedStack], everything: Sequence[PricedStack], file: PriceFile) -> None:
        self.prices = file.prices
        self.assume = file.assumptions
        self._resources = [resource for stack in stacks for resource in stack.resources]
        self._by_name = {stack.name: stack for stack in everything}

    def of_type(self, *types: str) -> list[PricedResource]:
        """Return the service's resources of some types."""
        return [resource for resource in self._resources if resource.type in types]

    def targets(self, resource: PricedResource, value: Value) -> list[PricedResource]:
        """Return the resources that a value refers to, in its own stack and by weak references in others."""
        found = [PricedResource(resource.stack, name) for name in references(value) if _has(resource.stack, name)]
        for stack_name, output in stack_outputs(value):
            other = self._by_name.get(stack_name)
            if other is not None:
                exported = other.template.get("Outputs", {}).get(output, {}).get("Value")
                found += [PricedResource(other, name) for name in references(exported) if _has(other, name)]
        return list(dict.fromkeys(found))

    def functions(self, resource: PricedResource, value: Value) -> list[PricedResource]:
        """Return the functions that a value refers to, through their aliases and versions."""
        found: dict[PricedResource, None] = {}
        for target in self.targets(resource, value):
            if target.type == "AWS::Lambda::Function":
                found[target] = None
            elif target.type in ("AWS::Lambda::Alias", "AWS::Lambda::Version"):
                found.update(dict.fromkeys(self.functions(target, target.get("FunctionName"))))
        return list(found)

    @cached_property
    def apis(self) -> int:
        """Return the number of APIs that share the service's traffic."""
        return len(self.of_type(*_APIS))

    @cached_property
    def traffic(self) -> RequestPath:
        """Return the path of a request. All zero for a service without an API."""
        if not self.apis:
            return _NONE
        reads = self.assume.read_share
        writes = 1 - reads
        distributions = self.of_type("AWS::CloudFront::Distribution")
        if not distributions:
            return RequestPath(edge=Decimal(0), api=Decimal(1), direct=Decimal(1), reads=reads, writes=writes)
        takes_writes = any(
            "POST" in one.list("DistributionConfig", "DefaultCacheBehavior", "AllowedMethods") for one in distributions
        )
        missed = reads * (1 - self.assume.cache_hit_ratio)
        return RequestPath(
            edge=reads + (writes if takes_writes else 0),
            api=missed + writes,
            direct=Decimal(0) if takes_writes else writes,
            reads=missed,
            writes=writes,
        )

    @cached_property
    def events(self) -> Decimal:
        """Records of streams and messages of queues that a function receives per request."""
        return max((self._records(mapping) for mapping in self._mappings), default=Decimal(0))

    def _records(self, mapping: PricedResource) -> Decimal:
        filtered = mapping.get("FilterCriteria") is not None
        return self.traffic.writes * (self.assume.create_share if filtered else 1)

    @cached_property
    def _mappings(self) -> list[PricedResource]:
        return self.of_type("AWS::Lambda::EventSourceMapping")

    def event_share(self, function: PricedResource) -> Decimal:
        """Return a function's invocations by streams and queues, per request."""
        behind = (one for one in self._mappings if function in self.functions(one, one.get("FunctionName")))
        return sum((self._records(one) for one in behind), Decimal(0))

    def scheduled(self, function: PricedResource) -> Decimal:
        """Return the monthly invocations of a function by rules with a schedule `rate(…)`."""
        total = Decimal(0)
        for rule in self.of_type("AWS::Events::Rule"):
            found = _RATE.fullmatch(str(rule.get("ScheduleExpression")))
            if found is None:
                continue
            seconds = int(found["number"]) * _UNIT_SECONDS[found["unit"]]
            total += sum(
                SECONDS / seconds for one in rule.list("Targets") if function in self.functions(rule, one.get("Arn"))
            )
        return total

    @cached_property
    def _routes(self) -> list[PricedResource]:
        """The function behind each route of the service's APIs."""
        found = []
        for method in self.of_type("AWS::ApiGateway::Method"):
            found += self.functions(method, method.get("Integration", "Uri"))
        for integration in self.of_type("AWS::ApiGatewayV2::Integration"):
            found += self.functions(integration, integration.get("IntegrationUri"))
        return found

    def api_share(self, function: PricedResource) -> Decimal:
        """Return the share of the API's requests that a function answers, by its routes."""
        return Decimal(self._routes.count(function)) / len(self._routes) if self._routes else Decimal(0)

    @cached_property
    def api_is_traced(self) -> bool:
        """Return True if a trace already begins at the API."""
        return any(stage.get("TracingEnabled") is True for stage in self.of_type("AWS::ApiGateway::Stage"))

    def retention_days(self, resource: PricedResource, value: Value) -> Decimal:
        """Return the retention of the log group that a resource writes to, days."""
        for target in self.targets(resource, value):
            if target.type == "AWS::Logs::LogGroup":
                return target.number("RetentionInDays", default=self.assume.retention_days_when_unset)
        return self.assume.retention_days_when_unset

    def execution_log_retention(self, stage: PricedResource) -> Decimal:
        """Return the retention of a stage's execution log, days: AWS dictates the name of its group."""
        for group in self.of_type("AWS::Logs::LogGroup"):
            if "API-Gateway-Execution-Logs_" in str(group.get("LogGroupName")) and group.stack == stage.stack:
                return group.number("RetentionInDays", default=self.assume.retention_days_when_unset)
        return self.assume.retention_days_when_unset

    def tells_alarms(self, topic: PricedResource) -> bool:
        """Return True if an alarm notifies the topic."""
        return any(
            topic in self.targets(alarm, [alarm.get("AlarmActions"), alarm.get("OKActions")])
            for alarm in self.of_type("AWS::CloudWatch::Alarm", "AWS::CloudWatch::CompositeAlarm")
        )

    @cached_property
    def _dead_letters(self) -> set[PricedResource]:
        places = (
            ("RedrivePolicy",),
            ("DestinationConfig", "OnFailure"),
            ("DeadLetterConfig",),
        )
        return {
            target
            for resource in self._resources
            for place in places
            for target in self.targets(resource, resource.get(*place))
            if target.type == "AWS::SQS::Queue"
        } | {
            target
            for rule in self.of_type("AWS::Events::Rule")
            for one in rule.list("Targets")
            for target in self.targets(rule, one.get("DeadLetterConfig"))
        }

    def is_dead_letters(self, queue: PricedResource) -> bool:
        """Return True if the queue receives only failed work."""
        return queue in self._dead_letters

    def is_polled(self, queue: PricedResource) -> bool:
        """Return True if Lambda polls the queue."""
        return any(queue in self.targets(one, one.get("EventSourceArn")) for one in self._mappings)

    def is_log_bucket(self, bucket: PricedResource) -> bool:
        """Return True if another bucket writes its access logs to this one."""
        return any(
            bucket in self.targets(other, other.get("LoggingConfiguration", "DestinationBucketName"))
            for other in self.of_type("AWS::S3::Bucket")
        )

    def actions(self, pipeline: PricedResource) -> list[Mapping[str, Any]]:
        """Return every action of a pipeline."""
        return [action for stage in pipeline.list("Stages") for action in stage.get("Actions", [])]


def _has(stack: PricedStack, logical_id: str) -> bool:
    return logical_id in stack.template.get("Resources", {})
