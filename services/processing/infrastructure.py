"""`processing`: validate and process for signed-in users."""

from __future__ import annotations

from aws_cdk import Duration, Stack

from services.processing.settings import ProcessingSettings
from slipway.blocks.alarms import ServiceAlarms
from slipway.blocks.backup import back_up
from slipway.blocks.bucket import LogBucket, ServiceBucket
from slipway.blocks.dashboard import ServiceDashboard
from slipway.blocks.deployment import SafeDeployment
from slipway.blocks.function import ServiceFunction
from slipway.blocks.http import HttpEntry
from slipway.blocks.key import ServiceKey
from slipway.blocks.messaging import AlarmTopic, DeadLetterQueue
from slipway.blocks.outputs import output
from slipway.blocks.table import Index, ServiceTable
from slipway.blocks.user_pool import ServiceUserPool, TestUser
from slipway.delivery.names import bucket_name
from slipway.service import Service

BY_STATUS = Index(name="by-status", partition_key="owner_status", sort_key="recency")
"""A user's records of one status, newest first. Each user and status is a partition of its own, so the index is spread
over as many as there are users."""


class Processing(Service):
    """Validates and processes data of users who sign in; each sees what is theirs."""

    name = "processing"
    description = "Processing: validate and process for signed-in users"

    def add_security(self, stack: Stack) -> None:
        """The key, and the users: the pool, its client, and a user for tests where that is configured."""
        self.key = ServiceKey(stack, "Key", service=self.name, environment=self.environment)
        self.users = ServiceUserPool(stack, "Users", environment=self.environment, settings=self.settings.user_pool)
        output(stack, "KeyId", self.key.key_id, "Id of the key that encrypts what the service stores")
        output(stack, "KeyArn", self.key.key_arn, "ARN of that key")
        output(stack, "UserPoolId", self.users.user_pool_id, "Id of the user pool")
        output(stack, "UserPoolArn", self.users.user_pool_arn, "ARN of the user pool")
        output(stack, "UserPoolClientId", self.users.client.user_pool_client_id, "Id of the client that signs in")
        self.test_user: TestUser | None = None
        if self.settings.user_pool.test_user:
            self.test_user = TestUser(
                stack,
                "TestUser",
                service=self.name,
                environment=self.environment,
                assets=self.assets,
                key=self.key,
                pool=self.users,
                handler="services.processing.runtime.test_user.handler",
            )
            output(stack, "TestUserSecretArn", self.test_user.secret.secret_arn, "Secret with the test user's password")
            output(
                stack,
                "TestUserFunctionArn",
                self.test_user.function.live.function_arn,
                "Alias that makes the test user",
            )

    def add_data(self, stack: Stack) -> None:
        """The table and the buckets."""
        self.table = ServiceTable(
            stack,
            "Table",
            environment=self.environment,
            key=self.key,
            capacity=self.settings.capacity,
            partition_key="owned_id",
            indexes=(BY_STATUS,),
            ttl_attribute="expires_at",
        )
        self.log_bucket = LogBucket(stack, "LogBucket", service=self.name, environment=self.environment)
        self.bucket = ServiceBucket(
            stack,
            "Bucket",
            service=self.name,
            environment=self.environment,
            key=self.key,
            logs=self.log_bucket,
            versioned=self.settings.uploads.versioned,
            expire_after=Duration.days(self.settings.uploads.expire_days),
            cors_origins=self.environment.cors.origins,
        )
        self.backup = back_up(
            stack,
            service=self.name,
            environment=self.environment,
            key=self.key,
            tables=[self.table],
            # S3 backups need versions, which are kept where uploads are the users' own.
            buckets=[self.bucket] if self.settings.uploads.versioned else [],
        )
        output(stack, "TableName", self.table.table_name, "Table of the records")
        output(stack, "TableArn", self.table.table_arn, "ARN of that table")
        output(stack, "BucketName", self.bucket.bucket_name, "Bucket of uploads and results")
        output(stack, "LogBucketName", self.log_bucket.bucket_name, "Bucket of the access logs")

    def add_compute(self, stack: Stack) -> None:
        """The functions and the API."""
        self.dead_letters = DeadLetterQueue(stack, "DeadLetters", key=self.key)
        self.worker = self._worker(stack)
        self.api_function = self._api_function(stack)
        api_deployment = SafeDeployment(
            stack,
            "ApiDeployment",
            function=self.api_function,
            hook_handler="services.processing.runtime.hooks.api_handler",
            dead_letters=self.dead_letters,
        )
        worker_deployment = SafeDeployment(
            stack,
            "WorkerDeployment",
            function=self.worker,
            hook_handler="services.processing.runtime.hooks.worker_handler",
            dead_letters=self.dead_letters,
        )
        self.api = self._api(stack)
        if self.test_user is not None:
            self.verification.allow(
                actions=["secretsmanager:GetSecretValue"], resources=[self.test_user.secret.secret_arn]
            )
            self.verification.allow(actions=["kms:Decrypt"], resources=[self.key.key_arn])
        output(stack, "ApiId", self.api.api.http_api_id, "Id of the HTTP API")
        output(stack, "ApiEndpoint", self.api.endpoint, "URL of the API")
        output(stack, "HealthEndpoint", f"{self.api.endpoint}health", "URL of the health check")
        output(stack, "ApiFunctionArn", self.api_function.live.function_arn, "Alias that answers the API")
        output(stack, "WorkerFunctionArn", self.worker.live.function_arn, "Alias that works on jobs")
        output(stack, "ApiHookFunctionArn", api_deployment.hook.live.function_arn, "Contract check of the API")
        output(stack, "WorkerHookFunctionArn", worker_deployment.hook.live.function_arn, "Contract check of the worker")
        output(stack, "DeadLetterQueueUrl", self.dead_letters.queue_url, "Queue of what failed for good")

    def add_observability(self, stack: Stack) -> None:
        """The alarms and the dashboard."""
        topic = AlarmTopic(stack, "AlarmTopic", key=self.key, emails=self.environment.alarms.emails)
        alarms = ServiceAlarms(stack, "Alarms", topic=topic, settings=self.environment.alarms)
        alarms.on_function("Api", self.api_function, errors=5)
        alarms.on_function("Worker", self.worker, errors=5)
        alarms.on_api(self.api, server_errors=10)
        alarms.on_table("Table", self.table, indexes=(BY_STATUS.name,))
        alarms.on_dead_letters(self.dead_letters)
        if self.backup is not None:
            alarms.on_backup(self.backup)
        dashboard = ServiceDashboard(
            stack,
            "Dashboard",
            api=self.api,
            functions={"Api": self.api_function, "Worker": self.worker},
            tables={"Records": self.table},
            dead_letters=self.dead_letters,
        )
        output(stack, "AlarmTopicArn", topic.topic_arn, "Topic that the alarms tell")
        output(stack, "DashboardUrl", dashboard.url, "Dashboard of the service")

    @property
    def settings(self) -> ProcessingSettings:
        """The service's own part of the configuration."""
        return self.environment.settings_of(ProcessingSettings)

    def _worker(self, stack: Stack) -> ServiceFunction:
        function = ServiceFunction(
            stack,
            "WorkerFunction",
            service=self.name,
            environment=self.environment,
            settings=self.settings.worker,
            assets=self.assets,
            key=self.key,
            handler="services.processing.runtime.worker.handler",
            description="Works on accepted jobs",
            variables={"TABLE_NAME": self.table.table_name, "BUCKET_NAME": self.bucket.bucket_name},
            dead_letters=self.dead_letters,
            asynchronous=True,
        )
        function.allow(actions=["dynamodb:GetItem", "dynamodb:UpdateItem"], resources=[self.table.table_arn])
        function.allow_objects(
            actions=["s3:PutObject"],
            bucket_name=self._bucket_name,
            prefix="processed/",
            reason="A job's id is made when it is accepted, so its result is known by its prefix only; the function "
            "may write there and can neither read nor delete.",
        )
        return function

    def _api_function(self, stack: Stack) -> ServiceFunction:
        uploads = self.settings.uploads
        function = ServiceFunction(
            stack,
            "ApiFunction",
            service=self.name,
            environment=self.environment,
            settings=self.settings.api,
            assets=self.assets,
            key=self.key,
            handler="services.processing.runtime.api.handler",
            description="Answers the API of processing",
            variables={
                "TABLE_NAME": self.table.table_name,
                "BUCKET_NAME": self.bucket.bucket_name,
                "WORKER_ARN": self.worker.live.function_arn,
                "RECORD_DAYS": str(uploads.expire_days),
                "UPLOAD_MAX_BYTES": str(uploads.maximum_bytes),
                "UPLOAD_CONTENT_TYPES": ",".join(uploads.content_types),
            },
        )
        function.allow(actions=["dynamodb:GetItem", "dynamodb:PutItem"], resources=[self.table.table_arn])
        function.allow(actions=["dynamodb:Query"], resources=[f"{self.table.table_arn}/index/{BY_STATUS.name}"])
        function.allow(actions=["lambda:InvokeFunction"], resources=[self.worker.live.function_arn])
        function.allow_objects(
            actions=["s3:GetObject"],
            bucket_name=self._bucket_name,
            prefix="processed/",
            reason="A result is known by its job's id, which is made when the job is accepted; the function reads one "
            "only after it found the job among the caller's own.",
        )
        function.allow_to_tell_missing_objects(self._bucket_name)
        function.allow_objects(
            actions=["s3:PutObject"],
            bucket_name=self._bucket_name,
            prefix="uploads/",
            reason="S3 lets the holder of an upload form do what its signer may; every form names one new object under "
            "the caller's own prefix, its media type and its size.",
        )
        # S3 encrypts an upload in the name of who signed its form.
        function.allow_data_keys()
        return function

    def _api(self, stack: Stack) -> HttpEntry:
        entry = HttpEntry(
            stack,
            "Api",
            service=self.name,
            environment=self.environment,
            key=self.key,
            throttle=self.settings.throttle,
            description=self.description,
            users=self.users,
        )
        for method, path in (
            ("POST", "/validate"),
            ("POST", "/process"),
            ("GET", "/process/{id}"),
            ("HEAD", "/process/{id}"),
            ("GET", "/results"),
            ("HEAD", "/results"),
            ("POST", "/uploads"),
        ):
            entry.route(method, path, function=self.api_function)
        for method in ("GET", "HEAD"):
            entry.route(
                method,
                "/health",
                function=self.api_function,
                open_because="A health check has no credentials; it says that the service stands and nothing about "
                "data.",
            )
        return entry

    @property
    def _bucket_name(self) -> str:
        return bucket_name(self.environment, self.name)
