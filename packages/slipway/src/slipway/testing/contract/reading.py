"""Read functions, statements and tags from templates for the contract."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

from cfnlint.schema.manager import PROVIDER_SCHEMA_MANAGER

from slipway.testing.templates import DeployedTemplates, Resource, Template


@dataclass(frozen=True)
class Function:
    """A function of a template."""

    template: Template
    key: str
    properties: dict[str, Any]

    @property
    def reference(self) -> str:
        """The function, as `Deployment.text` writes it."""
        return f"<{self.template.name}/{self.key}>"

    @property
    def is_hook(self) -> bool:
        """True if CodeDeploy calls it to check a new version of another one."""
        return "TARGET_ALIAS_ARN" in self.properties["Environment"]["Variables"]

    @property
    def is_probe(self) -> bool:
        """True if it checks the service at its public address."""
        return "PROBE_API" in self.properties["Environment"]["Variables"]

    @property
    def takes_traffic(self) -> bool:
        """True if it does the service's work, unlike hooks and probes."""
        return self.template.name == "compute" and not self.is_hook and not self.is_probe

    @property
    def aliases(self) -> dict[str, tuple[str, Resource]]:
        """Its aliases by name: logical id and resource."""
        return {
            resource["Properties"]["Name"]: (key, resource)
            for key, resource in self.template.of_type("AWS::Lambda::Alias").items()
            if resource["Properties"]["FunctionName"] == {"Ref": self.key}
        }

    def statements(self) -> Iterator[dict[str, Any]]:
        """Yield the statements of its role."""
        role = self.properties["Role"]["Fn::GetAtt"][0]
        for _, policy, statement in statements(self.template):
            if {"Ref": role} in policy["Properties"].get("Roles", []):
                yield statement


def functions(deployment: DeployedTemplates) -> list[Function]:
    """Return every function of the service, including those that share a handler."""
    return [
        Function(template, key, resource["Properties"])
        for template in deployment
        for key, resource in template.of_type("AWS::Lambda::Function").items()
    ]


def statements(template: Template) -> Iterator[tuple[str, Resource, dict[str, Any]]]:
    """Yield every statement of an identity policy: its logical id, its resource, itself."""
    for key, resource in template.resources.items():
        if resource["Type"] in {"AWS::IAM::ManagedPolicy", "AWS::IAM::Policy", "AWS::IAM::Role"}:
            document = resource["Properties"].get("PolicyDocument", {})
            for statement in document.get("Statement", []):
                yield key, resource, statement


def listed(value: Any) -> list[Any]:
    """Return a list unchanged, and anything else as its only entry."""
    return value if isinstance(value, list) else [value]


def strings(node: Any) -> Iterator[str]:
    """Yield every string in a value."""
    match node:
        case str():
            yield node
        case dict():
            for value in node.values():
                yield from strings(value)
        case list():
            for value in node:
                yield from strings(value)


def references(node: Any) -> Iterator[str]:
    """Yield the logical ids that a part of a template refers to."""
    match node:
        case {"Ref": str(name)} if not name.startswith("AWS::"):
            yield name
        case {"Fn::GetAtt": [str(name), *_]}:
            yield name
        case dict():
            for value in node.values():
                yield from references(value)
        case list():
            for value in node:
                yield from references(value)


def ids(deployment: DeployedTemplates, stack: str) -> set[str]:
    """Return the ids of a stack, without those that CDK derives from content or from a path with the stage in it."""
    moving = ("AWS::Lambda::Version", "AWS::ApiGateway::Deployment", "AWS::Lambda::Permission")
    return {key for key, resource in deployment[stack].resources.items() if resource["Type"] not in moving}


def tags(resource: Resource) -> dict[str, str] | None:
    """Return the tags of a resource, or None if it cannot carry any."""
    name = None if resource["Type"].startswith("Custom::") else _tag_property(resource["Type"])
    if name is None:
        return None
    found = resource.get("Properties", {}).get(name, [])
    return {tag["Key"]: tag["Value"] for tag in found} if isinstance(found, list) else dict(found)


def takes_logs(resource: Resource) -> bool:
    """Return True for a bucket that AWS writes access logs to: it has none itself, and keeps them."""
    if resource["Type"] != "AWS::S3::Bucket" or holds_faults(resource):
        return False
    return "LoggingConfiguration" not in resource["Properties"]


def holds_faults(resource: Resource) -> bool:
    """Return True for a bucket that holds the faults of an experiment, and nothing for longer than a day."""
    if resource["Type"] != "AWS::S3::Bucket":
        return False
    rules = resource["Properties"].get("LifecycleConfiguration", {}).get("Rules", [])
    return any(rule["Status"] == "Enabled" and rule.get("ExpirationInDays") == 1 for rule in rules)


@cache
def _tag_property(resource_type: str) -> str | None:
    """Return the property in which a type has tags, by CloudFormation's schema; None if it has no tags."""
    schema = PROVIDER_SCHEMA_MANAGER.get_resource_schema("us-east-1", resource_type).schema
    tagging = schema.get("tagging", {})
    if not tagging.get("taggable", schema.get("taggable", False)):
        return None
    return str(tagging.get("tagProperty", "/properties/Tags")).rpartition("/")[2]


BACKUP: dict[str, set[str]] = {
    r"<data/\w*Table\w*\.Arn>/backup/\*": {
        *("dynamodb:DeleteBackup", "dynamodb:DescribeBackup", "dynamodb:RestoreTableFromBackup"),
    },
    r"arn:[^:]+:backup:[^:]+:[0-9]{12}:recovery-point:\*": {"backup:TagResource"},
    r"arn:[^:]+:events:[^:]+:[0-9]{12}:rule/AwsBackupManagedRule\*": {
        *("events:DeleteRule", "events:DescribeRule", "events:DisableRule", "events:EnableRule"),
        *("events:ListTargetsByRule", "events:PutRule", "events:PutTargets", "events:RemoveTargets"),
    },
    r"<data/\w*Bucket\w*\.Arn>/\*": {
        *("s3:GetObject", "s3:GetObjectAcl", "s3:GetObjectTagging"),
        *("s3:GetObjectVersion", "s3:GetObjectVersionAcl", "s3:GetObjectVersionTagging"),
    },
    r"arn:[^:]+:dynamodb:[^:]+:[0-9]{12}:table/awsbackup-restore-test-\*": {
        *("dynamodb:BatchWriteItem", "dynamodb:DeleteItem", "dynamodb:DescribeTable", "dynamodb:GetItem"),
        *("dynamodb:PutItem", "dynamodb:Query", "dynamodb:Scan", "dynamodb:UpdateItem"),
        *("dynamodb:RestoreTableFromAwsBackup", "dynamodb:RestoreTableFromBackup"),
    },
    r"arn:.+:s3:::awsbackup-restore-test-\*": {
        *("s3:CreateBucket", "s3:GetBucketLocation", "s3:GetBucketOwnershipControls", "s3:GetBucketVersioning"),
        *("s3:ListBucket", "s3:ListBucketVersions", "s3:PutBucketOwnershipControls", "s3:PutBucketVersioning"),
    },
    r"arn:.+:s3:::awsbackup-restore-test-\*/\*": {
        *("s3:DeleteObject", "s3:GetObject", "s3:GetObjectAcl", "s3:GetObjectTagging", "s3:GetObjectVersion"),
        *("s3:GetObjectVersionAcl", "s3:ListMultipartUploadParts", "s3:PutObject", "s3:PutObjectAcl"),
        *("s3:PutObjectTagging", "s3:PutObjectVersionAcl"),
    },
}
"""Wildcards that AWS Backup needs because ids end the ARNs, and because its restore tests name their copies."""


def only_reads_for_drift(policy: str, statement: dict[str, Any]) -> bool:
    """Return True if a statement only lets drift detection read what CloudFormation reads.

    Args:
        policy: Logical id of the policy.
        statement: The statement.
    """
    verbs = [action.partition(":")[2].capitalize() for action in listed(statement["Action"])]
    return policy.startswith("Drift") and all(verb.startswith(("Describe", "Detect", "Get", "List")) for verb in verbs)
