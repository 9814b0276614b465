"""`processing`: validate and process for signed-in users."""

from __future__ import annotations

from dataclasses import dataclass

from aws_cdk import Duration, Stack

from services.processing.settings import ProcessingSettings
from slipway.blocks.alarms import ServiceAlarms
from slipway.blocks.backup import ServiceBackup, back_up
from slipway.blocks.bucket import LogBucket, ServiceBucket
from slipway.blocks.dashboard import ServiceDashboard
from slipway.blocks.experiments import add_experiments, open_to_faults
from slipway.blocks.function import ServiceFunction
from slipway.blocks.http import HttpEntry
from slipway.blocks.key import ServiceKey
from slipway.blocks.messaging import AlarmTopic, DeadLetterQueue
from slipway.blocks.outputs import output
from slipway.blocks.probe import ServiceProbe, probe_service
from slipway.blocks.table import Index, ServiceTable
from slipway.blocks.user_pool import ServiceUserPool, TestUser
from slipway.delivery.names import bucket_name
from slipway.delivery.roles import VerificationRole
from slipway.service import Service

BY_STATUS = Index(name="by-status", partition_key="owner_status", sort_key="recency")
"""A user's records of one status, newest first. Each user and status has its own partition, so the load on the index is
spread over all users.
"""


@dataclass(frozen=True)
class Security:
    """Result of the security stack."""

    key: ServiceKey
    users: ServiceUserPool
    test_user: TestUser | None


@dataclass(frozen=True)
class Data:
    """Result of the data stack."""

    table: ServiceTable
    bucket: ServiceBucket
    log_bucket: LogBucket
    backup: ServiceBackup | None


@dataclass(frozen=True)
class Compute:
    """Result of the compute stack."""

    api: HttpEntry
    api_function: ServiceFunction
    worker: ServiceFunction
    dead_letters: DeadLetterQueue
    probe: ServiceProbe | None


class Processing(Service[Security, Data, Compute]):
    """Validates and processes data of signed-in users; each user only sees their own data."""

    name = "processing"
    description = "Processing: validate and process for signed-in users"

    def add_security(self, stack: Stack) -> Security:
        """Add the key, and the users: the pool, its client, and a user for tests if that is configured."""
        key = self.key(stack)
        users = ServiceUserPool(stack, "Users", environment=self.environment, settings=self.settings.user_pool)
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
                handler="slipway_runtime.test_user.handler",
            )
            output(stack, "TestUserSecretArn", test_user.secret.secret_arn, "Secret with the test user's password")
            output(
                stack,
                "TestUserFunctionArn",
                test_user.function.live.function_arn,
                "Alias that creates the test user",
            )
        return Security(key=key, users=users, test_user=test_user)

    def add_data(self, stack: Stack, security: Security) -> Data:
        """Add the table and the buckets."""
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
            versioned=self.settings.uploads.versioned,
            expire_after=Duration.days(self.settings.uploads.expire_days),
            cors_origins=self.environment.cors.origins,
        )
        backup = back_up(
            stack,
            service=self.name,
            environment=self.environment,
            key=security.key,
            tables=[table],
            # S3 backups need versions, which are kept if uploads belong to users.
            buckets=[bucket] if self.settings.uploads.versioned else [],
        )
        output(stack, "TableName", table.table_name, "Table of the records")
        output(stack, "TableArn", table.table_arn, "ARN of the table of the records")
        output(stack, "BucketName", bucket.bucket_name, "Bucket of uploads and results")
        output(stack, "LogBucketName", log_bucket.bucket_name, "Bucket of the access logs")
        return Data(table=table, bucket=bucket, log_bucket=log_bucket, backup=backup)

    def add_compute(self, stack: Stack, security: Security, data: Data, verification: VerificationRole) -> Compute:
        """Add the functions and the API."""
        dead_letters = DeadLetterQueue(stack, "DeadLetters", key=security.key)
        worker = self._worker(stack, security, data, dead_letters=dead_letters)
        api_function = self._api_function(stack, security, data, worker=worker)
        open_to_faults(api_function, worker)
        api_deployment = self.deployment("Api", api_function, "api_handler", dead_letters=dead_letters)
        worker_deployment = self.deployment("Worker", worker, "worker_handler", dead_letters=dead_letters)
        api = self._api(stack, security, function=api_function)
        if security.test_user is not None:
            verification.allow(
                actions=["secretsmanager:GetSecretValue"], resources=[security.test_user.secret.secret_arn]
            )
            verification.allow(actions=["kms:Decrypt"], resources=[security.key.key_arn])
        probe = probe_service(
            stack, settings=self.settings.probe, function=api_function, api=api, dead_letters=dead_letters
        )
        output(stack, "ApiId", api.api.http_api_id, "Id of the HTTP API")
        output(stack, "ApiEndpoint", api.endpoint, "URL of the API")
        output(stack, "HealthEndpoint", f"{api.endpoint}health", "URL of the health check")
        output(stack, "ApiFunctionArn", api_function.live.function_arn, "Alias that answers the API")
        output(stack, "WorkerFunctionArn", worker.live.function_arn, "Alias that processes jobs")
        output(stack, "ApiHookFunctionArn", api_deployment.hook.live.function_arn, "Contract check of the API")
        output(stack, "WorkerHookFunctionArn", worker_deployment.hook.live.function_arn, "Contract check of the worker")
        output(stack, "DeadLetterQueueUrl", dead_letters.queue_url, "Queue of permanently failed jobs")
        return Compute(api=api, api_function=api_function, worker=worker, dead_letters=dead_letters, probe=probe)

    def add_observability(self, stack: Stack, security: Security, data: Data, compute: Compute) -> None:
        """Add the alarms and the dashboard."""
        topic = AlarmTopic(stack, "AlarmTopic", key=security.key, emails=self.environment.alarms.emails)
        alarms = ServiceAlarms(stack, "Alarms", topic=topic, settings=self.environment.alarms)
        alarms.on_function("Api", compute.api_function, errors=5)
        alarms.on_function("Worker", compute.worker, errors=5)
        alarms.on_api(compute.api, server_errors=10)
        alarms.on_table("Table", data.table, indexes=(BY_STATUS.name,))
        alarms.on_dead_letters(compute.dead_letters)
        alarms.on_probe(compute.probe)
        alarms.on_objectives(self.settings.slo, compute.api)
        if data.backup is not None:
            alarms.on_backup(data.backup)
        add_experiments(
            stack, alarms=alarms, functions=[compute.api_function, compute.worker], objectives=self.settings.slo
        )
        dashboard = ServiceDashboard(
            stack,
            "Dashboard",
            api=compute.api,
            functions={"Api": compute.api_function, "Worker": compute.worker},
            tables={"Records": data.table},
            dead_letters=compute.dead_letters,
            probe=compute.probe,
            objectives=self.settings.slo,
        )
        output(stack, "AlarmTopicArn", topic.topic_arn, "Topic that the alarms notify")
        output(stack, "DashboardUrl", dashboard.url, "Dashboard of the service")

    @property
    def settings(self) -> ProcessingSettings:
        """The service's own part of the configuration."""
        return self.environment.settings_of(ProcessingSettings)

    def _worker(
        self, stack: Stack, security: Security, data: Data, *, dead_letters: DeadLetterQueue
    ) -> ServiceFunction:
        function = self.function(
            stack,
            "WorkerFunction",
            "worker.handler",
            "Processes accepted jobs",
            settings=self.settings.worker,
            key=security.key,
            variables={"TABLE_NAME": data.table.table_name, "BUCKET_NAME": data.bucket.bucket_name},
            dead_letters=dead_letters,
            asynchronous=True,
        )
        function.allow(actions=["dynamodb:GetItem", "dynamodb:UpdateItem"], resources=[data.table.table_arn])
        function.allow_objects(
            actions=["s3:PutObject"],
            bucket_name=self._bucket_name,
            prefix="processed/",
            reason="A job's id is generated when the job is accepted, so the policy can only name the results' prefix; "
            "the function may write there, but neither read nor delete.",
        )
        return function

    def _api_function(
        self, stack: Stack, security: Security, data: Data, *, worker: ServiceFunction
    ) -> ServiceFunction:
        uploads = self.settings.uploads
        function = self.function(
            stack,
            "ApiFunction",
            "api.handler",
            "Answers the API of processing",
            settings=self.settings.api,
            key=security.key,
            variables={
                "TABLE_NAME": data.table.table_name,
                "BUCKET_NAME": data.bucket.bucket_name,
                "WORKER_ARN": worker.live.function_arn,
                "RECORD_DAYS": str(uploads.expire_days),
                "UPLOAD_MAX_BYTES": str(uploads.maximum_bytes),
                "UPLOAD_CONTENT_TYPES": ",".join(uploads.content_types),
            },
        )
        function.allow(actions=["dynamodb:GetItem", "dynamodb:PutItem"], resources=[data.table.table_arn])
        function.allow(actions=["dynamodb:Query"], resources=[f"{data.table.table_arn}/index/{BY_STATUS.name}"])
        function.allow(actions=["lambda:InvokeFunction"], resources=[worker.live.function_arn])
        function.allow_objects(
            actions=["s3:GetObject"],
            bucket_name=self._bucket_name,
            prefix="processed/",
            reason="A result's name contains its job's id, which is generated when the job is accepted; the function "
            "reads a result only after it found the job among the caller's own.",
        )
        function.allow_to_tell_missing_objects(self._bucket_name)
        function.allow_objects(
            actions=["s3:PutObject"],
            bucket_name=self._bucket_name,
            prefix="uploads/",
            reason="S3 lets the holder of an upload form do what its signer may; every form names one new object under "
            "the caller's own prefix, its media type and its size.",
        )
        # S3 encrypts an upload on behalf of the form's signer.
        function.allow_data_keys()
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
        for method, path in (
            ("POST", "/validate"),
            ("POST", "/process"),
            ("GET", "/process/{id}"),
            ("GET", "/results"),
            ("POST", "/uploads"),
        ):
            entry.route(method, path, function=function)
        entry.route(
            "GET",
            "/health",
            function=function,
            open_because="A health check has no credentials; it says that the service works and nothing about data.",
        )
        return entry

    @property
    def _bucket_name(self) -> str:
        return bucket_name(self.environment, self.name)
