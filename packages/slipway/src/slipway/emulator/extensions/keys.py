"""Check the caller's KMS permissions for resources encrypted with a customer's key.

Reading or writing data encrypted with a key of the account requires permissions for the key too: the service calls KMS
with the caller's credentials (https://docs.aws.amazon.com/kms/latest/developerguide/service-integration.html). AWS's
services cache a data key for minutes and call rarely; here each request calls, so a missing permission shows at once.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from typing import Any

from ministack.core import iam_actions, iam_evaluator
from ministack.core.responses import get_account_id, get_region
from ministack.services import dynamodb, kms, s3, secretsmanager, sns, sqs

from slipway.emulator.extensions.authority import Refusal, record
from slipway.emulator.extensions.patches import wrap

DECRYPT, DATA_KEY = "kms:Decrypt", "kms:GenerateDataKey"

_TABLE_ACTIONS = (
    *("GetItem", "BatchGetItem", "Query", "Scan", "PutItem", "UpdateItem", "DeleteItem", "BatchWriteItem"),
    *("ConditionCheckItem", "PartiQLSelect", "PartiQLInsert", "PartiQLUpdate", "PartiQLDelete", "GetRecords"),
)

NEEDED: Mapping[str, tuple[str, ...]] = {
    # https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/encryption.usagenotes.html: the table's key is
    # decrypted on the caller's behalf, for reading and for writing.
    **{f"dynamodb:{action}": (DECRYPT,) for action in _TABLE_ACTIONS},
    # https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-key-management.html
    "sqs:SendMessage": (DATA_KEY, DECRYPT),
    "sqs:ReceiveMessage": (DECRYPT,),
    # https://docs.aws.amazon.com/sns/latest/dg/sns-key-management.html
    "sns:Publish": (DATA_KEY, DECRYPT),
    # https://docs.aws.amazon.com/AmazonS3/latest/userguide/UsingKMSEncryption.html
    "s3:GetObject": (DECRYPT,),
    "s3:PutObject": (DATA_KEY,),
    # https://docs.aws.amazon.com/secretsmanager/latest/userguide/security-encryption.html
    "secretsmanager:GetSecretValue": (DECRYPT,),
    "secretsmanager:PutSecretValue": (DATA_KEY, DECRYPT),
}
"""Action → the KMS actions that its caller needs."""

_MESSAGES = {
    # https://docs.aws.amazon.com/secretsmanager/latest/userguide/troubleshoot.html
    "secretsmanager": "Access to KMS is not allowed",
}
_CODES = {"sqs": "KMS.AccessDeniedException", "sns": "KMSAccessDenied"}
"""Error code of the refusal for services with their own code for KMS; others use `AccessDenied`."""

_refused: ContextVar[Refusal | None] = ContextVar("refused_key", default=None)


def name_refusal(refusal: Refusal) -> None:
    """Make the refusal of the current request name an action other than the request's own."""
    _refused.set(refusal)


def customer_key(reference: object) -> str | None:
    """Return the ARN of a customer's key; None for AWS's own keys, and for anything that isn't a key.

    Args:
        reference: Id, ARN or alias of a key.
    """
    found = kms._resolve_key(reference) if isinstance(reference, str) else None
    if found is None or found.get("KeyManager", "CUSTOMER") != "CUSTOMER":
        return None
    return str(found["Arn"])


def _table_key(arn: str) -> object:
    name = arn.partition(":table/")[2].split("/")[0]
    return ((dynamodb._tables.get(name) or {}).get("SSEDescription") or {}).get("KMSMasterKeyArn")


def _queue_key(arn: str) -> object:
    return (sqs._queue_by_arn(arn) or {}).get("attributes", {}).get("KmsMasterKeyId")


def _topic_key(arn: str) -> object:
    return (sns._topics.get(arn) or {}).get("attributes", {}).get("KmsMasterKeyId")


_KEY_ELEMENT = re.compile(r"<KMSMasterKeyID>([^<]+)</KMSMasterKeyID>")


def _bucket_key(arn: str) -> object:
    bucket = arn.removeprefix("arn:aws:s3:::").split("/")[0]
    found = _KEY_ELEMENT.search(s3._bucket_encryption.get(bucket) or "")
    return found[1] if found else None


def _secret_key(arn: str) -> object:
    return next((secret.get("KmsKeyId") for secret in secretsmanager._secrets.values() if secret["ARN"] == arn), None)


_KEYS: Mapping[str, Callable[[str], object]] = {
    "dynamodb": _table_key,
    "sqs": _queue_key,
    "sns": _topic_key,
    "s3": _bucket_key,
    "secretsmanager": _secret_key,
}


def key_of(resource: str) -> str | None:
    """Return the ARN of the customer's key that encrypts a resource; None if none does.

    Args:
        resource: ARN of a table or its index, queue, topic, bucket or its object, or secret.
    """
    look_up = _KEYS.get(resource.split(":")[2] if resource.startswith("arn:") else "")
    return customer_key(look_up(resource)) if look_up else None


def _enforce(  # noqa: PLR0917  # as the emulator calls it
    original: Callable[..., Any],
    access_key_id: str,
    iam_action: str,
    service: str,
    region: str,
    resource_arn: str = "*",
    service_context: dict[str, Any] | None = None,
) -> Any:
    denied = original(
        access_key_id, iam_action, service, region, resource_arn=resource_arn, service_context=service_context
    )
    if denied is not None or iam_action not in NEEDED or (key := key_of(resource_arn)) is None:
        return denied
    for action in NEEDED[iam_action]:
        refused = _refused_key(access_key_id, action, key, region, via=service)
        if refused is not None:
            record(refused, invoked_by=f"{service}.amazonaws.com")
            name_refusal(refused)
            decision = "Deny" if refused.explicit else "ImplicitDeny"
            return iam_evaluator.EvalResult(decision, principal_arn=refused.principal)
    return None


def _refused_key(access_key_id: str, action: str, key: str, region: str, *, via: str) -> Refusal | None:
    """Return the refusal of a KMS call on the caller's behalf. The caller must already be known."""
    principal = iam_evaluator.resolve_principal(access_key_id or "", get_account_id())
    if isinstance(principal, iam_evaluator.AuthError) or principal.policies is None:
        return None
    request = iam_evaluator.EvalContext(
        principal_arn=principal.arn,
        principal_type=principal.type,
        principal_account=principal.account,
        action=action,
        resource_arn=key,
        region=region,
        secure_transport=True,
        service_context={
            "kms:viaservice": f"{via}.{region}.amazonaws.com",
            "kms:calleraccount": principal.account,
        },
        principal_keys=principal.keys,
    )
    result = iam_evaluator.evaluate(request, principal.policies, *principal.limits)
    if (found := kms.key_policy_for_arn(key)) is not None:
        limits = tuple(principal.limits)
        result = iam_evaluator.combine_resource_policy(result, request, *found, required=True, limits=limits)
    if result.decision == "Allow":
        return None
    return Refusal(principal.arn, action, key, explicit=result.decision == "Deny")


def _answer(
    original: Callable[..., Any], service: str, action: str, principal_arn: str, request_id: str, **named: Any
) -> Any:
    refusal = _refused.get()
    _refused.set(None)
    if refusal is None or named.get("error_code"):
        return original(service, action, principal_arn, request_id, **named)
    message = _MESSAGES.get(service, refusal.message)
    if service in _CODES:
        named["error_code"] = _CODES[service]
    named["message"] = message
    named.pop("resource_policy_arn", None)
    return original(service, action, principal_arn, request_id, **named)


_ENCRYPTION, _KEY = "x-amz-server-side-encryption", "x-amz-server-side-encryption-aws-kms-key-id"


def _written(original: Callable[..., Any], headers: Mapping[str, str], bucket_name: str) -> Any:
    """Use AWS's own key for a write that requests KMS without a key, as S3 does; the emulator refuses it."""
    if headers.get(_ENCRYPTION) == "aws:kms" and not headers.get(_KEY):
        headers = {**headers, _KEY: f"arn:aws:kms:{get_region()}:{get_account_id()}:alias/aws/s3"}
    return original(headers, bucket_name)


def install() -> None:
    """Make the emulator check KMS.

    Raises:
        UnknownEmulatorError: It is another version of the emulator.
    """
    parameters = ("access_key_id", "iam_action", "service", "region", "resource_arn", "service_context")
    wrap(iam_evaluator, "enforce", _enforce, *parameters)
    wrap(
        iam_actions,
        "access_denied_response",
        _answer,
        *("service", "action", "principal_arn", "request_id", "error_code", "message", "headers", "resource_arn"),
        *("explicit_deny", "resource_policy_arn"),
    )
    wrap(s3, "_resolve_sse_write_headers", _written, "headers", "bucket_name")


def bucket_encryption(properties: Mapping[str, Any]) -> str:
    """Convert a template's `BucketEncryption` to the format of S3's API."""
    rule = properties["ServerSideEncryptionConfiguration"][0]
    default = rule.get("ServerSideEncryptionByDefault", {})
    key = f"<KMSMasterKeyID>{default['KMSMasterKeyID']}</KMSMasterKeyID>" if "KMSMasterKeyID" in default else ""
    return (
        '<ServerSideEncryptionConfiguration xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Rule>'
        f"<ApplyServerSideEncryptionByDefault><SSEAlgorithm>{default.get('SSEAlgorithm', 'AES256')}</SSEAlgorithm>{key}"
        f"</ApplyServerSideEncryptionByDefault><BucketKeyEnabled>{json.dumps(rule.get('BucketKeyEnabled', False))}"
        "</BucketKeyEnabled></Rule></ServerSideEncryptionConfiguration>"
    )
