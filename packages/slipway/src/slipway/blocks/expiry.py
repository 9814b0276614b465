"""The end of a sandbox in a development account: a schedule, and the function that it invokes."""

from __future__ import annotations

import json
from collections.abc import Sequence

import jsii
from aws_cdk import CfnDeletionPolicy, CfnResource, IAspect, Stack
from aws_cdk import aws_iam as iam
from aws_cdk import aws_scheduler as scheduler
from constructs import Construct, IConstruct

from slipway.blocks.acknowledgements import accept
from slipway.blocks.assets import AssetStore
from slipway.blocks.function import ServiceFunction
from slipway.blocks.key import ServiceKey
from slipway.blocks.messaging import DeadLetterQueue
from slipway.delivery.names import bucket_name, deletion_waves, log_bucket_name
from slipway.settings import Environment, FunctionSettings

EVERY = "rate(10 minutes)"
"""How often the function checks what is left: each call deletes one of six waves of stacks."""

CODE = "pipeline"
"""The asset with the tool's own functions (`slipway.delivery.runtime`)."""

_STACKS = ("cloudformation:DeleteStack", "cloudformation:DescribeStacks", "cloudformation:ListStackResources")

_SIZE = FunctionSettings(memory_mb=256, timeout_seconds=900)


EXPIRES = "Expires"
"""Tag of every stack of a sandbox that expires. The function deletes no stack without it, and the permissions boundary
allows no role to do so."""

ENVIRONMENT = "Environment"
"""Tag that distinguishes the sandboxes of an account."""


@jsii.implements(IAspect)
class KeepNothing:
    """Has CloudFormation delete every removed resource, so that nothing of a sandbox is left.

    A key is deleted too, after the shortest time that KMS allows.

    Args:
        environment: The sandbox. If it expires, its stacks are tagged with its name and its last day.
    """

    def __init__(self, environment: Environment) -> None:
        expires = environment.sandbox.expires if environment.sandbox else None
        self._tags = {EXPIRES: expires, ENVIRONMENT: environment.name} if expires else {}

    def visit(self, node: IConstruct) -> None:
        """Change the policies of a resource, or tag a stack."""
        if Stack.is_stack(node) and isinstance(node, Stack):
            # Tags of a stage only reach the resources, not the stacks.
            for name, value in self._tags.items():
                node.tags.set_tag(name, value)
        if CfnResource.is_cfn_resource(node) and isinstance(node, CfnResource):
            options = node.cfn_options
            if node.cfn_resource_type == "AWS::KMS::Key":
                accept(
                    node,
                    "Slipway-StatefulRetained",
                    reason="Nothing of a sandbox is kept. KMS waits for seven days before it deletes a key.",
                )
            elif node.cfn_resource_type == "AWS::S3::Bucket" and options.deletion_policy == CfnDeletionPolicy.RETAIN:
                accept(
                    node,
                    "OnlyAws-LogBucketSurvivesRollback",
                    reason="The function that ends the sandbox empties the bucket, again if AWS writes another log.",
                )
            for policy in ("deletion_policy", "update_replace_policy"):
                if getattr(options, policy) is not None:
                    setattr(options, policy, CfnDeletionPolicy.DELETE)


class SandboxExpiry(Construct):
    """Deletes the sandbox from the day on which it expires, its own stack last.

    EventBridge Scheduler's universal targets could call `DeleteStack` themselves, but CloudFormation deletes only
    empty buckets, so a function does both (`slipway.delivery.runtime.expiry`). It may delete the stacks of
    this sandbox and empty its buckets, and nothing else; the permissions boundary of every role forbids deleting a
    stack without the tag `Expires`.

    Args:
        scope: The foundation stack.
        construct_id: Id in it.
        environment: The sandbox, which expires.
        services: Names of its services.
        assets: The built assets.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        environment: Environment,
        services: Sequence[str],
        assets: AssetStore,
    ) -> None:
        super().__init__(scope, construct_id)
        if environment.sandbox is None or environment.sandbox.expires is None:
            raise ValueError(
                f"{self.node.path}: {environment.name} has no expiry; only a sandbox that expires can be deleted"
            )
        key = ServiceKey(self, "Key", service="foundation", environment=environment)
        accept(
            key,
            "Slipway-StatefulApart",
            reason="Nothing of a sandbox outlives it: the key is deleted together with the function that uses it.",
        )
        waves = deletion_waves(environment, services)
        self.function = ServiceFunction(
            self,
            "Function",
            service=CODE,
            environment=environment,
            settings=_SIZE,
            assets=assets,
            key=key,
            handler="slipway.delivery.runtime.expiry.handler",
            description="Deletes the sandbox once it has expired",
            variables={"WAVES": json.dumps(waves)},
            dead_letters=DeadLetterQueue(self, "DeadLetters", key=key),
            asynchronous=True,
        )
        self._allow(environment, services, [stack for wave in waves for stack in wave])
        self._schedule(environment.sandbox.expires)

    def _allow(self, environment: Environment, services: Sequence[str], stacks: Sequence[tuple[str, str]]) -> None:
        for name, region in stacks:
            self.function.allow_below(
                actions=list(_STACKS),
                arn=Stack.of(self).format_arn(
                    service="cloudformation", region=region, resource="stack", resource_name=f"{name}/*"
                ),
                reason="A stack's ARN ends in an id that CloudFormation generates; the name before it is exact.",
            )
        for service in services:
            for bucket in (bucket_name(environment, service), log_bucket_name(environment, service)):
                self.function.allow(
                    actions=["s3:ListBucketMultipartUploads", "s3:ListBucketVersions"],
                    resources=[Stack.of(self).format_arn(service="s3", region="", account="", resource=bucket)],
                )
                self.function.allow_objects(
                    actions=["s3:AbortMultipartUpload", "s3:DeleteObjectVersion"],
                    bucket_name=bucket,
                    prefix="",
                    reason="The function empties the whole bucket: CloudFormation deletes only empty ones.",
                )

    def _schedule(self, expires: str) -> None:
        role = iam.Role(
            self,
            "Role",
            # https://docs.aws.amazon.com/scheduler/latest/UserGuide/cross-service-confused-deputy-prevention.html
            assumed_by=iam.ServicePrincipal(
                "scheduler.amazonaws.com",
                conditions={"StringEquals": {"aws:SourceAccount": Stack.of(self).account}},
            ),
            description="Invokes the function that ends the sandbox",
        )
        policy = iam.ManagedPolicy(
            self,
            "Policy",
            roles=[role],
            statements=[
                iam.PolicyStatement(actions=["lambda:InvokeFunction"], resources=[self.function.live.function_arn])
            ],
        )
        schedule = scheduler.CfnSchedule(
            self,
            "Schedule",
            description=f"Ends the sandbox from {expires} on",
            schedule_expression=EVERY,
            start_date=expires,
            flexible_time_window=scheduler.CfnSchedule.FlexibleTimeWindowProperty(mode="OFF"),
            target=scheduler.CfnSchedule.TargetProperty(arn=self.function.live.function_arn, role_arn=role.role_arn),
        )
        schedule.node.add_dependency(policy)
