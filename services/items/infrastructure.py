"""`items`: public reads at the edge, signed writes."""

from __future__ import annotations

from pathlib import Path

from aws_cdk import Stack

from services.items.settings import ItemsSettings
from slipway.blocks.alarms import ServiceAlarms
from slipway.blocks.backup import back_up
from slipway.blocks.bucket import LogBucket, ServiceBucket
from slipway.blocks.dashboard import ServiceDashboard
from slipway.blocks.deployment import SafeDeployment
from slipway.blocks.edge import ORIGIN_HEADER, EdgeDistribution, allow_edge_logs
from slipway.blocks.function import ServiceFunction
from slipway.blocks.key import ServiceKey
from slipway.blocks.messaging import AlarmTopic, DeadLetterQueue, EventTopic
from slipway.blocks.outputs import output
from slipway.blocks.rest import RestEntry
from slipway.blocks.schema import OpenApiDocument
from slipway.blocks.secret import ServiceSecret
from slipway.blocks.stream import read_stream
from slipway.blocks.table import Index, ServiceTable
from slipway.blocks.waf import EdgeProof
from slipway.delivery.names import bucket_name
from slipway.service import Service
from slipway.settings import FunctionSettings
from slipway.settings.model import OnDemand

BY_RECENCY = Index(name="by-recency", partition_key="shard", sort_key="recency")
BY_STATUS = Index(name="by-status", partition_key="status_shard", sort_key="recency")

ROTATION = FunctionSettings(memory_mb=256, timeout_seconds=30)
"""Size of the rotation function: four short calls once a month."""


class Items(Service):
    """Items with a name and free data: read by everybody through CloudFront, written with IAM credentials."""

    name = "items"
    description = "Items: public reads at the edge, signed writes"

    def add_security(self, stack: Stack) -> None:
        """The key, the two secrets, and the function that rotates one of them."""
        self.key = ServiceKey(stack, "Key", service=self.name, environment=self.environment)
        self.cursor_secret = ServiceSecret(
            stack,
            "CursorSecret",
            description="Signs the cursors of lists",
            environment=self.environment,
            key=self.key,
            field="key",
        )
        self.rotation_dead_letters = DeadLetterQueue(stack, "DeadLetters", key=self.key)
        rotation = ServiceFunction(
            stack,
            "Rotation",
            service=self.name,
            environment=self.environment,
            settings=ROTATION,
            assets=self.assets,
            key=self.key,
            handler="services.items.runtime.rotation.handler",
            description="Rotates the secret that signs cursors",
            dead_letters=self.rotation_dead_letters,
            asynchronous=True,
        )
        self.cursor_secret.rotate_with(rotation)
        self.origin_secret = ServiceSecret(
            stack,
            "OriginSecret",
            description="Shows the origin that a request came through the distribution",
            environment=self.environment,
            key=self.key,
            field="header",
        )
        self.origin_secret.does_not_rotate(
            reason="A rotation would have to change the distribution and wait for it to reach every edge while both "
            "values are accepted; the value guards public reads only, never leaves AWS, and a redeployment with a new "
            "secret replaces it.",
        )
        output(stack, "KeyId", self.key.key_id, "Id of the key that encrypts what the service stores")
        output(stack, "KeyArn", self.key.key_arn, "ARN of that key")
        output(stack, "CursorSecretArn", self.cursor_secret.secret_arn, "Secret that signs the cursors of lists")
        output(stack, "OriginSecretArn", self.origin_secret.secret_arn, "Secret that the edge sends to the origin")
        output(
            stack, "RotationFunctionArn", rotation.function.function_arn, "Function that rotates the cursors' secret"
        )

    def add_data(self, stack: Stack) -> None:
        """The tables and the buckets."""
        self.table = ServiceTable(
            stack,
            "Table",
            environment=self.environment,
            key=self.key,
            capacity=self.settings.capacity,
            partition_key="id",
            indexes=(BY_RECENCY, BY_STATUS),
        )
        self.idempotency_table = ServiceTable(
            stack,
            "IdempotencyTable",
            environment=self.environment,
            key=self.key,
            # One short record a keyed write, kept for a day: its load is bursts, which provisioning would pay for.
            capacity=OnDemand(mode="on-demand"),
            partition_key="id",
            ttl_attribute="expiration",
            no_backup_because="It remembers for a day which requests were answered; restored later, it would know of "
            "requests that no caller repeats any more.",
            stream=False,
        )
        self.log_bucket = LogBucket(stack, "LogBucket", service=self.name, environment=self.environment)
        allow_edge_logs(self.log_bucket)
        self.bucket = ServiceBucket(
            stack, "Bucket", service=self.name, environment=self.environment, key=self.key, logs=self.log_bucket
        )
        self.backup = back_up(
            stack,
            service=self.name,
            environment=self.environment,
            key=self.key,
            tables=[self.table],
            buckets=[self.bucket],
        )
        output(stack, "TableName", self.table.table_name, "Table of the items")
        output(stack, "TableArn", self.table.table_arn, "ARN of that table")
        output(stack, "IdempotencyTableName", self.idempotency_table.table_name, "Table of idempotency keys")
        output(stack, "BucketName", self.bucket.bucket_name, "Bucket of the items' metadata objects")
        output(stack, "LogBucketName", self.log_bucket.bucket_name, "Bucket of the access logs")

    def add_compute(self, stack: Stack) -> None:
        """The functions, the topic, the API and the edge."""
        self.dead_letters = DeadLetterQueue(stack, "DeadLetters", key=self.key)
        self.topic = EventTopic(stack, "Topic", key=self.key)
        self.api_function = self._api_function(stack)
        self.stream_function = self._stream_function(stack)
        api_deployment = SafeDeployment(
            stack,
            "ApiDeployment",
            function=self.api_function,
            hook_handler="services.items.runtime.hooks.api_handler",
            dead_letters=self.dead_letters,
        )
        stream_deployment = SafeDeployment(
            stack,
            "StreamDeployment",
            function=self.stream_function,
            hook_handler="services.items.runtime.hooks.stream_handler",
            dead_letters=self.dead_letters,
        )
        proof = EdgeProof(header=ORIGIN_HEADER, secret=self.origin_secret, field="header")
        self.api = self._api(stack, proof)
        self.verification.allow_routes(self.api.signed_routes)
        edge = EdgeDistribution(
            stack,
            "Edge",
            service=self.name,
            environment=self.environment,
            key=self.key,
            origin=self.api,
            proof=proof,
            cached_queries=("cursor", "limit", "status"),
            geo=self.settings.geo,
            logs_bucket=self.log_bucket,
            custom_domain=self.settings.custom_domain,
        )
        output(stack, "ApiId", self.api.api.rest_api_id, "Id of the REST API")
        output(stack, "ApiEndpoint", self.api.endpoint, "URL of the API, for signed writes")
        output(stack, "HealthEndpoint", f"{self.api.endpoint}health", "URL of the health check")
        output(stack, "DistributionId", edge.distribution.distribution_id, "Id of the distribution")
        output(stack, "DistributionDomain", edge.distribution.distribution_domain_name, "Host for public reads")
        output(stack, "ApiFunctionArn", self.api_function.live.function_arn, "Alias that answers the API")
        output(stack, "StreamFunctionArn", self.stream_function.live.function_arn, "Alias that reads the stream")
        output(stack, "ApiHookFunctionArn", api_deployment.hook.live.function_arn, "Contract check of the API")
        output(stack, "StreamHookFunctionArn", stream_deployment.hook.live.function_arn, "Contract check of the reader")
        output(stack, "NotificationTopicArn", self.topic.topic_arn, "Topic that tells of created items")
        output(stack, "DeadLetterQueueUrl", self.dead_letters.queue_url, "Queue of what failed for good")

    def add_observability(self, stack: Stack) -> None:
        """The alarms and the dashboard."""
        topic = AlarmTopic(stack, "AlarmTopic", key=self.key, emails=self.environment.alarms.emails)
        alarms = ServiceAlarms(stack, "Alarms", topic=topic, settings=self.environment.alarms)
        alarms.on_function("Api", self.api_function, errors=5)
        alarms.on_function("Stream", self.stream_function, errors=5)
        alarms.on_stream("Stream", self.stream_function)
        alarms.on_api(self.api, server_errors=10)
        alarms.on_table("Table", self.table, indexes=(BY_RECENCY.name, BY_STATUS.name))
        alarms.on_table("IdempotencyTable", self.idempotency_table)
        alarms.on_dead_letters(self.dead_letters)
        alarms.on_dead_letters(self.rotation_dead_letters, "RotationDeadLetters")
        if self.backup is not None:
            alarms.on_backup(self.backup)
        dashboard = ServiceDashboard(
            stack,
            "Dashboard",
            api=self.api,
            functions={"Api": self.api_function, "Stream": self.stream_function},
            tables={"Items": self.table, "Idempotency": self.idempotency_table},
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
            handler="services.items.runtime.api.handler",
            description="Answers the API of items",
            variables={
                "TABLE_NAME": self.table.table_name,
                "IDEMPOTENCY_TABLE_NAME": self.idempotency_table.table_name,
                "CURSOR_SECRET_ARN": self.cursor_secret.secret_arn,
                "ORIGIN_SECRET_ARN": self.origin_secret.secret_arn,
                "CORS_ORIGINS": ",".join(self.environment.cors.origins),
            },
        )
        function.allow(
            actions=["dynamodb:DeleteItem", "dynamodb:GetItem", "dynamodb:PutItem", "dynamodb:UpdateItem"],
            resources=[self.table.table_arn],
        )
        function.allow(
            actions=["dynamodb:Query"],
            resources=[f"{self.table.table_arn}/index/{index.name}" for index in (BY_RECENCY, BY_STATUS)],
        )
        self._allow_idempotency(function)
        function.allow(
            actions=["secretsmanager:GetSecretValue"],
            resources=[self.cursor_secret.secret_arn, self.origin_secret.secret_arn],
        )
        return function

    def _stream_function(self, stack: Stack) -> ServiceFunction:
        function = ServiceFunction(
            stack,
            "StreamFunction",
            service=self.name,
            environment=self.environment,
            settings=self.settings.stream,
            assets=self.assets,
            key=self.key,
            handler="services.items.runtime.stream.handler",
            description="Writes the metadata object of a new item and tells the topic",
            variables={
                "BUCKET_NAME": self.bucket.bucket_name,
                "TOPIC_ARN": self.topic.topic_arn,
                "IDEMPOTENCY_TABLE_NAME": self.idempotency_table.table_name,
            },
            dead_letters=self.dead_letters,
        )
        function.allow_objects(
            actions=["s3:PutObject"],
            bucket_name=bucket_name(self.environment, self.name),
            prefix="items/",
            reason="An item's id is made when it is created, so its object is known by its prefix only; the function "
            "may write there and can neither read nor delete.",
        )
        function.allow(actions=["sns:Publish"], resources=[self.topic.topic_arn])
        self._allow_idempotency(function)
        read_stream(stack, function=function, table=self.table, events={"eventName": ["INSERT"]})
        return function

    def _allow_idempotency(self, function: ServiceFunction) -> None:
        function.allow(
            actions=["dynamodb:DeleteItem", "dynamodb:PutItem", "dynamodb:UpdateItem"],
            resources=[self.idempotency_table.table_arn],
        )

    @property
    def settings(self) -> ItemsSettings:
        """The service's own part of the configuration."""
        return self.environment.settings_of(ItemsSettings)

    def _api(self, stack: Stack, proof: EdgeProof) -> RestEntry:
        document = OpenApiDocument(Path(__file__).with_name("openapi.json"))
        entry = RestEntry(
            stack,
            "Api",
            service=self.name,
            environment=self.environment,
            key=self.key,
            throttle=self.settings.throttle,
            description=self.description,
            binary_types=("multipart/form-data", "application/octet-stream"),
            edge=proof,
        )
        through_the_edge = (
            "Reads are public by design and reach this route through CloudFront only: the handler refuses whatever "
            "does not carry the distribution's secret header."
        )
        function = self.api_function
        entry.route("POST", "/items", function=function, signed=True, body=document.schema("NewItem"))
        # CloudFront hands a viewer's HEAD to the origin when it has no copy.
        for method in ("GET", "HEAD"):
            entry.route(
                method,
                "/items",
                function=function,
                parameters=("cursor", "limit", "status"),
                open_because=through_the_edge,
            )
            entry.route(method, "/items/{id}", function=function, open_because=through_the_edge)
            entry.route(
                method,
                "/health",
                function=function,
                open_because="A health check has no credentials; it says that the service stands and nothing about "
                "data.",
            )
        entry.route("PUT", "/items/{id}", function=function, signed=True, body=document.schema("ItemReplacement"))
        entry.route("DELETE", "/items/{id}", function=function, signed=True)
        return entry
