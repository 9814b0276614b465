"""Check that the policies cover the templates, and that no boundary blocks them.

A resource type's schema in CloudFormation's registry lists the actions that CloudFormation calls
(`handlers.*.permissions`); cfn-lint contains those schemas, and the service authorization reference. Types without a
schema are listed here.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from ministack.core.iam_evaluator import (
    EvalContext,
    evaluate,
    parse_policy_document,
)

from slipway.accounts.bootstrap.assembly import RANDOM, NamedResource, resolve
from slipway.accounts.bootstrap.plan import Account
from slipway.accounts.bootstrap.policies import Document
from slipway.delivery.names import delivery_bus, pipeline_stack

_SCHEMAS = "data/schemas/resources"
_REFERENCE = "data/AdditionalSpecs/Policies.json"

NOT_GRANTED: Mapping[str, Mapping[str, str]] = json.loads(
    Path(__file__).with_name("not_granted.json").read_text(encoding="utf-8")
)
"""Resource type (or `*`) → action pattern → reason why the templates never make CloudFormation call it."""

_WITHOUT_SCHEMA: Mapping[str, Sequence[str]] = {
    # https://docs.aws.amazon.com/service-authorization/latest/reference/list_awscodebuild.html
    "AWS::CodeBuild::Project": (
        "codebuild:BatchGetProjects",
        "codebuild:CreateProject",
        "codebuild:DeleteProject",
        "codebuild:UpdateProject",
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
    # The schema only has the older prefix.
    "AWS::CodePipeline::Pipeline": ("codeconnections:PassConnection",),
    # https://docs.aws.amazon.com/secretsmanager/latest/userguide/security-encryption.html
    "AWS::SecretsManager::Secret": ("kms:Decrypt", "kms:GenerateDataKey"),
    # Application Auto Scaling calls these on the caller's behalf before it accepts a target or a policy:
    # https://docs.aws.amazon.com/autoscaling/application/userguide/security_iam_id-based-policy-examples.html
    "AWS::ApplicationAutoScaling::ScalableTarget": ("dynamodb:DescribeTable", "dynamodb:UpdateTable"),
    "AWS::ApplicationAutoScaling::ScalingPolicy": (
        *("cloudwatch:DeleteAlarms", "cloudwatch:DescribeAlarms", "cloudwatch:PutMetricAlarm"),
        *("dynamodb:DescribeTable", "dynamodb:UpdateTable"),
    ),
}

_VALIDATED_WITHOUT_NAME: Mapping[str, frozenset[str]] = {
    # "We call the PutMetricAlarm API without any parameters": no policy on the names of alarms allows that.
    # https://docs.aws.amazon.com/autoscaling/application/userguide/security_iam_permission_validation.html
    "AWS::ApplicationAutoScaling::": frozenset({"cloudwatch:DeleteAlarms", "cloudwatch:PutMetricAlarm"}),
}
"""Prefix of a type → actions that are also called without a resource, to check the caller's permission."""

_PASSED_TO = {
    "AWS::ApiGateway::": "apigateway.amazonaws.com",
    "AWS::AppConfig::": "appconfig.amazonaws.com",
    # https://docs.aws.amazon.com/aws-managed-policy/latest/reference/AmazonDynamoDBFullAccess.html
    "AWS::ApplicationAutoScaling::": "application-autoscaling.amazonaws.com",
    "AWS::Backup::": "backup.amazonaws.com",
    "AWS::CodeBuild::": "codebuild.amazonaws.com",
    "AWS::CodeDeploy::": "codedeploy.amazonaws.com",
    "AWS::CodePipeline::": "codepipeline.amazonaws.com",
    "AWS::Events::": "events.amazonaws.com",
    "AWS::FIS::": "fis.amazonaws.com",
    "AWS::Lambda::": "lambda.amazonaws.com",
    "AWS::Scheduler::": "scheduler.amazonaws.com",
}

_LINKED_TO = {
    # https://docs.aws.amazon.com/aws-backup/latest/devguide/using-service-linked-roles.html
    "AWS::Backup::RestoreTesting": "restore-testing.backup.amazonaws.com",
    "AWS::Backup::": "backup.amazonaws.com",
}
"""Prefix of a type → the service whose service-linked role is created for it, if no property names that role."""

_PASSING = "iam:PassRole"

_BOOTSTRAP_TAG = "iam:ResourceTag/aws-cdk:bootstrap-role"


@dataclass(frozen=True, order=True)
class Missing:
    """An action that CloudFormation will call but the policies don't allow."""

    stack: str
    type_name: str
    action: str
    resource: str

    def __str__(self) -> str:
        return f"{self.stack}: {self.type_name} needs {self.action} on {self.resource}"


def missing(
    found: Iterable[NamedResource],
    account: Account,
    documents: Sequence[Document],
    *,
    limit: Document,
    permissions_boundary: str,
    qualifier: str,
) -> list[Missing]:
    """Return the actions that CloudFormation would be denied.

    Args:
        found: The resources to create, read, update and delete, with the roles that their properties pass to a service.
        account: The account that they are in.
        documents: The execution policies.
        limit: The execution role's permissions boundary.
        permissions_boundary: Name of the boundary that roles must carry.
        qualifier: Qualifier of the bootstrap stack.
    """
    policies = [parse_policy_document(document) for document in documents]
    boundary = [parse_policy_document(limit)]
    arn = account.policy_arn(permissions_boundary)
    refused: set[Missing] = set()
    for resource in found:
        context = _context(resource, account, arn)
        for action, target in _calls(resource, account, qualifier):
            request = _request(account, _region(resource, account), action, target, context)
            if evaluate(request, policies, boundary).decision != "Allow":
                refused.add(Missing(resource.stack, resource.type_name, action, target))
    return sorted(refused)


@cache
def needed(type_name: str) -> tuple[str, ...]:
    """Return the actions that CloudFormation calls for a type, without those that `not_granted.json` excludes.

    `iam:PassRole` is excluded: the properties determine which roles are passed (`Resource.passed`).

    Args:
        type_name: Such as `AWS::SQS::Queue`.

    Raises:
        LookupError: CloudFormation's registry has no handlers for the type, and none are listed here.
    """
    patterns = [*NOT_GRANTED["*"], *NOT_GRANTED.get(type_name, ())]
    return tuple(
        action for action in listed(type_name) if not any(fnmatchcase(action, pattern) for pattern in patterns)
    )


def listed(type_name: str) -> tuple[str, ...]:
    """Return every action that CloudFormation may call for a type.

    Args:
        type_name: Such as `AWS::SQS::Queue`.

    Raises:
        LookupError: CloudFormation's registry has no handlers for the type, and none are listed here.
    """
    if type_name.startswith("Custom::") or type_name == "AWS::CloudFormation::CustomResource":
        return ("lambda:InvokeFunction",)
    actions = set(_WITHOUT_SCHEMA.get(type_name) or _handlers().get(type_name, ()))
    if not actions:
        raise LookupError(f"{type_name}: no handlers in the registry; list its actions in slipway.accounts.bootstrap")
    return tuple(sorted((actions | set(_BEYOND_SCHEMA.get(type_name, ()))) - {_PASSING}))


def has_resource_level(action: str) -> bool:
    """Return True if IAM checks an action on a resource; any other can only be allowed on `*`.

    Args:
        action: Such as `sqs:ListQueues`. An action missing from the service authorization reference counts as checked.
    """
    service, _, name = action.lower().partition(":")
    known = _reference().get(service, {}).get("Actions", {}).get(name)
    return known is None or bool(known.get("Resources"))


def statements(found: Iterable[NamedResource]) -> list[Document]:
    """Return the statements of the stacks' roles, from inline and managed policies."""
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
    """Return the actions that a role is granted but its permissions boundary blocks.

    Args:
        given: Statements of the role's policies; a resource that isn't plain text counts as every resource of the
            account.
        boundary: The permissions boundary.
        account: The account of the role.
    """
    limit = [parse_policy_document(boundary)]
    taken = set()
    for statement in given:
        # Only the bootstrap's own roles have this tag, and every boundary that allows AssumeRole allows those.
        if statement["Effect"] != "Allow" or _BOOTSTRAP_TAG in json.dumps(statement.get("Condition", {})):
            continue
        # The call is assumed to meet the statement's conditions.
        context = {
            key.lower(): value
            for operator, keys in statement.get("Condition", {}).items()
            if operator in {"Bool", "StringEquals"}
            for key, value in keys.items()
        }
        for action in _list(statement["Action"]):
            # A wildcard exceeds the boundary unless the boundary has the same wildcard or a wider one.
            plain = action.replace("*", "Any")
            for resource in _list(statement.get("Resource", "*")):
                arn = resource if isinstance(resource, str) else _any_of(resource, account)
                request = _request(account, account.regions[0], plain, arn, context)
                if evaluate(request, limit).decision != "Allow":
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


def _calls(resource: NamedResource, account: Account, qualifier: str) -> Iterator[tuple[str, str]]:
    """Yield each action called for a resource, with the resource that it is called on."""
    for action in needed(resource.type_name):
        yield from ((action, arn) for arn in _arns(resource, action, account, qualifier))
        if any(resource.type_name.startswith(each) and action in of for each, of in _VALIDATED_WITHOUT_NAME.items()):
            yield action, "*"
    yield from _calls_for_layers(resource, account)
    for role in resource.passed:
        yield _PASSING, role


_PARAMETER = re.compile(r"\{\{resolve:ssm:([^:}]+)")


def _calls_for_layers(resource: NamedResource, account: Account) -> Iterator[tuple[str, str]]:
    """Yield the calls for layers of AWS whose versions are in public parameters.

    https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/dynamic-references-ssm.html
    """
    layers = resource.properties.get("Layers", []) if resource.type_name == "AWS::Lambda::Function" else []
    for layer in layers:
        if (found := _PARAMETER.match(str(layer))) is not None:
            region = _region(resource, account)
            yield "ssm:GetParameters", f"arn:{account.partition}:ssm:{region}::parameter{found[1]}"
            # The second-to-last part of the parameter's name is the layer's name, in capitals.
            name = found[1].split("/")[-2].lower()
            yield "lambda:GetLayerVersion", f"arn:{account.partition}:lambda:{region}:123456789012:layer:{name}:1"


def _region(resource: NamedResource, account: Account) -> str:
    return resource.region or account.regions[0]


def _request(account: Account, region: str, action: str, arn: str, context: Mapping[str, Any]) -> EvalContext:
    return EvalContext(
        principal_arn=f"arn:{account.partition}:sts::{account.account}:assumed-role/execution/CloudFormation",
        principal_type="AssumedRole",
        principal_account=account.account,
        action=action,
        resource_arn=arn,
        region=region,
        service_context=dict(context),
    )


def _context(resource: NamedResource, account: Account, boundary: str) -> dict[str, Any]:
    """Return the condition keys of a call for this resource."""
    region = _region(resource, account)
    # A role that a service creates for itself is identified by its path.
    linked = [role.split("/")[2] for role in resource.passed if "/aws-service-role/" in role]
    given = resource.properties.get("PermissionsBoundary") if resource.type_name == "AWS::IAM::Role" else boundary
    return {
        "iam:permissionsboundary": given,
        "iam:policyarn": account.policy_arn(f"{resource.stack}-Policy-{RANDOM}"),
        "iam:passedtoservice": _of_type(_PASSED_TO, resource),
        "iam:awsservicename": linked[0] if linked else _of_type(_LINKED_TO, resource),
        "kms:viaservice": f"lambda.{region}.amazonaws.com",
        "kms:grantisforawsresource": "true",
        "lambda:functionarn": f"arn:{account.partition}:lambda:{region}:{account.account}:function:{resource.stack}-F",
    }


def _of_type(by_prefix: Mapping[str, str], resource: NamedResource) -> str | None:
    return next((value for prefix, value in by_prefix.items() if resource.type_name.startswith(prefix)), None)


@dataclass(frozen=True)
class _Call:
    """A call on a resource or on one related to it, and the parts of its ARN."""

    resource: NamedResource
    action: str
    account: Account
    qualifier: str

    @property
    def service(self) -> str:
        return self.action.partition(":")[0]

    @property
    def region(self) -> str:
        return _region(self.resource, self.account)

    @property
    def own(self) -> str:
        """Prefix of the service's ARNs in the account and region."""
        return f"arn:{self.account.partition}:{self.service}:{self.region}:{self.account.account}"

    @property
    def everywhere(self) -> str:
        """Prefix of the service's ARNs without a region."""
        return f"arn:{self.account.partition}:{self.service}::{self.account.account}"

    @property
    def name(self) -> str:
        return self.resource.name

    @property
    def stack(self) -> str:
        """Name of a related resource in the same stack."""
        return f"{self.resource.stack}-Other-{RANDOM}"

    @property
    def kind(self) -> str:
        return self.resource.type_name.rpartition("::")[2]

    def named(self, kind: str) -> str:
        """Return the resource's name if it is of this kind, otherwise the name of a related one."""
        return self.name if self.kind == kind else self.stack


def _arns(resource: NamedResource, action: str, account: Account, qualifier: str) -> list[str]:
    """Return the ARNs that the action is called on: the resource itself, or a related one."""
    if not has_resource_level(action):
        return ["*"]
    call = _Call(resource, action, account, qualifier)
    arns = _ARNS.get(call.service)
    return arns(call) if arns else [f"{call.own}:{call.name}"]


def _api_arns(call: _Call) -> list[str]:
    own = f"arn:{call.account.partition}:apigateway:{call.region}::"
    if call.kind == "Account":
        return [f"{own}/account"]
    paths = {"WebACLAssociation": "restapis/a1b2/stages/live", "ApiKey": "apikeys/a1b2"}
    paths |= dict.fromkeys(("UsagePlan", "UsagePlanKey"), "usageplans/a1b2")
    paths |= dict.fromkeys(("Api", "Authorizer", "Integration", "Route"), "apis/a1b2")
    return [f"{own}/{paths.get(call.kind, 'restapis/a1b2')}"]


def _flag_arns(call: _Call) -> list[str]:
    """Return the ARNs of an application and of its parts; a deployment strategy belongs to no application."""
    strategy, application = f"{call.own}:deploymentstrategy/a1b2c3d", f"{call.own}:application/a1b2c3d"
    if call.action.endswith("DeploymentStrategy"):
        return [strategy]
    inside = [f"{application}/environment/a1b2c3d", f"{application}/configurationprofile/a1b2c3d"]
    return [strategy, application, *inside]


def _backup_arns(call: _Call) -> list[str]:
    if call.kind == "BackupVault":
        return [f"{call.own}:backup-vault:{call.name}"]
    restores = call.kind.startswith("RestoreTesting")
    return [f"{call.own}:restore-testing-plan:{call.name}" if restores else f"{call.own}:backup-plan:0a1b"]


def _edge_arns(call: _Call) -> list[str]:
    kind = _hyphens(call.kind) if "CloudFront" in call.resource.type_name else "distribution"
    return [f"{call.everywhere}:{kind}/E123"]


def _alarm_arns(call: _Call) -> list[str]:
    if call.kind in {"ScalableTarget", "ScalingPolicy"}:
        return [f"{call.own}:alarm:TargetTracking-table/{call.stack}"]
    dashboard = call.kind == "Dashboard"
    return [f"{call.everywhere}:dashboard/{call.name}" if dashboard else f"{call.own}:alarm:{call.name}"]


def _deployment_arns(call: _Call) -> list[str]:
    if call.action.endswith("DeploymentConfig"):
        custom = call.kind == "DeploymentConfig"
        return [f"{call.own}:deploymentconfig:{call.name if custom else _deployment_config(call.resource)}"]
    if "Application" in call.action:
        return [f"{call.own}:application:{call.named('Application')}"]
    return [f"{call.own}:deploymentgroup:{call.stack}/{call.name}"]


def _experiment_arns(call: _Call) -> list[str]:
    """Return the ARNs of a template; creating one is also a call on its actions.

    https://docs.aws.amazon.com/service-authorization/latest/reference/list_fis.html
    """
    creates = call.action == "fis:CreateExperimentTemplate"
    actions = [f"{call.own}:action/aws:lambda:invocation-error"] if creates else []
    return [f"{call.own}:experiment-template/EXT123", *actions]


def _key_arns(call: _Call) -> list[str]:
    alias = call.action.endswith("Alias") and call.kind == "Alias"
    return [f"{call.own}:{call.name}" if alias else f"{call.own}:key/0a1b"]


def _function_arns(call: _Call) -> list[str]:
    if "LayerVersion" in call.action:
        return [f"{call.own}:layer:{call.name}:1"]
    if call.kind == "EventSourceMapping":
        return [f"{call.own}:event-source-mapping:0a1b"]
    return [f"{call.own}:function:{call.named('Function')}"]


def _log_arns(call: _Call) -> list[str]:
    kind = "log-group" if call.kind == "LogGroup" else _hyphens(call.kind)
    return [f"{call.own}:{kind}:{call.name}"]


def _zone_arns(call: _Call) -> list[str]:
    zone = call.resource.properties.get("HostedZoneId", "none")
    return [f"arn:{call.account.partition}:route53:::hostedzone/{zone}"]


def _bucket_arns(call: _Call) -> list[str]:
    head = f"arn:{call.account.partition}:s3:::"
    if call.resource.type_name == "AWS::S3::Bucket":
        return [f"{head}{call.name}"]
    if call.resource.type_name == "AWS::S3::BucketPolicy":
        return [f"{head}{_bucket_of(call.resource, call.account)}"]
    return [f"{head}cdk-{call.qualifier}-assets-{call.account.account}-{call.region}/0a1b.zip"]


def _identity_arns(call: _Call) -> list[str]:
    if call.action == "iam:CreateServiceLinkedRole":
        return [f"{call.everywhere}:role/aws-service-role/any/Any"]
    if call.kind == "ManagedPolicy" and "Role" not in call.action:
        return [f"{call.everywhere}:policy/{call.name}"]
    itself = call.kind == "Role" and call.action != "iam:PassRole"
    return [f"{call.everywhere}:role/{call.name if itself else call.stack}"]


def _connection_arns(call: _Call) -> list[str]:
    """Return the ARNs of the connections that a pipeline names."""
    text = json.dumps(call.resource.properties)
    found = re.findall(r"arn:[\w-]+:(?:codeconnections|codestar-connections):([^\"]+:connection/[^\"]+)", text)
    return [f"arn:{call.account.partition}:{call.service}:{tail}" for tail in found]


_ARNS: Mapping[str, Callable[[_Call], list[str]]] = {
    "apigateway": _api_arns,
    "appconfig": _flag_arns,
    "application-autoscaling": lambda call: [f"{call.own}:scalable-target/0123"],
    "backup": _backup_arns,
    "cloudfront": _edge_arns,
    "cloudwatch": _alarm_arns,
    "codebuild": lambda call: [f"{call.own}:project/{call.name}"],
    "codeconnections": _connection_arns,
    "codedeploy": _deployment_arns,
    "codestar-connections": _connection_arns,
    "cognito-idp": lambda call: [f"{call.own}:userpool/{call.region}_0a1b"],
    "dynamodb": lambda call: [f"{call.own}:table/{call.name}"],
    "events": lambda call: [f"{call.own}:{_event_path(call.resource, call.account.app)}"],
    "fis": _experiment_arns,
    "iam": _identity_arns,
    "kms": _key_arns,
    "lambda": _function_arns,
    "logs": _log_arns,
    "route53": _zone_arns,
    "s3": _bucket_arns,
    "scheduler": lambda call: [f"{call.own}:schedule/default/{call.name}"],
    "secretsmanager": lambda call: [f"{call.own}:secret:{call.name}"],
    "sns": lambda call: [f"{call.own}:{call.named('Topic')}"],
    "sqs": lambda call: [f"{call.own}:{call.named('Queue')}"],
    # A web ACL of the edge is global; related resources do not say which web ACL they belong to.
    "wafv2": lambda call: [f"{call.own}:{scope}/webacl/{call.name}/0a1b" for scope in ("global", "regional")],
}


def _deployment_config(group: NamedResource) -> str:
    """Return the name of a group's deployment configuration; a custom one is named by its stack."""
    named = group.properties.get("DeploymentConfigName")
    return f"{group.stack}-Shift-{RANDOM}" if isinstance(named, dict) else "CodeDeployDefault.LambdaAllAtOnce"


def _event_path(resource: NamedResource, app: str) -> str:
    kind = resource.type_name.rpartition("::")[2]
    if kind == "EventBus":
        return f"event-bus/{resource.name}"
    # The only custom bus is ours, and a template refers to it by its id.
    bus = resource.properties.get("EventBusName")
    bus = delivery_bus(app) if isinstance(bus, dict) else bus
    if kind == "EventBusPolicy":
        return f"event-bus/{bus or 'default'}"
    return f"rule/{bus}/{resource.name}" if bus else f"rule/{resource.name}"


def _bucket_of(policy: NamedResource, account: Account) -> str:
    if policy.physical_id is not None:
        return policy.name
    bucket = policy.properties["Bucket"]
    if isinstance(bucket, str):
        return bucket
    # The bucket is in the same stack, and the buckets of an environment share a name prefix.
    of_pipeline = policy.stack.startswith(pipeline_stack(account.app))
    return f"{policy.stack}-bucket".lower() if of_pipeline else f"{account.bucket_prefix}-0a1b2c3d"


def _hyphens(kind: str) -> str:
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "-", kind).lower()


def _any_of(value: Any, account: Account) -> str:
    """Return the resource of a statement as text; anything but plain text covers the whole account."""
    match value:
        case {"Fn::GetAtt": [str() as logical_id, "Arn"]} if "Role" in logical_id:
            return f"arn:{account.partition}:iam::{account.account}:role/{pipeline_stack(account.app)}-{logical_id}"
        case {"Fn::Join": [glue, parts]}:
            return str(glue).join(_any_of(part, account) for part in parts)
    return resolve(value, account, account.regions[0]) or "arn:any"


def _list(value: Any) -> list[Any]:
    return list(value) if isinstance(value, list) else [value]
