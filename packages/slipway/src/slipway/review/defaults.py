"""AWS's defaults for missing settings.

Removing a block from a template has an effect: its settings become AWS's defaults. So every comparison of settings
looks up missing ones here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Final

from slipway.review.assembly import Json
from slipway.review.schemas import matches, schema

_REGION = "us-east-1"
"""Cached, because a type's defaults never change."""

# Requests per second, and burst, of all APIs of an account in a region:
# https://docs.aws.amazon.com/apigateway/latest/developerguide/limits.html
_ACCOUNT_RATE, _ACCOUNT_BURST = 10_000, 5_000

DEFAULTS: Final[Mapping[str, Mapping[str, Json]]] = {
    # https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-properties-apigateway-stage-methodsetting.html
    "AWS::ApiGateway::Stage": {
        "CacheClusterEnabled": False,
        "MethodSettings.*.CacheDataEncrypted": False,
        "MethodSettings.*.CachingEnabled": False,
        "MethodSettings.*.DataTraceEnabled": False,
        "MethodSettings.*.LoggingLevel": "OFF",
        "MethodSettings.*.MetricsEnabled": False,
        "MethodSettings.*.ThrottlingBurstLimit": _ACCOUNT_BURST,
        "MethodSettings.*.ThrottlingRateLimit": _ACCOUNT_RATE,
        "TracingEnabled": False,
    },
    # https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-protect.html
    "AWS::ApiGatewayV2::Stage": {
        "AutoDeploy": False,
        "DefaultRouteSettings.DetailedMetricsEnabled": False,
        "DefaultRouteSettings.ThrottlingBurstLimit": _ACCOUNT_BURST,
        "DefaultRouteSettings.ThrottlingRateLimit": _ACCOUNT_RATE,
        "RouteSettings.*.DetailedMetricsEnabled": False,
        "RouteSettings.*.ThrottlingBurstLimit": _ACCOUNT_BURST,
        "RouteSettings.*.ThrottlingRateLimit": _ACCOUNT_RATE,
    },
    "AWS::ApiGateway::Method": {"ApiKeyRequired": False, "AuthorizationType": "NONE"},
    "AWS::ApiGatewayV2::Route": {"ApiKeyRequired": False, "AuthorizationType": "NONE"},
    # CloudFront's own certificate implies TLSv1:
    # https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-properties-cloudfront-distribution-viewercertificate.html
    "AWS::CloudFront::Distribution": {
        "DistributionConfig.ViewerCertificate.CloudFrontDefaultCertificate": True,
        "DistributionConfig.ViewerCertificate.MinimumProtocolVersion": "TLSv1",
        "DistributionConfig.ViewerCertificate.SslSupportMethod": "vip",
    },
    "AWS::CloudWatch::Alarm": {"TreatMissingData": "missing"},
    # https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-properties-codebuild-project-logsconfig.html
    "AWS::CodeBuild::Project": {
        "Environment.PrivilegedMode": False,
        "LogsConfig.CloudWatchLogs.Status": "ENABLED",
        "QueuedTimeoutInMinutes": 480,
        "TimeoutInMinutes": 60,
        "Visibility": "PRIVATE",
    },
    "AWS::CodeDeploy::DeploymentGroup": {
        "AlarmConfiguration.Enabled": False,
        "AlarmConfiguration.IgnorePollAlarmFailure": False,
        "AutoRollbackConfiguration.Enabled": False,
    },
    "AWS::CodePipeline::Pipeline": {"RestartExecutionOnUpdate": False},
    # https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-resource-cognito-userpool.html
    "AWS::Cognito::UserPool": {
        "AdminCreateUserConfig.AllowAdminCreateUserOnly": False,
        "DeletionProtection": "INACTIVE",
        "MfaConfiguration": "OFF",
        "Policies.PasswordPolicy.MinimumLength": 6,
        "Policies.PasswordPolicy.PasswordHistorySize": 0,
        "Policies.PasswordPolicy.TemporaryPasswordValidityDays": 7,
        "UserPoolAddOns.AdvancedSecurityMode": "OFF",
        "UserPoolTier": "ESSENTIALS",
        "UsernameConfiguration.CaseSensitive": True,
    },
    # https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-resource-cognito-userpoolclient.html
    "AWS::Cognito::UserPoolClient": {
        "AllowedOAuthFlowsUserPoolClient": False,
        "EnableTokenRevocation": True,
        "GenerateSecret": False,
        "RefreshTokenValidity": 30,
        "TokenValidityUnits.AccessToken": "hours",
        "TokenValidityUnits.IdToken": "hours",
        "TokenValidityUnits.RefreshToken": "days",
    },
    "AWS::DocDB::DBCluster": {"BackupRetentionPeriod": 1},
    # https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-resource-dynamodb-table.html
    "AWS::DynamoDB::Table": {
        "BillingMode": "PROVISIONED",
        "DeletionProtectionEnabled": False,
        "PointInTimeRecoverySpecification.PointInTimeRecoveryEnabled": False,
        "PointInTimeRecoverySpecification.RecoveryPeriodInDays": 35,
        "SSESpecification.SSEEnabled": False,
        "TableClass": "STANDARD",
        "TimeToLiveSpecification.Enabled": False,
    },
    "AWS::Events::Rule": {"State": "ENABLED"},
    "AWS::Scheduler::Schedule": {"State": "ENABLED"},
    # https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-resource-iam-role.html
    "AWS::IAM::Role": {"MaxSessionDuration": 3_600},
    "AWS::KMS::Key": {"EnableKeyRotation": False, "Enabled": True, "PendingWindowInDays": 30},
    "AWS::Kinesis::Stream": {"RetentionPeriodHours": 24},
    # https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-resource-lambda-function.html
    "AWS::Lambda::Function": {
        "EphemeralStorage.Size": 512,
        "MemorySize": 128,
        "RecursiveLoop": "Terminate",
        "Timeout": 3,
        "TracingConfig.Mode": "PassThrough",
        "LoggingConfig.ApplicationLogLevel": "INFO",
        "LoggingConfig.LogFormat": "Text",
        "LoggingConfig.SystemLogLevel": "INFO",
    },
    # https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-resource-lambda-eventinvokeconfig.html
    "AWS::Lambda::EventInvokeConfig": {"MaximumEventAgeInSeconds": 21_600, "MaximumRetryAttempts": 2},
    # https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-resource-lambda-eventsourcemapping.html
    "AWS::Lambda::EventSourceMapping": {
        "BisectBatchOnFunctionError": False,
        "Enabled": True,
        "MaximumBatchingWindowInSeconds": 0,
        "MaximumRecordAgeInSeconds": -1,
        "MaximumRetryAttempts": -1,
        "ParallelizationFactor": 1,
    },
    "AWS::Neptune::DBCluster": {"BackupRetentionPeriod": 1},
    "AWS::RDS::DBCluster": {"BackupRetentionPeriod": 1},
    "AWS::RDS::DBInstance": {"BackupRetentionPeriod": 1},
    "AWS::Redshift::Cluster": {"AutomatedSnapshotRetentionPeriod": 1},
    # If a block of public access is removed later, the bucket has none:
    # https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-properties-s3-bucket-publicaccessblockconfiguration.html
    "AWS::S3::Bucket": {
        "AccessControl": "Private",
        "PublicAccessBlockConfiguration.BlockPublicAcls": False,
        "PublicAccessBlockConfiguration.BlockPublicPolicy": False,
        "PublicAccessBlockConfiguration.IgnorePublicAcls": False,
        "PublicAccessBlockConfiguration.RestrictPublicBuckets": False,
        "VersioningConfiguration.Status": "Suspended",
    },
    # https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-resource-sqs-queue.html
    "AWS::SQS::Queue": {
        "DelaySeconds": 0,
        "MessageRetentionPeriod": 345_600,
        "ReceiveMessageWaitTimeSeconds": 0,
        "VisibilityTimeout": 30,
    },
    "AWS::Synthetics::Canary": {"FailureRetentionPeriod": 31, "SuccessRetentionPeriod": 31},
}
"""Defaults that the user guide states and the registry's schemas do not, by type and path; `*` is any item."""


@cache
def _written(resource_type: str) -> Sequence[tuple[tuple[str, ...], Json]]:
    return tuple((tuple(path.split(".")), value) for path, value in DEFAULTS.get(resource_type, {}).items())


def default(resource_type: str, path: Sequence[str], properties: Json) -> Json:
    """Return AWS's default for a missing setting, or None.

    Args:
        resource_type: `AWS::S3::Bucket`, …
        path: Names that lead to the setting; an item of a list by its name or position.
        properties: Properties of the resource: a schema's default doesn't apply within a missing block.
    """
    for pattern, value in _written(resource_type):
        if len(pattern) == len(path) and matches(pattern, path):
            return value
    rules = schema(resource_type, _REGION)
    for pattern, (of, value) in rules.defaults.items() if rules else ():
        if len(pattern) == len(path) and matches(pattern, path):
            return value if len(of) == 1 or _is_there(properties, of[:-1]) else None
    return None


def _is_there(properties: Json, path: Sequence[str]) -> bool:
    for part in path:
        if not isinstance(properties, Mapping) or part not in properties:
            # An item of a list is only known by its name, so it is assumed to exist.
            return isinstance(properties, list)
        properties = properties[part]
    return True
