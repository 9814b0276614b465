"""A planted change for each kind of finding, and the fix that avoids the finding."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from slipway.review.assembly import Assembly
from slipway.review.findings import Severity
from unit.review.assemblies import ACCOUNT, STRANGER, TOOLS, assembly, of, resource, stack

CRITICAL, HIGH, MEDIUM, LOW, INFO = Severity
Resources = dict[str, Any]


@dataclass(frozen=True)
class Case:
    """A planted change.

    Args:
        kind: Kind of the expected finding.
        severity: Expected severity.
        name: Short description of the change.
        before: The deployed assembly.
        after: The assembly with the planted change.
        fix: Correct version of the change, without a finding of that kind. Default: the reverse change, which
            tightens what the planted one loosens.
        has_file: Returns whether the commit has a file. Default: unknown.
        protected: Resource types that a stack policy protects. Default: none.
    """

    kind: str
    severity: Severity
    name: str
    before: Assembly
    after: Assembly
    fix: Assembly | None = None
    has_file: Callable[[str], bool] | None = None
    protected: frozenset[str] = frozenset()

    @property
    def id(self) -> str:
        return f"{self.kind}: {self.name}"


CASES: Final[list[Case]] = []


def _case(
    kind: str, severity: Severity, name: str, before: Resources, after: Resources, *, fix: Resources | None = None
) -> None:
    CASES.append(Case(kind, severity, name, of(before), of(after), of(fix) if fix is not None else None))


def _edited(resources: Resources, path: str, value: Any) -> Resources:
    """Return the resources with one value changed, given as `Table.Properties.TableName`; None deletes it."""
    edited = copy.deepcopy(resources)
    *way, last = path.split(".")
    place: Any = edited
    for part in way:
        place = place[int(part)] if isinstance(place, list) else place.setdefault(part, {})
    key: Any = int(last) if isinstance(place, list) else last
    if value is None:
        del place[key]
    else:
        place[key] = value
    return edited


def _set(  # noqa: PLR0917 - a row of a table
    kind: str, severity: Severity, name: str, resources: Resources, path: str, value: Any
) -> None:
    """Add a case in which one value changes; changing it back is the fix."""
    _case(kind, severity, name, resources, _edited(resources, path, value))


# A small service
# ---------------

TABLE = {
    "Table": resource(
        "AWS::DynamoDB::Table",
        {
            "AttributeDefinitions": [{"AttributeName": "id", "AttributeType": "S"}],
            "KeySchema": [{"AttributeName": "id", "KeyType": "HASH"}],
            "BillingMode": "PAY_PER_REQUEST",
            "DeletionProtectionEnabled": True,
            "PointInTimeRecoverySpecification": {"PointInTimeRecoveryEnabled": True},
            "SSESpecification": {"SSEEnabled": True, "KMSMasterKeyId": "arn:aws:kms:us-east-1:333333333333:key/one"},
            "StreamSpecification": {"StreamViewType": "NEW_AND_OLD_IMAGES"},
        },
        DeletionPolicy="Retain",
        UpdateReplacePolicy="Retain",
    )
}
KEY = {
    "Key": resource(
        "AWS::KMS::Key",
        {
            "EnableKeyRotation": True,
            "PendingWindowInDays": 30,
            "KeyPolicy": {
                "Statement": [
                    {
                        "Effect": "Allow",
                        "Action": "kms:*",
                        "Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:root"},
                        "Resource": "*",
                    }
                ]
            },
        },
    )
}
BUCKET = {
    "Bucket": resource(
        "AWS::S3::Bucket",
        {
            "BucketEncryption": {
                "ServerSideEncryptionConfiguration": [
                    {"ServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": "one"}}
                ]
            },
            "LoggingConfiguration": {"DestinationBucketName": "logs"},
            "OwnershipControls": {"Rules": [{"ObjectOwnership": "BucketOwnerEnforced"}]},
            "PublicAccessBlockConfiguration": {
                "BlockPublicAcls": True,
                "BlockPublicPolicy": True,
                "IgnorePublicAcls": True,
                "RestrictPublicBuckets": True,
            },
            "VersioningConfiguration": {"Status": "Enabled"},
            "LifecycleConfiguration": {
                "Rules": [{"Id": "old", "Status": "Enabled", "NoncurrentVersionExpiration": {"NoncurrentDays": 90}}]
            },
        },
    )
}


def role(*statements: Mapping[str, Any], trust: Mapping[str, Any] | None = None, **properties: Any) -> Resources:
    """Return a role whose policy has these statements."""
    trusted = trust or {"Service": "lambda.amazonaws.com"}
    return {
        "Role": resource(
            "AWS::IAM::Role",
            {
                "AssumeRolePolicyDocument": {
                    "Statement": [{"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": trusted}]
                },
                "PermissionsBoundary": f"arn:aws:iam::{ACCOUNT}:policy/boundary",
                **properties,
            },
        ),
        "Policy": resource(
            "AWS::IAM::ManagedPolicy",
            {"PolicyDocument": {"Statement": list(statements)}, "Roles": [{"Ref": "Role"}]},
        ),
    }


def allow(action: str | list[str], on: Any = "arn:aws:s3:::a-bucket/*", **more: Any) -> dict[str, Any]:
    """Return a statement that allows actions."""
    return {"Effect": "Allow", "Action": action, "Resource": on, **more}


def policy_of_bucket(*statements: Mapping[str, Any]) -> Resources:
    """Return a bucket policy."""
    return {
        **BUCKET,
        "BucketPolicy": resource(
            "AWS::S3::BucketPolicy", {"Bucket": {"Ref": "Bucket"}, "PolicyDocument": {"Statement": list(statements)}}
        ),
    }


TLS_ONLY = {
    "Effect": "Deny",
    "Action": "s3:*",
    "Principal": "*",
    "Resource": "*",
    "Condition": {"Bool": {"aws:SecureTransport": "false"}},
}
READ = allow("s3:GetObject")

# Replacement and deletion
# ------------------------

WITH_NAME = _edited(TABLE, "Table.Properties.TableName", "a-name")
_case("stateful-replaced", CRITICAL, "a table gets a name", TABLE, WITH_NAME, fix=TABLE)
_case(
    "stateful-replaced",
    CRITICAL,
    "a table's key changes",
    TABLE,
    _edited(TABLE, "Table.Properties.KeySchema.0.AttributeName", "other"),
    fix=_edited(TABLE, "Table.Properties.Tags", [{"Key": "a", "Value": "b"}]),
)
_case(
    "stateful-may-be-replaced",
    CRITICAL,
    "an attribute of a table gets another type",
    TABLE,
    _edited(TABLE, "Table.Properties.AttributeDefinitions.0.AttributeType", "N"),
    fix=_edited(
        TABLE,
        "Table.Properties.AttributeDefinitions",
        [{"AttributeName": "id", "AttributeType": "S"}, {"AttributeName": "new", "AttributeType": "S"}],
    ),
)
_case("stateful-removed", CRITICAL, "a retained table is removed", {**TABLE, **KEY}, KEY, fix={**TABLE, **KEY})
_case(
    "stateful-removed", CRITICAL, "a bucket that is not retained is deleted", {**BUCKET, **KEY}, KEY, fix=BUCKET | KEY
)
API = {"Api": resource("AWS::ApiGatewayV2::Api", {"Name": "api", "ProtocolType": "HTTP"})}
_case(
    "address-replaced",
    HIGH,
    "an API changes its protocol",
    API,
    _edited(API, "Api.Properties.ProtocolType", "WEBSOCKET"),
    fix=_edited(API, "Api.Properties.Name", "another"),
)
POLICY = {
    "Policy": resource("AWS::IAM::ManagedPolicy", {"Description": "one", "PolicyDocument": {"Statement": [READ]}})
}
_case(
    "replaced",
    LOW,
    "a managed policy's description changes",
    POLICY,
    _edited(POLICY, "Policy.Properties.Description", "two"),
    fix=POLICY,
)
RULE = {"Rule": resource("AWS::Events::Rule", {"EventBusName": "one", "State": "ENABLED"})}
_case(
    "may-be-replaced",
    LOW,
    "a rule moves to another bus",
    RULE,
    _edited(RULE, "Rule.Properties.EventBusName", "two"),
    fix=_edited(RULE, "Rule.Properties.Description", "two"),
)
NAMED = _edited(_edited(BUCKET, "Bucket.Properties.BucketName", "a-name"), "Bucket.Properties.Tags", [])
_case(
    "name-taken",
    HIGH,
    "a named bucket has to be replaced",
    NAMED,
    _edited(NAMED, "Bucket.Properties.ObjectLockEnabled", True),
    fix=_edited(
        _edited(NAMED, "Bucket.Properties.ObjectLockEnabled", True), "Bucket.Properties.BucketName", "another-name"
    ),
)
_case(
    "type-changed",
    HIGH,
    "a topic is changed to a queue",
    {"It": resource("AWS::SNS::Topic")},
    {"It": resource("AWS::SQS::Queue")},
    fix={"It": resource("AWS::SNS::Topic"), "Other": resource("AWS::SQS::Queue")},
)
KEPT_LAYER = {"Layer": resource("AWS::Lambda::LayerVersion", {"LayerName": "a"}, DeletionPolicy="Retain")}
_case("orphaned", LOW, "a retained layer version is removed", {**KEPT_LAYER, **API}, API, fix={**KEPT_LAYER, **API})
CASES.append(
    Case(
        "stack-removed",
        HIGH,
        "a stack is deployed no more",
        assembly(stack(TABLE), stack(API, name="prod-items-compute")),
        assembly(stack(API, name="prod-items-compute")),
        assembly(stack(TABLE), stack(API, name="prod-items-compute")),
    )
)
_case(
    "renamed",
    LOW,
    "a function is renamed",
    {"One": resource("AWS::Lambda::Function", {"Handler": "a.b", "Timeout": 3, "MemorySize": 128})},
    {"Two": resource("AWS::Lambda::Function", {"Handler": "a.b", "Timeout": 3, "MemorySize": 128})},
    fix={"One": resource("AWS::Lambda::Function", {"Handler": "a.b", "Timeout": 3, "MemorySize": 256})},
)
_case(
    "unknown-type",
    MEDIUM,
    "a type missing in the registry",
    {"It": resource("Somebody::Elses::Type", {"A": 1})},
    {"It": resource("Somebody::Elses::Type", {"A": 2})},
    fix={"It": resource("Somebody::Elses::Type", {"A": 1})},
)

# Unreadable values
# -----------------

NESTED = {
    "Nested": resource("AWS::CloudFormation::Stack", {"TemplateURL": "https://s3.amazonaws.com/elsewhere/one.json"})
}
_case(
    "nested-unread",
    HIGH,
    "a nested stack's external template changes",
    NESTED,
    _edited(NESTED, "Nested.Properties.TemplateURL", "https://s3.amazonaws.com/elsewhere/two.json"),
    fix=NESTED,
)
SET = {"Set": resource("AWS::CloudFormation::StackSet", {"StackSetName": "a", "TemplateURL": "https://a/one.json"})}
_case(
    "nested-unread",
    HIGH,
    "a stack set's template changes",
    SET,
    _edited(SET, "Set.Properties.TemplateURL", "https://a/two.json"),
    fix=SET,
)
_case("nested-unread", HIGH, "an external nested stack is added", KEY, {**KEY, **NESTED}, fix=KEY)
_case("nested-unread", CRITICAL, "an external nested stack is removed", {**KEY, **NESTED}, KEY, fix={**KEY, **NESTED})
_case(
    "unresolved",
    HIGH,
    "a table's protection is imported",
    TABLE,
    _edited(TABLE, "Table.Properties.DeletionProtectionEnabled", {"Fn::ImportValue": "elsewhere"}),
    fix=TABLE,
)
_case(
    "unresolved",
    MEDIUM,
    "a rule's state is resolved at deployment",
    RULE,
    _edited(RULE, "Rule.Properties.State", "{{resolve:ssm:/state}}"),
    fix=RULE,
)
CASES.append(
    Case(
        "rewritten",
        HIGH,
        "a macro rewrites a template that changes",
        of(RULE, Transform=["Macro"]),
        of(_edited(RULE, "Rule.Properties.State", "DISABLED"), Transform=["Macro"]),
        of(RULE, Transform=["Macro"]),
    )
)


def _many_conditions(number: int) -> Assembly:
    """Return a table whose protection depends on several parameters without a value."""
    names = [f"P{index}" for index in range(number)]
    conditions = {f"If{name}": {"Fn::Equals": [{"Ref": name}, "on"]} for name in names}
    tags = [{"Key": name, "Value": {"Fn::If": [f"If{name}", "a", "b"]}} for name in names]
    return of(
        _edited(TABLE, "Table.Properties.Tags", tags),
        Parameters={name: {"Type": "String"} for name in names},
        Conditions=conditions,
    )


ON_DEFAULT = {
    "Parameters": {"Stage": {"Type": "String", "Default": "blue"}},
    "Conditions": {"IsBlue": {"Fn::Equals": [{"Ref": "Stage"}, "blue"]}},
}
CASES.append(
    Case(
        "conditioned",
        MEDIUM,
        "a table comes under a condition that holds by default",
        of(TABLE, **ON_DEFAULT),
        of({"Table": {**TABLE["Table"], "Condition": "IsBlue"}}, **ON_DEFAULT),
    )
)
CASES.append(
    Case(
        "undecided",
        MEDIUM,
        "more conditions than can be compared",
        of(TABLE),
        _many_conditions(8),
        _many_conditions(2),
    )
)

# Permissions
# -----------

_case("access-widened", HIGH, "a wildcard", role(READ), role(allow("s3:*")))
_case("access-widened", MEDIUM, "one more action", role(READ), role(allow(["s3:GetObject", "s3:PutObject"])))
_case("access-widened", CRITICAL, "everything", role(READ), role(allow("*", on="*")))
_case("access-widened", CRITICAL, "privilege escalation", role(READ), role(READ, allow("iam:PassRole", on="*")))
_case(
    "access-widened",
    HIGH,
    "a denial is removed",
    role(READ, {"Effect": "Deny", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::a-bucket/secret/*"}),
    role(READ),
)
_case(
    "access-widened",
    CRITICAL,
    "the AdministratorAccess policy",
    role(READ),
    role(READ, ManagedPolicyArns=["arn:aws:iam::aws:policy/AdministratorAccess"]),
)
_case("access-added", LOW, "a role is added", KEY, {**KEY, **role(READ)}, fix=KEY)
_case("access-narrowed", INFO, "fewer actions", role(allow("s3:*")), role(READ))
_case(
    "trust-widened",
    CRITICAL,
    "another account",
    role(READ),
    role(READ, trust={"AWS": f"arn:aws:iam::{STRANGER}:root"}),
    fix=role(allow("s3:ListBucket")),
)
_case("trust-widened", CRITICAL, "everyone", role(READ), role(READ, trust={"AWS": "*"}), fix=role(READ))
_case(
    "trust-widened",
    HIGH,
    "the tools account",
    role(READ),
    role(READ, trust={"Service": "lambda.amazonaws.com", "AWS": f"arn:aws:iam::{TOOLS}:root"}),
)
OPEN_BUCKET = {**READ, "Principal": "*"}
_case(
    "resource-policy-widened",
    CRITICAL,
    "a public bucket",
    policy_of_bucket(TLS_ONLY),
    policy_of_bucket(TLS_ONLY, OPEN_BUCKET),
)
_case(
    "resource-policy-widened",
    HIGH,
    "TLS is no longer enforced",
    policy_of_bucket(TLS_ONLY, READ | {"Principal": {"AWS": TOOLS}}),
    policy_of_bucket(READ | {"Principal": {"AWS": TOOLS}}),
)
_case("resource-policy-widened", HIGH, "the policy that enforces TLS is removed", policy_of_bucket(TLS_ONLY), BUCKET)
INVOKE = {
    "Permission": resource(
        "AWS::Lambda::Permission",
        {
            "Action": "lambda:InvokeFunction",
            "FunctionName": "a-function",
            "Principal": "events.amazonaws.com",
            "SourceArn": "arn:aws:events:us-east-1:333333333333:rule/one",
        },
    )
}
_case(
    "resource-policy-widened",
    MEDIUM,
    "a permission loses its source",
    INVOKE,
    _edited(INVOKE, "Permission.Properties.SourceArn", None),
)
KEY_STATEMENT = {
    "Effect": "Allow",
    "Action": "kms:Decrypt",
    "Resource": "*",
    "Principal": {"Service": "sns.amazonaws.com"},
}
_case(
    "key-policy-widened",
    HIGH,
    "one more service",
    KEY,
    _edited(
        KEY, "Key.Properties.KeyPolicy.Statement", [*KEY["Key"]["Properties"]["KeyPolicy"]["Statement"], KEY_STATEMENT]
    ),
)
_case(
    "boundary-loosened",
    CRITICAL,
    "the boundary is removed",
    role(READ),
    _edited(role(READ), "Role.Properties.PermissionsBoundary", None),
)
_case(
    "boundary-loosened",
    HIGH,
    "a different boundary",
    role(READ),
    role(READ, PermissionsBoundary="arn:aws:iam::333333333333:policy/other"),
    fix=role(READ),
)
TWO_ROLES = {
    **role(READ),
    "Other": role(READ)["Role"],
    "OtherPolicy": resource(
        "AWS::IAM::ManagedPolicy",
        {"PolicyDocument": {"Statement": [allow("s3:*")]}, "Roles": [{"Ref": "Other"}]},
    ),
    "Function": resource("AWS::Lambda::Function", {"Handler": "a.b", "Role": {"Fn::GetAtt": ["Role", "Arn"]}}),
}
_set(
    "other-role",
    MEDIUM,
    "a function gets another role",
    TWO_ROLES,
    "Function.Properties.Role",
    {"Fn::GetAtt": ["Other", "Arn"]},
)

# Exposure
# --------

_set(
    "public-access",
    CRITICAL,
    "a public access block is disabled",
    BUCKET,
    "Bucket.Properties.PublicAccessBlockConfiguration.BlockPublicPolicy",
    False,
)
_set(
    "public-access",
    CRITICAL,
    "the public access blocks are removed",
    BUCKET,
    "Bucket.Properties.PublicAccessBlockConfiguration",
    None,
)
_set("public-access", CRITICAL, "a public ACL", BUCKET, "Bucket.Properties.AccessControl", "PublicRead")
_set("public-access", HIGH, "ACLs are effective again", BUCKET, "Bucket.Properties.OwnershipControls", None)
_set("public-access", HIGH, "a website", BUCKET, "Bucket.Properties.WebsiteConfiguration", {"IndexDocument": "i.html"})
REST = {
    "Api": resource(
        "AWS::ApiGateway::RestApi", {"EndpointConfiguration": {"Types": ["PRIVATE"]}, "DisableExecuteApiEndpoint": True}
    )
}
_set("public-access", CRITICAL, "a private API", REST, "Api.Properties.EndpointConfiguration.Types", ["REGIONAL"])
_set("network-opened", MEDIUM, "AWS's own address", REST, "Api.Properties.DisableExecuteApiEndpoint", False)
DATABASE = {
    "Db": resource(
        "AWS::RDS::DBInstance", {"PubliclyAccessible": False, "StorageEncrypted": True, "BackupRetentionPeriod": 7}
    )
}
_set("public-access", CRITICAL, "a database", DATABASE, "Db.Properties.PubliclyAccessible", True)
BALANCER = {"Lb": resource("AWS::ElasticLoadBalancingV2::LoadBalancer", {"Scheme": "internal"})}
_set("public-access", CRITICAL, "a load balancer", BALANCER, "Lb.Properties.Scheme", "internet-facing")
URL = {"Url": resource("AWS::Lambda::Url", {"AuthType": "AWS_IAM", "TargetFunctionArn": "a"})}
_set("open-route", CRITICAL, "a function's URL", URL, "Url.Properties.AuthType", "NONE")
_case(
    "open-route",
    CRITICAL,
    "a new function's URL",
    API,
    {**API, **_edited(URL, "Url.Properties.AuthType", "NONE")},
    fix={**API, **URL},
)
METHOD = {
    "Method": resource(
        "AWS::ApiGateway::Method",
        {
            "HttpMethod": "POST",
            "AuthorizationType": "AWS_IAM",
            "ApiKeyRequired": True,
            "RestApiId": "a",
            "ResourceId": "b",
        },
    )
}
_set("open-route", CRITICAL, "a method", METHOD, "Method.Properties.AuthorizationType", "NONE")
_set("key-not-required", HIGH, "a method", METHOD, "Method.Properties.ApiKeyRequired", False)
OPEN_METHOD = _edited(METHOD, "Method.Properties.AuthorizationType", "NONE")
_set(
    "key-not-required",
    CRITICAL,
    "a method without other authorization",
    OPEN_METHOD,
    "Method.Properties.ApiKeyRequired",
    False,
)
_case(
    "authorizer-loosened",
    MEDIUM,
    "a different type",
    METHOD,
    _edited(METHOD, "Method.Properties.AuthorizationType", "CUSTOM"),
    fix=METHOD,
)
ROUTE = {
    "Route": resource(
        "AWS::ApiGatewayV2::Route",
        {
            "ApiId": "a",
            "RouteKey": "GET /a",
            "AuthorizationType": "JWT",
            "AuthorizationScopes": ["read"],
            "AuthorizerId": "b",
        },
    )
}
_set("open-route", CRITICAL, "a route", ROUTE, "Route.Properties.AuthorizationType", None)
_set("authorizer-loosened", HIGH, "no scope", ROUTE, "Route.Properties.AuthorizationScopes", None)
_set("authorizer-loosened", HIGH, "one more scope", ROUTE, "Route.Properties.AuthorizationScopes", ["read", "any"])
_case(
    "authorizer-loosened",
    MEDIUM,
    "a different authorizer",
    ROUTE,
    _edited(ROUTE, "Route.Properties.AuthorizerId", "c"),
    fix=ROUTE,
)
AUTHORIZER = {
    "Authorizer": resource(
        "AWS::ApiGatewayV2::Authorizer",
        {"ApiId": "a", "JwtConfiguration": {"Audience": ["one"], "Issuer": "https://one"}, "AuthorizerType": "JWT"},
    )
}
_set(
    "authorizer-loosened",
    HIGH,
    "one more audience",
    AUTHORIZER,
    "Authorizer.Properties.JwtConfiguration.Audience",
    ["one", "two"],
)
_case(
    "authorizer-loosened",
    HIGH,
    "a different issuer",
    AUTHORIZER,
    _edited(AUTHORIZER, "Authorizer.Properties.JwtConfiguration.Issuer", "https://two"),
    fix=AUTHORIZER,
)
CORS = _edited(
    API, "Api.Properties.CorsConfiguration", {"AllowOrigins": ["https://one.example"], "AllowMethods": ["GET"]}
)
_set("cors-widened", HIGH, "every origin", CORS, "Api.Properties.CorsConfiguration.AllowOrigins", ["*"])
_set(
    "cors-widened",
    MEDIUM,
    "one more origin",
    CORS,
    "Api.Properties.CorsConfiguration.AllowOrigins",
    ["https://one.example", "https://two.example"],
)
_set(
    "cors-widened", MEDIUM, "one more method", CORS, "Api.Properties.CorsConfiguration.AllowMethods", ["GET", "DELETE"]
)
_set("cors-widened", MEDIUM, "credentials", CORS, "Api.Properties.CorsConfiguration.AllowCredentials", True)
ORIGINS = {
    "Function": resource(
        "AWS::Lambda::Function",
        {"Handler": "a.b", "Environment": {"Variables": {"CORS_ORIGINS": "https://one.example"}}},
    )
}
_set(
    "cors-widened",
    MEDIUM,
    "a function's own answers",
    ORIGINS,
    "Function.Properties.Environment.Variables.CORS_ORIGINS",
    "https://one.example,https://two.example",
)
PREFLIGHT = {
    "Response": resource(
        "AWS::ApiGateway::GatewayResponse",
        {
            "ResponseType": "A",
            "RestApiId": "a",
            "ResponseParameters": {"gatewayresponse.header.Access-Control-Allow-Origin": "'https://one.example'"},
        },
    )
}
_set(
    "cors-widened",
    HIGH,
    "a gateway response",
    PREFLIGHT,
    "Response.Properties.ResponseParameters",
    {"gatewayresponse.header.Access-Control-Allow-Origin": "'*'"},
)
GROUP = {
    "Group": resource(
        "AWS::EC2::SecurityGroup",
        {
            "GroupDescription": "a",
            "SecurityGroupIngress": [{"CidrIp": "10.0.0.0/16", "IpProtocol": "tcp", "FromPort": 443, "ToPort": 443}],
        },
    )
}
_set("network-opened", CRITICAL, "the internet", GROUP, "Group.Properties.SecurityGroupIngress.0.CidrIp", "0.0.0.0/0")
_set("network-opened", HIGH, "a wider range", GROUP, "Group.Properties.SecurityGroupIngress.0.CidrIp", "10.0.0.0/8")
_set("network-opened", HIGH, "more ports", GROUP, "Group.Properties.SecurityGroupIngress.0.FromPort", 22)
_case(
    "network-opened",
    MEDIUM,
    "egress",
    GROUP,
    {
        **GROUP,
        "Out": resource("AWS::EC2::SecurityGroupEgress", {"GroupId": "a", "CidrIp": "0.0.0.0/0", "IpProtocol": "-1"}),
    },
)
EDGE = {
    "Edge": resource(
        "AWS::CloudFront::Distribution",
        {
            "DistributionConfig": {
                "Enabled": True,
                "DefaultCacheBehavior": {
                    "ViewerProtocolPolicy": "https-only",
                    "TargetOriginId": "api",
                    "TrustedKeyGroups": ["a"],
                },
                "Origins": [
                    {
                        "Id": "api",
                        "CustomOriginConfig": {"OriginProtocolPolicy": "https-only", "OriginSSLProtocols": ["TLSv1.2"]},
                    }
                ],
                "Logging": {"Bucket": "logs"},
                "Restrictions": {"GeoRestriction": {"RestrictionType": "whitelist", "Locations": ["DE"]}},
                "ViewerCertificate": {"MinimumProtocolVersion": "TLSv1.2_2021"},
                "WebACLId": "arn:aws:wafv2:us-east-1:333333333333:global/webacl/a/b",
            }
        },
    )
}
_CONFIG = "Edge.Properties.DistributionConfig"
_set("geo-widened", HIGH, "one more country", EDGE, f"{_CONFIG}.Restrictions.GeoRestriction.Locations", ["DE", "FR"])
_set("geo-widened", HIGH, "every country", EDGE, f"{_CONFIG}.Restrictions.GeoRestriction", {"RestrictionType": "none"})
_set("waf-loosened", HIGH, "the edge's firewall is removed", EDGE, f"{_CONFIG}.WebACLId", None)
_set(
    "tls-lowered", HIGH, "an older protocol", EDGE, f"{_CONFIG}.ViewerCertificate.MinimumProtocolVersion", "TLSv1_2016"
)
_set("tls-lowered", HIGH, "plain HTTP", EDGE, f"{_CONFIG}.DefaultCacheBehavior.ViewerProtocolPolicy", "allow-all")
_set(
    "tls-lowered",
    HIGH,
    "plain HTTP to the origin",
    EDGE,
    f"{_CONFIG}.Origins.0.CustomOriginConfig.OriginProtocolPolicy",
    "http-only",
)
_set(
    "tls-lowered",
    HIGH,
    "an older protocol to the origin",
    EDGE,
    f"{_CONFIG}.Origins.0.CustomOriginConfig.OriginSSLProtocols",
    ["TLSv1", "TLSv1.2"],
)
_set(
    "open-route",
    CRITICAL,
    "unsigned requests",
    EDGE,
    f"{_CONFIG}.DefaultCacheBehavior.TrustedKeyGroups",
    None,
)
_set("logging-dropped", MEDIUM, "the edge's log", EDGE, f"{_CONFIG}.Logging", None)
DOMAIN = {"Domain": resource("AWS::ApiGateway::DomainName", {"DomainName": "a.example", "SecurityPolicy": "TLS_1_2"})}
_set("tls-lowered", HIGH, "a domain", DOMAIN, "Domain.Properties.SecurityPolicy", "TLS_1_0")
FIREWALL = {
    "Acl": resource(
        "AWS::WAFv2::WebACL",
        {
            "Scope": "REGIONAL",
            "DefaultAction": {"Block": {}},
            "Rules": [
                {
                    "Name": "common",
                    "OverrideAction": {"None": {}},
                    "Statement": {"ManagedRuleGroupStatement": {"Name": "Common"}},
                },
                {"Name": "rate", "Action": {"Block": {}}, "Statement": {"RateBasedStatement": {"Limit": 100}}},
            ],
        },
    ),
    "Association": resource("AWS::WAFv2::WebACLAssociation", {"ResourceArn": "arn:aws:apigateway:a", "WebACLArn": "b"}),
}
_set("waf-loosened", HIGH, "the association is removed", FIREWALL, "Association", None)
_set("waf-loosened", CRITICAL, "the default action", FIREWALL, "Acl.Properties.DefaultAction", {"Allow": {}})
_set("waf-loosened", HIGH, "a rule is removed", FIREWALL, "Acl.Properties.Rules.1", None)
_set("waf-loosened", HIGH, "a rule only counts", FIREWALL, "Acl.Properties.Rules.1.Action", {"Count": {}})
_set(
    "waf-loosened", HIGH, "a higher limit", FIREWALL, "Acl.Properties.Rules.1.Statement.RateBasedStatement.Limit", 1000
)
_case(
    "waf-loosened",
    HIGH,
    "an exception",
    FIREWALL,
    _edited(
        FIREWALL,
        "Acl.Properties.Rules.0.Statement.ManagedRuleGroupStatement.RuleActionOverrides",
        [{"Name": "Size", "ActionToUse": {"Count": {}}}],
    ),
    fix=FIREWALL,
)
USERS = {
    "Users": resource(
        "AWS::Cognito::UserPool",
        {
            "AdminCreateUserConfig": {"AllowAdminCreateUserOnly": True},
            "AutoVerifiedAttributes": ["email"],
            "DeletionProtection": "ACTIVE",
            "MfaConfiguration": "ON",
            "Policies": {"PasswordPolicy": {"MinimumLength": 12, "RequireNumbers": True}},
            "UserPoolAddOns": {"AdvancedSecurityMode": "ENFORCED"},
        },
    ),
    "Client": resource(
        "AWS::Cognito::UserPoolClient",
        {
            "UserPoolId": {"Ref": "Users"},
            "ExplicitAuthFlows": ["ALLOW_USER_SRP_AUTH"],
            "AccessTokenValidity": 60,
            "PreventUserExistenceErrors": "ENABLED",
        },
    ),
}
_set(
    "sign-in-loosened",
    HIGH,
    "self sign-up",
    USERS,
    "Users.Properties.AdminCreateUserConfig.AllowAdminCreateUserOnly",
    False,
)
_set("sign-in-loosened", HIGH, "shorter passwords", USERS, "Users.Properties.Policies.PasswordPolicy.MinimumLength", 8)
_set(
    "sign-in-loosened",
    HIGH,
    "weaker passwords",
    USERS,
    "Users.Properties.Policies.PasswordPolicy.RequireNumbers",
    False,
)
_set("sign-in-loosened", HIGH, "no second factor", USERS, "Users.Properties.MfaConfiguration", "OPTIONAL")
_set("sign-in-loosened", HIGH, "no threat protection", USERS, "Users.Properties.UserPoolAddOns", None)
_set("sign-in-loosened", HIGH, "unverified addresses", USERS, "Users.Properties.AutoVerifiedAttributes", None)
_set(
    "sign-in-loosened",
    HIGH,
    "the password flow",
    USERS,
    "Client.Properties.ExplicitAuthFlows",
    ["ALLOW_USER_SRP_AUTH", "ALLOW_USER_PASSWORD_AUTH"],
)
_set("sign-in-loosened", MEDIUM, "longer tokens", USERS, "Client.Properties.AccessTokenValidity", 600)
_set(
    "sign-in-loosened",
    HIGH,
    "revealing which users exist",
    USERS,
    "Client.Properties.PreventUserExistenceErrors",
    "LEGACY",
)
_set("sign-in-loosened", HIGH, "irrevocable tokens", USERS, "Client.Properties.EnableTokenRevocation", False)
_set(
    "sign-in-loosened",
    HIGH,
    "a different token location",
    USERS,
    "Client.Properties.CallbackURLs",
    ["https://other.example"],
)
_set("logging-dropped", MEDIUM, "a bucket's access log", BUCKET, "Bucket.Properties.LoggingConfiguration", None)
LIVE = {
    "Stage": resource(
        "AWS::ApiGateway::Stage",
        {
            "RestApiId": "a",
            "StageName": "live",
            "AccessLogSetting": {"DestinationArn": "a"},
            "MethodSettings": [
                {
                    "ResourcePath": "/*",
                    "HttpMethod": "*",
                    "LoggingLevel": "INFO",
                    "ThrottlingRateLimit": 10,
                    "CacheDataEncrypted": True,
                }
            ],
        },
    )
}
_set("logging-dropped", MEDIUM, "an API's access log", LIVE, "Stage.Properties.AccessLogSetting", None)
_set("logging-dropped", MEDIUM, "an API's execution log", LIVE, "Stage.Properties.MethodSettings.0.LoggingLevel", "OFF")
_set("throttle-raised", LOW, "more requests", LIVE, "Stage.Properties.MethodSettings.0.ThrottlingRateLimit", 1000)
_set("encryption-dropped", HIGH, "the cache", LIVE, "Stage.Properties.MethodSettings.0.CacheDataEncrypted", False)
PLAN = {"Plan": resource("AWS::ApiGateway::UsagePlan", {"Quota": {"Limit": 10, "Period": "DAY"}})}
_set("throttle-raised", MEDIUM, "no quota", PLAN, "Plan.Properties.Quota", None)
TRAIL = {"Trail": resource("AWS::CloudTrail::Trail", {"IsLogging": True, "S3BucketName": "a"}), **API}
_set("logging-dropped", HIGH, "the trail stops", TRAIL, "Trail.Properties.IsLogging", False)
_set("logging-dropped", MEDIUM, "the trail is removed", TRAIL, "Trail", None)

# Monitoring
# ----------

ALARM = {
    "Alarm": resource(
        "AWS::CloudWatch::Alarm",
        {
            "ActionsEnabled": True,
            "AlarmActions": ["arn:aws:sns:us-east-1:333333333333:topic"],
            "ComparisonOperator": "GreaterThanOrEqualToThreshold",
            "DatapointsToAlarm": 2,
            "EvaluationPeriods": 3,
            "MetricName": "Errors",
            "Namespace": "AWS/Lambda",
            "Period": 60,
            "Statistic": "Sum",
            "Threshold": 5,
            "TreatMissingData": "breaching",
        },
    ),
    **API,
}
_set("alarm-removed", HIGH, "it is removed", ALARM, "Alarm", None)
for name, where, value in (
    ("a higher threshold", "Threshold", 50),
    ("a longer period", "Period", 300),
    ("more periods that must breach", "DatapointsToAlarm", 3),
    ("fewer periods to breach in", "EvaluationPeriods", 2),
    ("missing data is fine", "TreatMissingData", "notBreaching"),
    ("above instead of at", "ComparisonOperator", "GreaterThanThreshold"),
):
    # A shorter period holds fewer events, so changing it back also loosens the alarm
    way_back = {} if where != "Period" else {"fix": ALARM}
    _case("alarm-loosened", MEDIUM, name, ALARM, _edited(ALARM, f"Alarm.Properties.{where}", value), **way_back)
_case(
    "alarm-loosened",
    MEDIUM,
    "a different metric",
    ALARM,
    _edited(ALARM, "Alarm.Properties.MetricName", "Duration"),
    fix=ALARM,
)
_case(
    "alarm-loosened",
    MEDIUM,
    "the inverted comparison",
    ALARM,
    _edited(ALARM, "Alarm.Properties.ComparisonOperator", "LessThanThreshold"),
    fix=ALARM,
)
LOW_ALARM = _edited(ALARM, "Alarm.Properties.ComparisonOperator", "LessThanThreshold")
_set(
    "alarm-loosened",
    MEDIUM,
    "a lower threshold of a lower-bound alarm",
    LOW_ALARM,
    "Alarm.Properties.Threshold",
    1,
)
_set("alarm-silenced", HIGH, "its actions are off", ALARM, "Alarm.Properties.ActionsEnabled", False)
_set("alarm-silenced", HIGH, "it has no actions", ALARM, "Alarm.Properties.AlarmActions", None)
_case(
    "alarm-silenced",
    MEDIUM,
    "it has a different action",
    ALARM,
    _edited(ALARM, "Alarm.Properties.AlarmActions", ["arn:aws:sns:us-east-1:333333333333:other"]),
    fix=_edited(ALARM, "Alarm.Properties.AlarmActions", ["arn:aws:sns:us-east-1:333333333333:topic", "a:b"]),
)
SUBSCRIPTION = {
    "Mail": resource(
        "AWS::SNS::Subscription",
        {
            "Endpoint": "a@example.com",
            "Protocol": "email",
            "TopicArn": "a",
            "RedrivePolicy": {"deadLetterTargetArn": "b"},
        },
    ),
    **API,
}
_set("subscriber-removed", MEDIUM, "a mail address", SUBSCRIPTION, "Mail", None)
_case(
    "subscriber-removed",
    MEDIUM,
    "a different mail address",
    SUBSCRIPTION,
    _edited(SUBSCRIPTION, "Mail.Properties.Endpoint", "b@example.com"),
    fix=SUBSCRIPTION,
)
TARGETED = _edited(RULE, "Rule.Properties.Targets", [{"Id": "one", "Arn": "a:b", "DeadLetterConfig": {"Arn": "c"}}])
_set("subscriber-removed", MEDIUM, "a rule is disabled", TARGETED, "Rule.Properties.State", "DISABLED")
_set("subscriber-removed", MEDIUM, "a rule's target", TARGETED, "Rule.Properties.Targets", None)

# Deployment of a new version
# ---------------------------

DEPLOYMENT = {
    "Deployment": resource(
        "AWS::CodeDeploy::DeploymentGroup",
        {
            "AlarmConfiguration": {"Enabled": True, "Alarms": [{"Name": "errors"}, {"Name": "latency"}]},
            "ApplicationName": "a",
            "AutoRollbackConfiguration": {
                "Enabled": True,
                "Events": ["DEPLOYMENT_FAILURE", "DEPLOYMENT_STOP_ON_ALARM"],
            },
            "DeploymentConfigName": "CodeDeployDefault.LambdaCanary10Percent5Minutes",
        },
    ),
    "Live": resource(
        "AWS::Lambda::Alias",
        {
            "Name": "live",
            "FunctionName": "a",
            "FunctionVersion": "1",
            "ProvisionedConcurrencyConfig": {"ProvisionedConcurrentExecutions": 1},
        },
        UpdatePolicy={
            "CodeDeployLambdaAliasUpdate": {
                "ApplicationName": "a",
                "DeploymentGroupName": "b",
                "BeforeAllowTrafficHook": "hook",
            }
        },
    ),
}
_GROUP = "Deployment.Properties"


def _own_canary(percent: int, minutes: int) -> Resources:
    routing = {"CanaryPercentage": percent, "CanaryInterval": minutes}
    properties = {
        "ComputePlatform": "Lambda",
        "TrafficRoutingConfig": {"Type": "TimeBasedCanary", "TimeBasedCanary": routing},
    }
    return {"Own": resource("AWS::CodeDeploy::DeploymentConfig", properties)}


_set(
    "canary-loosened",
    HIGH,
    "all at once",
    DEPLOYMENT,
    f"{_GROUP}.DeploymentConfigName",
    "CodeDeployDefault.LambdaAllAtOnce",
)
_case(
    "canary-loosened",
    HIGH,
    "a larger first share",
    DEPLOYMENT,
    _edited(DEPLOYMENT, f"{_GROUP}.DeploymentConfigName", "CodeDeployDefault.LambdaLinear20PercentEvery2Minutes"),
    fix=DEPLOYMENT,
)
_case(
    "canary-loosened",
    HIGH,
    "a custom configuration with less time",
    DEPLOYMENT,
    _edited(DEPLOYMENT, f"{_GROUP}.DeploymentConfigName", {"Ref": "Own"}) | _own_canary(10, 3),
    fix=DEPLOYMENT,
)
_case(
    "canary-loosened",
    HIGH,
    "a custom configuration moves more",
    _own_canary(5, 15),
    _own_canary(20, 15),
    fix=_own_canary(5, 15),
)
_case(
    "canary-loosened",
    MEDIUM,
    "a custom CodeDeploy configuration",
    DEPLOYMENT,
    _edited(DEPLOYMENT, f"{_GROUP}.DeploymentConfigName", "Mine"),
    fix=DEPLOYMENT,
)
_set("canary-loosened", HIGH, "CodeDeploy no longer moves the alias", DEPLOYMENT, "Live.UpdatePolicy", None)
PACE = {
    "Pace": resource(
        "AWS::CodeDeploy::DeploymentConfig",
        {"ComputePlatform": "Lambda", "TrafficRoutingConfig": {"Type": "TimeBasedCanary"}},
    )
}
_case(
    "canary-loosened",
    MEDIUM,
    "a custom pace changes",
    PACE,
    _edited(PACE, "Pace.Properties.TrafficRoutingConfig.Type", "AllAtOnce"),
    fix=PACE,
)
_set("rollback-loosened", HIGH, "one alarm fewer", DEPLOYMENT, f"{_GROUP}.AlarmConfiguration.Alarms.1", None)
_set("rollback-loosened", HIGH, "alarms off", DEPLOYMENT, f"{_GROUP}.AlarmConfiguration.Enabled", False)
_set(
    "rollback-loosened",
    HIGH,
    "alarms whose polling may fail",
    DEPLOYMENT,
    f"{_GROUP}.AlarmConfiguration.IgnorePollAlarmFailure",
    True,
)
_set("rollback-loosened", HIGH, "rollback off", DEPLOYMENT, f"{_GROUP}.AutoRollbackConfiguration.Enabled", False)
_set(
    "rollback-loosened",
    HIGH,
    "one event fewer",
    DEPLOYMENT,
    f"{_GROUP}.AutoRollbackConfiguration.Events",
    ["DEPLOYMENT_FAILURE"],
)
_set("rollback-loosened", HIGH, "the group is removed", DEPLOYMENT, "Deployment", None)
_set(
    "hook-removed",
    HIGH,
    "no hook",
    DEPLOYMENT,
    "Live.UpdatePolicy.CodeDeployLambdaAliasUpdate.BeforeAllowTrafficHook",
    None,
)
_case(
    "hook-removed",
    MEDIUM,
    "a different hook",
    DEPLOYMENT,
    _edited(DEPLOYMENT, "Live.UpdatePolicy.CodeDeployLambdaAliasUpdate.BeforeAllowTrafficHook", "other"),
    fix=DEPLOYMENT,
)
_set(
    "concurrency-dropped",
    MEDIUM,
    "provisioned concurrency",
    DEPLOYMENT,
    "Live.Properties.ProvisionedConcurrencyConfig",
    None,
)

# Retention and encryption
# ------------------------

LOGS = {"Logs": resource("AWS::Logs::LogGroup", {"RetentionInDays": 90, "KmsKeyId": "one"})}
_set("retention-shortened", HIGH, "a log group", LOGS, "Logs.Properties.RetentionInDays", 7)
FOREVER = _edited(LOGS, "Logs.Properties.RetentionInDays", None)
_set("retention-shortened", HIGH, "a log group without an expiry", FOREVER, "Logs.Properties.RetentionInDays", 365)
QUEUE = {
    "Queue": resource(
        "AWS::SQS::Queue",
        {"MessageRetentionPeriod": 1209600, "RedrivePolicy": {"maxReceiveCount": 3}, "SqsManagedSseEnabled": True},
    )
}
_set("retention-shortened", HIGH, "a queue", QUEUE, "Queue.Properties.MessageRetentionPeriod", None)
ARCHIVE = {"Archive": resource("AWS::Events::Archive", {"RetentionDays": 0, "SourceArn": "a"})}
_set("retention-shortened", HIGH, "an archive", ARCHIVE, "Archive.Properties.RetentionDays", 30)
_set("retention-shortened", HIGH, "a database's backups", DATABASE, "Db.Properties.BackupRetentionPeriod", 1)
_set(
    "retention-shortened",
    CRITICAL,
    "items start to expire",
    TABLE,
    "Table.Properties.TimeToLiveSpecification",
    {"Enabled": True, "AttributeName": "ttl"},
)
_set(
    "retention-shortened",
    HIGH,
    "old versions",
    BUCKET,
    "Bucket.Properties.LifecycleConfiguration.Rules.0.NoncurrentVersionExpiration.NoncurrentDays",
    1,
)
_set(
    "retention-shortened",
    CRITICAL,
    "objects start to expire",
    BUCKET,
    "Bucket.Properties.LifecycleConfiguration.Rules.0.ExpirationInDays",
    30,
)
PREFIXED = _edited(BUCKET, "Bucket.Properties.LifecycleConfiguration.Rules.0.Prefix", "tmp/")
_case(
    "retention-shortened",
    MEDIUM,
    "a rule reaches more objects",
    PREFIXED,
    BUCKET,
    fix=PREFIXED,
)
BACKUP = {
    "Backup": resource(
        "AWS::Backup::BackupPlan",
        {
            "BackupPlan": {
                "BackupPlanRule": [
                    {"RuleName": "daily", "ScheduleExpression": "a", "Lifecycle": {"DeleteAfterDays": 30}}
                ]
            }
        },
    ),
    **API,
}
_set(
    "retention-shortened",
    HIGH,
    "a backup plan",
    BACKUP,
    "Backup.Properties.BackupPlan.BackupPlanRule.0.Lifecycle.DeleteAfterDays",
    1,
)
_set("backup-dropped", HIGH, "a backup plan's rule", BACKUP, "Backup.Properties.BackupPlan.BackupPlanRule", [])
_set("backup-dropped", HIGH, "a backup plan", BACKUP, "Backup", None)
_set("backup-dropped", HIGH, "point-in-time recovery", TABLE, "Table.Properties.PointInTimeRecoverySpecification", None)
_set("backup-dropped", HIGH, "versions", BUCKET, "Bucket.Properties.VersioningConfiguration.Status", "Suspended")
REPLICATED = _edited(BUCKET, "Bucket.Properties.ReplicationConfiguration", {"Role": "a"})
_set("backup-dropped", HIGH, "the replica", REPLICATED, "Bucket.Properties.ReplicationConfiguration", None)
_set("encryption-dropped", HIGH, "a table's key", TABLE, "Table.Properties.SSESpecification", None)
_set("encryption-dropped", HIGH, "a log group's key", LOGS, "Logs.Properties.KmsKeyId", None)
_set("encryption-dropped", HIGH, "rotation of a key", KEY, "Key.Properties.EnableKeyRotation", False)
_set(
    "encryption-dropped",
    HIGH,
    "a bucket's key",
    BUCKET,
    "Bucket.Properties.BucketEncryption.ServerSideEncryptionConfiguration.0.ServerSideEncryptionByDefault",
    {"SSEAlgorithm": "AES256"},
)
_set("encryption-dropped", HIGH, "a queue", QUEUE, "Queue.Properties.SqsManagedSseEnabled", False)
_set("encryption-dropped", HIGH, "a database", DATABASE, "Db.Properties.StorageEncrypted", False)
_case("key-changed", MEDIUM, "a log group's key", LOGS, _edited(LOGS, "Logs.Properties.KmsKeyId", "two"), fix=LOGS)
_set(
    "protection-dropped",
    HIGH,
    "deletion protection of a table",
    TABLE,
    "Table.Properties.DeletionProtectionEnabled",
    False,
)
_set(
    "protection-dropped", HIGH, "deletion protection of users", USERS, "Users.Properties.DeletionProtection", "INACTIVE"
)
_set("protection-dropped", HIGH, "the deletion policy", TABLE, "Table.DeletionPolicy", "Delete")
_set("protection-dropped", HIGH, "the replacement policy", TABLE, "Table.UpdateReplacePolicy", None)
_set("protection-dropped", MEDIUM, "the pending window of a key", KEY, "Key.Properties.PendingWindowInDays", 7)
CASES.append(
    Case(
        "protection-dropped",
        HIGH,
        "termination protection of a stack",
        assembly(stack(TABLE, protected=True)),
        assembly(stack(TABLE, protected=False)),
    )
)
ROTATION = {
    "Rotation": resource(
        "AWS::SecretsManager::RotationSchedule", {"SecretId": "a", "RotationRules": {"AutomaticallyAfterDays": 30}}
    ),
    **API,
}
_set("protection-dropped", HIGH, "rotation of a secret", ROTATION, "Rotation", None)
_set(
    "protection-dropped",
    MEDIUM,
    "a secret rotates less often",
    ROTATION,
    "Rotation.Properties.RotationRules.AutomaticallyAfterDays",
    365,
)
FUNCTION = {
    "Function": resource(
        "AWS::Lambda::Function",
        {
            "Handler": "a.b",
            "ReservedConcurrentExecutions": 10,
            "DeadLetterConfig": {"TargetArn": "a"},
            "KmsKeyArn": "one",
        },
    )
}
_set(
    "concurrency-dropped",
    MEDIUM,
    "reserved executions",
    FUNCTION,
    "Function.Properties.ReservedConcurrentExecutions",
    None,
)
_set(
    "concurrency-dropped",
    LOW,
    "fewer reserved executions",
    FUNCTION,
    "Function.Properties.ReservedConcurrentExecutions",
    5,
)
SCALING = {
    "Target": resource(
        "AWS::ApplicationAutoScaling::ScalableTarget", {"ResourceId": "table/a", "MinCapacity": 5, "MaxCapacity": 10}
    ),
    **API,
}
_set("concurrency-dropped", MEDIUM, "scaling", SCALING, "Target", None)
_set("concurrency-dropped", LOW, "a lower ceiling", SCALING, "Target.Properties.MaxCapacity", 6)
_set("failures-dropped", MEDIUM, "a function's dead letters", FUNCTION, "Function.Properties.DeadLetterConfig", None)
_set("failures-dropped", MEDIUM, "a queue's dead letters", QUEUE, "Queue.Properties.RedrivePolicy", None)
_set("failures-dropped", MEDIUM, "a rule's dead letters", TARGETED, "Rule.Properties.Targets.0.DeadLetterConfig", None)

# Between stacks
# --------------


def _reading(outputs: Mapping[str, Any], value: Any) -> Assembly:
    producer = stack(TABLE, Outputs=dict(outputs))
    reader = stack({"Topic": resource("AWS::SNS::Topic", {"DisplayName": value})}, name="prod-items-compute")
    return assembly(producer, reader)


OUTPUT = {"Name": {"Value": {"Ref": "Table"}}}
WEAK = {"Fn::GetStackOutput": {"StackName": "prod-items-data", "OutputName": "Name"}}
CASES.append(
    Case(
        "output-removed",
        HIGH,
        "somebody reads it still",
        _reading(OUTPUT, WEAK),
        _reading({}, WEAK),
        _reading(OUTPUT, WEAK),
    )
)
CASES.append(
    Case(
        "output-removed", INFO, "somebody has read it", _reading(OUTPUT, WEAK), _reading({}, "x"), _reading(OUTPUT, "x")
    )
)
EXPORT = {"Name": {"Value": {"Ref": "Table"}, "Export": {"Name": "the-table"}}}
IMPORT = {"Fn::ImportValue": "the-table"}
CASES.append(
    Case("output-removed", HIGH, "an export", _reading(EXPORT, IMPORT), _reading({}, "x"), _reading(EXPORT, "x"))
)
_case(
    "broken-reference",
    HIGH,
    "to a missing resource",
    {**TABLE, "Topic": resource("AWS::SNS::Topic", {"DisplayName": {"Ref": "Table"}})},
    {"Topic": resource("AWS::SNS::Topic", {"DisplayName": {"Ref": "Table"}})},
    fix={"Topic": resource("AWS::SNS::Topic", {"DisplayName": "x"})},
)

# The pipeline
# ------------


def action(category: str, name: str, order: int = 1, **configuration: Any) -> dict[str, Any]:
    """Return an action of a stage."""
    return {
        "ActionTypeId": {"Category": category, "Provider": "any"},
        "Name": name,
        "RunOrder": order,
        "Configuration": configuration,
    }


BAKE = {"Conditions": [{"Result": "ROLLBACK", "Rules": [{"Name": "Bake", "Configuration": {"Wait": 30}}]}]}
PIPELINE = {
    "Pipeline": resource(
        "AWS::CodePipeline::Pipeline",
        {
            "ExecutionMode": "QUEUED",
            "RestartExecutionOnUpdate": True,
            "DisableInboundStageTransitions": [{"StageName": "prod", "Reason": "a holiday"}],
            "Triggers": [{"GitConfiguration": {"Push": [{"Branches": {"Includes": ["main"]}}]}}],
            "ArtifactStore": {"Type": "S3", "Location": "a", "EncryptionKey": {"Id": "one", "Type": "KMS"}},
            "Stages": [
                {"Name": "Source", "Actions": [action("Source", "repository", BranchName="main")]},
                {"Name": "dev", "Actions": [action("Deploy", "deploy"), action("Build", "Verify", 2, ProjectName="a")]},
                {
                    "Name": "approval",
                    "Actions": [{**action("Approval", "Approve", NotificationArn="a:b"), "TimeoutInMinutes": 60}],
                },
                {
                    "Name": "prod",
                    "Actions": [action("Deploy", "deploy")],
                    "OnSuccess": BAKE,
                    "OnFailure": {"Result": "ROLLBACK"},
                },
            ],
        },
    ),
    "Build": resource(
        "AWS::CodeBuild::Project",
        {
            "Environment": {"Image": "one", "PrivilegedMode": False},
            "LogsConfig": {"CloudWatchLogs": {"Status": "ENABLED"}},
            "Source": {"BuildSpec": '{"phases": {"build": {"commands": ["make test"]}}}'},
        },
    ),
}
_STAGES = "Pipeline.Properties.Stages"
_set("approval-removed", CRITICAL, "it is removed", PIPELINE, f"{_STAGES}.2", None)
_case(
    "approval-removed",
    CRITICAL,
    "it moves behind what it guarded",
    PIPELINE,
    _edited(PIPELINE, _STAGES, [PIPELINE["Pipeline"]["Properties"]["Stages"][index] for index in (0, 1, 3, 2)]),
)
TWICE = _edited(PIPELINE, f"{_STAGES}.2.Actions.0.Name", "First")
TWICE["Pipeline"]["Properties"]["Stages"][2]["Actions"].append(action("Approval", "Second"))
_set("approval-removed", HIGH, "one of two", TWICE, f"{_STAGES}.2.Actions.1", None)
_case(
    "approval-changed",
    LOW,
    "its time",
    PIPELINE,
    _edited(PIPELINE, f"{_STAGES}.2.Actions.0.TimeoutInMinutes", 6),
    fix=PIPELINE,
)
_set(
    "approval-changed",
    MEDIUM,
    "nobody is notified",
    PIPELINE,
    f"{_STAGES}.2.Actions.0.Configuration.NotificationArn",
    None,
)
_set("stage-removed", HIGH, "a stage", PIPELINE, f"{_STAGES}.1", None)
_set("stage-removed", HIGH, "a test", PIPELINE, f"{_STAGES}.1.Actions.1", None)
_set("stage-removed", MEDIUM, "a deployment", PIPELINE, f"{_STAGES}.1.Actions.0", None)
_set("condition-loosened", HIGH, "the bake is removed", PIPELINE, f"{_STAGES}.3.OnSuccess", None)
_case(
    "condition-loosened",
    MEDIUM,
    "a different bake",
    PIPELINE,
    _edited(PIPELINE, f"{_STAGES}.3.OnSuccess.Conditions.0.Rules.0.Configuration.Wait", 1),
    fix=PIPELINE,
)
_set("condition-loosened", HIGH, "no rollback", PIPELINE, f"{_STAGES}.3.OnFailure.Result", "RETRY")
_case(
    "source-changed",
    HIGH,
    "a different branch",
    PIPELINE,
    _edited(PIPELINE, f"{_STAGES}.0.Actions.0.Configuration.BranchName", "other"),
    fix=PIPELINE,
)
_case(
    "source-changed",
    MEDIUM,
    "other pushes",
    PIPELINE,
    _edited(PIPELINE, "Pipeline.Properties.Triggers", []),
    fix=PIPELINE,
)
_set(
    "transition-enabled",
    MEDIUM,
    "an enabled transition",
    PIPELINE,
    "Pipeline.Properties.DisableInboundStageTransitions",
    None,
)
_set(
    "pipeline-loosened",
    MEDIUM,
    "executions may overtake each other",
    PIPELINE,
    "Pipeline.Properties.ExecutionMode",
    "SUPERSEDED",
)
_set(
    "pipeline-loosened",
    MEDIUM,
    "the old pipeline continues",
    PIPELINE,
    "Pipeline.Properties.RestartExecutionOnUpdate",
    False,
)
_case(
    "pipeline-loosened",
    HIGH,
    "a different order",
    PIPELINE,
    _edited(PIPELINE, _STAGES, [PIPELINE["Pipeline"]["Properties"]["Stages"][index] for index in (0, 2, 1, 3)]),
    fix=PIPELINE,
)
_set("build-changed", HIGH, "privileges", PIPELINE, "Build.Properties.Environment.PrivilegedMode", True)
_case(
    "build-changed",
    HIGH,
    "a different command",
    PIPELINE,
    _edited(PIPELINE, "Build.Properties.Source.BuildSpec", '{"phases": {"build": {"commands": ["true"]}}}'),
    fix=PIPELINE,
)
_case(
    "build-changed",
    MEDIUM,
    "a different image",
    PIPELINE,
    _edited(PIPELINE, "Build.Properties.Environment.Image", "two"),
    fix=PIPELINE,
)
_set(
    "encryption-dropped", HIGH, "the artifacts' key", PIPELINE, "Pipeline.Properties.ArtifactStore.EncryptionKey", None
)
_case(
    "pipeline-restarted",
    MEDIUM,
    "one more action",
    PIPELINE,
    _edited(PIPELINE, f"{_STAGES}.1.Actions", [action("Deploy", "deploy"), action("Build", "Another", 2)]),
    fix=_edited(PIPELINE, "Pipeline.Properties.Tags", [{"Key": "Owner", "Value": "another"}]),
)
CASES.append(
    Case(
        "not-rolled-back",
        MEDIUM,
        "a table comes",
        of(KEY),
        of({**TABLE, **KEY}),
        of({**API, **KEY}),
        protected=frozenset({"AWS::DynamoDB::Table"}),
    )
)
CASES.append(
    Case(
        "assembly-unread",
        MEDIUM,
        "an artifact that nobody knows",
        of(KEY),
        replace(of(KEY), unread=("manifest.json (schema 99.0.0) contains an artifact of type new",)),
        of(KEY),
    )
)
CASES.append(
    Case(
        "not-looked-up",
        MEDIUM,
        "a hosted zone that CDK has not asked for",
        of(KEY),
        replace(of(KEY), lookups=("hosted-zone:account=1:domainName=example.com",)),
        of(KEY),
    )
)

# Resources that stay unchanged next to one that is replaced
_FUNCTION = {
    "Function": resource("AWS::Lambda::Function", {"Environment": {"Variables": {"TABLE_NAME": {"Ref": "Table"}}}}),
    "Version1": resource("AWS::Lambda::Version", {"FunctionName": {"Ref": "Function"}}),
    "Live": resource(
        "AWS::Lambda::Alias",
        {"FunctionName": {"Ref": "Function"}, "FunctionVersion": {"Fn::GetAtt": ["Version1", "Version"]}},
    ),
}
_OTHER_KEY = [{"AttributeName": "order", "KeyType": "HASH"}]
_REPLACED = _edited({**TABLE, **_FUNCTION}, "Table.Properties.KeySchema", _OTHER_KEY)
_RENEWED = _edited(_REPLACED, "Function.Properties.Description", "reads orders by another key")
_case(
    "version-not-renewed",
    HIGH,
    "a replaced table whose function is unchanged",
    {**TABLE, **_FUNCTION},
    _REPLACED,
    fix={
        ("Version2" if name == "Version1" else name): body
        for name, body in _edited(
            _RENEWED, "Live.Properties.FunctionVersion", {"Fn::GetAtt": ["Version2", "Version"]}
        ).items()
    },
)

_OUTPUT = {"Name": {"Value": {"Ref": "Table"}}}
_READER = resource(
    "AWS::Lambda::Function",
    {
        "Environment": {
            "Variables": {"TABLE_NAME": {"Fn::GetStackOutput": {"StackName": "prod-items-data", "OutputName": "Name"}}}
        }
    },
)


def _read(table: Resources, reader: Resources) -> Assembly:
    return assembly(stack(table, Outputs=_OUTPUT), stack({"Reader": reader}, name="prod-items-compute"))


_OTHER_TABLE = _edited(TABLE, "Table.Properties.KeySchema", _OTHER_KEY)
CASES.append(
    Case(
        "reader-not-updated",
        HIGH,
        "a table is replaced, and the stack that reads its name stays as it is",
        _read(TABLE, _READER),
        _read(_OTHER_TABLE, _READER),
        _read(_OTHER_TABLE, {**_READER, "Properties": {**_READER["Properties"], "Description": "another"}}),
    )
)

# Destinations of data, and requests
# ----------------------------------

METHOD = {
    "Method": resource(
        "AWS::ApiGateway::Method",
        {
            "HttpMethod": "POST",
            "AuthorizationType": "AWS_IAM",
            "RequestValidatorId": "a",
            "Integration": {
                "Type": "AWS_PROXY",
                "Uri": {
                    "Fn::Sub": "arn:aws:apigateway:us-east-1:lambda:path/2015-03-31/functions/"
                    "${Function.Arn}/invocations"
                },
                "CacheKeyParameters": ["method.request.querystring.status"],
            },
        },
    ),
    "Function": resource("AWS::Lambda::Function", {"Handler": "a.b"}),
    "Other": resource("AWS::Lambda::Function", {"Handler": "c.d"}),
}
_URI = "Method.Properties.Integration.Uri"
FOREIGN_FUNCTION = f"arn:aws:lambda:us-east-1:{STRANGER}:function:theirs"
_case(
    "destination-changed",
    CRITICAL,
    "requests go to another account's function",
    METHOD,
    _edited(METHOD, _URI, f"arn:aws:apigateway:us-east-1:lambda:path/functions/{FOREIGN_FUNCTION}/invocations"),
    fix=METHOD,
)
_case(
    "destination-changed",
    MEDIUM,
    "requests go to another function",
    METHOD,
    _edited(METHOD, _URI, {"Fn::Sub": "arn:aws:apigateway:us-east-1:lambda:path/functions/${Other.Arn}/invocations"}),
    fix=METHOD,
)
_case(
    "destination-changed",
    CRITICAL,
    "another account's queue is subscribed",
    METHOD,
    {
        **METHOD,
        "Further": resource(
            "AWS::SNS::Subscription", {"Protocol": "sqs", "Endpoint": f"arn:aws:sqs:us-east-1:{STRANGER}:theirs"}
        ),
    },
    fix={
        **METHOD,
        "Further": resource(
            "AWS::SNS::Subscription", {"Protocol": "sqs", "Endpoint": f"arn:aws:sqs:us-east-1:{ACCOUNT}:ours"}
        ),
    },
)
ORIGIN = {
    "Edge": resource(
        "AWS::CloudFront::Distribution",
        {
            "DistributionConfig": {
                "Enabled": True,
                "Aliases": ["www.example.com"],
                "DefaultCacheBehavior": {
                    "CachePolicyId": "one",
                    "ResponseHeadersPolicyId": "strict",
                    "TargetOriginId": "api",
                    "ViewerProtocolPolicy": "https-only",
                },
                "Origins": [
                    {
                        "Id": "api",
                        "DomainName": "api.example.com",
                        "OriginCustomHeaders": [{"HeaderName": "X-Origin-Verify", "HeaderValue": "a"}],
                        "CustomOriginConfig": {"OriginProtocolPolicy": "https-only"},
                    }
                ],
            }
        },
    )
}
_DISTRIBUTION = "Edge.Properties.DistributionConfig"
_case(
    "destination-changed",
    CRITICAL,
    "another origin host receives the secret",
    ORIGIN,
    _edited(ORIGIN, f"{_DISTRIBUTION}.Origins.0.DomainName", "evil.example"),
    fix=ORIGIN,
)
_case(
    "destination-changed",
    CRITICAL,
    "a variable names another account's queue",
    METHOD,
    _edited(
        METHOD,
        "Function.Properties.Environment",
        {"Variables": {"QUEUE_URL": f"https://sqs.us-east-1.amazonaws.com/{STRANGER}/theirs"}},
    ),
    fix=METHOD,
)
_case(
    "destination-changed",
    HIGH,
    "another account's packages",
    METHOD,
    _edited(METHOD, "Function.Properties.Layers", [f"arn:aws:lambda:us-east-1:{STRANGER}:layer:theirs:1"]),
    fix=METHOD,
)
_set("service-stopped", CRITICAL, "a distribution is disabled", ORIGIN, f"{_DISTRIBUTION}.Enabled", False)
_case(
    "interface-changed",
    MEDIUM,
    "no security headers",
    ORIGIN,
    _edited(ORIGIN, f"{_DISTRIBUTION}.DefaultCacheBehavior.ResponseHeadersPolicyId", None),
    fix=ORIGIN,
)
_set(
    "interface-changed",
    HIGH,
    "the origin's secret is removed",
    ORIGIN,
    f"{_DISTRIBUTION}.Origins.0.OriginCustomHeaders",
    None,
)
_set("route-removed", CRITICAL, "a name of the distribution", ORIGIN, f"{_DISTRIBUTION}.Aliases", None)
_set("route-removed", HIGH, "a method", METHOD, "Method", None)
_case(
    "interface-changed",
    MEDIUM,
    "requests are not validated",
    METHOD,
    _edited(METHOD, "Method.Properties.RequestValidatorId", None),
    fix=METHOD,
)
_set(
    "cache-key-narrowed",
    HIGH,
    "a parameter of a method",
    METHOD,
    "Method.Properties.Integration.CacheKeyParameters",
    None,
)
CACHE = {
    "Cache": resource(
        "AWS::CloudFront::CachePolicy",
        {
            "CachePolicyConfig": {
                "MaxTTL": 10,
                "ParametersInCacheKeyAndForwardedToOrigin": {
                    "QueryStringsConfig": {"QueryStringBehavior": "whitelist", "QueryStrings": ["cursor", "status"]},
                    "HeadersConfig": {"HeaderBehavior": "none"},
                    "CookiesConfig": {"CookieBehavior": "all"},
                },
            }
        },
    ),
    **API,
}
_KEY = "Cache.Properties.CachePolicyConfig.ParametersInCacheKeyAndForwardedToOrigin"
_set("cache-key-narrowed", HIGH, "no parameter", CACHE, f"{_KEY}.QueryStringsConfig", {"QueryStringBehavior": "none"})
_set("cache-key-narrowed", HIGH, "one parameter fewer", CACHE, f"{_KEY}.QueryStringsConfig.QueryStrings.1", None)
_set("cache-key-narrowed", HIGH, "no cookie", CACHE, f"{_KEY}.CookiesConfig.CookieBehavior", "none")
_case(
    "cache-key-narrowed",
    HIGH,
    "all but some parameters",
    CACHE,
    _edited(CACHE, f"{_KEY}.QueryStringsConfig", {"QueryStringBehavior": "allExcept", "QueryStrings": ["cursor"]}),
    fix=CACHE,
)
_set("key-disabled", CRITICAL, "a key", KEY, "Key.Properties.Enabled", False)
API_KEY = {"ApiKey": resource("AWS::ApiGateway::ApiKey", {"Enabled": True}), **API}
_set("service-stopped", HIGH, "an API key is disabled", API_KEY, "ApiKey.Properties.Enabled", None)
_set(
    "service-stopped",
    CRITICAL,
    "a function cannot run",
    FUNCTION,
    "Function.Properties.ReservedConcurrentExecutions",
    0,
)
MAPPING = {
    "Mapping": resource(
        "AWS::Lambda::EventSourceMapping",
        {"EventSourceArn": "a", "FunctionName": "b", "MaximumRetryAttempts": 3, "BatchSize": 10},
    ),
    **API,
}
_set("consumer-stopped", HIGH, "a mapping is disabled", MAPPING, "Mapping.Properties.Enabled", False)
_set("consumer-stopped", HIGH, "a mapping is removed", MAPPING, "Mapping", None)
_case(
    "consumer-stopped",
    HIGH,
    "a filter that matches nothing",
    MAPPING,
    _edited(MAPPING, "Mapping.Properties.FilterCriteria", {"Filters": [{"Pattern": '{"a": ["nothing"]}'}]}),
    fix=MAPPING,
)
_set("consumer-stopped", HIGH, "a table's stream is removed", TABLE, "Table.Properties.StreamSpecification", None)
_set(
    "consumer-stopped",
    HIGH,
    "new objects notify nobody",
    _edited(BUCKET, "Bucket.Properties.NotificationConfiguration", {"EventBridgeConfiguration": {}}),
    "Bucket.Properties.NotificationConfiguration",
    None,
)
SETTINGS = {
    "Function": resource(
        "AWS::Lambda::Function",
        {
            "Handler": "a.b",
            "Layers": ["arn:aws:lambda:us-east-1:333333333333:layer:ours:1"],
            "MemorySize": 512,
            "Environment": {"Variables": {"TABLE_NAME": "a", "MODE": "b"}},
        },
    ),
    **API,
}
_VARIABLES = "Function.Properties.Environment.Variables"
_case(
    "runtime-changed",
    HIGH,
    "a layer is removed",
    SETTINGS,
    _edited(SETTINGS, "Function.Properties.Layers", None),
    fix=SETTINGS,
)
_set("runtime-changed", HIGH, "a variable read by the code", SETTINGS, f"{_VARIABLES}.TABLE_NAME", None)
_case(
    "runtime-changed",
    MEDIUM,
    "a different handler",
    SETTINGS,
    _edited(SETTINGS, "Function.Properties.Handler", "c.d"),
    fix=SETTINGS,
)
_set("limit-lowered", LOW, "less memory", SETTINGS, "Function.Properties.MemorySize", 128)
_set("limit-lowered", LOW, "memory at AWS's default", SETTINGS, "Function.Properties.MemorySize", None)
_case(
    "unjudged",
    LOW,
    "an unknown setting",
    TABLE,
    {
        **TABLE,
        "Table": _edited(TABLE, "Table.Properties.AddedByAwsTomorrow", True)["Table"],
    },
    fix=_edited(TABLE, "Table.Properties.Tags", [{"Key": "a", "Value": "b"}]),
)
UNKNOWN = {"Thing": resource("AWS::Athena::WorkGroup", {"Name": "a", "State": "ENABLED"}), **API}
_case(
    "unjudged",
    LOW,
    "an unknown type",
    UNKNOWN,
    _edited(UNKNOWN, "Thing.Properties.State", "DISABLED"),
    fix=UNKNOWN,
)
_set("unjudged", LOW, "a resource of an unknown type is removed", UNKNOWN, "Thing", None)

# Changes that AWS refuses or makes by itself
# -------------------------------------------

INDEX = {
    "IndexName": "a",
    "KeySchema": [{"AttributeName": "id", "KeyType": "HASH"}],
    "Projection": {"ProjectionType": "ALL"},
}
INDEXED = _edited(TABLE, "Table.Properties.GlobalSecondaryIndexes", [INDEX])
_INDEX = "Table.Properties.GlobalSecondaryIndexes"
_set("index-removed", CRITICAL, "an index", INDEXED, _INDEX, None)
_case(
    "update-refused",
    HIGH,
    "an index is renamed",
    INDEXED,
    _edited(INDEXED, f"{_INDEX}.0.IndexName", "b"),
    fix=TABLE,
)
_case(
    "update-refused",
    HIGH,
    "an index projects less",
    INDEXED,
    _edited(INDEXED, f"{_INDEX}.0.Projection.ProjectionType", "KEYS_ONLY"),
    fix=_edited(INDEXED, f"{_INDEX}.0.ContributorInsightsSpecification", {"Enabled": True}),
)
_case(
    "update-refused",
    HIGH,
    "an attribute of users is required",
    _edited(USERS, "Users.Properties.Schema", [{"Name": "email", "Required": False}]),
    _edited(USERS, "Users.Properties.Schema", [{"Name": "email", "Required": True}]),
    fix=_edited(USERS, "Users.Properties.Schema", [{"Name": "email", "Required": False}, {"Name": "shoe"}]),
)
SECRET = {
    "Secret": resource(
        "AWS::SecretsManager::Secret",
        {"GenerateSecretString": {"PasswordLength": 32}},
        DeletionPolicy="Retain",
        UpdateReplacePolicy="Retain",
    )
}
_case(
    "value-regenerated",
    HIGH,
    "a secret is generated differently",
    SECRET,
    _edited(SECRET, "Secret.Properties.GenerateSecretString.PasswordLength", 64),
    fix=SECRET,
)
_set(
    "expiry-dropped",
    LOW,
    "items that were due to expire",
    _edited(TABLE, "Table.Properties.TimeToLiveSpecification", {"Enabled": True, "AttributeName": "ttl"}),
    "Table.Properties.TimeToLiveSpecification",
    None,
)

# Pipelines that can no longer update themselves, or build
# --------------------------------------------------------


def _pipeline(command: str, *stages: str) -> Resources:
    update = {"Name": "UpdatePipeline", "Actions": [action("Build", "SelfMutate", ProjectName="update")]}
    built = {**action("Build", "Synth", ProjectName={"Ref": "Synth"}), "InputArtifacts": [{"Name": "source"}]}
    source = {**action("Source", "repository"), "OutputArtifacts": [{"Name": "source"}]}
    known = {
        "Source": {"Name": "Source", "Actions": [source]},
        "Build": {"Name": "Build", "Actions": [built]},
        "UpdatePipeline": update,
    }
    specification = {"version": "0.2", "phases": {"build": {"commands": ["set -eu", command]}}}
    return {
        "Pipeline": resource("AWS::CodePipeline::Pipeline", {"Stages": [known[name] for name in stages]}),
        "Synth": resource(
            "AWS::CodeBuild::Project",
            {"Source": {"Type": "CODEPIPELINE", "BuildSpec": json.dumps(specification)}},
        ),
    }


WHOLE = _pipeline(".ci/run", "Source", "Build", "UpdatePipeline")
_case(
    "self-mutation-removed",
    CRITICAL,
    "nothing updates the pipeline any more",
    WHOLE,
    _pipeline(".ci/run", "Source", "Build"),
)
_set(
    "self-mutation-removed",
    CRITICAL,
    "the stage that updates it is disabled",
    WHOLE,
    "Pipeline.Properties.DisableInboundStageTransitions",
    [{"StageName": "UpdatePipeline", "Reason": "a holiday"}],
)
CASES.append(
    Case(
        "build-broken",
        CRITICAL,
        "it runs what is no file of the commit",
        of(WHOLE),
        of(_pipeline("CI=1 .ci/nope --fast", "Source", "Build", "UpdatePipeline")),
        has_file=lambda path: path == ".ci/run",
    )
)

# Rollback
# --------

GUARD = {**DEPLOYMENT, **_edited(ALARM, "Alarm.Properties.AlarmName", "guard")}
_GUARDED_BY = "Deployment.Properties.AlarmConfiguration.Alarms"
_set(
    "alarm-loosened",
    HIGH,
    "it rolls back a version",
    _edited(GUARD, _GUARDED_BY, [{"Name": {"Ref": "Alarm"}}]),
    "Alarm.Properties.Threshold",
    1000,
)
_set(
    "alarm-loosened",
    HIGH,
    "it is part of an alarm that rolls back a version",
    {
        **_edited(GUARD, _GUARDED_BY, [{"Name": {"Ref": "Whole"}}]),
        "Whole": resource("AWS::CloudWatch::CompositeAlarm", {"AlarmRule": {"Fn::Sub": 'ALARM("${Alarm}")'}}),
    },
    "Alarm.Properties.Threshold",
    1000,
)
_BAKE = "Pipeline.Properties.Stages.3.OnSuccess.Conditions.0.Rules.0.Configuration"
_set(
    "alarm-loosened",
    HIGH,
    "an environment's bake depends on it",
    {
        **_edited(ALARM, "Alarm.Properties.AlarmName", "a-bake"),
        "Pipeline": _edited(PIPELINE, _BAKE, {"AlarmName": "a-bake"})["Pipeline"],
    },
    "Alarm.Properties.Threshold",
    1000,
)

# Flags
# -----


def _flags(**flags: Any) -> Resources:
    content = json.dumps(flags)
    version = {"ApplicationId": "a1b2c3d", "ConfigurationProfileId": "a1b2c3d", "ContentType": "application/json"}
    return {"Flags": resource("AWS::AppConfig::HostedConfigurationVersion", {**version, "Content": content})}


_OFF, _ON = {"default": False, "rules": {}}, {"default": True, "rules": {}}
_BETA = {"when_match": True, "conditions": [{"action": "EQUALS", "key": "tier", "value": "beta"}]}
_case("flag-changed", MEDIUM, "one is switched on", _flags(a=_OFF), _flags(a=_ON), fix=_flags(a=_OFF))
_case("flag-changed", MEDIUM, "a new one is on", _flags(a=_OFF), _flags(a=_OFF, b=_ON), fix=_flags(a=_OFF, b=_OFF))
_case(
    "flag-changed",
    MEDIUM,
    "a rule enables it for some",
    _flags(a=_OFF),
    _flags(a={**_OFF, "rules": {"beta": _BETA}}),
    fix=_flags(a=_OFF, b=_OFF),
)
_case("flag-changed", MEDIUM, "an enabled one is removed", _flags(a=_ON, b=_OFF), _flags(b=_OFF), fix=_flags(a=_ON))
