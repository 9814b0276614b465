"""Lambda function that checks an environment for drift once a day, and puts an event if it finds any."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

import boto3
from aws_lambda_powertools.utilities.typing import LambdaContext

from slipway.delivery.runtime.drift import DriftReport, detect_drift
from slipway.delivery.runtime.events import DRIFT_DETAIL_TYPE, DRIFT_SOURCE
from slipway_runtime.telemetry import logger

if TYPE_CHECKING:
    from mypy_boto3_cloudformation import CloudFormationClient
    from mypy_boto3_events.type_defs import PutEventsRequestEntryTypeDef

DENIED = ("AWS::IAM::",)
"""Types that the permissions boundary forbids reading to every role of the stacks; `slipway drift` compares them."""
LINES = 100
"""Maximum number of lines in an event, which holds 256 KB
(https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-putevent-size.html)."""
CHARACTERS = 500
"""Maximum length of a line: a property may be a whole policy or definition."""


@logger.inject_lambda_context
def drift_handler(event: dict[str, Any], context: LambdaContext) -> dict[str, int]:  # noqa: ARG001 - Lambda passes both
    """Check the environment that the schedule names for drift, and put the result on the delivery's bus."""
    report = detect_drift(_client(event["role"], event["region"]), event["stacks"], skips=DENIED)
    logger.info("drift", extra={"stacks": report.stacks, "drifted": len(report.drifted), "unread": report.unread})
    if report.drifted or report.unread:
        answer = boto3.client("events").put_events(Entries=[entry(event["environment"], report)])
        if answer["FailedEntryCount"]:
            raise RuntimeError(f"the event was refused: {answer['Entries'][0].get('ErrorMessage')}")
    return {"stacks": len(report.stacks), "drifted": len(report.drifted), "unread": len(report.unread)}


def _client(role: str, region: str) -> CloudFormationClient:
    """Return a client of CloudFormation in an environment's account, with the role that checks for drift there."""
    given = boto3.client("sts").assume_role(RoleArn=role, RoleSessionName="drift")["Credentials"]
    session = boto3.Session(
        aws_access_key_id=given["AccessKeyId"],
        aws_secret_access_key=given["SecretAccessKey"],
        aws_session_token=given["SessionToken"],
        region_name=region,
    )
    return session.client("cloudformation")


def entry(environment: str, report: DriftReport) -> PutEventsRequestEntryTypeDef:
    """Return the event that reports drift.

    Args:
        environment: Name of the environment.
        report: The drift found in it.
    """
    lines = [line for resource in report.drifted for line in resource.lines()]
    detail = {
        "environment": environment,
        "resources": len(report.drifted),
        "lines": [line[:CHARACTERS] for line in lines[:LINES]],
        "left_out": max(0, len(lines) - LINES),
        "unread": [line[:CHARACTERS] for line in report.unread[:LINES]],
    }
    return {
        "Source": DRIFT_SOURCE,
        "DetailType": DRIFT_DETAIL_TYPE,
        "Detail": json.dumps(detail),
        "EventBusName": os.environ["BUS_NAME"],
    }
