"""`items`: public reads at the edge, signed writes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from aws_cdk import Stack

from services.items.settings import ItemsSettings
from slipway.blocks.alarms import ServiceAlarms
from slipway.blocks.backup import ServiceBackup, back_up
from slipway.blocks.bucket import LogBucket, ServiceBucket
from slipway.blocks.dashboard import ServiceDashboard
from slipway.blocks.edge import ORIGIN_HEADER, EdgeDistribution, allow_edge_logs
from slipway.blocks.experiments import add_experiments, open_to_faults
from slipway.blocks.function import ServiceFunction
from slipway.blocks.key import ServiceKey
from slipway.blocks.messaging import AlarmTopic, DeadLetterQueue, EventTopic
from slipway.blocks.outputs import output
from slipway.blocks.probe import ServiceProbe, probe_service
from slipway.blocks.rest import RestEntry
from slipway.blocks.schema import OpenApiDocument
from slipway.blocks.secret import ServiceSecret
from slipway.blocks.stream import read_stream
from slipway.blocks.table import Index, ServiceTable
from slipway.blocks.waf import EdgeProof
from slipway.delivery.names import bucket_name
from slipway.delivery.roles import VerificationRole
from slipway.service import Service
from slipway.settings import FunctionSettings
from slipway.settings.model import OnDemand

BY_RECENCY = Index(name="by-recency", partition_key="shard", sort_key="recency")
BY_STATUS = Index(name="by-status", partition_key="status_shard", sort_key="recency")

ROTATION = FunctionSettings(memory_mb=256, timeout_seconds=30)
"""Size of the rotation function, which makes four short calls once a month."""


@dataclass(frozen=True)
class Security:
    """Result of the security stack."""

    key: ServiceKey
    cursor_secret: ServiceSecret
    origin_secret: ServiceSecret
    rotation_dead_letters: DeadLetterQueue


@dataclass(frozen=True)
class Data:
    """Result of the data stack."""

    table: ServiceTable
    idempotency_table: ServiceTable
    bucket: ServiceBucket
    log_bucket: LogBucket
    backup: ServiceBackup | None


@dataclass(frozen=True)
class Compute:
    """Result of the compute stack."""

    api: RestEntry
    api_function: ServiceFunction
    stream_function: ServiceFunction
    dead_letters: DeadLetterQueue
    probe: ServiceProbe | None


class Items(Service[Security, Data, Compute]):
    """Items with a name and arbitrary data: read by everybody through CloudFront, written with IAM credentials."""

    name = "items"
    description = "Items: public reads at the edge, signed writes"

    def add_security(self, stack: Stack) -> Security:
        """Add the key, the two secrets, and the function that rotates one of them."""
        key = self.key(stack)
        cursor_secret = ServiceSecret(
            stack,
            "CursorSecret",
            description="Signs the cursors of lists",
            environment=self.environment,
            key=key,
            field="key",
        )
        rotation_dead_letters = DeadLetterQueue(stack, "DeadLetters", key=key)
        rotation = self.function(
            stack,
            "Rotation",
            "rotation.handler",
            "Rotates the secret that signs cursors",
            settings=ROTATION,
            key=key,
            dead_letters=rotation_dead_letters,
            asynchronous=True,
        )
        cursor_secret.rotate_with(rotation)
        origin_secret = ServiceSecret(
            stack,
            "OriginSecret",
            description="Proves to the origin that a request came through the distribution",
            environment=self.environment,
            key=key,
            field="header",
        )
        origin_secret.does_not_rotate(
            reason="A rotation would have to change the distribution and wait for it to reach every edge while both "
            "values are accepted; the value guards public reads only, never leaves AWS, and a redeployment with a new "
            "secret replaces it.",
        )
        output(stack, "CursorSecretArn", cursor_secret.secret_arn, "Secret that signs the cursors of lists")
        output(stack, "OriginSecretArn", origin_secret.secret_arn, "Secret that the edge sends to the origin")
        output(
            stack, "RotationFunctionArn", rotation.function.function_arn, "Function that rotates the cursors' secret"
        )
        return Security(
            key=key,
            cursor_secret=cursor_secret,
            origin_secret=origin_secret,
            rotation_dead_letters=rotation_dead_letters,
        )

    def add_data(self, stack: Stack, security: Security) -> Data:
        """Add the tables and the buckets."""
        table = ServiceTable(
            stack,
            "Table",
            environment=self.environment,
            key=security.key,
            capacity=self.settings.capacity,
            partition_key="id",
            indexes=(BY_RECENCY, BY_STATUS),
        )
        idempotency_table = ServiceTable(
            stack,
            "IdempotencyTable",
            environment=self.environment,
            key=security.key,
            # One short record per keyed write, kept for a day. The load comes in bursts; provisioned capacity would be
            # paid for all day.
            capacity=OnDemand(mode="on-demand"),
            partition_key="id",
            ttl_attribute="expiration",
            no_backup_because="It stores for a day which requests were answered; restored later, it would contain "
            "requests that callers no longer repeat.",
            stream=False,
        )
        log_bucket = LogBucket(stack, "LogBucket", service=self.name, environment=self.environment)
        allow_edge_logs(log_bucket)
        bucket = ServiceBucket(
            stack, "Bucket", service=self.name, environment=self.environment, key=security.key, logs=log_bucket
        )
        backup = back_up(
            stack,
            service=self.name,
            environment=self.environment,
            key=security.key,
            tables=[table],
            buckets=[bucket],
        )
        output(stack, "TableName", table.table_name, "Table of the items")
        output(stack, "TableArn", table.table_arn, "ARN of the table of the items")
        output(stack, "IdempotencyTableName", idempotency_table.table_name, "Table of idempotency keys")
        output(stack, "BucketName", bucket.bucket_name, "Bucket of the items' metadata objects")
        output(stack, "LogBucketName", log_bucket.bucket_name, "Bucket of the access logs")
        return Data(
            table=table, idempotency_table=idempotency_table, bucket=bucket, log_bucket=log_bucket, backup=backup
        )

    def add_compute(self, stack: Stack, security: Security, data: Data, verification: VerificationRole) -> Compute:
        """Add the functions, the topic, the API and the edge."""
        dead_letters = DeadLetterQueue(stack, "DeadLetters", key=security.key)
        topic = EventTopic(stack, "Topic", key=security.key)
        api_function = self._api_function(stack, security, data)
        stream_function = self._stream_function(stack, security, data, topic=topic, dead_letters=dead_letters)
        open_to_faults(api_function, stream_function)
        proof = EdgeProof(header=ORIGIN_HEADER, secret=security.origin_secret, field="header")
        api_deployment = self.deployment(
            "Api", api_function, "api_handler", dead_letters=dead_letters, compares=True, proof=proof
        )
        stream_deployment = self.deployment("Stream", stream_function, "stream_handler", dead_letters=dead_letters)
        api = self._api(stack, proof, security, function=api_function)
        verification.allow_routes(api.signed_routes)
        edge = EdgeDistribution(
            stack,
            "Edge",
            service=self.name,
            environment=self.environment,
            key=security.key,
            origin=api,
            proof=proof,
            cached_queries=("cursor", "limit", "status"),
            geo=self.settings.geo,
            logs_bucket=data.log_bucket,
            custom_domain=self.settings.custom_domain,
        )
        probe = probe_service(
            stack,
            settings=self.settings.probe,
            function=api_function,
            api=api,
            edge=edge,
            dead_letters=dead_letters,
        )
        output(stack, "ApiId", api.api.rest_api_id, "Id of the REST API")
        output(stack, "ApiEndpoint", api.endpoint, "URL of the API, for signed writes")
        output(stack, "HealthEndpoint", f"{api.endpoint}health", "URL of the health check")
        output(stack, "DistributionId", edge.distribution.distribution_id, "Id of the distribution")
        output(stack, "DistributionDomain", edge.distribution.distribution_domain_name, "Host for public reads")
        output(stack, "ApiFunctionArn", api_function.live.function_arn, "Alias that answers the API")
        output(stack, "StreamFunctionArn", stream_function.live.function_arn, "Alias that reads the stream")
        output(stack, "ApiHookFunctionArn", api_deployment.hook.live.function_arn, "Contract check of the API")
        output(stack, "StreamHookFunctionArn", stream_deployment.hook.live.function_arn, "Contract check of the reader")
        output(stack, "NotificationTopicArn", topic.topic_arn, "Topic with notifications of created items")
        output(stack, "DeadLetterQueueUrl", dead_letters.queue_url, "Queue of permanently failed events")
        return Compute(
            api=api,
            api_function=api_function,
            stream_function=stream_function,
            dead_letters=dead_letters,
            probe=probe,
        )

    def add_observability(self, stack: Stack, security: Security, data: Data, compute: Compute) -> None:
        """Add the alarms and the dashboard."""
        topic = AlarmTopic(stack, "AlarmTopic", key=security.key, emails=self.environment.alarms.emails)
        alarms = ServiceAlarms(stack, "Alarms", topic=topic, settings=self.environment.alarms)
        alarms.on_function("Api", compute.api_function, errors=5)
        alarms.on_function("Stream", compute.stream_function, errors=5)
        alarms.on_stream("Stream", compute.stream_function)
        alarms.on_api(compute.api, server_errors=10)
        alarms.on_table("Table", data.table, indexes=(BY_RECENCY.name, BY_STATUS.name))
        alarms.on_table("IdempotencyTable", data.idempotency_table)
        alarms.on_dead_letters(compute.dead_letters)
        alarms.on_dead_letters(security.rotation_dead_letters, "RotationDeadLetters")
        alarms.on_probe(compute.probe)
        alarms.on_objectives(self.settings.slo, compute.api)
        if data.backup is not None:
            alarms.on_backup(data.backup)
        add_experiments(
            stack,
            alarms=alarms,
            functions=[compute.api_function, compute.stream_function],
            objectives=self.settings.slo,
        )
        dashboard = ServiceDashboard(
            stack,
            "Dashboard",
            api=compute.api,
            functions={"Api": compute.api_function, "Stream": compute.stream_function},
            tables={"Items": data.table, "Idempotency": data.idempotency_table},
            dead_letters=compute.dead_letters,
            probe=compute.probe,
            objectives=self.settings.slo,
        )
        output(stack, "AlarmTopicArn", topic.topic_arn, "Topic that the alarms notify")
        output(stack, "DashboardUrl", dashboard.url, "Dashboard of the service")

    def _api_function(self, stack: Stack, security: Security, data: Data) -> ServiceFunction:
        function = self.function(
            stack,
            "ApiFunction",
            "api.handler",
            "Answers the API of items",
            settings=self.settings.api,
            key=security.key,
            variables={
                "TABLE_NAME": data.table.table_name,
                "IDEMPOTENCY_TABLE_NAME": data.idempotency_table.table_name,
                "CURSOR_SECRET_ARN": security.cursor_secret.secret_arn,
                "ORIGIN_SECRET_ARN": security.origin_secret.secret_arn,
                "CORS_ORIGINS": ",".join(self.environment.cors.origins),
            },
        )
        function.allow(
            actions=["dynamodb:DeleteItem", "dynamodb:GetItem", "dynamodb:PutItem", "dynamodb:UpdateItem"],
            resources=[data.table.table_arn],
        )
        function.allow(
            actions=["dynamodb:Query"],
            resources=[f"{data.table.table_arn}/index/{index.name}" for index in (BY_RECENCY, BY_STATUS)],
        )
        self._allow_idempotency(function, data)
        function.allow(
            actions=["secretsmanager:GetSecretValue"],
            resources=[security.cursor_secret.secret_arn, security.origin_secret.secret_arn],
        )
        return function

    def _stream_function(
        self, stack: Stack, security: Security, data: Data, *, topic: EventTopic, dead_letters: DeadLetterQueue
    ) -> ServiceFunction:
        function = self.function(
            stack,
            "StreamFunction",
            "stream.handler",
            "Writes the metadata object of a new item and notifies the topic",
            settings=self.settings.stream,
            key=security.key,
            variables={
                "BUCKET_NAME": data.bucket.bucket_name,
                "TOPIC_ARN": topic.topic_arn,
                "IDEMPOTENCY_TABLE_NAME": data.idempotency_table.table_name,
            },
            dead_letters=dead_letters,
        )
        function.allow_objects(
            actions=["s3:PutObject"],
            bucket_name=bucket_name(self.environment, self.name),
            prefix="items/",
            reason="An item's id is generated at its creation, so the policy can only name the objects' prefix; the "
            "function may write there, but neither read nor delete.",
        )
        function.allow(actions=["sns:Publish"], resources=[topic.topic_arn])
        self._allow_idempotency(function, data)
        read_stream(stack, function=function, table=data.table, events={"eventName": ["INSERT"]})
        return function

    def _allow_idempotency(self, function: ServiceFunction, data: Data) -> None:
        function.allow(
            actions=["dynamodb:DeleteItem", "dynamodb:PutItem", "dynamodb:UpdateItem"],
            resources=[data.idempotency_table.table_arn],
        )

    @property
    def settings(self) -> ItemsSettings:
        """The service's own part of the configuration."""
        return self.environment.settings_of(ItemsSettings)

    def _api(self, stack: Stack, proof: EdgeProof, security: Security, *, function: ServiceFunction) -> RestEntry:
        document = OpenApiDocument(Path(__file__).with_name("openapi.json"))
        entry = RestEntry(
            stack,
            "Api",
            service=self.name,
            environment=self.environment,
            key=security.key,
            throttle=self.settings.throttle,
            description=self.description,
            binary_types=("multipart/form-data", "application/octet-stream"),
            edge=proof,
        )
        through_the_edge = (
            "Reads are public by design and reach this route through CloudFront only: the handler refuses requests "
            "without the distribution's secret header."
        )
        entry.route("POST", "/items", function=function, signed=True, body=document.schema("NewItem"))
        entry.route(
            "GET",
            "/items",
            function=function,
            parameters=("cursor", "limit", "status"),
            open_because=through_the_edge,
        )
        entry.route("GET", "/items/{id}", function=function, open_because=through_the_edge)
        entry.route(
            "GET",
            "/health",
            function=function,
            open_because="A health check has no credentials; it says that the service works and nothing about data.",
        )
        entry.route("PUT", "/items/{id}", function=function, signed=True, body=document.schema("ItemReplacement"))
        entry.route("DELETE", "/items/{id}", function=function, signed=True)
        return entry
