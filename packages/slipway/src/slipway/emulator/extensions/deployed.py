"""Keep properties of a resource that the emulator's CloudFormation receives but discards."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from ministack.core.responses import get_account_id
from ministack.services import apigateway_v1, dynamodb, lambda_svc, s3, sns
from ministack.services.cloudformation import provisioners

from slipway.emulator.extensions.keys import bucket_encryption
from slipway.emulator.extensions.patches import wrap

Properties = Mapping[str, Any]


def _function(name: str, properties: Properties) -> None:
    function = lambda_svc._functions[name]
    function["config"]["KMSKeyArn"] = properties.get("KmsKeyArn", "")
    reserved = properties.get("ReservedConcurrentExecutions")
    function["concurrency"] = None if reserved is None else int(reserved)


def _table(name: str, properties: Properties) -> None:
    specification = properties.get("SSESpecification") or {}
    spelled = {"Enabled": specification.get("SSEEnabled", False), **specification}
    dynamodb._tables[name]["SSEDescription"] = dynamodb._sse_description_from_spec(spelled if specification else None)


def _bucket(name: str, properties: Properties) -> None:
    if "BucketEncryption" in properties:
        s3._bucket_encryption[name] = bucket_encryption(properties["BucketEncryption"])
    else:
        s3._bucket_encryption.pop(name, None)


def _topic(arn: str, properties: Properties) -> None:
    topic = sns._topics[arn]
    topic["attributes"]["KmsMasterKeyId"] = properties.get("KmsMasterKeyId", "")
    policy = json.loads(topic["attributes"]["Policy"])
    # The default policy admits every caller that acts for the account
    # (https://docs.aws.amazon.com/sns/latest/dg/sns-access-policy-use-cases.html); the emulator leaves that out.
    if policy.get("Id") == "__default_policy_ID":
        policy["Statement"][0]["Condition"] = {"StringEquals": {"AWS:SourceOwner": get_account_id()}}
        topic["attributes"]["Policy"] = json.dumps(policy)


def _stage(name: str, properties: Properties) -> None:
    stage = apigateway_v1._stages_v1[properties["RestApiId"]][name]
    settings = properties.get("AccessLogSetting") or {}
    stage["accessLogSettings"] = {f"{key[0].lower()}{key[1:]}": value for key, value in settings.items()}


_KEPT: Mapping[str, Callable[[str, Properties], None]] = {
    "AWS::Lambda::Function": _function,
    "AWS::DynamoDB::Table": _table,
    "AWS::S3::Bucket": _bucket,
    "AWS::SNS::Topic": _topic,
    "AWS::ApiGateway::Stage": _stage,
}


def _created(keep: Callable[[str, Properties], None]) -> Callable[..., Any]:
    def create(original: Callable[..., Any], logical_id: str, props: Properties, stack_name: str) -> Any:
        physical, attributes = original(logical_id, props, stack_name)
        keep(physical, props)
        return physical, attributes

    return create


def _updated(keep: Callable[[str, Properties], None]) -> Callable[..., Any]:
    def update(original: Callable[..., Any], physical_id: str, old: Properties, new: Properties, *rest: Any) -> Any:
        physical, attributes = original(physical_id, old, new, *rest)
        keep(physical, new)
        return physical, attributes

    return update


def install() -> None:
    """Make the emulator keep them.

    Raises:
        UnknownEmulatorError: It is another version of the emulator.
    """
    for kind, keep in _KEPT.items():
        handlers = provisioners._RESOURCE_HANDLERS[kind]
        more = ("logical_id",) if handlers.get("update_with_logical_id") else ()
        wrap(handlers, "create", _created(keep), "logical_id", "props", "stack_name")
        wrap(handlers, "update", _updated(keep), "physical_id", "old_props", "new_props", "stack_name", *more)
