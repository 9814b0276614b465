"""The smaller services, in memory."""

# ruff: noqa: N803

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

from unit.rehearsal.aws.client import RefusedError, body
from unit.rehearsal.aws.identity import Who


class Buckets:
    """S3, in which any requested bucket exists."""

    def __init__(self) -> None:
        self.objects: dict[tuple[str, str], bytes] = {}
        self.expire: dict[str, int] = {}
        """Days after which a bucket's objects expire, by bucket."""
        self.policies: dict[str, str] = {}
        self.keys: dict[str, str] = {}
        """ARN of the key that a bucket is encrypted with, by bucket."""

    def get_bucket_encryption(self, who: Who, *, Bucket: str) -> dict[str, Any]:
        if Bucket not in self.keys:
            raise RefusedError("ServerSideEncryptionConfigurationNotFoundError", "There is none")
        default = {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": self.keys[Bucket]}
        rules = [{"ApplyServerSideEncryptionByDefault": default}]
        return {"ServerSideEncryptionConfiguration": {"Rules": rules}}

    def get_bucket_policy(self, who: Who, *, Bucket: str) -> dict[str, Any]:
        if Bucket not in self.policies:
            raise RefusedError("NoSuchBucketPolicy", "The bucket policy does not exist")
        return {"Policy": self.policies[Bucket]}

    def get_bucket_lifecycle_configuration(self, who: Who, *, Bucket: str) -> dict[str, Any]:
        if Bucket not in self.expire:
            raise RefusedError("NoSuchLifecycleConfiguration", "The lifecycle configuration does not exist")
        rule = {"ID": "old", "Status": "Enabled", "Filter": {}, "Expiration": {"Days": self.expire[Bucket]}}
        return {"Rules": [rule]}

    def put_object(self, who: Who, *, Bucket: str, Key: str, Body: Any) -> None:
        self.objects[Bucket, Key] = Body if isinstance(Body, bytes) else Body.read()

    def get_object(self, who: Who, *, Bucket: str, Key: str) -> dict[str, Any]:
        if (Bucket, Key) not in self.objects:
            raise RefusedError("NoSuchKey", "The specified key does not exist.")
        return {"Body": body(self.objects[Bucket, Key])}


class Keys:
    """KMS's customer managed keys."""

    def __init__(self) -> None:
        self.policies: dict[str, str] = {}
        """Policies by ARN."""

    def describe_key(self, who: Who, *, KeyId: str) -> dict[str, Any]:
        return {"KeyMetadata": {"KeyId": KeyId.rpartition("/")[2], "Arn": KeyId}}

    def get_key_policy(self, who: Who, *, KeyId: str, PolicyName: str) -> dict[str, Any]:
        return {"Policy": self.policies[KeyId]}


class Builds:
    """CodeBuild; like the emulator's, it runs nothing."""

    def __init__(self) -> None:
        self.projects: dict[str, dict[str, Any]] = {}
        self.started: list[str] = []

    def batch_get_projects(self, who: Who, *, names: list[str]) -> dict[str, Any]:
        return {"projects": [self.projects[name] for name in names if name in self.projects]}

    def start_build(self, who: Who, *, projectName: str) -> dict[str, Any]:
        if projectName not in self.projects:
            raise RefusedError("ResourceNotFoundException", f"Project cannot be found: {projectName}")
        self.started.append(projectName)
        return {"build": {"id": f"{projectName}:{len(self.started)}"}}


class Alarms:
    """CloudWatch, limited to looking up and setting alarms."""

    def __init__(self) -> None:
        self.all: dict[str, dict[str, Any]] = {}

    def set_alarm_state(self, who: Who, *, AlarmName: str, StateValue: str, StateReason: str) -> None:
        self.all[AlarmName] |= {"StateValue": StateValue, "StateReason": StateReason}

    def describe_alarms(self, who: Who, *, AlarmNames: list[str] | None = None) -> dict[str, Any]:
        return {
            "MetricAlarms": [
                {"AlarmName": name, **alarm}
                for name, alarm in self.all.items()
                if AlarmNames is None or name in AlarmNames
            ]
        }


class Logs:
    """CloudWatch Logs."""

    def __init__(self) -> None:
        self.lines: dict[tuple[str, str], list[str]] = {}

    def create_log_stream(self, who: Who, *, logGroupName: str, logStreamName: str) -> None:
        self.lines[logGroupName, logStreamName] = []

    def put_log_events(
        self, who: Who, *, logGroupName: str, logStreamName: str, logEvents: list[dict[str, Any]]
    ) -> None:
        self.lines[logGroupName, logStreamName] += [event["message"] for event in logEvents]


class Topics:
    """SNS."""

    def __init__(self) -> None:
        self.published: list[dict[str, str]] = []

    def publish(self, who: Who, **message: str) -> None:
        self.published.append(message)


class Parameters:
    """SSM's parameters."""

    def __init__(self) -> None:
        self.all: dict[str, str] = {}

    def get_parameter(self, who: Who, *, Name: str, WithDecryption: bool = False) -> dict[str, Any]:
        if Name not in self.all:
            raise RefusedError("ParameterNotFound")
        return {"Parameter": {"Name": Name, "Value": self.all[Name]}}


class Secrets:
    """Secrets Manager."""

    def __init__(self) -> None:
        self.all: dict[str, str] = {}

    def get_secret_value(self, who: Who, *, SecretId: str) -> dict[str, Any]:
        if SecretId not in self.all:
            raise RefusedError("ResourceNotFoundException", "Secrets Manager can't find the specified secret.")
        return {"SecretString": self.all[SecretId]}


@dataclass
class Rule:
    """A rule of an event bus."""

    pattern: dict[str, Any] | None
    targets: list[dict[str, Any]]
    bus: str = "default"
    state: str = "ENABLED"
    schedule: str = ""


@dataclass
class Rules:
    """EventBridge, limited to listing rules and testing patterns."""

    all: dict[str, Rule] = field(default_factory=dict)
    listed: int = 0
    """How often rules were listed."""

    def list_rules(self, who: Who, *, EventBusName: str) -> dict[str, Any]:
        self.listed += 1
        return {
            "Rules": [
                {
                    "Name": name,
                    "State": rule.state,
                    "EventBusName": rule.bus,
                    "Arn": f"arn:aws:events:us-east-1:000000000000:rule/{name}",
                    **({"EventPattern": json.dumps(rule.pattern)} if rule.pattern is not None else {}),
                    **({"ScheduleExpression": rule.schedule} if rule.schedule else {}),
                }
                for name, rule in self.all.items()
                if rule.bus == EventBusName
            ]
        }

    def list_targets_by_rule(self, who: Who, *, Rule: str, EventBusName: str) -> dict[str, Any]:
        return {"Targets": [{"Id": str(place), **target} for place, target in enumerate(self.all[Rule].targets)]}

    def test_event_pattern(self, who: Who, *, EventPattern: str, Event: str) -> dict[str, Any]:
        event = json.loads(Event)
        needed = {"id", "account", "source", "time", "region", "resources", "detail-type"}
        if missing := needed - event.keys():
            raise RefusedError("InvalidEventPatternException", f"the event has no {', '.join(sorted(missing))}")
        return {"Result": _meets(json.loads(EventPattern), event)}


def _meets(pattern: dict[str, Any], event: Any) -> bool:
    """Return True if an event matches a pattern of exact values."""
    return isinstance(event, dict) and all(
        _meets(wanted, event.get(key)) if isinstance(wanted, dict) else event.get(key) in wanted
        for key, wanted in pattern.items()
    )


def _distribution(name: str) -> dict[str, Any]:
    """Return a distribution as CloudFront lists it."""
    none: dict[str, Any] = {"Quantity": 0}
    texts = ("Id", "ARN", "Status", "Comment", "PriceClass", "WebACLId", "HttpVersion")
    return {
        **dict.fromkeys(texts, ""),
        **dict.fromkeys(("Enabled", "IsIPV6Enabled", "Staging"), True),
        **dict.fromkeys(("Aliases", "CacheBehaviors", "CustomErrorResponses"), none),
        "DomainName": name,
        "LastModifiedTime": 0,
        "Origins": {"Quantity": 1, "Items": [{"Id": "api", "DomainName": "localhost"}]},
        "DefaultCacheBehavior": {"TargetOriginId": "api", "ViewerProtocolPolicy": "https-only"},
        "ViewerCertificate": {},
        "Restrictions": {"GeoRestriction": {"RestrictionType": "none", "Quantity": 0}},
    }


@dataclass
class Gateway:
    """API Gateway in both versions, CloudFront and Cognito, limited to looking up what exists."""

    rest: set[str] = field(default_factory=set)
    http: set[str] = field(default_factory=set)
    distributions: set[str] = field(default_factory=set)
    clients: set[str] = field(default_factory=set)

    def get_rest_api(self, who: Who, *, restApiId: str) -> dict[str, Any]:
        if restApiId not in self.rest:
            raise RefusedError("NotFoundException", "Invalid API identifier specified")
        return {"id": restApiId}

    def get_api(self, who: Who, *, ApiId: str) -> dict[str, Any]:
        if ApiId not in self.http:
            raise RefusedError("NotFoundException", "Invalid API identifier specified")
        return {"ApiId": ApiId}

    def list_distributions(self, who: Who) -> dict[str, Any]:
        items = [_distribution(name) for name in sorted(self.distributions)]
        listed = {"Marker": "", "MaxItems": 100, "IsTruncated": False, "Quantity": len(items)}
        return {"DistributionList": {**listed, **({"Items": items} if items else {})}}

    def list_user_pools(self, who: Who, *, MaxResults: int) -> dict[str, Any]:
        return {"UserPools": [{"Id": "us-east-1_pool"}] if self.clients else []}

    def list_user_pool_clients(self, who: Who, *, UserPoolId: str, MaxResults: int) -> dict[str, Any]:
        return {"UserPoolClients": [{"ClientId": client} for client in sorted(self.clients)]}
