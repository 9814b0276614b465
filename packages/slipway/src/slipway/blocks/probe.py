"""Probe a deployed service at its public address, on a schedule."""

from __future__ import annotations

from aws_cdk import Duration, Stack
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_events as events
from aws_cdk import aws_events_targets as targets
from constructs import Construct

from slipway.blocks.acknowledgements import accept
from slipway.blocks.edge import EdgeDistribution
from slipway.blocks.function import ServiceFunction
from slipway.blocks.http import HttpEntry
from slipway.blocks.messaging import DeadLetterQueue
from slipway.blocks.rest import RestEntry
from slipway.blocks.usage_plan import KeyedUsagePlan
from slipway.settings import FunctionSettings
from slipway.settings.model import ProbeSettings

SIZE = FunctionSettings(memory_mb=256, timeout_seconds=300)
"""Size of a probe: a few requests, each of which may take half a minute and may be repeated once."""

_LATE = Duration.minutes(1)
"""A run that isn't delivered by then is dropped, because the next one is due soon. This is EventBridge's minimum."""


class ServiceProbe(Construct):
    """A function that sends a service's contract checks to its public address, on a schedule.

    Its handler is `services.<service>.runtime.hooks.probe_handler` (slipway_runtime.outside). It is deployed after the
    function that it checks has moved to its new version, so that it never asks an old version for a feature of the new
    one. docs/decisions/0017-probes-are-our-own-functions.md weighs CloudWatch Synthetics against it.

    Args:
        scope: The compute stack.
        construct_id: Id in it.
        settings: How often it runs.
        function: The function behind the API.
        api: The API that is checked.
        dead_letters: Queue for runs in which the function itself failed. Failed checks are metrics.
        edge: The distribution before the API. Default: none.
        plan: The usage plan whose key the probe sends with `keyed` checks. Default: it has no key.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        settings: ProbeSettings,
        function: ServiceFunction,
        api: RestEntry | HttpEntry,
        dead_letters: DeadLetterQueue,
        edge: EdgeDistribution | None = None,
        plan: KeyedUsagePlan | None = None,
    ) -> None:
        super().__init__(scope, construct_id)
        self.every = Duration.minutes(settings.every_minutes)
        """How often it runs."""
        self._project = function.environment.tags.project
        self.function = ServiceFunction(
            self,
            "Function",
            service=function.service,
            environment=function.environment,
            settings=SIZE,
            assets=function.assets,
            key=function.key,
            handler=f"services.{function.service}.runtime.hooks.probe_handler",
            description=f"Checks {function.service} at its public address",
            variables={
                "PROBE_API": api.endpoint,
                **({"PROBE_EDGE": f"https://{edge.host}/"} if edge else {}),
                **({"PROBE_API_KEY_ID": plan.key.key_id} if plan else {}),
            },
            dead_letters=dead_letters,
            asynchronous=True,
        )
        if plan is not None:
            self.function.allow(actions=["apigateway:GET"], resources=[plan.key_arn])
        self.function.function.node.add_dependency(function.live)
        accept(
            self.function.live,
            "Slipway-TrafficAliasGuarded",
            reason="It has no callers: a version that fails leaves its events in the dead letters, whose "
            "alarm counts in the bake as the probe's own do.",
        )
        self._schedule(settings.every_minutes)

    def metric(self, name: str, *, statistic: str, label: str | None = None) -> cloudwatch.Metric:
        """Return one of the probe's metrics (slipway_runtime.outside), over the time from one run to the next."""
        return cloudwatch.Metric(
            namespace=self._project,
            metric_name=name,
            dimensions_map={
                "service": self.function.service,
                "function_name": self.function.function.function_name,
            },
            statistic=statistic,
            period=self.every,
            label=label,
        )

    def _schedule(self, minutes: int) -> None:
        rule = events.Rule(
            self,
            "Schedule",
            description=f"Checks {self.function.service} every {minutes} min",
            schedule=events.Schedule.rate(self.every),
            targets=[targets.LambdaFunction(self.function.live, max_event_age=_LATE, retry_attempts=0)],
        )
        accept(
            rule,
            "Serverless-EventBusDLQ",
            reason="A run that EventBridge could not hand over is followed by the next one "
            "within minutes, so keeping it in a queue would be useless.",
        )


def probe_service(
    stack: Stack,
    *,
    settings: ProbeSettings | None,
    function: ServiceFunction,
    api: RestEntry | HttpEntry,
    dead_letters: DeadLetterQueue,
    edge: EdgeDistribution | None = None,
    plan: KeyedUsagePlan | None = None,
) -> ServiceProbe | None:
    """Add a probe to a service's compute stack if its settings ask for one.

    Args:
        stack: The compute stack.
        settings: How often; None for no probe.
        function: The function behind the API.
        api: The API that is checked.
        dead_letters: Where a run goes that failed as a function.
        edge: The distribution before the API. Default: none.
        plan: The usage plan whose key the probe sends. Default: it has no key.
    """
    if settings is None:
        return None
    return ServiceProbe(
        stack,
        "Probe",
        settings=settings,
        function=function,
        api=api,
        dead_letters=dead_letters,
        edge=edge,
        plan=plan,
    )
