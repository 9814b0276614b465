"""Resource types that the stack policies of the stateful stacks protect."""

from __future__ import annotations

PROTECTED_TYPES = (
    "AWS::Backup::BackupVault",
    "AWS::Cognito::UserPool",
    "AWS::DynamoDB::GlobalTable",
    "AWS::DynamoDB::Table",
    "AWS::KMS::Key",
    "AWS::S3::Bucket",
    "AWS::SecretsManager::Secret",
)
"""Resource types that no update may delete or replace."""
