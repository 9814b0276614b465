"""`ingest`: records with an API key, worked off in the background."""

from __future__ import annotations

from pathlib import Path

from aws_cdk import Duration, Stack

from services.ingest.settings import IngestSettings
from slipway.blocks.alarms import ServiceAlarms
from slipway.blocks.bucket import LogBucket, ServiceBucket
from slipway.blocks.dashboard import ServiceDashboard
from slipway.blocks.deployment import SafeDeployment
from slipway.blocks.function import ServiceFunction
from slipway.blocks.key import ServiceKey
from slipway.blocks.messaging import AlarmTopic, DeadLetterQueue
from slipway.blocks.outputs import output
from slipway.blocks.queue import WorkQueue, read_queue, send_to
from slipway.blocks.rest import RestEntry
from slipway.blocks.schema import OpenApiDocument
from slipway.blocks.table import Index, ServiceTable
from slipway.blocks.usage_plan import KeyedUsagePlan
from slipway.delivery.names import bucket_name
from slipway.service import Service
from slipway.settings.model import OnDemand

BY_PENDING = Index(name="by-pending", partition_key="pending_shard", sort_key="recency", attributes=())

PAYLOADS, JOBS = "payloads/", "jobs/"
"""Prefixes of the bucket: large payloads, and which records are in which batch of a job."""

QUEUE_AGE = Duration.minutes(30)
"""How long a message may wait: longer than two tries with their pauses, an eighth of a record's day at the most."""


class Ingest(Service):
    """Records of up to 6 MB, sent with an API key, kept for a day, and worked off in batches from a queue."""

    name = "ingest"
    description = "Ingest: records with an API key, worked off from a queue"

    def add_security(self, stack: Stack) -> None:
        """The key."""
        self.key = ServiceKey(stack, "Key", service=self.name, environment=self.environment)
        output(stack, "KeyId", self.key.key_id, "Id of the key that encrypts what the service stores")
        output(stack, "KeyArn", self.key.key_arn, "ARN of that key")

    def add_data(self, stack: Stack) -> None:
        """The tables and the buckets."""
        self.table = ServiceTable(
            stack,
            "Table",
            environment=self.environment,
            key=self.key,
            capacity=self.settings.capacity,
            partition_key="id",
            indexes=(BY_PENDING,),
            ttl_attribute="expires_at",
            no_backup_because="A record lives for the hours that its sender was told; a backup would keep it for weeks "
            "beyond them, and point-in-time recovery covers a mishap within its life.",
        )
        self.jobs_table = ServiceTable(
            stack,
            "JobsTable",
            environment=self.environment,
            key=self.key,
            # One small item a job, written in bursts while it runs, which provisioning would pay for all day.
            capacity=OnDemand(mode="on-demand"),
            partition_key="id",
            ttl_attribute="expires_at",
            no_backup_because="A job is of no use without its records, which live for hours; both can be had back by "
            "point-in-time recovery as long as they live.",
        )
        self.log_bucket = LogBucket(stack, "LogBucket", service=self.name, environment=self.environment)
        self.bucket = ServiceBucket(
            stack, "Bucket", service=self.name, environment=self.environment, key=self.key, logs=self.log_bucket
        )
        for prefix in (PAYLOADS, JOBS):
            self.bucket.add_lifecycle_rule(
                id=prefix.rstrip("/"),
                prefix=prefix,
                # S3 counts whole days from midnight: a record's last hour must not be without its payload.
                expiration=Duration.days(self.settings.record_hours // 24 + 2),
                noncurrent_version_expiration=Duration.days(1),
            )
        output(stack, "TableName", self.table.table_name, "Table of the records")
        output(stack, "TableArn", self.table.table_arn, "ARN of that table")
        output(stack, "JobsTableName", self.jobs_table.table_name, "Table of the jobs")
        output(stack, "BucketName", self.bucket.bucket_name, "Bucket of large payloads and of the jobs' plans")
        output(stack, "LogBucketName", self.log_bucket.bucket_name, "Bucket of the access logs")

    def add_compute(self, stack: Stack) -> None:
        """The functions, the queues and the API."""
        self.dead_letters = DeadLetterQueue(stack, "DeadLetters", key=self.key)
        self.job_queue = WorkQueue(stack, "JobQueue", key=self.key, reader=self.settings.processor)
        self.work_queue = WorkQueue(stack, "WorkQueue", key=self.key, reader=self.settings.worker)
        self.api_function = self._api_function(stack)
        self.processor = self._processor(stack)
        self.worker = self._worker(stack)
        for name, function, hook in (
            ("Api", self.api_function, "api_handler"),
            ("Processor", self.processor, "queue_handler"),
            ("Worker", self.worker, "queue_handler"),
        ):
            deployment = SafeDeployment(
                stack,
                f"{name}Deployment",
                function=function,
                hook_handler=f"services.ingest.runtime.hooks.{hook}",
                dead_letters=self.dead_letters,
            )
            output(stack, f"{name}FunctionArn", function.live.function_arn, f"Alias of the function {name.lower()}")
            output(
                stack, f"{name}HookFunctionArn", deployment.hook.live.function_arn, f"Contract check of {name.lower()}"
            )
        self.api = self._api(stack)
        plan = KeyedUsagePlan(
            stack, "UsagePlan", entry=self.api, settings=self.settings.usage_plan, description=self.description
        )
        output(stack, "ApiId", self.api.api.rest_api_id, "Id of the REST API")
        output(stack, "ApiEndpoint", self.api.endpoint, "URL of the API")
        output(stack, "HealthEndpoint", f"{self.api.endpoint}health", "URL of the health check")
        self.verification.allow(actions=["apigateway:GET"], resources=[plan.key_arn])
        output(stack, "ApiKeyId", plan.key.key_id, "Id of the first API key; its value is read with GetApiKey")
        output(stack, "UsagePlanId", plan.plan_id, "Id of the usage plan, for further keys")
        output(stack, "JobQueueUrl", self.job_queue.queue_url, "Queue of jobs to plan")
        output(stack, "JobDeadLetterQueueUrl", self.job_queue.dead_letters.queue_url, "Its dead letters")
        output(stack, "WorkQueueUrl", self.work_queue.queue_url, "Queue of batches to work off")
        output(stack, "WorkDeadLetterQueueUrl", self.work_queue.dead_letters.queue_url, "Its dead letters")
        output(stack, "DeadLetterQueueUrl", self.dead_letters.queue_url, "Queue of contract checks that failed to run")

    def add_observability(self, stack: Stack) -> None:
        """The alarms and the dashboard."""
        topic = AlarmTopic(stack, "AlarmTopic", key=self.key, emails=self.environment.alarms.emails)
        alarms = ServiceAlarms(stack, "Alarms", topic=topic, settings=self.environment.alarms)
        functions = {"Api": self.api_function, "Processor": self.processor, "Worker": self.worker}
        for name, function in functions.items():
            alarms.on_function(name, function, errors=4)
        alarms.on_api(self.api, server_errors=4)
        alarms.on_table("Table", self.table, indexes=(BY_PENDING.name,))
        alarms.on_table("JobsTable", self.jobs_table)
        alarms.on_user_errors(errors=5)
        alarms.on_queue("JobQueue", self.job_queue, age=QUEUE_AGE)
        alarms.on_queue("WorkQueue", self.work_queue, age=QUEUE_AGE)
        alarms.on_dead_letters(self.job_queue.dead_letters, "JobDeadLetters")
        alarms.on_dead_letters(self.work_queue.dead_letters, "WorkDeadLetters")
        alarms.on_dead_letters(self.dead_letters)
        dashboard = ServiceDashboard(
            stack,
            "Dashboard",
            api=self.api,
            functions=functions,
            tables={"Records": self.table, "Jobs": self.jobs_table},
            queues={
                "Job queue": self.job_queue,
                "Work queue": self.work_queue,
                "Job dead letters": self.job_queue.dead_letters,
                "Work dead letters": self.work_queue.dead_letters,
            },
            dead_letters=self.dead_letters,
        )
        output(stack, "AlarmTopicArn", topic.topic_arn, "Topic that the alarms tell")
        output(stack, "DashboardUrl", dashboard.url, "Dashboard of the service")

    def _api_function(self, stack: Stack) -> ServiceFunction:
        function = ServiceFunction(
            stack,
            "ApiFunction",
            service=self.name,
            environment=self.environment,
            settings=self.settings.api,
            assets=self.assets,
            key=self.key,
            handler="services.ingest.runtime.api.handler",
            description="Answers the API of ingest",
            variables={
                **self._stores,
                "JOB_QUEUE_URL": self.job_queue.queue_url,
                "RECORD_HOURS": str(self.settings.record_hours),
                "DEADLINE_SECONDS": str(self.job_queue.longest_seconds + self.work_queue.longest_seconds),
                "CORS_ORIGINS": ",".join(self.environment.cors.origins),
            },
        )
        function.allow(
            actions=["dynamodb:GetItem", "dynamodb:PutItem"],
            resources=[self.table.table_arn, self.jobs_table.table_arn],
        )
        function.allow_objects(
            actions=["s3:GetObject", "s3:PutObject"],
            bucket_name=self._bucket_name,
            prefix=PAYLOADS,
            reason="A record's id is made when it is sent, so its payload is known by its prefix only; the function "
            "may write and read there and cannot delete.",
        )
        function.allow_to_tell_missing_objects(self._bucket_name)
        send_to(self.job_queue, function=function)
        return function

    def _processor(self, stack: Stack) -> ServiceFunction:
        function = ServiceFunction(
            stack,
            "Processor",
            service=self.name,
            environment=self.environment,
            settings=self.settings.processor,
            assets=self.assets,
            key=self.key,
            handler="services.ingest.runtime.processor.handler",
            description="Finds a job's records and puts them on the work queue",
            variables={
                **self._stores,
                "QUEUE_URL": self.job_queue.queue_url,
                "DEAD_LETTER_QUEUE_URL": self.job_queue.dead_letters.queue_url,
                "MAX_RECEIVES": str(self.job_queue.max_receives),
                "WORK_QUEUE_URL": self.work_queue.queue_url,
                "RECORD_HOURS": str(self.settings.record_hours),
            },
        )
        function.allow(actions=["dynamodb:Query"], resources=[f"{self.table.table_arn}/index/{BY_PENDING.name}"])
        function.allow(actions=["dynamodb:GetItem", "dynamodb:UpdateItem"], resources=[self.jobs_table.table_arn])
        function.allow_objects(
            actions=["s3:GetObject", "s3:PutObject"],
            bucket_name=self._bucket_name,
            prefix=JOBS,
            reason="A job's id is made when it is asked for, so its plan is known by its prefix only; the function may "
            "write and read plans and can reach no payload.",
        )
        send_to(self.work_queue, function=function)
        read_queue(stack, "ProcessorMapping", function=function, queue=self.job_queue, batch_size=1)
        return function

    def _worker(self, stack: Stack) -> ServiceFunction:
        function = ServiceFunction(
            stack,
            "Worker",
            service=self.name,
            environment=self.environment,
            settings=self.settings.worker,
            assets=self.assets,
            key=self.key,
            handler="services.ingest.runtime.worker.handler",
            description="Works off the records of a job",
            variables={
                **self._stores,
                "QUEUE_URL": self.work_queue.queue_url,
                "DEAD_LETTER_QUEUE_URL": self.work_queue.dead_letters.queue_url,
                "MAX_RECEIVES": str(self.work_queue.max_receives),
            },
        )
        function.allow(actions=["dynamodb:BatchGetItem", "dynamodb:UpdateItem"], resources=[self.table.table_arn])
        function.allow(actions=["dynamodb:GetItem", "dynamodb:UpdateItem"], resources=[self.jobs_table.table_arn])
        function.allow_objects(
            actions=["s3:GetObject"],
            bucket_name=self._bucket_name,
            prefix=PAYLOADS,
            reason="The records of a job are known when it runs, so their payloads are known by their prefix only; the "
            "function reads there and can neither write nor delete.",
        )
        function.allow_to_tell_missing_objects(self._bucket_name)
        read_queue(stack, "WorkerMapping", function=function, queue=self.work_queue, batch_size=10)
        return function

    def _api(self, stack: Stack) -> RestEntry:
        document = OpenApiDocument(Path(__file__).with_name("openapi.json"))
        entry = RestEntry(
            stack,
            "Api",
            service=self.name,
            environment=self.environment,
            key=self.key,
            throttle=self.settings.throttle,
            description=self.description,
            cache=self.settings.stage_cache,
            cached=("/data",),
        )
        function = self.api_function
        entry.route("POST", "/data", function=function, keyed=True, body=document.schema("NewRecord"))
        entry.route(
            "GET",
            "/data",
            function=function,
            keyed=True,
            required_parameters=("id",),
            # By the key too: an id alone would give one caller's record to another out of the cache.
            cache_keys=("querystring.id", "header.X-Api-Key"),
        )
        entry.route("HEAD", "/data", function=function, keyed=True, required_parameters=("id",))
        entry.route("POST", "/process", function=function, keyed=True)
        for method in ("GET", "HEAD"):
            entry.route(method, "/process/{job}", function=function, keyed=True)
        entry.mock(
            "/health",
            answer={"status": "ok", "environment": self.environment.name},
            open_because="A health check has no key; the gateway answers it itself and says nothing about data.",
        )
        return entry

    @property
    def settings(self) -> IngestSettings:
        """The service's own part of the configuration."""
        return self.environment.settings_of(IngestSettings)

    @property
    def _bucket_name(self) -> str:
        return bucket_name(self.environment, self.name)

    @property
    def _stores(self) -> dict[str, str]:
        return {
            "TABLE_NAME": self.table.table_name,
            "JOBS_TABLE_NAME": self.jobs_table.table_name,
            "BUCKET_NAME": self.bucket.bucket_name,
        }
