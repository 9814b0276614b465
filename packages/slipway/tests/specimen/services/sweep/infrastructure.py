"""`sweep`: a function on a schedule. It has no API and no bucket, and nothing in its table expires."""

from __future__ import annotations

from dataclasses import dataclass

from aws_cdk import Duration, Stack
from aws_cdk import aws_events as events
from aws_cdk import aws_events_targets as targets
from aws_cdk import aws_iam as iam

from slipway.blocks.alarms import ServiceAlarms
from slipway.blocks.backup import ServiceBackup, back_up
from slipway.blocks.dashboard import ServiceDashboard
from slipway.blocks.deployment import SafeDeployment
from slipway.blocks.function import ASYNC_MAX_AGE, ASYNC_RETRIES, ServiceFunction
from slipway.blocks.key import ServiceKey
from slipway.blocks.messaging import AlarmTopic, DeadLetterQueue
from slipway.blocks.outputs import output
from slipway.blocks.table import ServiceTable
from slipway.delivery.roles import VerificationRole
from slipway.service import Service
from slipway.settings.model import OnDemand

from .settings import SweepSettings


@dataclass(frozen=True)
class Data:
    """What the data stack hands on."""

    table: ServiceTable
    backup: ServiceBackup | None


@dataclass(frozen=True)
class Compute:
    """What the compute stack hands on."""

    worker: ServiceFunction
    dead_letters: DeadLetterQueue


class Sweep(Service[ServiceKey, Data, Compute]):
    """Something to do each hour."""

    name = "sweep"
    description = "Sweep: something to do each hour"

    @property
    def settings(self) -> SweepSettings:
        """The service's own part of the configuration."""
        return self.environment.settings_of(SweepSettings)

    def add_security(self, stack: Stack) -> ServiceKey:
        """Add the key, which EventBridge uses to fill the dead letters."""
        key = ServiceKey(stack, "Key", service=self.name, environment=self.environment)
        key.add_to_resource_policy(
            iam.PolicyStatement(
                sid="Schedule",
                principals=[iam.ServicePrincipal("events.amazonaws.com")],
                actions=["kms:Decrypt", "kms:GenerateDataKey"],
                resources=["*"],  # in a key policy `*` is the key itself
                conditions={
                    "StringEquals": {"aws:SourceAccount": stack.account},
                    "ArnLike": {
                        "aws:SourceArn": stack.format_arn(service="events", resource="rule", resource_name="*")
                    },
                },
            )
        )
        output(stack, "KeyId", key.key_id, "Id of the key")
        output(stack, "KeyArn", key.key_arn, "ARN of the key")
        return key

    def add_data(self, stack: Stack, security: ServiceKey) -> Data:
        """Add the table and its backup."""
        table = ServiceTable(
            stack,
            "Table",
            environment=self.environment,
            key=security,
            capacity=OnDemand(mode="on-demand"),
            partition_key="id",
        )
        backup = back_up(
            stack, service=self.name, environment=self.environment, key=security, tables=[table], buckets=[]
        )
        output(stack, "TableName", table.table_name, "Table of the runs")
        output(stack, "TableArn", table.table_arn, "ARN of that table")
        return Data(table, backup)

    def add_compute(self, stack: Stack, security: ServiceKey, data: Data, verification: VerificationRole) -> Compute:
        """Add the worker and its schedule."""
        dead_letters = DeadLetterQueue(stack, "DeadLetters", key=security)
        worker = ServiceFunction(
            stack,
            "Worker",
            service=self.name,
            environment=self.environment,
            settings=self.settings.worker,
            assets=self.assets,
            key=security,
            handler="services.sweep.runtime.worker.handler",
            description="Keeps a record of each run",
            variables={"TABLE_NAME": data.table.table_name},
            dead_letters=dead_letters,
            asynchronous=True,
        )
        worker.allow(actions=["dynamodb:PutItem"], resources=[data.table.table_arn])
        events.Rule(
            stack,
            "Schedule",
            description="Runs the worker of sweep",
            schedule=events.Schedule.rate(Duration.hours(1)),
            targets=[
                targets.LambdaFunction(
                    worker.live,
                    dead_letter_queue=dead_letters,
                    max_event_age=ASYNC_MAX_AGE,
                    retry_attempts=ASYNC_RETRIES,
                )
            ],
        )
        deployment = SafeDeployment(
            stack,
            "WorkerDeployment",
            function=worker,
            hook_handler="services.sweep.runtime.hooks.worker_handler",
            dead_letters=dead_letters,
        )
        verification.allow(actions=["lambda:InvokeFunction"], resources=[worker.live.function_arn])
        output(stack, "WorkerFunctionArn", worker.live.function_arn, "Alias of the worker")
        output(stack, "WorkerHookFunctionArn", deployment.hook.live.function_arn, "Contract check of the worker")
        output(stack, "DeadLetterQueueUrl", dead_letters.queue_url, "Queue of permanently failed events")
        return Compute(worker, dead_letters)

    def add_observability(self, stack: Stack, security: ServiceKey, data: Data, compute: Compute) -> None:
        """Add the alarms and the dashboard."""
        topic = AlarmTopic(stack, "AlarmTopic", key=security, emails=self.environment.alarms.emails)
        alarms = ServiceAlarms(stack, "Alarms", topic=topic, settings=self.environment.alarms)
        alarms.on_function("Worker", compute.worker, errors=4)
        alarms.on_table("Table", data.table)
        alarms.on_dead_letters(compute.dead_letters)
        if data.backup is not None:
            alarms.on_backup(data.backup)
        dashboard = ServiceDashboard(
            stack,
            "Dashboard",
            functions={"Worker": compute.worker},
            tables={"Runs": data.table},
            dead_letters=compute.dead_letters,
        )
        output(stack, "AlarmTopicArn", topic.topic_arn, "Topic that the alarms notify")
        output(stack, "DashboardUrl", dashboard.url, "Dashboard of the service")
