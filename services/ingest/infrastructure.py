"""`ingest`: records with an API key, processed in the background."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from aws_cdk import Duration, Stack

from services.ingest.settings import IngestSettings
from slipway.blocks.alarms import ServiceAlarms
from slipway.blocks.bucket import LogBucket, ServiceBucket
from slipway.blocks.dashboard import ServiceDashboard
from slipway.blocks.experiments import add_experiments, open_to_faults
from slipway.blocks.function import ServiceFunction
from slipway.blocks.key import ServiceKey
from slipway.blocks.messaging import AlarmTopic, DeadLetterQueue
from slipway.blocks.outputs import output
from slipway.blocks.probe import ServiceProbe, probe_service
from slipway.blocks.queue import WorkQueue, read_queue, send_to
from slipway.blocks.rest import RestEntry
from slipway.blocks.schema import OpenApiDocument
from slipway.blocks.table import Index, ServiceTable
from slipway.blocks.usage_plan import KeyedUsagePlan
from slipway.delivery.names import bucket_name
from slipway.delivery.roles import VerificationRole
from slipway.service import Service
from slipway.settings.model import OnDemand

BY_PENDING = Index(name="by-pending", partition_key="pending_shard", sort_key="recency", attributes=())

PAYLOADS, JOBS = "payloads/", "jobs/"
"""Prefixes of the bucket: large payloads, and which records are in which batch of a job."""

QUEUE_AGE = Duration.minutes(30)
"""Age at which a waiting message triggers the alarm: longer than two tries with their pauses, and at most an eighth of
the day that a record is kept.
"""


@dataclass(frozen=True)
class Security:
    """Result of the security stack."""

    key: ServiceKey


@dataclass(frozen=True)
class Data:
    """Result of the data stack."""

    table: ServiceTable
    jobs_table: ServiceTable
    bucket: ServiceBucket
    log_bucket: LogBucket


@dataclass(frozen=True)
class Compute:
    """Result of the compute stack."""

    api: RestEntry
    api_function: ServiceFunction
    processor: ServiceFunction
    worker: ServiceFunction
    job_queue: WorkQueue
    work_queue: WorkQueue
    dead_letters: DeadLetterQueue
    probe: ServiceProbe | None


class Ingest(Service[Security, Data, Compute]):
    """Records of up to 6 MB, sent with an API key, kept for a day, and processed in batches from a queue."""

    name = "ingest"
    description = "Ingest: records with an API key, processed from a queue"

    def add_security(self, stack: Stack) -> Security:
        """Add the key."""
        key = self.key(stack)
        return Security(key=key)

    def add_data(self, stack: Stack, security: Security) -> Data:
        """Add the tables and the buckets."""
        table = ServiceTable(
            stack,
            "Table",
            environment=self.environment,
            key=security.key,
            capacity=self.settings.capacity,
            partition_key="id",
            indexes=(BY_PENDING,),
            ttl_attribute="expires_at",
            no_backup_because="A record is kept for the hours promised to its sender; a backup would keep it for "
            "weeks longer, and point-in-time recovery covers accidents during those hours.",
        )
        jobs_table = ServiceTable(
            stack,
            "JobsTable",
            environment=self.environment,
            key=security.key,
            # One small item per job, written in bursts while it runs; provisioned capacity would be paid for all day.
            capacity=OnDemand(mode="on-demand"),
            partition_key="id",
            ttl_attribute="expires_at",
            no_backup_because="A job is of no use without its records, which live for hours; "
            "point-in-time recovery restores both within that time.",
        )
        log_bucket = LogBucket(stack, "LogBucket", service=self.name, environment=self.environment)
        bucket = ServiceBucket(
            stack, "Bucket", service=self.name, environment=self.environment, key=security.key, logs=log_bucket
        )
        for prefix in (PAYLOADS, JOBS):
            bucket.add_lifecycle_rule(
                id=prefix.rstrip("/"),
                prefix=prefix,
                # S3 counts whole days from midnight; the margin keeps a payload at least as long as its record.
                expiration=Duration.days(self.settings.record_hours // 24 + 2),
                noncurrent_version_expiration=Duration.days(1),
            )
        output(stack, "TableName", table.table_name, "Table of the records")
        output(stack, "TableArn", table.table_arn, "ARN of the table of the records")
        output(stack, "JobsTableName", jobs_table.table_name, "Table of the jobs")
        output(stack, "BucketName", bucket.bucket_name, "Bucket of large payloads and of the jobs' plans")
        output(stack, "LogBucketName", log_bucket.bucket_name, "Bucket of the access logs")
        return Data(table=table, jobs_table=jobs_table, bucket=bucket, log_bucket=log_bucket)

    def add_compute(self, stack: Stack, security: Security, data: Data, verification: VerificationRole) -> Compute:
        """Add the functions, the queues and the API."""
        dead_letters = DeadLetterQueue(stack, "DeadLetters", key=security.key)
        job_queue = WorkQueue(stack, "JobQueue", key=security.key, reader=self.settings.processor)
        work_queue = WorkQueue(stack, "WorkQueue", key=security.key, reader=self.settings.worker)
        api_function = self._api_function(stack, security, data, job_queue=job_queue, work_queue=work_queue)
        processor = self._processor(stack, security, data, job_queue=job_queue, work_queue=work_queue)
        worker = self._worker(stack, security, data, work_queue=work_queue)
        open_to_faults(api_function, processor, worker)
        for name, function, hook in (
            ("Api", api_function, "api_handler"),
            ("Processor", processor, "queue_handler"),
            ("Worker", worker, "queue_handler"),
        ):
            deployment = self.deployment(name, function, hook, dead_letters=dead_letters)
            output(stack, f"{name}FunctionArn", function.live.function_arn, f"Alias of the function {name.lower()}")
            output(
                stack, f"{name}HookFunctionArn", deployment.hook.live.function_arn, f"Contract check of {name.lower()}"
            )
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
        output(stack, "ApiId", api.api.rest_api_id, "Id of the REST API")
        output(stack, "ApiEndpoint", api.endpoint, "URL of the API")
        output(stack, "HealthEndpoint", f"{api.endpoint}health", "URL of the health check")
        verification.allow(actions=["apigateway:GET"], resources=[plan.key_arn])
        output(stack, "ApiKeyId", plan.key.key_id, "Id of the first API key; read its value with GetApiKey")
        output(stack, "UsagePlanId", plan.plan_id, "Id of the usage plan, for further keys")
        output(stack, "JobQueueUrl", job_queue.queue_url, "Queue of jobs to plan")
        output(stack, "JobDeadLetterQueueUrl", job_queue.dead_letters.queue_url, "Dead letters of the job queue")
        output(stack, "WorkQueueUrl", work_queue.queue_url, "Queue of batches to process")
        output(stack, "WorkDeadLetterQueueUrl", work_queue.dead_letters.queue_url, "Dead letters of the work queue")
        output(stack, "DeadLetterQueueUrl", dead_letters.queue_url, "Queue of contract checks that failed to run")
        return Compute(
            api=api,
            api_function=api_function,
            processor=processor,
            worker=worker,
            job_queue=job_queue,
            work_queue=work_queue,
            dead_letters=dead_letters,
            probe=probe,
        )

    def add_observability(self, stack: Stack, security: Security, data: Data, compute: Compute) -> None:
        """Add the alarms and the dashboard."""
        topic = AlarmTopic(stack, "AlarmTopic", key=security.key, emails=self.environment.alarms.emails)
        alarms = ServiceAlarms(stack, "Alarms", topic=topic, settings=self.environment.alarms)
        functions = {"Api": compute.api_function, "Processor": compute.processor, "Worker": compute.worker}
        for name, function in functions.items():
            alarms.on_function(name, function, errors=4)
        alarms.on_api(compute.api, server_errors=4)
        alarms.on_table("Table", data.table, indexes=(BY_PENDING.name,))
        alarms.on_table("JobsTable", data.jobs_table)
        alarms.on_user_errors(errors=5)
        alarms.on_queue("JobQueue", compute.job_queue, age=QUEUE_AGE)
        alarms.on_queue("WorkQueue", compute.work_queue, age=QUEUE_AGE)
        alarms.on_dead_letters(compute.job_queue.dead_letters, "JobDeadLetters")
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
            tables={"Records": data.table, "Jobs": data.jobs_table},
            queues={
                "Job queue": compute.job_queue,
                "Work queue": compute.work_queue,
                "Job dead letters": compute.job_queue.dead_letters,
                "Work dead letters": compute.work_queue.dead_letters,
            },
            dead_letters=compute.dead_letters,
            probe=compute.probe,
            objectives=self.settings.slo,
        )
        output(stack, "AlarmTopicArn", topic.topic_arn, "Topic that the alarms notify")
        output(stack, "DashboardUrl", dashboard.url, "Dashboard of the service")

    def _api_function(
        self, stack: Stack, security: Security, data: Data, *, job_queue: WorkQueue, work_queue: WorkQueue
    ) -> ServiceFunction:
        function = self.function(
            stack,
            "ApiFunction",
            "api.handler",
            "Answers the API of ingest",
            settings=self.settings.api,
            key=security.key,
            variables={
                **_stores(data),
                "JOB_QUEUE_URL": job_queue.queue_url,
                "RECORD_HOURS": str(self.settings.record_hours),
                "DEADLINE_SECONDS": str(job_queue.longest_seconds + work_queue.longest_seconds),
                "CORS_ORIGINS": ",".join(self.environment.cors.origins),
            },
        )
        function.allow(
            actions=["dynamodb:GetItem", "dynamodb:PutItem"],
            resources=[data.table.table_arn, data.jobs_table.table_arn],
        )
        function.allow_objects(
            actions=["s3:GetObject", "s3:PutObject"],
            bucket_name=self._bucket_name,
            prefix=PAYLOADS,
            reason="A record's id is generated when it is sent, so the policy can only name the payloads' prefix; the "
            "function may write and read there, but not delete.",
        )
        function.allow_to_tell_missing_objects(self._bucket_name)
        send_to(job_queue, function=function)
        return function

    def _processor(
        self, stack: Stack, security: Security, data: Data, *, job_queue: WorkQueue, work_queue: WorkQueue
    ) -> ServiceFunction:
        function = self.function(
            stack,
            "Processor",
            "processor.handler",
            "Finds a job's records and puts them on the work queue",
            settings=self.settings.processor,
            key=security.key,
            variables={
                **_stores(data),
                "QUEUE_URL": job_queue.queue_url,
                "DEAD_LETTER_QUEUE_URL": job_queue.dead_letters.queue_url,
                "MAX_RECEIVES": str(job_queue.max_receives),
                "WORK_QUEUE_URL": work_queue.queue_url,
                "RECORD_HOURS": str(self.settings.record_hours),
            },
        )
        function.allow(actions=["dynamodb:Query"], resources=[f"{data.table.table_arn}/index/{BY_PENDING.name}"])
        function.allow(actions=["dynamodb:GetItem", "dynamodb:UpdateItem"], resources=[data.jobs_table.table_arn])
        function.allow_objects(
            actions=["s3:GetObject", "s3:PutObject"],
            bucket_name=self._bucket_name,
            prefix=JOBS,
            reason="A job's id is generated when the job is requested, so the policy can only name the plans' prefix; "
            "the function may write and read plans, and has no access to payloads.",
        )
        send_to(work_queue, function=function)
        read_queue(stack, "ProcessorMapping", function=function, queue=job_queue, batch_size=1)
        return function

    def _worker(self, stack: Stack, security: Security, data: Data, *, work_queue: WorkQueue) -> ServiceFunction:
        function = self.function(
            stack,
            "Worker",
            "worker.handler",
            "Processes the records of a job",
            settings=self.settings.worker,
            key=security.key,
            variables={
                **_stores(data),
                "QUEUE_URL": work_queue.queue_url,
                "DEAD_LETTER_QUEUE_URL": work_queue.dead_letters.queue_url,
                "MAX_RECEIVES": str(work_queue.max_receives),
            },
        )
        function.allow(actions=["dynamodb:BatchGetItem", "dynamodb:UpdateItem"], resources=[data.table.table_arn])
        function.allow(actions=["dynamodb:GetItem", "dynamodb:UpdateItem"], resources=[data.jobs_table.table_arn])
        function.allow_objects(
            actions=["s3:GetObject"],
            bucket_name=self._bucket_name,
            prefix=PAYLOADS,
            reason="The records of a job are only known when it runs, so the policy can only name the payloads' "
            "prefix; the function may read there, but neither write nor delete.",
        )
        function.allow_to_tell_missing_objects(self._bucket_name)
        read_queue(stack, "WorkerMapping", function=function, queue=work_queue, batch_size=10)
        return function

    def _api(self, stack: Stack, security: Security, *, function: ServiceFunction) -> RestEntry:
        document = OpenApiDocument(Path(__file__).with_name("openapi.json"))
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
        entry.route("POST", "/data", function=function, keyed=True, body=document.schema("NewRecord"))
        entry.route(
            "GET",
            "/data",
            function=function,
            keyed=True,
            required_parameters=("id",),
            # By the key too: with the id alone, the cache would give one caller's record to another.
            cache_keys=("querystring.id", "header.X-Api-Key"),
        )
        entry.route("POST", "/process", function=function, keyed=True)
        entry.route("GET", "/process/{job}", function=function, keyed=True)
        entry.mock(
            "/health",
            answer={"status": "ok", "environment": self.environment.name},
            open_because="A health check has no key; the gateway itself answers it, and reveals nothing about data.",
        )
        return entry

    @property
    def settings(self) -> IngestSettings:
        """The service's own part of the configuration."""
        return self.environment.settings_of(IngestSettings)

    @property
    def _bucket_name(self) -> str:
        return bucket_name(self.environment, self.name)


def _stores(data: Data) -> dict[str, str]:
    return {
        "TABLE_NAME": data.table.table_name,
        "JOBS_TABLE_NAME": data.jobs_table.table_name,
        "BUCKET_NAME": data.bucket.bucket_name,
    }
