"""Report a missing object only to callers who may list its bucket; others get an access error, as from S3.

https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObject.html, "Permissions".
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ministack.core import iam_evaluator
from ministack.services import s3

from slipway.emulator.extensions.authority import Refusal
from slipway.emulator.extensions.keys import name_refusal
from slipway.emulator.extensions.patches import wrap

LIST = "s3:ListBucket"


def _is_missing(object_arn: str) -> bool:
    bucket, _, key = object_arn.removeprefix("arn:aws:s3:::").partition("/")
    found = s3._buckets.get(bucket)
    return found is not None and bool(key) and key not in found["objects"]


def _enforce(  # noqa: PLR0917  # as the emulator calls it
    original: Callable[..., Any],
    access_key_id: str,
    iam_action: str,
    service: str,
    region: str,
    resource_arn: str = "*",
    **named: Any,
) -> Any:
    denied = original(access_key_id, iam_action, service, region, resource_arn=resource_arn, **named)
    if denied is not None or iam_action != "s3:GetObject" or not _is_missing(resource_arn):
        return denied
    bucket = resource_arn.partition("/")[0]
    denied = original(access_key_id, LIST, service, region, resource_arn=bucket)
    if isinstance(denied, iam_evaluator.EvalResult):
        name_refusal(Refusal(denied.principal_arn, LIST, bucket, explicit=denied.decision == "Deny"))
    return denied


def install() -> None:
    """Install the replacements.

    Raises:
        UnknownEmulatorError: It is another version of the emulator.
    """
    parameters = ("access_key_id", "iam_action", "service", "region", "resource_arn", "service_context")
    wrap(iam_evaluator, "enforce", _enforce, *parameters)
