"""Permissions of the daily drift check in an environment. Its function accompanies the pipeline (`observation`)."""

from __future__ import annotations

from collections.abc import Sequence

from aws_cdk import Aws, Stack
from constructs import Construct

from slipway.delivery.names import drift_function_roles, drift_role, foundation_stack, service_stacks
from slipway.delivery.roles import StepRole
from slipway.settings import Environment

# The actions are the `handlers.read.permissions` of each type's schema in the CloudFormation registry
# (https://docs.aws.amazon.com/cloudformation-cli/latest/userguide/resource-type-schema.html), since drift detection
# needs "read permission for each resource that supports drift detection included in the stack"
# (https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/using-cfn-stack-drift.html). Left out, so that the
# function reads no secret and no object: secretsmanager:GetSecretValue, s3:GetObject, iam:PassRole, and what changes;
# and all of IAM, which the permissions boundary denies to every role of the stacks.
_STACK = ("DescribeStackResourceDrifts", "DetectStackDrift", "DetectStackResourceDrift", "ListStackResources")

_NAMED: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "lambda": (
        (
            *("GetAlias", "GetFunction", "GetFunctionCodeSigningConfig", "GetFunctionConfiguration"),
            *("GetFunctionEventInvokeConfig", "GetFunctionRecursionConfig", "GetFunctionScalingConfig", "GetPolicy"),
            *("GetProvisionedConcurrencyConfig", "GetRuntimeManagementConfig"),
        ),
        ("function:{environment}-*",),
    ),
    "dynamodb": (
        (
            *("DescribeContinuousBackups", "DescribeContributorInsights", "DescribeKinesisStreamingDestination"),
            *("DescribeTable", "DescribeTimeToLive", "GetResourcePolicy", "ListTagsOfResource"),
        ),
        ("table/{environment}-*",),
    ),
    "sqs": (("GetQueueAttributes", "ListQueueTags"), ("{environment}-*",)),
    "sns": (
        (
            *("GetDataProtectionPolicy", "GetSubscriptionAttributes", "GetTopicAttributes"),
            *("ListSubscriptionsByTopic", "ListTagsForResource"),
        ),
        ("{environment}-*",),
    ),
    "events": (("DescribeRule", "ListTagsForResource", "ListTargetsByRule"), ("rule/{environment}-*",)),
    "cloudwatch": (("DescribeAlarms", "ListTagsForResource"), ("alarm:{environment}-*",)),
    "codedeploy": (
        ("GetApplication", "GetDeployment", "GetDeploymentGroup", "ListDeployments", "ListTagsForResource"),
        ("application:{environment}-*", "deploymentgroup:{environment}-*"),
    ),
}
"""Service → actions, and patterns of resources whose names begin with the environment's name."""

_DRAWN: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "lambda": (("GetEventSourceMapping", "GetLayerVersion", "ListTags"), ("event-source-mapping:*", "layer:*")),
    "backup": (
        (
            *("DescribeBackupVault", "GetBackupPlan", "GetBackupSelection", "GetBackupVaultAccessPolicy"),
            *("GetBackupVaultNotifications", "ListTags"),
        ),
        ("backup-vault:{environment}-*", "backup-plan:*"),
    ),
    "cognito-idp": (
        ("DescribeUserPool", "DescribeUserPoolClient", "GetUserPoolMfaConfig", "GetWebACLForResource"),
        ("userpool/*",),
    ),
    "kms": (("DescribeKey", "GetKeyPolicy", "GetKeyRotationStatus", "ListResourceTags"), ("key/*",)),
    "secretsmanager": (("DescribeSecret",), ("secret:*",)),
    "wafv2": (
        ("GetLoggingConfiguration", "GetWebACL", "GetWebACLForResource", "ListTagsForResource"),
        ("regional/webacl/*",),
    ),
    "logs": (
        (
            *("GetDataProtectionPolicy", "ListTagsForResource"),
            *("GetDelivery", "GetDeliveryDestination", "GetDeliveryDestinationPolicy", "GetDeliverySource"),
        ),
        ("log-group:*", "delivery:*", "delivery-destination:*", "delivery-source:*"),
    ),
}
"""Service → actions, and patterns of resources that AWS names by a random id."""

_EVERYWHERE = (
    "application-autoscaling:DescribeScalableTargets",
    "application-autoscaling:DescribeScalingPolicies",
    "application-autoscaling:DescribeScheduledActions",
    "cloudformation:DescribeStackDriftDetectionStatus",
    "kms:ListAliases",
    "logs:DescribeIndexPolicies",
    "logs:DescribeLogGroups",
)
"""Actions that no policy can limit to a resource."""

_EDGE = ("GetCachePolicy", "GetDistribution", "GetDistributionConfig", "ListTagsForResource")
_BUCKETS = (
    *("GetAccelerateConfiguration", "GetAnalyticsConfiguration", "GetBucketCORS", "GetBucketLogging"),
    *("GetBucketNotification", "GetBucketObjectLockConfiguration", "GetBucketOwnershipControls", "GetBucketPolicy"),
    *("GetBucketPublicAccessBlock", "GetBucketTagging", "GetBucketVersioning", "GetBucketWebsite"),
    *("GetEncryptionConfiguration", "GetIntelligentTieringConfiguration", "GetInventoryConfiguration"),
    *("GetLifecycleConfiguration", "GetMetricsConfiguration", "GetReplicationConfiguration"),
)


class DriftRole(StepRole):
    """Role with which the tools account's function has CloudFormation compare an environment's stacks.

    Stacks in CloudFront's own region are not checked.

    Args:
        scope: The foundation stack.
        construct_id: Id in it.
        environment: Settings of the environment.
    """

    def __init__(self, scope: Construct, construct_id: str, *, environment: Environment) -> None:
        super().__init__(
            scope,
            construct_id,
            environment=environment,
            name=drift_role(environment),
            # A pattern: ArnEquals accepts wildcards like ArnLike:
            # https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_condition_operators.html
            step_roles=[drift_function_roles(environment)],
            description="Has CloudFormation compare stacks with their templates",
        )
        name, stack = environment.name, Stack.of(self)
        # Only by the environment's name: a policy that named each stack would exceed IAM's 6,144 characters.
        self._read("cloudformation", _STACK, [self._arn("cloudformation", f"stack/{name}-*/*")])
        for service, (actions, resources) in (*_NAMED.items(), *_DRAWN.items()):
            self._read(service, actions, [self._arn(service, each.format(environment=name)) for each in resources])
        self._read("s3", _BUCKETS, [f"arn:{Aws.PARTITION}:s3:::{environment.bucket_prefix}-*"])
        gateway = f"arn:{Aws.PARTITION}:apigateway:{stack.region}::"
        self._read("apigateway", ["GET"], [f"{gateway}/*"])
        self._read("wafv2", ["GetWebACLForResource"], [f"{gateway}/restapis/*"])
        edge = f"arn:{Aws.PARTITION}:cloudfront::{stack.account}"
        self._read("cloudfront", _EDGE, [f"{edge}:distribution/*", f"{edge}:cache-policy/*"])
        dashboards = f"arn:{Aws.PARTITION}:cloudwatch::{stack.account}:dashboard/{name}-*"
        self._read("cloudwatch", ["GetDashboard"], [dashboards])
        self.allow_pattern(
            actions=_EVERYWHERE,
            resources=["*"],
            reason="These actions only describe and list, and the service authorization reference has no resource "
            "type for them.",
        )

    def _read(self, service: str, actions: Sequence[str], resources: Sequence[str]) -> None:
        self.allow_pattern(
            actions=[f"{service}:{action}" for action in actions],
            resources=resources,
            reason="Drift detection reads every resource of the stacks, whose names end in random characters; the "
            "actions "
            "read settings, but neither contents nor secrets.",
        )

    def _arn(self, service: str, resource: str) -> str:
        stack = Stack.of(self)
        return f"arn:{Aws.PARTITION}:{service}:{stack.region}:{stack.account}:{resource}"


def watched_stacks(environment: Environment, services: Sequence[str]) -> list[str]:
    """Return the names of the stacks that are compared with their templates, in the environment's region."""
    stacks = [stack for service in services for stack in service_stacks(environment.name, service)]
    return [foundation_stack(environment), *stacks]
