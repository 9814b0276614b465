"""Observation of the pipeline: its events, metrics, notifications, and the alarms of the bakes."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

from aws_cdk import Aws, Duration, Stack
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_events as events
from aws_cdk import aws_events_targets as targets
from aws_cdk import aws_iam as iam
from constructs import Construct

from slipway.blocks.acknowledgements import accept
from slipway.blocks.alarms import runbook_link
from slipway.blocks.assets import AssetStore
from slipway.blocks.function import ASYNC_MAX_AGE, ASYNC_RETRIES, ServiceFunction
from slipway.blocks.key import ServiceKey
from slipway.blocks.messaging import DeadLetterQueue, NotificationTopic
from slipway.blocks.table import ServiceTable
from slipway.delivery.drift import watched_stacks
from slipway.delivery.names import delivery_bus, delivery_namespace, drift_role, pipeline_name
from slipway.delivery.runtime.events import DRIFT_SOURCE
from slipway.settings import Environment, FunctionSettings, Settings
from slipway.settings.model import OnDemand

SERVICE = "pipeline"
"""Name of the functions' code and of their metrics' dimension."""

SIZE = FunctionSettings(memory_mb=256, timeout_seconds=60)
"""Size of the two functions: a few short calls per event; the webhook may be tried three times."""

DRIFT_SIZE = FunctionSettings(memory_mb=256, timeout_seconds=900)
"""Size of the function that checks for drift: it waits for CloudFormation, minutes for a large stack."""

DAY = Duration.days(1)
RANGE = Duration.days(14)
"""Default time range of the dashboard: long enough for a median, short enough to show a recent change."""

SIXTH = 4
THIRD = 8


class DeliveryBus(events.EventBus):
    """The bus to which the environments relay their events.

    Args:
        scope: The pipeline's stack.
        construct_id: Id in it.
        app: The app's name.
        environments: Environments whose accounts may put events on it.
    """

    def __init__(self, scope: Construct, construct_id: str, *, app: str, environments: Sequence[Environment]) -> None:
        super().__init__(
            scope,
            construct_id,
            event_bus_name=delivery_bus(app),
            description="Deployments and alarms of the environments",
        )
        accounts = list(dict.fromkeys(environment.account for environment in environments))
        self.add_to_resource_policy(
            iam.PolicyStatement(
                sid="Environments",
                principals=[iam.ArnPrincipal(f"arn:{Aws.PARTITION}:iam::{account}:root") for account in accounts],
                actions=["events:PutEvents"],
                resources=[self.event_bus_arn],
            )
        )


class BakeAlarms(Construct):
    """An alarm per environment that bakes, active while any of the environment's own alarms is active.

    A stage condition can only watch alarms in the pipeline's account and region, and the environment's alarms are in
    its account. The metrics function counts them into a metric here.

    Args:
        scope: The pipeline's stack.
        construct_id: Id in it.
        environments: Environments that bake.
    """

    def __init__(self, scope: Construct, construct_id: str, *, environments: Sequence[Environment]) -> None:
        super().__init__(scope, construct_id)
        self._alarms = {environment.name: self._alarm(environment) for environment in environments}

    def of(self, environment: str) -> cloudwatch.Alarm:
        """Return the alarm of an environment."""
        return self._alarms[environment]

    @property
    def arns(self) -> list[str]:
        """Return the ARNs of all alarms."""
        return [alarm.alarm_arn for alarm in self._alarms.values()]

    def _alarm(self, environment: Environment) -> cloudwatch.Alarm:
        name = environment.name
        return cloudwatch.Alarm(
            self,
            name.title().replace("-", ""),
            alarm_description=f"An alarm of {name} is active: it stops the bake, and sends its own notification. "
            f"{runbook_link(environment.alarms.runbooks, 'bake')}",
            metric=_metric("AlarmsInAlarm", environment, statistic="Maximum", period=Duration.minutes(1)),
            threshold=1,
            evaluation_periods=1,
            comparison_operator=cloudwatch.ComparisonOperator.GREATER_THAN_OR_EQUAL_TO_THRESHOLD,
            # A value arrives with each change and each minute. If one is late, the previous state remains.
            treat_missing_data=cloudwatch.TreatMissingData.IGNORE,
        )


class Observation(Construct):
    """The functions that record metrics and send notifications, and the events that invoke them.

    Args:
        scope: The pipeline's stack.
        construct_id: Id in it.
        settings: All of `config/`.
        key: The pipeline's key.
        assets: The built assets.
        stages: Name of a stage → the environments that it deploys to.
        last_stages: Stages that complete their environment.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        settings: Settings,
        key: ServiceKey,
        assets: AssetStore,
        stages: Mapping[str, Sequence[str]],
        last_stages: Sequence[str],
    ) -> None:
        super().__init__(scope, construct_id)
        self._settings = settings
        self._key = key
        self._assets = assets
        self._dead_letters = DeadLetterQueue(self, "DeadLetters", key=key)
        self._delivery = json.dumps(
            {
                "stages": {stage: list(names) for stage, names in stages.items()},
                "last_stages": list(last_stages),
                "accounts": {environment.name: environment.account for environment in settings.environments},
                "namespace": delivery_namespace(settings.pipeline.app),
            }
        )
        name = pipeline_name(settings.pipeline.app)
        pipeline_arn = Stack.of(self).format_arn(service="codepipeline", resource=name)
        bus = DeliveryBus(self, "Bus", app=settings.pipeline.app, environments=settings.environments)
        figures = self._figures(pipeline_arn)
        notify = self._notify()

        pipeline = {"pipeline": [name]}
        self._rule("Stages", None, [figures], detail_type="CodePipeline Stage Execution State Change", detail=pipeline)
        self._rule(
            "Executions", None, [notify], detail_type="CodePipeline Pipeline Execution State Change", detail=pipeline
        )
        self._rule(
            "Approvals",
            None,
            [notify],
            detail_type="CodePipeline Action Execution State Change",
            detail={**pipeline, "state": ["STARTED", "CANCELED"], "type": {"category": ["Approval"]}},
        )
        self._rule(
            "CanceledStages",
            None,
            [notify],
            detail_type="CodePipeline Stage Execution State Change",
            detail={**pipeline, "state": ["CANCELED"]},
        )
        webhook = settings.pipeline.notifications.webhook_secret_arn
        self._rule("Alarms", bus, [figures, notify] if webhook else [figures], source="aws.cloudwatch")
        self._rule("Deployments", bus, [figures, notify], source="aws.codedeploy")
        self._watch_drift(bus, notify)
        self._count_each_minute(figures)

    def _count_each_minute(self, figures: ServiceFunction) -> None:
        # The largest value of a minute in which two alarms end is the 1 of the first; the next minute is correct.
        events.Rule(
            self,
            "Minutes",
            description="Triggers a new count of the active alarms",
            schedule=events.Schedule.rate(Duration.minutes(1)),
            targets=self._targets([figures]),
        )

    def _figures(self, pipeline_arn: str) -> ServiceFunction:
        table = ServiceTable(
            self,
            "Memory",
            environment=self._settings.pipeline,
            key=self._key,
            capacity=OnDemand(mode="on-demand"),
            partition_key="id",
            ttl_attribute="expiration",
            stream=False,
        )
        function = self._function(
            "Figures",
            handler="slipway.delivery.runtime.handlers.figures_handler",
            description="Records the DORA metrics of the delivery",
            variables={"TABLE_NAME": table.table_name},
        )
        function.allow(
            actions=["dynamodb:DeleteItem", "dynamodb:GetItem", "dynamodb:PutItem", "dynamodb:UpdateItem"],
            resources=[table.table_arn],
        )
        function.allow(
            actions=["codepipeline:GetPipelineExecution", "codepipeline:ListActionExecutions"],
            resources=[pipeline_arn],
        )
        return function

    def _notify(self) -> ServiceFunction:
        settings = self._settings.pipeline.notifications
        secret = settings.webhook_secret_arn
        topic = NotificationTopic(self, "Notifications", key=self._key, emails=settings.emails)
        function = self._function(
            "Notify",
            handler="slipway.delivery.runtime.handlers.notify_handler",
            description="Notifies people of the progress of a delivery",
            variables={"TOPIC_ARN": topic.topic_arn, **({"WEBHOOK_SECRET_ARN": secret} if secret else {})},
        )
        function.allow(actions=["sns:Publish"], resources=[topic.topic_arn])
        if secret:
            function.allow(actions=["secretsmanager:GetSecretValue"], resources=[secret])
        return function

    def _watch_drift(self, bus: DeliveryBus, notify: ServiceFunction) -> None:
        """Check each environment with drift detection configured once a day, and report drift over the bus."""
        watched = [environment for environment in self._settings.environments if environment.drift is not None]
        if not watched:
            return
        roles = {
            environment.name: f"arn:{Aws.PARTITION}:iam::{environment.account}:role/{drift_role(environment)}"
            for environment in watched
        }
        function = self._function(
            "Drift",
            handler="slipway.delivery.runtime.drift_handlers.drift_handler",
            description="Compares the stacks of an environment with their templates",
            variables={"BUS_NAME": bus.event_bus_name},
            size=DRIFT_SIZE,
        )
        function.allow(actions=["sts:AssumeRole"], resources=list(roles.values()))
        named = Stack.of(self).format_arn(
            service="events", resource="event-bus", resource_name=delivery_bus(self._settings.pipeline.app)
        )
        function.allow(actions=["events:PutEvents"], resources=[named])
        for environment in watched:
            stacks = watched_stacks(environment, [name for name, value in environment.services if value is not None])
            order = {
                "environment": environment.name,
                "region": environment.region,
                "role": roles[environment.name],
                "stacks": stacks,
            }
            events.Rule(
                self,
                f"Drift{environment.name.title().replace('-', '')}",
                description=f"Triggers a comparison of the stacks of {environment.name} with their templates",
                schedule=events.Schedule.cron(
                    hour=str(environment.drift.hour_utc if environment.drift else 0), minute="0"
                ),
                targets=self._targets([function], order=order),
            )
        self._rule("DriftFound", bus, [notify], source=DRIFT_SOURCE)

    def _function(
        self,
        construct_id: str,
        *,
        handler: str,
        description: str,
        variables: Mapping[str, str],
        size: FunctionSettings = SIZE,
    ) -> ServiceFunction:
        function = ServiceFunction(
            self,
            construct_id,
            service=SERVICE,
            environment=self._settings.pipeline,
            settings=size,
            assets=self._assets,
            key=self._key,
            handler=handler,
            description=description,
            variables={"DELIVERY": self._delivery, **variables},
            dead_letters=self._dead_letters,
            asynchronous=True,
        )
        accept(
            function.live,
            "Slipway-TrafficAliasGuarded",
            reason="It counts and notifies, and no caller waits for it: a failing version leaves its events in the "
            "dead letters, whereas a canary here would delay the pipeline's self-mutation, including a fix.",
        )
        return function

    def _rule(
        self,
        construct_id: str,
        bus: events.IEventBus | None,
        functions: Sequence[ServiceFunction],
        *,
        source: str = "aws.codepipeline",
        detail_type: str | None = None,
        detail: Mapping[str, object] | None = None,
    ) -> None:
        events.Rule(
            self,
            construct_id,
            event_bus=bus,
            event_pattern=events.EventPattern(
                source=[source],
                detail_type=[detail_type] if detail_type else None,
                detail=detail,
            ),
            targets=self._targets(functions),
        )

    def _targets(
        self, functions: Sequence[ServiceFunction], order: Mapping[str, object] | None = None
    ) -> list[events.IRuleTarget]:
        return [
            targets.LambdaFunction(
                function.live,
                event=events.RuleTargetInput.from_object(order) if order else None,
                dead_letter_queue=self._dead_letters,
                max_event_age=ASYNC_MAX_AGE,
                retry_attempts=ASYNC_RETRIES,
            )
            for function in functions
        ]


class DeliveryDashboard(Construct):
    """The four DORA metrics of each environment, one row per environment.

    Args:
        scope: The pipeline's stack.
        construct_id: Id in it.
        environments: In the pipeline's order.
    """

    def __init__(self, scope: Construct, construct_id: str, *, environments: Sequence[Environment]) -> None:
        super().__init__(scope, construct_id)
        dashboard = cloudwatch.Dashboard(
            self, "Dashboard", dashboard_name=Stack.of(self).stack_name, default_interval=RANGE
        )
        for environment in environments:
            name = environment.name
            deployments = _metric("Deployments", environment, statistic="Sum", period=DAY, label="Deployments")
            failures = _metric("ChangeFailures", environment, statistic="Sum", period=DAY, label="Failures")
            rate = cloudwatch.MathExpression(
                expression="100 * failures / IF(deployments > 0, deployments, 1)",
                using_metrics={"failures": failures, "deployments": deployments},
                label="Change failure rate",
                period=DAY,
            )
            lead_time = _metric("LeadTime", environment, statistic="p50", period=DAY, label="Lead time")
            restore = _metric("TimeToRestore", environment, statistic="p50", period=DAY, label="Time to restore")
            alarms = _metric(
                "AlarmsInAlarm", environment, statistic="Maximum", period=Duration.minutes(5), label="Alarms"
            )
            dashboard.add_widgets(
                cloudwatch.GraphWidget(title=f"{name}: deployments per day", left=[deployments, failures], width=THIRD),
                _whole_range(f"{name}: change failure rate, %", rate),
                _whole_range(f"{name}: median lead time, s", lead_time),
                _whole_range(f"{name}: median time to restore, s", restore),
                cloudwatch.GraphWidget(title=f"{name}: active alarms", left=[alarms], width=SIXTH),
            )


def _whole_range(title: str, metric: cloudwatch.IMetric) -> cloudwatch.SingleValueWidget:
    """Return a widget with one value for the dashboard's whole range, whatever the metric's period."""
    return cloudwatch.SingleValueWidget(title=title, metrics=[metric], width=SIXTH, set_period_to_time_range=True)


def _metric(
    name: str, environment: Environment, *, statistic: str, period: Duration, label: str | None = None
) -> cloudwatch.Metric:
    return cloudwatch.Metric(
        namespace=delivery_namespace(environment.app),
        metric_name=name,
        # Powertools adds the service's name.
        dimensions_map={"Environment": environment.name, "service": SERVICE},
        statistic=statistic,
        period=period,
        label=label,
    )
