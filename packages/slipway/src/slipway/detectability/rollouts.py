"""Read from the synthesised templates how traffic moves to a new version of a function."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from slipway.assembly.flat import stack_template
from slipway.assembly.reader import read_manifest, read_manifests
from slipway.cloudwatch import Alarm, MathQuery, Metric, MetricQuery
from slipway.drawing.dashboards import readable
from slipway.emulator.substitutions import Template
from slipway.errors import RehearsalError
from slipway.settings.shifts import Shift

_DIGEST = re.compile(r"[0-9A-F]{8}$")


class Trigger(StrEnum):
    """What invokes a function through its alias."""

    REQUESTS = "requests"
    QUEUE = "queue"
    STREAM = "stream"
    ASYNCHRONOUS = "asynchronous"


class MetricScope(StrEnum):
    """The invocations that a metric counts, by its dimensions."""

    VERSION = "the new version"
    ALIAS = "both versions"


EMITTED = ("Invocations", "Errors", "Throttles", "Duration")
"""Lambda's metrics that the simulation produces
(https://docs.aws.amazon.com/lambda/latest/dg/monitoring-metrics-types.html)."""

FAULTS = "Faults"
"""Metric of the failures that a version reports itself and Lambda does not count (slipway_runtime.telemetry)."""


@dataclass(frozen=True)
class Rollout:
    """The deployment group of a function, and what it watches.

    Args:
        environment: Its environment.
        service: Its service.
        function: The function's key in the configuration, such as `api`.
        trigger: What invokes it.
        shift: How traffic moves.
        alarms: The group's alarms; none if it does not roll back on alarms.
        scopes: Which invocations each metric of the alarms counts. Metrics without an entry have no data here.
    """

    environment: str
    service: str
    function: str
    trigger: Trigger
    shift: Shift
    alarms: tuple[Alarm, ...]
    scopes: Mapping[Metric, MetricScope]

    @property
    def name(self) -> str:
        """Its display name, such as `items api`."""
        return f"{self.service} {self.function}"

    @property
    def signature(self) -> tuple[object, ...]:
        """Return the parts of the alarms that determine an outcome. Functions with equal parts differ only in names."""
        return tuple(
            (
                self._watched(alarm.query),
                alarm.evaluation_periods,
                alarm.datapoints_to_alarm,
                alarm.comparison,
                alarm.threshold,
                alarm.treat_missing_data,
                alarm.ignore_low_samples,
            )
            for alarm in self.alarms
        )

    def _watched(self, query: MetricQuery | MathQuery) -> tuple[object, ...]:
        """Return what an alarm watches, without names."""
        if isinstance(query, MetricQuery):
            return (query.metric.name, self.scopes.get(query.metric), query.statistic, query.period, query.unit)
        metrics = tuple((identifier, self._watched(each)) for identifier, each in query.metrics.items())
        expressions = tuple((identifier, each.text) for identifier, each in query.expressions.items())
        return (metrics, expressions, query.result)

    @property
    def blind(self) -> tuple[tuple[Alarm, tuple[Metric, ...]], ...]:
        """Alarms whose metrics no simulated invocation of this function produces, with those metrics."""
        strange = ((alarm, tuple(each for each in alarm.metrics if each not in self.scopes)) for alarm in self.alarms)
        return tuple((alarm, metrics) for alarm, metrics in strange if metrics)


def templates(stage: Path) -> dict[str, Template]:
    """Return the templates of a stage by stack name.

    Args:
        stage: Folder of the nested assembly.
    """
    return {stack.name: stack_template(stack) for stack in read_manifest(stage).stacks()}


def stages(assembly: Path) -> Iterator[tuple[str, Path]]:
    """Yield the assemblies within an assembly, itself first, each with the name of its stage.

    Args:
        assembly: Folder of the assembly.
    """
    for path, manifest in read_manifests(assembly):
        yield path.rpartition("/")[2] or assembly.resolve().name, manifest.folder


def groups_of_others(stacks: Mapping[str, Template]) -> list[str]:
    """Return the display names of deployment groups that move no function, such as those of ECS.

    Args:
        stacks: Templates by the stacks' names.
    """
    return [f"{stack}: {group}" for stack, group in _groups(stacks) if not _moves_functions(stacks[stack], group)]


def _groups(stacks: Mapping[str, Template]) -> Iterator[tuple[str, str]]:
    for stack, template in stacks.items():
        for group, resource in template["Resources"].items():
            if resource["Type"] == "AWS::CodeDeploy::DeploymentGroup":
                yield stack, group


def _moves_functions(template: Template, group: str) -> bool:
    """Return True unless its application is for a compute platform other than Lambda.

    An application without a platform is for servers:
    https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-resource-codedeploy-application.html.
    """
    named = template["Resources"][group].get("Properties", {}).get("ApplicationName")
    name = named.get("Ref") if isinstance(named, Mapping) else None
    application = template["Resources"].get(name, {}) if isinstance(name, str) else {}
    if application.get("Type") != "AWS::CodeDeploy::Application":
        return True
    return bool(application.get("Properties", {}).get("ComputePlatform", "Server") == "Lambda")


def read(stacks: Mapping[str, Template], environment: str, service: str) -> list[Rollout]:
    """Return every deployment group of a stage that moves functions.

    Args:
        stacks: Templates of the stage by the stacks' names.
        environment: Environment of the stage.
        service: Service of the stage.

    Raises:
        RehearsalError: A group moves no alias, or watches a metric that is not simulated here.
    """
    return [
        _Reader(stacks, stack).rollout(group, environment, service)
        for stack, group in _groups(stacks)
        if _moves_functions(stacks[stack], group)
    ]


class _Reader:
    """Reads one stack."""

    def __init__(self, stacks: Mapping[str, Template], stack: str) -> None:
        self._stacks, self._stack = stacks, stack
        self._resources: Mapping[str, Any] = stacks[stack]["Resources"]

    def rollout(self, group: str, environment: str, service: str) -> Rollout:
        alias = self._alias(group)
        properties = self._resources[alias]["Properties"]
        function = self._referenced(properties["FunctionName"])
        alarms = tuple(self._alarms(group))
        return Rollout(
            environment=environment,
            service=service,
            function=_DIGEST.sub("", function).removesuffix("Function").lower(),
            trigger=self._trigger(alias, function),
            shift=self._shift(group),
            alarms=alarms,
            scopes=self._scopes(alarms, function, alias),
        )

    def _of_type(self, kind: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
        for name, resource in self._resources.items():
            if resource["Type"] == kind:
                yield name, resource

    def _referenced(self, value: Any) -> str:
        match value:
            case {"Ref": str(name)} | {"Fn::GetAtt": [str(name), *_]} if name in self._resources:
                return name
        raise RehearsalError(f"{self._stack}: {json.dumps(value)} refers to no resource of the stack")

    def _alias(self, group: str) -> str:
        for name, resource in self._of_type("AWS::Lambda::Alias"):
            update = resource.get("UpdatePolicy", {}).get("CodeDeployLambdaAliasUpdate", {})
            if update.get("DeploymentGroupName") == {"Ref": group}:
                return name
        raise RehearsalError(f"{self._stack}: the deployment group {group} moves no alias of the stack")

    def _shift(self, group: str) -> Shift:
        found = self._resources[group]["Properties"].get("DeploymentConfigName", "CodeDeployDefault.LambdaAllAtOnce")
        try:
            if isinstance(found, str):
                return Shift.named(found)
            return Shift.of_template(self._resources[self._referenced(found)]["Properties"])
        except ValueError as error:
            raise RehearsalError(f"{self._stack}: {group}: {error}") from error

    def _alarms(self, group: str) -> Iterator[Alarm]:
        properties = self._resources[group]["Properties"]
        configuration = properties.get("AlarmConfiguration", {})
        rollback = properties.get("AutoRollbackConfiguration", {})
        stops = "DEPLOYMENT_STOP_ON_ALARM" in rollback.get("Events", [])
        if configuration.get("Enabled") is not True or rollback.get("Enabled") is not True or not stops:
            return
        for entry in configuration.get("Alarms", []):
            name = self._referenced(entry["Name"])
            resource = self._resources[name]
            if resource["Type"] != "AWS::CloudWatch::Alarm":
                raise RehearsalError(
                    f"{self._stack}: {group} watches {name} ({resource['Type']}), which is not simulated"
                )
            yield Alarm.from_template(self._resolved(resource["Properties"]), name=_DIGEST.sub("", name))

    def _resolved(self, value: Any) -> Any:
        """Return a value with readable names in place of references."""
        if isinstance(value, list):
            return [self._resolved(inner) for inner in value]
        if not isinstance(value, dict):
            return value
        if len(value) == 1 and (key := next(iter(value))) and (key == "Ref" or key.startswith("Fn::")):
            return readable(self._stacks, self._stack, value)
        return {key: self._resolved(inner) for key, inner in value.items() if key not in _ELSEWHERE}

    def _scopes(self, alarms: tuple[Alarm, ...], function: str, alias: str) -> dict[Metric, MetricScope]:
        """Return the alarms' metrics that invocations through the alias produce.

        Lambda publishes each under the function's name, under the alias beside it, and under the version beside both
        while the alias has two
        (https://docs.aws.amazon.com/lambda/latest/dg/monitoring-metrics-types.html). A version counts its faults under
        the names that the function's environment variables give.
        """
        properties = self._resources[alias]["Properties"]
        name = self._resolved({"Ref": function})
        whole = {"FunctionName": name}
        live = {**whole, "Resource": f"{name}:{properties['Name']}"}
        version = {**live, "ExecutedVersion": self._resolved(properties["FunctionVersion"])}
        known = {
            frozenset(whole.items()): MetricScope.ALIAS,
            frozenset(live.items()): MetricScope.ALIAS,
            frozenset(version.items()): MetricScope.VERSION,
        }
        variables = self._resources[function]["Properties"].get("Environment", {}).get("Variables", {})
        faults = Metric.of(
            variables.get("POWERTOOLS_METRICS_NAMESPACE", ""),
            FAULTS,
            {
                "service": variables.get("POWERTOOLS_SERVICE_NAME", ""),
                "function_name": name,
                "function_version": version["ExecutedVersion"],
            },
        )
        found = {
            metric: known[metric.dimensions]
            for alarm in alarms
            for metric in alarm.metrics
            if metric.namespace == "AWS/Lambda" and metric.name in EMITTED and metric.dimensions in known
        }
        if any(faults in alarm.metrics for alarm in alarms):
            found[faults] = MetricScope.VERSION
        return found

    def _trigger(self, alias: str, function: str) -> Trigger:
        for _, resource in self._of_type("AWS::Lambda::EventSourceMapping"):
            if _mentions(resource["Properties"]["FunctionName"], alias):
                # A stream is read from a starting position; a queue has none.
                return Trigger.STREAM if "StartingPosition" in resource["Properties"] else Trigger.QUEUE
        for _, resource in self._of_type("AWS::Lambda::EventInvokeConfig"):
            properties = resource["Properties"]
            if _mentions(properties["FunctionName"], function) and _mentions(properties["Qualifier"], alias):
                return Trigger.ASYNCHRONOUS
        return Trigger.REQUESTS


# Properties of an alarm that don't affect its state; some refer to other stacks' topics.
_ELSEWHERE = {"AlarmActions", "OKActions", "InsufficientDataActions"}


def _mentions(value: Any, logical_id: str) -> bool:
    """Return True if a template's value refers to a resource, at any depth."""
    if isinstance(value, dict):
        if value == {"Ref": logical_id}:
            return True
        return any(_mentions(inner, logical_id) for inner in value.values())
    return isinstance(value, list) and any(_mentions(inner, logical_id) for inner in value)
