"""`studio`: an HTTP API for signed-in users, a worker that is invoked asynchronously, a bucket for uploads."""

from __future__ import annotations

from dataclasses import dataclass

from aws_cdk import Duration, Stack

from slipway.blocks.alarms import ServiceAlarms
from slipway.blocks.backup import ServiceBackup, back_up
from slipway.blocks.bucket import LogBucket, ServiceBucket
from slipway.blocks.dashboard import ServiceDashboard
from slipway.blocks.deployment import SafeDeployment
from slipway.blocks.experiments import add_experiments, open_to_faults
from slipway.blocks.function import ServiceFunction
from slipway.blocks.http import HttpEntry
from slipway.blocks.key import ServiceKey
from slipway.blocks.messaging import AlarmTopic, DeadLetterQueue
from slipway.blocks.outputs import output
from slipway.blocks.table import Index, ServiceTable
from slipway.blocks.user_pool import ServiceUserPool, TestUser
from slipway.delivery.names import bucket_name
from slipway.delivery.roles import VerificationRole
from slipway.service import Service

from .settings import StudioSettings

BY_STATUS = Index(name="by-status", partition_key="owner_status", sort_key="recency")


@dataclass(frozen=True)
class Security:
    """What the security stack hands on."""

    key: ServiceKey
    users: ServiceUserPool
    test_user: TestUser | None


@dataclass(frozen=True)
class Data:
    """What the data stack hands on."""

    table: ServiceTable
    bucket: ServiceBucket
    backup: ServiceBackup | None


@dataclass(frozen=True)
class Compute:
    """What the compute stack hands on."""

    api: HttpEntry
    api_function: ServiceFunction
    worker: ServiceFunction
    dead_letters: DeadLetterQueue


class Studio(Service[Security, Data, Compute]):
    """Jobs of signed-in users."""

    name = "studio"
    description = "Studio: work for signed-in users"

    @property
    def settings(self) -> StudioSettings:
        """The service's own part of the configuration."""
        return self.environment.settings_of(StudioSettings)

    def add_security(self, stack: Stack) -> Security:
        """Add the key, the users, and a user for tests where that is configured."""
        key = ServiceKey(stack, "Key", service=self.name, environment=self.environment)
        users = ServiceUserPool(stack, "Users", environment=self.environment, settings=self.settings.user_pool)
        output(stack, "KeyId", key.key_id, "Id of the key")
        output(stack, "KeyArn", key.key_arn, "ARN of the key")
        output(stack, "UserPoolId", users.user_pool_id, "Id of the user pool")
        output(stack, "UserPoolArn", users.user_pool_arn, "ARN of the user pool")
        output(stack, "UserPoolClientId", users.client.user_pool_client_id, "Id of the client that signs in")
        test_user: TestUser | None = None
        if self.settings.user_pool.test_user:
            test_user = TestUser(
                stack,
                "TestUser",
                service=self.name,
                environment=self.environment,
                assets=self.assets,
                key=key,
                pool=users,
                handler="services.studio.runtime.users.handler",
            )
            output(stack, "TestUserSecretArn", test_user.secret.secret_arn, "Secret with the test user's password")
        return Security(key, users, test_user)

    def add_data(self, stack: Stack, security: Security) -> Data:
        """Add the table, the bucket and the backup."""
        uploads = self.settings.uploads
        table = ServiceTable(
            stack,
            "Table",
            environment=self.environment,
            key=security.key,
            capacity=self.settings.capacity,
            partition_key="owned_id",
            indexes=(BY_STATUS,),
            ttl_attribute="expires_at",
        )
        log_bucket = LogBucket(stack, "LogBucket", service=self.name, environment=self.environment)
        bucket = ServiceBucket(
            stack,
            "Bucket",
            service=self.name,
            environment=self.environment,
            key=security.key,
            logs=log_bucket,
            versioned=uploads.versioned,
            expire_after=Duration.days(uploads.expire_days),
            cors_origins=self.environment.cors.origins,
        )
        backup = back_up(
            stack,
            service=self.name,
            environment=self.environment,
            key=security.key,
            tables=[table],
            # AWS Backup needs versions.
            buckets=[bucket] if uploads.versioned else [],
        )
        output(stack, "TableName", table.table_name, "Table of the records")
        output(stack, "TableArn", table.table_arn, "ARN of that table")
        output(stack, "BucketName", bucket.bucket_name, "Bucket of uploads and results")
        output(stack, "LogBucketName", log_bucket.bucket_name, "Bucket of the access logs")
        return Data(table, bucket, backup)

    def add_compute(self, stack: Stack, security: Security, data: Data, verification: VerificationRole) -> Compute:
        """Add the functions and the API."""
        dead_letters = DeadLetterQueue(stack, "DeadLetters", key=security.key)
        worker = self._worker(stack, security, data, dead_letters)
        api_function = self._api_function(stack, security, data, worker)
        open_to_faults(api_function, worker)
        for name, function in (("Api", api_function), ("Worker", worker)):
            deployment = SafeDeployment(
                stack,
                f"{name}Deployment",
                function=function,
                hook_handler=f"services.studio.runtime.hooks.{name.lower()}_handler",
                dead_letters=dead_letters,
            )
            output(stack, f"{name}FunctionArn", function.live.function_arn, f"Alias of the function {name.lower()}")
            output(stack, f"{name}HookFunctionArn", deployment.hook.live.function_arn, f"Check of {name.lower()}")
        api = self._api(stack, security, function=api_function)
        if security.test_user is not None:
            verification.allow(
                actions=["secretsmanager:GetSecretValue"], resources=[security.test_user.secret.secret_arn]
            )
            verification.allow(actions=["kms:Decrypt"], resources=[security.key.key_arn])
        output(stack, "ApiId", api.api.http_api_id, "Id of the HTTP API")
        output(stack, "ApiEndpoint", api.endpoint, "URL of the API")
        output(stack, "HealthEndpoint", f"{api.endpoint}health", "URL of the health check")
        output(stack, "DeadLetterQueueUrl", dead_letters.queue_url, "Queue of permanently failed events")
        return Compute(api, api_function, worker, dead_letters)

    def add_observability(self, stack: Stack, security: Security, data: Data, compute: Compute) -> None:
        """Add the alarms and the dashboard."""
        topic = AlarmTopic(stack, "AlarmTopic", key=security.key, emails=self.environment.alarms.emails)
        alarms = ServiceAlarms(stack, "Alarms", topic=topic, settings=self.environment.alarms)
        functions = {"Api": compute.api_function, "Worker": compute.worker}
        for name, function in functions.items():
            alarms.on_function(name, function, errors=5)
        alarms.on_api(compute.api, server_errors=10)
        alarms.on_table("Table", data.table, indexes=(BY_STATUS.name,))
        alarms.on_dead_letters(compute.dead_letters)
        alarms.on_objectives(self.settings.slo, compute.api)
        if data.backup is not None:
            alarms.on_backup(data.backup)
        add_experiments(stack, alarms=alarms, functions=[*functions.values()], objectives=self.settings.slo)
        dashboard = ServiceDashboard(
            stack,
            "Dashboard",
            api=compute.api,
            functions=functions,
            tables={"Records": data.table},
            dead_letters=compute.dead_letters,
            objectives=self.settings.slo,
        )
        output(stack, "AlarmTopicArn", topic.topic_arn, "Topic that the alarms notify")
        output(stack, "DashboardUrl", dashboard.url, "Dashboard of the service")

    def _worker(self, stack: Stack, security: Security, data: Data, dead_letters: DeadLetterQueue) -> ServiceFunction:
        function = ServiceFunction(
            stack,
            "WorkerFunction",
            service=self.name,
            environment=self.environment,
            settings=self.settings.worker,
            assets=self.assets,
            key=security.key,
            handler="services.studio.runtime.worker.handler",
            description="Works on accepted jobs",
            variables={"TABLE_NAME": data.table.table_name, "BUCKET_NAME": data.bucket.bucket_name},
            dead_letters=dead_letters,
            asynchronous=True,
        )
        function.allow(actions=["dynamodb:UpdateItem"], resources=[data.table.table_arn])
        function.allow_objects(
            actions=["s3:PutObject"],
            bucket_name=bucket_name(self.environment, self.name),
            prefix="processed/",
            reason="A job's id is made when it is accepted, so its result is known by its prefix only.",
        )
        return function

    def _api_function(self, stack: Stack, security: Security, data: Data, worker: ServiceFunction) -> ServiceFunction:
        function = ServiceFunction(
            stack,
            "ApiFunction",
            service=self.name,
            environment=self.environment,
            settings=self.settings.api,
            assets=self.assets,
            key=security.key,
            handler="services.studio.runtime.api.handler",
            description="Answers the API of studio",
            variables={
                "TABLE_NAME": data.table.table_name,
                "BUCKET_NAME": data.bucket.bucket_name,
                "WORKER_ARN": worker.live.function_arn,
            },
        )
        function.allow(actions=["dynamodb:GetItem", "dynamodb:PutItem"], resources=[data.table.table_arn])
        function.allow(actions=["dynamodb:Query"], resources=[f"{data.table.table_arn}/index/{BY_STATUS.name}"])
        function.allow(actions=["lambda:InvokeFunction"], resources=[worker.live.function_arn])
        function.allow_objects(
            actions=["s3:GetObject"],
            bucket_name=bucket_name(self.environment, self.name),
            prefix="processed/",
            reason="A result is known by its job's id, which is made when the job is accepted.",
        )
        function.allow_to_tell_missing_objects(bucket_name(self.environment, self.name))
        return function

    def _api(self, stack: Stack, security: Security, *, function: ServiceFunction) -> HttpEntry:
        entry = HttpEntry(
            stack,
            "Api",
            service=self.name,
            environment=self.environment,
            key=security.key,
            throttle=self.settings.throttle,
            description=self.description,
            users=security.users,
        )
        for method, path in (("POST", "/process"), ("GET", "/process/{id}"), ("GET", "/results")):
            entry.route(method, path, function=function)
        entry.route("GET", "/health", function=function, open_because="It says nothing about data.")
        return entry
