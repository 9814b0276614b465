"""Rules on CloudFormation: deletions when an operation rolls back."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from slipway.rules.aws.rule import AwsRule
from slipway.rules.model import Found, Resource, Templates, listed

_POLICY = "https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-attribute-deletionpolicy.html"
_FAILURES = "https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/troubleshooting.html"

PROTECTION: Mapping[str, tuple[tuple[str, ...], object]] = {
    "AWS::Cognito::UserPool": (("DeletionProtection",), "ACTIVE"),
    "AWS::DSQL::Cluster": (("DeletionProtectionEnabled",), True),
    "AWS::DocDB::DBCluster": (("DeletionProtection",), True),
    "AWS::DynamoDB::Table": (("DeletionProtectionEnabled",), True),
    "AWS::Neptune::DBCluster": (("DeletionProtection",), True),
    "AWS::RDS::DBCluster": (("DeletionProtection",), True),
    "AWS::RDS::DBInstance": (("DeletionProtection",), True),
    "AWS::RDS::GlobalCluster": (("DeletionProtection",), True),
}
"""Resource type → the property that protects it from deletion, and the value that turns it on."""

_LOG_WRITERS = frozenset({"logging.s3.amazonaws.com", "delivery.logs.amazonaws.com"})


def _keeps(resource: Resource) -> bool:
    """Return True if a rollback of the resource's creation retains it."""
    return resource.body.get("DeletionPolicy") == "Retain"


def _protected(templates: Templates) -> Iterator[Found]:
    for resource in templates.of_type(*PROTECTION, "AWS::DynamoDB::GlobalTable"):
        if _is_protected(resource) and not _keeps(resource):
            yield Found(resource.stack, resource.logical_id)


def _is_protected(resource: Resource) -> bool:
    if resource.type == "AWS::DynamoDB::GlobalTable":
        replicas = resource.get("Replicas")
        return any(
            isinstance(replica, dict) and replica.get("DeletionProtectionEnabled", False) is not False
            for replica in listed(replicas or [])
        )
    path, on = PROTECTION[resource.type]
    value = resource.get(*path)
    # A value that only the deployment resolves may be on.
    return value == on or isinstance(value, dict)


def _log_buckets(templates: Templates) -> Iterator[Found]:
    for bucket in dict.fromkeys((*_of_access_logs(templates), *_of_services(templates))):
        if not _keeps(bucket):
            yield Found(bucket.stack, bucket.logical_id)


def _of_access_logs(templates: Templates) -> Iterator[Resource]:
    """Yield buckets that other buckets, distributions and load balancers use for their logs."""
    for source in templates.of_type("AWS::S3::Bucket"):
        configured = source.get("LoggingConfiguration")
        if configured is not None:
            named = configured.get("DestinationBucketName")
            yield from ([source] if named is None else _buckets(templates, source, named))
    for distribution in templates.of_type("AWS::CloudFront::Distribution"):
        yield from _buckets(templates, distribution, distribution.get("DistributionConfig", "Logging", "Bucket"))
    for balancer in templates.of_type("AWS::ElasticLoadBalancingV2::LoadBalancer"):
        yield from _buckets(templates, balancer, balancer.get("LoadBalancerAttributes"))


def _of_services(templates: Templates) -> Iterator[Resource]:
    """Yield buckets whose policy lets an AWS service deliver logs."""
    for policy in templates.of_type("AWS::S3::BucketPolicy"):
        document = policy.get("PolicyDocument")
        statements = listed(document.get("Statement", [])) if isinstance(document, dict) else []
        for statement in statements:
            principal = statement.get("Principal", {})
            services = listed(principal.get("Service", [])) if isinstance(principal, dict) else []
            if statement.get("Effect") == "Allow" and any(str(name) in _LOG_WRITERS for name in services):
                yield from _buckets(templates, policy, policy.get("Bucket"))


def _buckets(templates: Templates, owner: Resource, value: object) -> Iterator[Resource]:
    return (found for found in templates.referred(owner.stack, value) if found.type == "AWS::S3::Bucket")


RULES = (
    AwsRule(
        name="ProtectedSurvivesRollback",
        does="When the operation that created a resource rolls back, CloudFormation deletes the resource, even "
        "with RetainExceptOnCreate; resources with deletion protection cannot be deleted, and the stack ends in "
        "ROLLBACK_FAILED.",
        says="A resource has deletion protection and a deletion policy other than Retain.",
        fix="Give it DeletionPolicy Retain, and delete it manually after a failed first deployment.",
        source=_POLICY,
        check=_protected,
        planted={
            "Table": {
                "Type": "AWS::DynamoDB::Table",
                "DeletionPolicy": "RetainExceptOnCreate",
                "Properties": {"DeletionProtectionEnabled": True},
            }
        },
    ),
    AwsRule(
        name="LogBucketSurvivesRollback",
        does="A bucket that is not empty cannot be deleted, and AWS may write a log into a bucket before its stack is "
        "complete; a rollback that has to delete it ends in ROLLBACK_FAILED.",
        says="A bucket receives logs of AWS, and its deletion policy lets CloudFormation delete it.",
        fix="Give it DeletionPolicy Retain; empty and delete the bucket after deleting the stack for good.",
        source=_FAILURES,
        check=_log_buckets,
        planted={
            "Logs": {"Type": "AWS::S3::Bucket", "DeletionPolicy": "RetainExceptOnCreate"},
            "Uploads": {
                "Type": "AWS::S3::Bucket",
                "Properties": {"LoggingConfiguration": {"DestinationBucketName": {"Ref": "Logs"}}},
            },
        },
    ),
)
