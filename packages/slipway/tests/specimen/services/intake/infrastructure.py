"""`intake`: a REST API with keys, a usage plan and a cache, and a queue with dead letters. It has no bucket."""

from __future__ import annotations

from dataclasses import dataclass

from aws_cdk import Duration, Stack

from slipway.blocks.alarms import ServiceAlarms
from slipway.blocks.dashboard import ServiceDashboard
from slipway.blocks.deployment import SafeDeployment
from slipway.blocks.experiments import add_experiments, open_to_faults
from slipway.blocks.function import ServiceFunction
from slipway.blocks.key import ServiceKey
from slipway.blocks.messaging import AlarmTopic, DeadLetterQueue
from slipway.blocks.outputs import output
from slipway.blocks.probe import ServiceProbe, probe_service
from slipway.blocks.queue import WorkQueue, read_queue, send_to
from slipway.blocks.rest import RestEntry
from slipway.blocks.table import Index, ServiceTable
from slipway.blocks.usage_plan import KeyedUsagePlan
from slipway.delivery.roles import VerificationRole
from slipway.service import Service

from .settings import IntakeSettings

BY_PENDING = Index(name="by-pending", partition_key="pending_shard", sort_key="recency", attributes=())
QUEUE_AGE = Duration.minutes(30)


@dataclass(frozen=True)
class Security:
    """What the security stack hands on."""

    key: ServiceKey


@dataclass(frozen=True)
class Data:
    """What the data stack hands on."""

    table: ServiceTable


@dataclass(frozen=True)
class Compute:
    """What the compute stack hands on."""

    api: RestEntry
    api_function: ServiceFunction
    worker: ServiceFunction
    work_queue: WorkQueue
    dead_letters: DeadLetterQueue
    probe: ServiceProbe | None


class Intake(Service[Security, Data, Compute]):
    """Records that are sent with an API key, and processed from a queue."""

    name = "intake"
    description = "Intake: records with an API key, worked off from a queue"

    @property
    def settings(self) -> IntakeSettings:
        """The service's own part of the configuration."""
        return self.environment.settings_of(IntakeSettings)

    def add_security(self, stack: Stack) -> Security:
        """Add the key."""
        key = ServiceKey(stack, "Key", service=self.name, environment=self.environment)
        output(stack, "KeyId", key.key_id, "Id of the key")
        output(stack, "KeyArn", key.key_arn, "ARN of the key")
        return Security(key)

    def add_data(self, stack: Stack, security: Security) -> Data:
        """Add a table whose records expire."""
        table = ServiceTable(
            stack,
            "Table",
            environment=self.environment,
            key=security.key,
            capacity=self.settings.capacity,
            partition_key="id",
            indexes=(BY_PENDING,),
            ttl_attribute="expires_at",
            no_backup_because="A backup would keep a record for weeks beyond its life.",
        )
        output(stack, "TableName", table.table_name, "Table of the records")
        output(stack, "TableArn", table.table_arn, "ARN of that table")
        return Data(table)

    def add_compute(self, stack: Stack, security: Security, data: Data, verification: VerificationRole) -> Compute:
        """Add the functions, the queue, the API and its usage plan."""
        dead_letters = DeadLetterQueue(stack, "DeadLetters", key=security.key)
        work_queue = WorkQueue(stack, "WorkQueue", key=security.key, reader=self.settings.worker)
        api_function, worker = self._functions(stack, security, data, work_queue)
        open_to_faults(api_function, worker)
        for name, function in (("Api", api_function), ("Worker", worker)):
            deployment = SafeDeployment(
                stack,
                f"{name}Deployment",
                function=function,
                hook_handler=f"services.intake.runtime.hooks.{name.lower()}_handler",
                dead_letters=dead_letters,
            )
            output(stack, f"{name}FunctionArn", function.live.function_arn, f"Alias of the function {name.lower()}")
            output(stack, f"{name}HookFunctionArn", deployment.hook.live.function_arn, f"Check of {name.lower()}")
        api = self._api(stack, security, function=api_function)
        plan = KeyedUsagePlan(
            stack, "UsagePlan", entry=api, settings=self.settings.usage_plan, description=self.description
        )
        probe = probe_service(
            stack,
            settings=self.settings.probe,
            function=api_function,
            api=api,
            plan=plan,
            dead_letters=dead_letters,
        )
        verification.allow(actions=["apigateway:GET"], resources=[plan.key_arn])
        output(stack, "ApiId", api.api.rest_api_id, "Id of the REST API")
        output(stack, "ApiEndpoint", api.endpoint, "URL of the API")
        output(stack, "HealthEndpoint", f"{api.endpoint}health", "URL of the health check")
        output(stack, "ApiKeyId", plan.key.key_id, "Id of the first API key")
        output(stack, "UsagePlanId", plan.plan_id, "Id of the usage plan")
        output(stack, "WorkQueueUrl", work_queue.queue_url, "Queue of records to work off")
        output(stack, "WorkDeadLetterQueueUrl", work_queue.dead_letters.queue_url, "Its dead letters")
        output(stack, "DeadLetterQueueUrl", dead_letters.queue_url, "Queue of permanently failed events")
        return Compute(api, api_function, worker, work_queue, dead_letters, probe)

    def add_observability(self, stack: Stack, security: Security, data: Data, compute: Compute) -> None:
        """Add the alarms and the dashboard."""
        topic = AlarmTopic(stack, "AlarmTopic", key=security.key, emails=self.environment.alarms.emails)
        alarms = ServiceAlarms(stack, "Alarms", topic=topic, settings=self.environment.alarms)
        functions = {"Api": compute.api_function, "Worker": compute.worker}
        for name, function in functions.items():
            alarms.on_function(name, function, errors=4)
        alarms.on_api(compute.api, server_errors=4)
        alarms.on_table("Table", data.table, indexes=(BY_PENDING.name,))
        alarms.on_user_errors(errors=5)
        alarms.on_queue("WorkQueue", compute.work_queue, age=QUEUE_AGE)
        alarms.on_dead_letters(compute.work_queue.dead_letters, "WorkDeadLetters")
        alarms.on_dead_letters(compute.dead_letters)
        alarms.on_probe(compute.probe)
        alarms.on_objectives(self.settings.slo, compute.api)
        add_experiments(stack, alarms=alarms, functions=[*functions.values()], objectives=self.settings.slo)
        dashboard = ServiceDashboard(
            stack,
            "Dashboard",
            api=compute.api,
            functions=functions,
            tables={"Records": data.table},
            queues={"Work queue": compute.work_queue, "Work dead letters": compute.work_queue.dead_letters},
            dead_letters=compute.dead_letters,
            probe=compute.probe,
            objectives=self.settings.slo,
        )
        output(stack, "AlarmTopicArn", topic.topic_arn, "Topic that the alarms notify")
        output(stack, "DashboardUrl", dashboard.url, "Dashboard of the service")

    def _functions(
        self, stack: Stack, security: Security, data: Data, work_queue: WorkQueue
    ) -> tuple[ServiceFunction, ServiceFunction]:
        api_function = ServiceFunction(
            stack,
            "ApiFunction",
            service=self.name,
            environment=self.environment,
            settings=self.settings.api,
            assets=self.assets,
            key=security.key,
            handler="services.intake.runtime.api.handler",
            description="Answers the API of intake",
            variables={"TABLE_NAME": data.table.table_name, "QUEUE_URL": work_queue.queue_url},
        )
        api_function.allow(actions=["dynamodb:GetItem", "dynamodb:PutItem"], resources=[data.table.table_arn])
        send_to(work_queue, function=api_function)
        worker = ServiceFunction(
            stack,
            "Worker",
            service=self.name,
            environment=self.environment,
            settings=self.settings.worker,
            assets=self.assets,
            key=security.key,
            handler="services.intake.runtime.worker.handler",
            description="Works off the records",
            variables={
                "TABLE_NAME": data.table.table_name,
                "QUEUE_URL": work_queue.queue_url,
                "DEAD_LETTER_QUEUE_URL": work_queue.dead_letters.queue_url,
            },
        )
        worker.allow(actions=["dynamodb:UpdateItem"], resources=[data.table.table_arn])
        read_queue(stack, "WorkerMapping", function=worker, queue=work_queue, batch_size=10)
        return api_function, worker

    def _api(self, stack: Stack, security: Security, *, function: ServiceFunction) -> RestEntry:
        entry = RestEntry(
            stack,
            "Api",
            service=self.name,
            environment=self.environment,
            key=security.key,
            throttle=self.settings.throttle,
            description=self.description,
            cache=self.settings.stage_cache,
            cached=("/data",),
        )
        entry.route("POST", "/data", function=function, keyed=True)
        entry.route(
            "GET",
            "/data",
            function=function,
            keyed=True,
            required_parameters=("id",),
            cache_keys=("querystring.id", "header.X-Api-Key"),
        )
        entry.mock(
            "/health",
            answer={"status": "ok", "environment": self.environment.name},
            open_because="The gateway answers it itself and says nothing about data.",
        )
        return entry
