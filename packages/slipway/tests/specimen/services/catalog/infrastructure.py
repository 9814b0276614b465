"""`catalog`: a REST API behind the edge, a secret that rotates, tables, a bucket, a stream's reader, a backup."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from aws_cdk import Stack

from slipway.blocks.alarms import ServiceAlarms
from slipway.blocks.backup import ServiceBackup, back_up
from slipway.blocks.bucket import LogBucket, ServiceBucket
from slipway.blocks.dashboard import ServiceDashboard
from slipway.blocks.deployment import SafeDeployment
from slipway.blocks.edge import ORIGIN_HEADER, EdgeDistribution, allow_edge_logs
from slipway.blocks.experiments import add_experiments, open_to_faults
from slipway.blocks.flags import add_flags
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

from .settings import CatalogSettings

BY_RECENCY = Index(name="by-recency", partition_key="shard", sort_key="recency")
BY_STATUS = Index(name="by-status", partition_key="status_shard", sort_key="recency")


@dataclass(frozen=True)
class Security:
    """What the security stack hands on."""

    key: ServiceKey
    cursor_secret: ServiceSecret
    origin_secret: ServiceSecret
    rotation_dead_letters: DeadLetterQueue


@dataclass(frozen=True)
class Data:
    """What the data stack hands on."""

    table: ServiceTable
    idempotency_table: ServiceTable
    bucket: ServiceBucket
    log_bucket: LogBucket
    backup: ServiceBackup | None


@dataclass(frozen=True)
class Compute:
    """What the compute stack hands on."""

    api: RestEntry
    api_function: ServiceFunction
    stream_function: ServiceFunction
    dead_letters: DeadLetterQueue
    probe: ServiceProbe | None


class Catalog(Service[Security, Data, Compute]):
    """Entries with a name: public reads at the edge, signed writes."""

    name = "catalog"
    description = "Catalog: public reads at the edge, signed writes"

    @property
    def settings(self) -> CatalogSettings:
        """The service's own part of the configuration."""
        return self.environment.settings_of(CatalogSettings)

    def add_security(self, stack: Stack) -> Security:
        """Add the key, a secret that rotates, and one that does not."""
        key = ServiceKey(stack, "Key", service=self.name, environment=self.environment)
        cursor_secret = ServiceSecret(
            stack, "CursorSecret", description="Signs cursors", environment=self.environment, key=key, field="key"
        )
        rotation_dead_letters = DeadLetterQueue(stack, "DeadLetters", key=key)
        rotation = ServiceFunction(
            stack,
            "Rotation",
            service=self.name,
            environment=self.environment,
            settings=FunctionSettings(memory_mb=256, timeout_seconds=30),
            assets=self.assets,
            key=key,
            handler="services.catalog.runtime.rotation.handler",
            description="Rotates the secret that signs cursors",
            dead_letters=rotation_dead_letters,
            asynchronous=True,
        )
        cursor_secret.rotate_with(rotation)
        origin_secret = ServiceSecret(
            stack,
            "OriginSecret",
            description="Known to the edge",
            environment=self.environment,
            key=key,
            field="header",
        )
        origin_secret.does_not_rotate(reason="A redeployment with a new secret replaces it, at the edge too.")
        output(stack, "KeyId", key.key_id, "Id of the key")
        output(stack, "KeyArn", key.key_arn, "ARN of the key")
        output(stack, "CursorSecretArn", cursor_secret.secret_arn, "Secret that signs cursors")
        output(stack, "OriginSecretArn", origin_secret.secret_arn, "Secret that the edge sends to the origin")
        output(stack, "RotationFunctionArn", rotation.function.function_arn, "Function that rotates a secret")
        return Security(key, cursor_secret, origin_secret, rotation_dead_letters)

    def add_data(self, stack: Stack, security: Security) -> Data:
        """Add a table with indexes and a stream, one whose records expire, a bucket, and the backup."""
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
            capacity=OnDemand(mode="on-demand"),
            partition_key="id",
            ttl_attribute="expiration",
            no_backup_because="Restored later, it would know of requests that no caller repeats any more.",
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
        output(stack, "TableName", table.table_name, "Table of the entries")
        output(stack, "TableArn", table.table_arn, "ARN of that table")
        output(stack, "IdempotencyTableName", idempotency_table.table_name, "Table of idempotency keys")
        output(stack, "BucketName", bucket.bucket_name, "Bucket of the entries' objects")
        output(stack, "LogBucketName", log_bucket.bucket_name, "Bucket of the access logs")
        return Data(table, idempotency_table, bucket, log_bucket, backup)

    def add_compute(self, stack: Stack, security: Security, data: Data, verification: VerificationRole) -> Compute:
        """Add the functions, the topic, the API and the edge."""
        dead_letters = DeadLetterQueue(stack, "DeadLetters", key=security.key)
        topic = EventTopic(stack, "Topic", key=security.key)
        api_function = self._api_function(stack, security, data)
        stream_function = self._stream_function(stack, security, data, topic, dead_letters)
        open_to_faults(api_function, stream_function)
        proof = EdgeProof(header=ORIGIN_HEADER, secret=security.origin_secret, field="header")
        for name, function in (("Api", api_function), ("Stream", stream_function)):
            compares = function is api_function
            deployment = SafeDeployment(
                stack,
                f"{name}Deployment",
                function=function,
                hook_handler=f"services.catalog.runtime.hooks.{name.lower()}_handler",
                dead_letters=dead_letters,
                compares=compares,
                proof=proof if compares else None,
            )
            output(stack, f"{name}FunctionArn", function.live.function_arn, f"Alias of the function {name.lower()}")
            output(stack, f"{name}HookFunctionArn", deployment.hook.live.function_arn, f"Check of {name.lower()}")
        add_flags(stack, functions=[api_function], environment=self.environment, settings=self.settings)
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
        output(stack, "NotificationTopicArn", topic.topic_arn, "Topic that tells of new entries")
        output(stack, "DeadLetterQueueUrl", dead_letters.queue_url, "Queue of permanently failed events")
        return Compute(api, api_function, stream_function, dead_letters, probe)

    def add_observability(self, stack: Stack, security: Security, data: Data, compute: Compute) -> None:
        """Add the alarms and the dashboard."""
        topic = AlarmTopic(stack, "AlarmTopic", key=security.key, emails=self.environment.alarms.emails)
        alarms = ServiceAlarms(stack, "Alarms", topic=topic, settings=self.environment.alarms)
        functions = {"Api": compute.api_function, "Stream": compute.stream_function}
        for name, function in functions.items():
            alarms.on_function(name, function, errors=5)
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
        add_experiments(stack, alarms=alarms, functions=[*functions.values()], objectives=self.settings.slo)
        dashboard = ServiceDashboard(
            stack,
            "Dashboard",
            api=compute.api,
            functions=functions,
            tables={"Entries": data.table, "Idempotency": data.idempotency_table},
            dead_letters=compute.dead_letters,
            probe=compute.probe,
            objectives=self.settings.slo,
        )
        output(stack, "AlarmTopicArn", topic.topic_arn, "Topic that the alarms notify")
        output(stack, "DashboardUrl", dashboard.url, "Dashboard of the service")

    def _api_function(self, stack: Stack, security: Security, data: Data) -> ServiceFunction:
        function = ServiceFunction(
            stack,
            "ApiFunction",
            service=self.name,
            environment=self.environment,
            settings=self.settings.api,
            assets=self.assets,
            key=security.key,
            handler="services.catalog.runtime.api.handler",
            description="Answers the API of catalog",
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
        self, stack: Stack, security: Security, data: Data, topic: EventTopic, dead_letters: DeadLetterQueue
    ) -> ServiceFunction:
        function = ServiceFunction(
            stack,
            "StreamFunction",
            service=self.name,
            environment=self.environment,
            settings=self.settings.stream,
            assets=self.assets,
            key=security.key,
            handler="services.catalog.runtime.stream.handler",
            description="Writes the object of a new entry and tells the topic",
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
            reason="An entry's id is made when it is created, so its object is known by its prefix only.",
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
        entry.route("POST", "/items", function=function, signed=True, body=document.schema("NewItem"))
        public = "Reads are public and reach this route through CloudFront only: the handler refuses the others."
        entry.route("GET", "/items", function=function, parameters=("cursor", "limit", "status"), open_because=public)
        entry.route("GET", "/items/{id}", function=function, open_because=public)
        entry.route("GET", "/health", function=function, open_because="It says nothing about data.")
        entry.route("PUT", "/items/{id}", function=function, signed=True, body=document.schema("ItemReplacement"))
        entry.route("DELETE", "/items/{id}", function=function, signed=True)
        return entry
