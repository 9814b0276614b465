"""Weekly tests that backups can be restored, by AWS Backup itself.

https://docs.aws.amazon.com/aws-backup/latest/devguide/restore-testing.html. AWS Backup restores the newest recovery
point of each table and bucket to a new one whose name begins with `awsbackup-restore-test-`
(https://docs.aws.amazon.com/aws-backup/latest/devguide/restore-testing-inferred-metadata.html), keeps it for the
validation window, and deletes it.
"""

from __future__ import annotations

from collections.abc import Sequence

from aws_cdk import Aws, Stack
from aws_cdk import aws_backup as backup
from aws_cdk import aws_iam as iam
from constructs import Construct

from slipway.blocks.acknowledgements import accept
from slipway.blocks.bucket import ServiceBucket
from slipway.blocks.key import ServiceKey
from slipway.blocks.table import ServiceTable
from slipway.nag.acknowledge import resource_finding
from slipway.settings import Environment
from slipway.settings.model import RestoreTest

RESTORED = "awsbackup-restore-test-*"
"""Name pattern of the resources that AWS Backup restores for a test."""
START_HOURS = 8
"""Hours within which a test begins."""

# Based on AWS's own policies for such a role, limited to a test's copies:
# https://docs.aws.amazon.com/aws-managed-policy/latest/reference/AWSBackupServiceRolePolicyForRestores.html
# https://docs.aws.amazon.com/aws-managed-policy/latest/reference/AWSBackupServiceRolePolicyForS3Restore.html
_ITEMS = (
    *("dynamodb:BatchWriteItem", "dynamodb:DeleteItem", "dynamodb:DescribeTable", "dynamodb:GetItem"),
    *("dynamodb:PutItem", "dynamodb:Query", "dynamodb:Scan", "dynamodb:UpdateItem"),
)
_BUCKET = (
    *("s3:CreateBucket", "s3:GetBucketLocation", "s3:GetBucketOwnershipControls", "s3:GetBucketVersioning"),
    *("s3:ListBucket", "s3:ListBucketVersions", "s3:PutBucketOwnershipControls", "s3:PutBucketVersioning"),
)
_OBJECTS = (
    *("s3:DeleteObject", "s3:GetObject", "s3:GetObjectAcl", "s3:GetObjectTagging", "s3:GetObjectVersion"),
    *("s3:GetObjectVersionAcl", "s3:ListMultipartUploadParts", "s3:PutObject", "s3:PutObjectAcl"),
    *("s3:PutObjectTagging", "s3:PutObjectVersionAcl"),
)


class RestoreTesting(Construct):
    """Restores the newest recovery point of each table and bucket of a service, once a week.

    Args:
        scope: The backup.
        construct_id: Id in it.
        service: The service's name.
        environment: Settings of the environment.
        settings: Day and hour.
        vault: Vault of the recovery points.
        key: The service's key.
        tables: Tables that are backed up.
        buckets: Buckets that are backed up.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        service: str,
        environment: Environment,
        settings: RestoreTest,
        vault: backup.IBackupVault,
        key: ServiceKey,
        tables: Sequence[ServiceTable],
        buckets: Sequence[ServiceBucket],
    ) -> None:
        super().__init__(scope, construct_id)
        # AWS accepts only letters, digits and underscores.
        name = f"{environment.name}_{service}".replace("-", "_")
        plan = backup.CfnRestoreTestingPlan(
            self,
            "Plan",
            restore_testing_plan_name=name,
            schedule_expression=f"cron(0 {settings.hour_utc} ? * {settings.day} *)",
            start_window_hours=START_HOURS,
            recovery_point_selection=backup.CfnRestoreTestingPlan.RestoreTestingRecoveryPointSelectionProperty(
                algorithm="LATEST_WITHIN_WINDOW",
                include_vaults=[vault.backup_vault_arn],
                recovery_point_types=["SNAPSHOT"],
            ),
        )
        role = iam.Role(
            self,
            "Role",
            assumed_by=iam.ServicePrincipal("backup.amazonaws.com"),
            description=f"Restores backups of {service} for a test",
        )
        policy = self._permissions(role, key=key, tables=tables, buckets=buckets)
        encrypted = {"encryptionType": "KMS", "kmsMasterKeyArn": key.key_arn}
        for kind, arns, overrides in (
            ("DynamoDB", [table.table_arn for table in tables], encrypted),
            ("S3", [bucket.bucket_arn for bucket in buckets], None),
        ):
            if not arns:
                continue
            selection = backup.CfnRestoreTestingSelection(
                self,
                kind,
                iam_role_arn=role.role_arn,
                protected_resource_type=kind,
                protected_resource_arns=arns,
                restore_metadata_overrides=overrides,
                restore_testing_plan_name=plan.ref,
                restore_testing_selection_name=f"{name}_{kind}",
                validation_window_hours=settings.keep_hours,
            )
            selection.node.add_dependency(policy)

    def _permissions(
        self, role: iam.Role, *, key: ServiceKey, tables: Sequence[ServiceTable], buckets: Sequence[ServiceBucket]
    ) -> iam.ManagedPolicy:
        copies = Stack.of(self).format_arn(service="dynamodb", resource="table", resource_name=RESTORED)
        backups = [f"{table.table_arn}/backup/*" for table in tables]
        bucket = f"arn:{Aws.PARTITION}:s3:::{RESTORED}"
        statements = [
            iam.PolicyStatement(
                actions=["kms:Decrypt", "kms:DescribeKey", "kms:GenerateDataKey"], resources=[key.key_arn]
            ),
            iam.PolicyStatement(
                actions=["kms:CreateGrant"],
                resources=[key.key_arn],
                conditions={"Bool": {"kms:GrantIsForAWSResource": "true"}},
            ),
        ]
        if tables:
            own = [table.table_arn for table in tables]
            statements += [
                iam.PolicyStatement(actions=list(_ITEMS), resources=[copies]),
                iam.PolicyStatement(actions=["dynamodb:RestoreTableFromAwsBackup"], resources=[copies, *own]),
                iam.PolicyStatement(actions=["dynamodb:RestoreTableFromBackup"], resources=[*backups, copies]),
            ]
        if buckets:
            statements += [
                iam.PolicyStatement(actions=list(_BUCKET), resources=[bucket]),
                iam.PolicyStatement(actions=list(_OBJECTS), resources=[f"{bucket}/*"]),
            ]
        policy = iam.ManagedPolicy(
            self, "Policy", roles=[role], description="Restores backups for a test", statements=statements
        )
        patterns = [*([copies, *backups] if tables else []), *([bucket, f"{bucket}/*"] if buckets else [])]
        accept(
            policy,
            "AwsSolutions-IAM5",
            finding=[resource_finding(self, pattern) for pattern in patterns],
            reason="AWS Backup generates the names of the copies and of the backups; nothing else can assume the role.",
        )
        return policy
