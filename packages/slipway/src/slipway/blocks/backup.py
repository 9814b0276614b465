"""Backups of tables and buckets, apart from the tables and buckets themselves."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

from aws_cdk import ArnFormat, Duration, Stack
from aws_cdk import aws_backup as backup
from aws_cdk import aws_events as events
from aws_cdk import aws_iam as iam
from constructs import Construct

from slipway.blocks.acknowledgements import accept
from slipway.blocks.bucket import ServiceBucket
from slipway.blocks.key import ServiceKey
from slipway.blocks.messaging import DeadLetterQueue
from slipway.blocks.removal import removal_policy
from slipway.blocks.restore_test import RestoreTesting
from slipway.blocks.table import ServiceTable
from slipway.nag.acknowledge import resource_finding
from slipway.settings import Environment
from slipway.settings.model import Backup

FAILURES_STAY = Duration.hours(1)
"""Time that a failed backup keeps its alarm active. The metrics of an idle queue are up to 15 minutes late
(https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/monitoring-using-cloudwatch.html), and a
bake counts the alarm although it says nothing about the release.
"""


class ServiceBackup(Construct):
    """A daily backup of a service's data into the service's own vault under its key.

    Point-in-time recovery is deleted with its table, and old versions with their bucket; the vault's contents stay.
    Nobody can delete a recovery point early or shorten its retention.

    Args:
        scope: The data stack: the rule packs look for the selection in the table's stack.
        construct_id: Id in it.
        service: The service's name; vault and plan are named after environment and service, because AWS requires names.
        environment: Settings; `stateful.removal_policy` applies.
        settings: Hour and age of the backups.
        key: The service's key.
        tables: Tables to back up.
        buckets: Buckets to back up; they must keep versions.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        service: str,
        environment: Environment,
        settings: Backup,
        key: ServiceKey,
        tables: Sequence[ServiceTable],
        buckets: Sequence[ServiceBucket] = (),
    ) -> None:
        super().__init__(scope, construct_id)
        name = f"{environment.name}-{service}"
        self.vault = backup.BackupVault(
            self,
            "Vault",
            backup_vault_name=name,
            encryption_key=key,
            block_recovery_point_deletion=True,
            removal_policy=removal_policy(environment),
        )
        """Vault with the recovery points."""
        plan = backup.BackupPlan(
            self,
            "Plan",
            backup_plan_name=name,
            backup_vault=self.vault,
            backup_plan_rules=[
                backup.BackupPlanRule(
                    rule_name="daily",
                    schedule_expression=events.Schedule.cron(minute="0", hour=str(settings.hour_utc)),
                    delete_after=Duration.days(settings.keep_days),
                )
            ],
        )
        role = iam.Role(
            self,
            "Role",
            assumed_by=iam.ServicePrincipal("backup.amazonaws.com"),
            description=f"Backs up the tables and buckets of {service}",
        )
        policy = self._permissions(role, key=key, tables=tables, buckets=buckets)
        selection = backup.BackupSelection(
            self,
            "Selection",
            backup_plan=plan,
            backup_selection_name=name,
            resources=[
                *(backup.BackupResource.from_arn(table.table_arn) for table in tables),
                *(backup.BackupResource.from_arn(bucket.bucket_arn) for bucket in buckets),
            ],
            role=role.without_policy_updates(),
            # AWS's managed policy grants access to every resource of the account.
            disable_default_backup_policy=True,
        )
        selection.node.add_dependency(policy)
        self.failures = DeadLetterQueue(self, "Failures", key=key, keep=FAILURES_STAY)
        """Queue with the events of backups that failed within the last hour."""
        self._catch_failures(key)

    def _catch_failures(self, key: ServiceKey) -> None:
        """Put the events of failed backups into a queue, which an alarm can watch.

        AWS documents the events (https://docs.aws.amazon.com/aws-backup/latest/devguide/eventbridge.html), but not the
        dimensions of its metrics of failed jobs. Its pages disagree about roles for such a target, so the queue's
        policy grants access to the rule.
        """
        stack = Stack.of(self)
        # https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-key-management.html
        key.add_to_resource_policy(
            iam.PolicyStatement(
                sid="EventBridge",
                principals=[iam.ServicePrincipal("events.amazonaws.com")],
                actions=["kms:Decrypt", "kms:GenerateDataKey"],
                resources=["*"],  # In a key policy `*` means the key itself.
                conditions={
                    "StringEquals": {"aws:SourceAccount": stack.account},
                    "ArnLike": {
                        "aws:SourceArn": stack.format_arn(service="events", resource="rule", resource_name="*")
                    },
                },
            )
        )
        rule = events.Rule(
            self,
            "Failed",
            description="Failed backups of the service",
            event_pattern=events.EventPattern(
                source=["aws.backup"],
                detail_type=["Backup Job State Change"],
                detail={"backupVaultName": [self.vault.backup_vault_name], "state": ["FAILED", "ABORTED", "EXPIRED"]},
            ),
        )
        # CDK's own target would grant EventBridge wildcard actions on the key.
        cfn_rule = cast("events.CfnRule", rule.node.default_child)
        cfn_rule.targets = [events.CfnRule.TargetProperty(id="Failures", arn=self.failures.queue_arn)]
        self.failures.add_to_resource_policy(
            iam.PolicyStatement(
                sid="FailedBackups",
                principals=[iam.ServicePrincipal("events.amazonaws.com")],
                actions=["sqs:SendMessage"],
                resources=[self.failures.queue_arn],
                conditions={
                    "StringEquals": {"aws:SourceAccount": stack.account},
                    "ArnEquals": {"aws:SourceArn": rule.rule_arn},
                },
            )
        )
        accept(
            rule,
            "Serverless-EventBusDLQ",
            reason="The target is itself a queue of failures, in this stack and under its key: an event that cannot "
            "be sent there could not be sent to a second one either.",
        )

    # Based on AWS's own policies for this role, limited to these resources:
    # https://docs.aws.amazon.com/aws-managed-policy/latest/reference/AWSBackupServiceRolePolicyForBackup.html
    # https://docs.aws.amazon.com/aws-managed-policy/latest/reference/AWSBackupServiceRolePolicyForS3Backup.html
    def _permissions(
        self, role: iam.Role, *, key: ServiceKey, tables: Sequence[ServiceTable], buckets: Sequence[ServiceBucket]
    ) -> iam.ManagedPolicy:
        stack = Stack.of(self)
        recovery_points = stack.format_arn(
            service="backup", resource="recovery-point", resource_name="*", arn_format=ArnFormat.COLON_RESOURCE_NAME
        )
        of_tables = [f"{table.table_arn}/backup/*" for table in tables]
        policy = iam.ManagedPolicy(
            self,
            "Policy",
            roles=[role],
            description="Backs up tables and buckets, and nothing else",
            statements=[
                iam.PolicyStatement(
                    actions=[
                        "dynamodb:CreateBackup",
                        "dynamodb:DescribeTable",
                        "dynamodb:ListTagsOfResource",
                        "dynamodb:StartAwsBackupJob",
                    ],
                    resources=[table.table_arn for table in tables],
                ),
                iam.PolicyStatement(
                    actions=["dynamodb:DeleteBackup", "dynamodb:DescribeBackup"],
                    resources=of_tables,
                ),
                iam.PolicyStatement(
                    actions=["backup:CopyIntoBackupVault", "backup:DescribeBackupVault"],
                    resources=[self.vault.backup_vault_arn],
                ),
                iam.PolicyStatement(actions=["backup:TagResource"], resources=[recovery_points]),
                iam.PolicyStatement(
                    actions=["kms:Decrypt", "kms:DescribeKey", "kms:GenerateDataKey"], resources=[key.key_arn]
                ),
                iam.PolicyStatement(
                    actions=["kms:CreateGrant"],
                    resources=[key.key_arn],
                    conditions={"Bool": {"kms:GrantIsForAWSResource": "true"}},
                ),
            ],
        )
        patterns = [*of_tables, recovery_points]
        if buckets:
            patterns += self._of_buckets(policy, buckets)
        accept(
            policy,
            "AwsSolutions-IAM5",
            finding=[resource_finding(self, pattern) for pattern in patterns],
            reason="AWS generates the ids of backups and recovery points and the names of the rules with which it "
            "tracks a bucket, and a bucket is backed up as a whole; only AWS Backup can assume the role.",
        )
        return policy

    def _of_buckets(self, policy: iam.ManagedPolicy, buckets: Sequence[ServiceBucket]) -> list[str]:
        """Let the role track and read buckets, and return the resources with wildcards."""
        stack = Stack.of(self)
        rules = stack.format_arn(service="events", resource="rule", resource_name="AwsBackupManagedRule*")
        objects = [bucket.arn_for_objects("*") for bucket in buckets]
        policy.add_statements(
            iam.PolicyStatement(
                actions=[
                    "s3:GetBucketAcl",
                    "s3:GetBucketLocation",
                    "s3:GetBucketNotification",
                    "s3:GetBucketTagging",
                    "s3:GetBucketVersioning",
                    "s3:GetInventoryConfiguration",
                    "s3:ListBucket",
                    "s3:ListBucketVersions",
                    "s3:PutBucketNotification",
                    "s3:PutInventoryConfiguration",
                ],
                resources=[bucket.bucket_arn for bucket in buckets],
            ),
            iam.PolicyStatement(
                actions=[
                    "s3:GetObject",
                    "s3:GetObjectAcl",
                    "s3:GetObjectTagging",
                    "s3:GetObjectVersion",
                    "s3:GetObjectVersionAcl",
                    "s3:GetObjectVersionTagging",
                ],
                resources=objects,
            ),
            iam.PolicyStatement(
                actions=[
                    "events:DeleteRule",
                    "events:DescribeRule",
                    "events:DisableRule",
                    "events:EnableRule",
                    "events:ListTargetsByRule",
                    "events:PutRule",
                    "events:PutTargets",
                    "events:RemoveTargets",
                ],
                resources=[rules],
            ),
            iam.PolicyStatement(
                actions=["cloudwatch:GetMetricData", "events:ListRules", "s3:ListAllMyBuckets"], resources=["*"]
            ),
        )
        accept(
            policy,
            "AwsSolutions-IAM5",
            "Slipway-ExactPermissions",
            finding="Resource::*",
            reason="AWS Backup lists buckets and rules and looks up the size of a bucket; IAM can't limit these three "
            "actions to a resource, and they only read.",
        )
        return [*objects, rules]


def back_up(
    stack: Stack,
    *,
    service: str,
    environment: Environment,
    key: ServiceKey,
    tables: Sequence[ServiceTable],
    buckets: Sequence[ServiceBucket] = (),
) -> ServiceBackup | None:
    """Back up a service's data if the environment has backups configured.

    Args:
        stack: The data stack.
        service: The service's name.
        environment: Settings; `backup` applies.
        key: The service's key.
        tables: Tables to back up.
        buckets: Buckets to back up.

    Returns:
        The backup; None if none is configured.
    """
    if environment.backup is None:
        return None
    made = ServiceBackup(
        stack,
        "Backup",
        service=service,
        environment=environment,
        settings=environment.backup,
        key=key,
        tables=tables,
        buckets=buckets,
    )
    if environment.backup.restore_test is not None:
        RestoreTesting(
            made,
            "RestoreTest",
            service=service,
            environment=environment,
            settings=environment.backup.restore_test,
            vault=made.vault,
            key=key,
            tables=tables,
            buckets=buckets,
        )
    return made
