"""Lambda functions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import cast

from aws_cdk import Annotations, Duration, Stack
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_lambda_destinations as destinations
from constructs import Construct

from slipway.blocks.acknowledgements import accept
from slipway.blocks.assets import AssetStore
from slipway.blocks.identity import with_identity
from slipway.blocks.logs import ServiceLogGroup
from slipway.blocks.messaging import DeadLetterQueue
from slipway.blocks.removal import RETAIN
from slipway.nag.acknowledge import resource_finding
from slipway.settings import FunctionSettings
from slipway.settings.model import ApiFunctionSettings, Place

RUNTIME = lambda_.Runtime.PYTHON_3_14
ARCHITECTURE = lambda_.Architecture.ARM_64

UNPROVEN_HERE = "slipway:unproven-here"
"""Metadata key of a policy: actions that no rehearsal can prove necessary, and why. `make permissions` reads it."""

_DEAD_LETTERS = ("Serverless-LambdaDLQ", "NIST.800.53.R5-LambdaDLQ", "HIPAA.Security-LambdaDLQ")

ASYNC_RETRIES = 2
ASYNC_MAX_AGE = Duration.hours(2)

_APPLICATION_LOG_LEVEL = {
    "DEBUG": lambda_.ApplicationLogLevel.DEBUG,
    "INFO": lambda_.ApplicationLogLevel.INFO,
    "WARN": lambda_.ApplicationLogLevel.WARN,
    "ERROR": lambda_.ApplicationLogLevel.ERROR,
}


def dependency_layer(stack: Stack, assets: AssetStore) -> lambda_.LayerVersion:
    """Return the stack's layer of third-party packages, creating it once.

    Args:
        stack: The stack of the functions that use it.
        assets: The built assets.
    """
    existing = stack.node.try_find_child("Dependencies")
    if existing is not None:
        return cast("lambda_.LayerVersion", existing)
    return lambda_.LayerVersion(
        stack,
        "Dependencies",
        code=lambda_.Code.from_asset(str(assets.path("layer"))),
        compatible_runtimes=[RUNTIME],
        compatible_architectures=[ARCHITECTURE],
        description="Third-party packages that the functions import",
    )


class ServiceFunction(Construct):
    """A function with its role, log group, versions and the aliases `live` and `staging`.

    `live` takes the traffic; `staging` always points to the newest version, for tests before traffic. Old versions are
    kept for rollbacks. The role may do what `allow` grants, write its own log and traces, and use the key for its
    environment variables; nothing else.

    Args:
        scope: The stack.
        construct_id: Id in it.
        service: The service's name: its code asset and its name in logs and metrics.
        environment: Settings of the environment.
        settings: Size of this function.
        assets: The built assets.
        key: The service's key.
        handler: Dotted path, `services.<service>.runtime.<module>.<function>`.
        description: One line, shown in the console.
        variables: Additional environment variables. Never a secret.
        dead_letters: Queue for failed work. Required if the function is invoked asynchronously or by a stream.
        asynchronous: True if events reach it asynchronously: two retries within two hours, then `dead_letters`.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        service: str,
        environment: Place,
        settings: FunctionSettings,
        assets: AssetStore,
        key: kms.IKey,
        handler: str,
        description: str,
        variables: Mapping[str, str] | None = None,
        dead_letters: DeadLetterQueue | None = None,
        asynchronous: bool = False,
    ) -> None:
        super().__init__(scope, construct_id)
        if asynchronous and dead_letters is None:
            raise ValueError(f"{self.node.path}: an asynchronous function needs dead_letters")
        self.service = service
        self.environment = environment
        self.settings = settings
        self.key = key
        self.assets = assets
        self.dead_letters = dead_letters
        self.invoked_by_callers = asynchronous or isinstance(settings, ApiFunctionSettings)
        """True if callers reach the function directly, rather than through a queue or stream that limits the rate."""
        self.log_group = ServiceLogGroup(self, "Logs", environment=environment, key=key)

        self.role, self._policy = self._new_role()
        self._allow_what_all_need()
        self.function = self._new_function(handler, description, variables or {})
        if dead_letters is not None:
            self.allow(actions=["sqs:SendMessage"], resources=[dead_letters.queue_arn])
            self.allow_data_keys()

        self.staging = self._alias("Staging", "staging")
        self.live = self._alias("Live", "live")
        # The contract check runs against `staging` before `live` moves.
        self.live.node.add_dependency(self.staging)
        if asynchronous and dead_letters is not None:
            self._send_failures_to(dead_letters)
        self._provision()
        self._accept_findings(asynchronous=asynchronous)

    def allow(self, *, actions: Sequence[str], resources: Sequence[str], unproven_here: str | None = None) -> None:
        """Let the function perform exactly `actions` on exactly `resources`.

        Args:
            actions: IAM actions, without wildcards.
            resources: ARNs.
            unproven_here: Why no test on the emulator fails without them (`make permissions`). Default: a test fails.
        """
        self._policy.add_statements(iam.PolicyStatement(actions=list(actions), resources=list(resources)))
        if unproven_here is not None:
            self._policy.node.add_metadata(
                UNPROVEN_HERE, {"actions": list(actions), "resources": list(resources), "reason": unproven_here}
            )

    def allow_data_keys(self) -> None:
        """Let the function use data keys of the service's key to encrypt what it writes."""
        self.allow(actions=["kms:GenerateDataKey"], resources=[self.key.key_arn])

    def allow_objects(self, *, actions: Sequence[str], bucket_name: str, prefix: str, reason: str) -> None:
        """Let the function perform `actions` on the objects of a bucket under a prefix.

        Args:
            actions: S3 object actions.
            bucket_name: The bucket's literal name: cdk-nag identifies the finding by the ARN as written in the policy,
                and a reference into another stack is not known until synth.
            prefix: Key prefix, with its slash.
            reason: Why the objects cannot be named one by one.
        """
        arn = Stack.of(self).format_arn(
            service="s3", region="", account="", resource=bucket_name, resource_name=f"{prefix}*"
        )
        self.allow_below(actions=actions, arn=arn, reason=reason)

    def allow_below(self, *, actions: Sequence[str], arn: str, reason: str) -> None:
        """Let the function perform `actions` on every resource whose ARN has a prefix.

        Args:
            actions: IAM actions.
            arn: Literal ARN that ends in `*`: cdk-nag identifies the finding by it.
            reason: Why the resources cannot be named exactly.
        """
        self.allow(actions=actions, resources=[arn])
        accept(
            self._policy,
            "AwsSolutions-IAM5",
            finding=resource_finding(self, arn),
            reason=reason,
        )

    def allow_to_tell_missing_objects(self, bucket_name: str) -> None:
        """Let the function distinguish a missing object from a forbidden one.

        S3 answers `NoSuchKey` to callers who may list the bucket and `AccessDenied` to others
        (docs.aws.amazon.com/AmazonS3/latest/API/API_GetObject.html, "Permissions").
        """
        self.allow(
            actions=["s3:ListBucket"],
            resources=[Stack.of(self).format_arn(service="s3", region="", account="", resource=bucket_name)],
        )

    def allow_without_resource_level(
        self, *, actions: Sequence[str], reason: str, unproven_here: str | None = None
    ) -> None:
        """Let the function perform actions that AWS policies cannot limit to a resource.

        Args:
            actions: IAM actions for which the service authorization reference lists no resource type.
            reason: Why that is safe here.
            unproven_here: As for `allow`.
        """
        self.allow(actions=actions, resources=["*"], unproven_here=unproven_here)
        accept(self._policy, "AwsSolutions-IAM5", finding="Resource::*", reason=reason)

    def _new_role(self) -> tuple[iam.Role, iam.ManagedPolicy]:
        name = f"{self.service} {self.node.id}"
        role = iam.Role(
            self,
            "Role",
            assumed_by=iam.ServicePrincipal("lambda.amazonaws.com"),
            description=f"What {name} may do",
        )
        # A managed policy, since the compliance packs do not allow inline policies.
        return role, iam.ManagedPolicy(self, "Policy", roles=[role], description=name)

    def _allow_what_all_need(self) -> None:
        # The ARN of a log group ends in `:*`, which stands for its streams.
        self.allow(
            actions=["logs:CreateLogStream", "logs:PutLogEvents"],
            resources=[self.log_group.log_group_arn],
        )
        self.allow(actions=["kms:Decrypt"], resources=[self.key.key_arn])
        self.allow_without_resource_level(
            actions=["xray:PutTraceSegments", "xray:PutTelemetryRecords"],
            reason="X-Ray has no resource level for writing traces; the two actions can only add trace data.",
        )

    def _new_function(self, handler: str, description: str, variables: Mapping[str, str]) -> lambda_.Function:
        settings, environment = self.settings, self.environment
        # These are part of a version and cannot change later.
        used = [*variables.values(), self.key.key_arn, self.role.role_arn, self.log_group.log_group_name]
        function = lambda_.Function(
            self,
            "Function",
            description=with_identity(description, used),
            runtime=RUNTIME,
            architecture=ARCHITECTURE,
            code=lambda_.Code.from_asset(str(self.assets.path(self.service))),
            handler=handler,
            layers=[dependency_layer(Stack.of(self), self.assets)],
            memory_size=settings.memory_mb,
            timeout=Duration.seconds(settings.timeout_seconds),
            reserved_concurrent_executions=settings.reserved_concurrency,
            # SnapStart applies to published versions, to which the aliases point; `$LATEST` has none.
            snap_start=lambda_.SnapStartConf.ON_PUBLISHED_VERSIONS if settings.snap_start else None,
            environment={
                "ENVIRONMENT": environment.name,
                "POWERTOOLS_SERVICE_NAME": self.service,
                "POWERTOOLS_METRICS_NAMESPACE": environment.tags.project,
                "POWERTOOLS_LOG_LEVEL": environment.logs.level.value,
                **variables,
            },
            environment_encryption=self.key,
            # Immutable, because CDK's own statements for tracing, queues and keys are broader than ours.
            role=self.role.without_policy_updates(),
            log_group=self.log_group,
            logging_format=lambda_.LoggingFormat.JSON,
            application_log_level_v2=_APPLICATION_LOG_LEVEL[environment.logs.level.value],
            system_log_level_v2=lambda_.SystemLogLevel.INFO,
            tracing=lambda_.Tracing.ACTIVE,
            current_version_options=lambda_.VersionOptions(removal_policy=RETAIN),
        )
        if settings.snap_start:
            # CDK warns about this whenever SnapStart is on, but the aliases point only to published versions.
            Annotations.of(function).acknowledge_warning("@aws-cdk/aws-lambda:snapStartRequirePublish")
        # The permissions must exist before the first invocation.
        function.node.add_dependency(self._policy)
        return function

    def _accept_findings(self, *, asynchronous: bool) -> None:
        if not asynchronous:
            accept(
                self.function,
                *_DEAD_LETTERS,
                reason="Nothing invokes this function asynchronously, and a dead-letter queue serves nothing else; "
                "failures of a stream or queue reader are handled by its event source mapping.",
            )
        accept(
            self.function,
            "NIST.800.53.R5-LambdaInsideVPC",
            "HIPAA.Security-LambdaInsideVPC",
            "PCI.DSS.321-LambdaInsideVPC",
            reason="It only calls AWS's own APIs, over TLS and signed by a role that names its resources; it needs "
            "nothing inside a VPC, and nothing connects to it.",
        )
        if self.settings.reserved_concurrency is None:
            accept(
                self.function,
                "NIST.800.53.R5-LambdaConcurrency",
                "HIPAA.Security-LambdaConcurrency",
                reason="Without reserved concurrency it uses what the functions that take traffic leave in the "
                "account. In prod, only functions for deployments and rotations have no reservation.",
            )

    def _alias(self, construct_id: str, name: str) -> lambda_.Alias:
        return lambda_.Alias(self, construct_id, alias_name=name, version=self.function.current_version)

    def _send_failures_to(self, queue: DeadLetterQueue) -> None:
        # The function itself too: CodeDeploy invokes a hook by its name, Secrets Manager a rotation by its ARN.
        for target in (self.function, self.live, self.staging):
            target.configure_async_invoke(
                max_event_age=ASYNC_MAX_AGE,
                retry_attempts=ASYNC_RETRIES,
                on_failure=destinations.SqsDestination(queue),
            )
        for alias in (self.live, self.staging):
            # CloudFormation knows the alias only by its name, and would otherwise configure it before it exists.
            config = alias.node.find_child("EventInvokeConfig")
            config.node.add_dependency(cast("lambda_.CfnAlias", alias.node.default_child))
        accept(
            self.function,
            *_DEAD_LETTERS,
            reason="Failed events go to the dead-letter queue as the failure destination of the aliases, with the "
            "error beside the event; a DeadLetterConfig would send each a second time, without it.",
        )

    def _provision(self) -> None:
        settings = self.settings.provisioned_concurrency
        if settings is None:
            return
        # On `live` only: two aliases cannot have provisioned concurrency on the same version.
        scaling = self.live.add_auto_scaling(min_capacity=settings.minimum, max_capacity=settings.maximum)
        scaling.scale_on_utilization(utilization_target=settings.target_utilization)
