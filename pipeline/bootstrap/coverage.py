"""Whether the policies are enough for what the templates hold, and no boundary is in the way.

What CloudFormation calls for a resource type stands in the type's schema in its registry (`handlers.*.permissions`);
cfn-lint ships those schemas, and the service authorization reference. A type that has no schema is listed here.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from ministack.core.iam_evaluator import (  # type: ignore[import-untyped]  # ships no types
    EvalContext,
    evaluate,
    parse_policy_document,
)

from pipeline.bootstrap.plan import DELIVERY_BUS, Account
from pipeline.bootstrap.policies import Document

_SCHEMAS = "data/schemas/resources"
_REFERENCE = "data/AdditionalSpecs/Policies.json"

NOT_GRANTED: Mapping[str, Mapping[str, str]] = json.loads(
    Path(__file__).with_name("not_granted.json").read_text(encoding="utf-8")
)
"""Resource type (or `*`) → action pattern → why the templates never make CloudFormation call it."""

_WITHOUT_SCHEMA: Mapping[str, Sequence[str]] = {
    # https://docs.aws.amazon.com/service-authorization/latest/reference/list_awscodebuild.html
    "AWS::CodeBuild::Project": (
        "codebuild:BatchGetProjects",
        "codebuild:CreateProject",
        "codebuild:DeleteProject",
        "codebuild:UpdateProject",
        "iam:PassRole",
    ),
}

_BEYOND_SCHEMA: Mapping[str, Sequence[str]] = {
    # https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-logging.html
    "AWS::ApiGatewayV2::Stage": (
        *("logs:CreateLogDelivery", "logs:DeleteLogDelivery", "logs:DescribeResourcePolicies", "logs:GetLogDelivery"),
        *("logs:ListLogDeliveries", "logs:PutResourcePolicy", "logs:UpdateLogDelivery"),
    ),
    # https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/standard-logging.html
    "AWS::Logs::DeliverySource": ("cloudfront:AllowVendedLogDeliveryForResource",),
    # The schema has the older prefix alone.
    "AWS::CodePipeline::Pipeline": ("codeconnections:PassConnection",),
    # https://docs.aws.amazon.com/secretsmanager/latest/userguide/security-encryption.html
    "AWS::SecretsManager::Secret": ("kms:Decrypt", "kms:GenerateDataKey"),
}

_PASSED_TO = {
    "AWS::ApiGateway::": "apigateway.amazonaws.com",
    "AWS::Backup::": "backup.amazonaws.com",
    "AWS::CodeBuild::": "codebuild.amazonaws.com",
    "AWS::CodeDeploy::": "codedeploy.amazonaws.com",
    "AWS::CodePipeline::": "codepipeline.amazonaws.com",
    "AWS::Events::": "events.amazonaws.com",
    "AWS::Lambda::": "lambda.amazonaws.com",
}

_BOOTSTRAP_TAG = "iam:ResourceTag/aws-cdk:bootstrap-role"

_RANDOM = "1A2B3C4D5E6F"
"""What CloudFormation puts at the end of the names that it makes."""


@dataclass(frozen=True)
class Resource:
    """A resource of a template, with the name that it has or will have.

    Attributes:
        stack: name of its stack.
        logical_id: its id in the template.
        type_name: such as `AWS::SQS::Queue`.
        properties: as they stand in the template.
        physical_id: what CloudFormation calls it, when it exists already. Default: what it would be called.
    """

    stack: str
    logical_id: str
    type_name: str
    properties: Mapping[str, Any] = field(repr=False, hash=False)
    physical_id: str | None = None

    @property
    def name(self) -> str:
        """Its name, or the last part of its ARN or URL."""
        if self.physical_id is not None:
            return _name_in(self.physical_id, self.type_name)
        return next((text for text in self._literal_names()), self._made_up())

    def _literal_names(self) -> Iterator[str]:
        kind = self.type_name.rpartition("::")[2]
        for key in (f"{kind}Name", "AliasName", "BucketName", "TopicName", "DashboardName", "Name"):
            value = self.properties.get(key)
            if isinstance(value, str) and self.type_name not in {"AWS::Lambda::Alias", "AWS::ApiGateway::RestApi"}:
                yield value
        if isinstance(self.properties.get("LogGroupName"), dict):
            # The one log group whose name AWS dictates holds the id of its API.
            yield re.sub(r"\{.*?\}", "id", "".join(map(str, self.properties["LogGroupName"]["Fn::Join"][1])))

    def _made_up(self) -> str:
        if self.type_name in {
            *("AWS::SecretsManager::Secret", "AWS::Lambda::LayerVersion", "AWS::CodeBuild::Project"),
        }:
            return f"{self.logical_id}-{_RANDOM}"
        name = f"{self.stack}-{self.logical_id}-{_RANDOM}"
        return name.lower() if self.type_name == "AWS::S3::Bucket" else name


@dataclass(frozen=True, order=True)
class Missing:
    """An action that CloudFormation will call, and the policies do not allow."""

    stack: str
    type_name: str
    action: str
    resource: str

    def __str__(self) -> str:
        return f"{self.stack}: {self.type_name} needs {self.action} on {self.resource}"


def resources(assembly: Path, account: Account) -> list[Resource]:
    """Every resource that the stacks of an assembly put into an account.

    Args:
        assembly: a folder that `cdk synth` wrote; nested assemblies count.
        account: the account.
    """
    found = []
    for manifest in sorted(assembly.rglob("manifest.json")):
        artifacts = json.loads(manifest.read_text(encoding="utf-8"))["artifacts"]
        for artifact in artifacts.values():
            if artifact["type"] != "aws:cloudformation:stack" or f"//{account.account}/" not in artifact["environment"]:
                continue
            stack = artifact["properties"]["stackName"]
            body = json.loads((manifest.parent / artifact["properties"]["templateFile"]).read_text(encoding="utf-8"))
            found += [
                Resource(stack, logical_id, resource["Type"], resource.get("Properties", {}))
                for logical_id, resource in body["Resources"].items()
            ]
    return found


def missing(
    found: Iterable[Resource],
    account: Account,
    documents: Sequence[Document],
    *,
    limit: Document,
    permissions_boundary: str,
    qualifier: str,
) -> list[Missing]:
    """What CloudFormation would be refused.

    Args:
        found: the resources to create, read, update and delete.
        account: where they are.
        documents: the execution policies.
        limit: the execution role's permissions boundary.
        permissions_boundary: name of the boundary that roles must carry.
        qualifier: of the bootstrap stack.
    """
    policies = [parse_policy_document(document) for document in documents]
    boundary = [parse_policy_document(limit)]
    arn = account.policy_arn(permissions_boundary)
    refused: set[Missing] = set()
    for resource in found:
        context = _context(resource, account, arn)
        for action in needed(resource.type_name):
            candidates = _arns(resource, action, account, qualifier)
            allowed = any(
                evaluate(_request(account, action, candidate, context), policies, boundary).decision == "Allow"
                for candidate in candidates
            )
            if not allowed:
                refused.add(Missing(resource.stack, resource.type_name, action, candidates[0]))
    return sorted(refused)


@cache
def needed(type_name: str) -> tuple[str, ...]:
    """Actions that CloudFormation calls for a type, but for those that `not_granted.json` gives a reason against.

    Args:
        type_name: such as `AWS::SQS::Queue`.

    Raises:
        LookupError: CloudFormation's registry has no handlers for the type, and none are listed here.
    """
    patterns = [*NOT_GRANTED["*"], *NOT_GRANTED.get(type_name, ())]
    return tuple(
        action for action in listed(type_name) if not any(fnmatchcase(action, pattern) for pattern in patterns)
    )


def listed(type_name: str) -> tuple[str, ...]:
    """Every action that CloudFormation may call for a type.

    Args:
        type_name: such as `AWS::SQS::Queue`.

    Raises:
        LookupError: CloudFormation's registry has no handlers for the type, and none are listed here.
    """
    if type_name.startswith("Custom::") or type_name == "AWS::CloudFormation::CustomResource":
        return ("lambda:InvokeFunction",)
    actions = set(_WITHOUT_SCHEMA.get(type_name) or _handlers().get(type_name, ()))
    if not actions:
        raise LookupError(f"{type_name}: no handlers in the registry; list its actions in pipeline/bootstrap")
    return tuple(sorted(actions | set(_BEYOND_SCHEMA.get(type_name, ()))))


def has_resource_level(action: str) -> bool:
    """Whether IAM checks an action on a resource; one that is not is allowed on `*`, or not at all.

    Args:
        action: such as `sqs:ListQueues`. One that the service authorization reference does not have counts as checked.
    """
    service, _, name = action.lower().partition(":")
    known = _reference().get(service, {}).get("Actions", {}).get(name)
    return known is None or bool(known.get("Resources"))


def statements(found: Iterable[Resource]) -> list[Document]:
    """What the roles of the stacks are given: the statements of their policies, inline and managed."""
    given: list[Document] = []
    for resource in found:
        documents = []
        if resource.type_name in {"AWS::IAM::ManagedPolicy", "AWS::IAM::Policy"}:
            documents = [resource.properties["PolicyDocument"]]
        elif resource.type_name == "AWS::IAM::Role":
            documents = [policy["PolicyDocument"] for policy in resource.properties.get("Policies", [])]
        given += [statement for document in documents for statement in _list(document["Statement"])]
    return given


def beyond_boundary(given: Iterable[Document], boundary: Document, account: Account) -> list[str]:
    """Actions that a role is given and its permissions boundary takes away again.

    Args:
        given: statements of the role's policies; a resource that is not plain text counts as any of its account.
        boundary: the permissions boundary.
        account: where the role is.
    """
    limit = [parse_policy_document(boundary)]
    taken = set()
    for statement in given:
        # Only the bootstrap's own roles carry this tag, and every boundary that allows AssumeRole allows those.
        if statement["Effect"] != "Allow" or _BOOTSTRAP_TAG in json.dumps(statement.get("Condition", {})):
            continue
        # What the statement asks of a call, the call has.
        context = {
            key.lower(): value
            for operator, keys in statement.get("Condition", {}).items()
            if operator in {"Bool", "StringEquals"}
            for key, value in keys.items()
        }
        for action in _list(statement["Action"]):
            # A wildcard is beyond the boundary unless the boundary has that very wildcard or a wider one.
            plain = action.replace("*", "Any")
            for resource in _list(statement.get("Resource", "*")):
                arn = resource if isinstance(resource, str) else _resolve(resource, account)
                if evaluate(_request(account, plain, arn, context), limit).decision != "Allow":
                    taken.add(f"{action} on {arn}")
    return sorted(taken)


@cache
def _handlers() -> dict[str, tuple[str, ...]]:
    schemas = files("cfnlint").joinpath(_SCHEMAS)
    found: dict[str, tuple[str, ...]] = {}
    for file in sorted(schemas.iterdir(), key=lambda each: each.name):
        if not file.name.endswith(".json"):
            continue
        schema = json.loads(file.read_text(encoding="utf-8"))
        actions = {
            action for handler in schema.get("handlers", {}).values() for action in handler.get("permissions", [])
        }
        found[schema["typeName"]] = tuple(sorted({*actions, *found.get(schema["typeName"], ())}))
    return found


@cache
def _reference() -> Mapping[str, Any]:
    found: Mapping[str, Any] = json.loads(files("cfnlint").joinpath(_REFERENCE).read_text(encoding="utf-8"))
    return found


def _request(account: Account, action: str, arn: str, context: Mapping[str, Any]) -> EvalContext:
    region = account.regions[0]
    return EvalContext(
        principal_arn=f"arn:{account.partition}:sts::{account.account}:assumed-role/execution/CloudFormation",
        principal_type="AssumedRole",
        principal_account=account.account,
        action=action,
        resource_arn=arn,
        region=region,
        service_context=dict(context),
    )


def _context(resource: Resource, account: Account, boundary: str) -> dict[str, Any]:
    """The condition keys that a call for this resource carries."""
    region = account.regions[0]
    given = resource.properties.get("PermissionsBoundary") if resource.type_name == "AWS::IAM::Role" else boundary
    return {
        "iam:permissionsboundary": given,
        "iam:policyarn": account.policy_arn(f"{resource.stack}-Policy-{_RANDOM}"),
        "iam:passedtoservice": next(
            (service for prefix, service in _PASSED_TO.items() if resource.type_name.startswith(prefix)), None
        ),
        "iam:awsservicename": "dynamodb.application-autoscaling.amazonaws.com",
        "kms:viaservice": f"lambda.{region}.amazonaws.com",
        "kms:grantisforawsresource": "true",
        "lambda:functionarn": f"arn:{account.partition}:lambda:{region}:{account.account}:function:{resource.stack}-F",
    }


def _arns(resource: Resource, action: str, account: Account, qualifier: str) -> list[str]:
    """What the action is called on: the resource itself, or what it goes with."""
    if not has_resource_level(action):
        return ["*"]
    service = action.partition(":")[0]
    region, number = account.regions[0], account.account
    own = f"arn:{account.partition}:{service}:{region}:{number}"
    everywhere = f"arn:{account.partition}:{service}::{number}"
    name = resource.name
    stack = f"{resource.stack}-Other-{_RANDOM}"
    kind = resource.type_name.rpartition("::")[2]
    table: dict[str, list[str]] = {
        "apigateway": _api_arns(kind, f"arn:{account.partition}:apigateway:{region}::"),
        "application-autoscaling": [f"{own}:scalable-target/0123"],
        "backup": [f"{own}:backup-vault:{name}" if kind == "BackupVault" else f"{own}:backup-plan:0a1b"],
        "cloudfront": [f"{everywhere}:{_hyphens(kind) if 'CloudFront' in resource.type_name else 'distribution'}/E123"],
        "cloudwatch": [
            f"{own}:alarm:TargetTracking-table/{stack}"
            if kind in {"ScalableTarget", "ScalingPolicy"}
            else f"{everywhere}:dashboard/{name}"
            if kind == "Dashboard"
            else f"{own}:alarm:{name}"
        ],
        "codebuild": [f"{own}:project/{name}"],
        "codeconnections": [f"{own}:connection/{{}}"],
        "codestar-connections": [f"{own}:connection/{{}}"],
        "codedeploy": [
            f"{own}:deploymentconfig:CodeDeployDefault.LambdaAllAtOnce"
            if action == "codedeploy:GetDeploymentConfig"
            else f"{own}:application:{name if kind == 'Application' else stack}"
            if "Application" in action
            else f"{own}:deploymentgroup:{stack}/{name}"
        ],
        "codepipeline": [f"{own}:{name}"],
        "cognito-idp": [f"{own}:userpool/{region}_0a1b"],
        "dynamodb": [f"{own}:table/{name}"],
        "events": [f"{own}:{_event_path(resource)}"],
        "kms": [f"{own}:{name}" if action.endswith("Alias") and kind == "Alias" else f"{own}:key/0a1b"],
        "lambda": [_lambda_arn(kind, action, own, name, stack)],
        "logs": [
            f"{own}:log-group:{name}" if kind == "LogGroup" else f"{own}:{_hyphens(kind)}:{name}",
        ],
        "route53": [
            str(resource.properties.get("HostedZoneId", "none")).join(
                (f"arn:{account.partition}:route53:::hostedzone/", "")
            )
        ],
        "s3": [
            f"arn:{account.partition}:s3:::{name}"
            if resource.type_name == "AWS::S3::Bucket"
            else f"arn:{account.partition}:s3:::{_bucket_of(resource)}"
            if resource.type_name == "AWS::S3::BucketPolicy"
            else f"arn:{account.partition}:s3:::cdk-{qualifier}-assets-{number}-{region}/0a1b.zip"
        ],
        "secretsmanager": [f"{own}:secret:{name}"],
        "sns": [f"{own}:{name if kind == 'Topic' else stack}"],
        "sqs": [f"{own}:{name if kind == 'Queue' else stack}"],
        "wafv2": [f"{own}:regional/webacl/{name}/0a1b"],
        "iam": [_iam_arn(action, everywhere, kind, name, stack)],
    }
    if service in {"codeconnections", "codestar-connections"}:
        return _connections(resource, service) or [f"{own}:connection/none"]
    if service not in table:
        return [f"{own}:{name}"]
    return table[service]


def _api_arns(kind: str, own: str) -> list[str]:
    if kind == "Account":
        return [f"{own}/account"]
    paths = {"WebACLAssociation": "restapis/a1b2/stages/live", "ApiKey": "apikeys/a1b2"}
    paths |= dict.fromkeys(("UsagePlan", "UsagePlanKey"), "usageplans/a1b2")
    paths |= dict.fromkeys(("Api", "Authorizer", "Integration", "Route"), "apis/a1b2")
    return [f"{own}/{paths.get(kind, 'restapis/a1b2')}"]


def _lambda_arn(kind: str, action: str, own: str, name: str, stack: str) -> str:
    if "LayerVersion" in action:
        return f"{own}:layer:{name}:1"
    if kind == "EventSourceMapping":
        return f"{own}:event-source-mapping:0a1b"
    return f"{own}:function:{name if kind == 'Function' else stack}"


def _event_path(resource: Resource) -> str:
    kind = resource.type_name.rpartition("::")[2]
    if kind == "EventBus":
        return f"event-bus/{resource.name}"
    # There is one bus of our own, and a template refers to it by its id.
    bus = resource.properties.get("EventBusName")
    bus = DELIVERY_BUS if isinstance(bus, dict) else bus
    if kind == "EventBusPolicy":
        return f"event-bus/{bus or 'default'}"
    return f"rule/{bus}/{resource.name}" if bus else f"rule/{resource.name}"


def _iam_arn(action: str, everywhere: str, kind: str, name: str, stack: str) -> str:
    if action == "iam:CreateServiceLinkedRole":
        return f"{everywhere}:role/aws-service-role/any/Any"
    if kind == "ManagedPolicy" and "Role" not in action:
        return f"{everywhere}:policy/{name}"
    return f"{everywhere}:role/{name if kind == 'Role' and action != 'iam:PassRole' else stack}"


def _connections(resource: Resource, service: str) -> list[str]:
    """ARNs of the connections that a pipeline names."""
    text = json.dumps(resource.properties)
    found = re.findall(r"arn:[\w-]+:(?:codeconnections|codestar-connections):([^\"]+:connection/[^\"]+)", text)
    partition = "aws"
    return [f"arn:{partition}:{service}:{tail}" for tail in found]


def _bucket_of(policy: Resource) -> str:
    if policy.physical_id is not None:
        return policy.name
    bucket = policy.properties["Bucket"]
    if isinstance(bucket, str):
        return bucket
    # The bucket stands in the same stack, and every bucket of an environment has its name from P5.
    return f"{policy.stack}-bucket".lower() if policy.stack.startswith("slipway") else "cf-serverless-0a1b2c3d"


def _hyphens(kind: str) -> str:
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "-", kind).lower()


def _name_in(physical_id: str, type_name: str) -> str:
    if type_name == "AWS::KMS::Alias":
        return physical_id
    if type_name == "AWS::Lambda::LayerVersion":
        return physical_id.split(":")[6]
    if physical_id.startswith("arn:"):
        return (
            re.split(r"[:/]", physical_id, maxsplit=5)[5].split(":")[-1].removeprefix("policy/").removeprefix("role/")
        )
    # A rule on another bus than the default one is called `bus|rule`.
    return physical_id.rpartition("/")[2] if physical_id.startswith("http") else physical_id.rpartition("|")[2]


def _resolve(value: Any, account: Account) -> str:
    """An intrinsic function as text, as well as it is known before the stack stands."""
    match value:
        case str():
            return value
        case {"Ref": "AWS::Partition"}:
            return account.partition
        case {"Ref": "AWS::AccountId"}:
            return account.account
        case {"Ref": "AWS::Region"}:
            return account.regions[0]
        case {"Fn::Join": [glue, parts]}:
            return str(glue).join(_resolve(part, account) for part in parts)
        case {"Fn::Sub": str() as text}:
            known = {
                "AWS::Partition": account.partition,
                "AWS::AccountId": account.account,
                "AWS::Region": account.regions[0],
            }
            return re.sub(r"\$\{([^}]+)\}", lambda match: known.get(match[1], "any"), text)
        case {"Fn::GetAtt": [str() as logical_id, "Arn"]} if "Role" in logical_id:
            return f"arn:{account.partition}:iam::{account.account}:role/slipway-pipeline-{logical_id}"
        case _:
            return "arn:any"


def _list(value: Any) -> list[Any]:
    return list(value) if isinstance(value, list) else [value]
