"""The customer-managed key of a service."""

from __future__ import annotations

from aws_cdk import ArnFormat, Duration, Stack
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from constructs import Construct

from slipway.blocks.removal import RETAIN
from slipway.settings.model import Place


class ServiceKey(kms.Key):
    """A KMS key that encrypts everything a service stores: rotation on, retained, with an alias.

    Roles of the account get access to the key through their own policies (the key delegates to IAM). Service principals
    have no identity policy, so the key policy names each one that acts for the service, with its condition.

    Args:
        scope: The security stack.
        construct_id: Id in it.
        service: The service's name, part of the description.
        environment: Settings; `stateful.key_deletion_window_days` applies.
        alias: Without `alias/`. Default: `<service>-<environment>`.
    """

    def __init__(
        self, scope: Construct, construct_id: str, *, service: str, environment: Place, alias: str | None = None
    ) -> None:
        super().__init__(
            scope,
            construct_id,
            alias=f"alias/{alias or f'{service}-{environment.name}'}",
            description=f"Encrypts what the service {service} stores",
            enable_key_rotation=True,
            pending_window=Duration.days(environment.stateful.key_deletion_window_days),
            # Data encrypted under a deleted key is lost, in dev too.
            removal_policy=RETAIN,
        )
        stack = Stack.of(self)
        account = {"aws:SourceAccount": stack.account}
        # https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/encrypt-log-data-kms.html
        self._let(
            "CloudWatchLogs",
            f"logs.{stack.region}.amazonaws.com",
            ["kms:Encrypt", "kms:Decrypt", "kms:ReEncrypt*", "kms:GenerateDataKey*", "kms:Describe*"],
            {
                "ArnLike": {
                    "kms:EncryptionContext:aws:logs:arn": stack.format_arn(
                        service="logs",
                        resource="log-group",
                        resource_name="*",
                        arn_format=ArnFormat.COLON_RESOURCE_NAME,
                    )
                }
            },
        )
        # An alarm that cannot encrypt for its topic loses the notification silently:
        # https://repost.aws/knowledge-center/cloudwatch-receive-sns-for-alarm-trigger
        self._let(
            "CloudWatchAlarms",
            "cloudwatch.amazonaws.com",
            ["kms:Decrypt", "kms:GenerateDataKey"],
            {
                "StringEquals": account,
                "ArnLike": {
                    "aws:SourceArn": stack.format_arn(
                        service="cloudwatch",
                        resource="alarm",
                        resource_name="*",
                        arn_format=ArnFormat.COLON_RESOURCE_NAME,
                    )
                },
            },
        )
        # SNS encrypts for the queues that subscribe to a topic.
        self._let("Sns", "sns.amazonaws.com", ["kms:Decrypt", "kms:GenerateDataKey"], {"StringEquals": account})

    def _let(self, sid: str, principal: str, actions: list[str], conditions: dict[str, dict[str, str]]) -> None:
        self.add_to_resource_policy(
            iam.PolicyStatement(
                sid=sid,
                principals=[iam.ServicePrincipal(principal)],
                actions=actions,
                resources=["*"],  # In a key policy `*` means the key itself.
                conditions=conditions,
            )
        )
