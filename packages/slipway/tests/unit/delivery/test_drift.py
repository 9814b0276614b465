"""Drift is read from CloudFormation, and people are notified of it."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import boto3
import pytest
from botocore.stub import Stubber

from slipway.delivery.runtime import drift_handlers
from slipway.delivery.runtime.drift import DriftedResource, DriftReport, PropertyDifference, detect_drift
from slipway.delivery.runtime.events import read
from slipway.delivery.runtime.messages import Message, message

NOW = datetime(2026, 11, 20, tzinfo=UTC)
STACK = "prod-items-compute"
ARN = f"arn:aws:cloudformation:us-east-1:123456789012:stack/{STACK}/1"
_SESSION = boto3.Session(aws_access_key_id="a", aws_secret_access_key="b", region_name="us-east-1")


def _resource(logical_id: str, status: str, **more: Any) -> dict[str, Any]:
    return {
        "StackId": ARN,
        "LogicalResourceId": logical_id,
        "PhysicalResourceId": logical_id.lower(),
        "ResourceType": "AWS::Lambda::Function",
        "StackResourceDriftStatus": status,
        "Timestamp": NOW,
        **more,
    }


def _status(status: str, **more: Any) -> dict[str, Any]:
    return {"StackId": ARN, "StackDriftDetectionId": "d-1", "DetectionStatus": status, "Timestamp": NOW, **more}


def _detected(stub: Stubber, *statuses: dict[str, Any]) -> None:
    summary = {"LogicalResourceId": "Api", "ResourceStatus": "CREATE_COMPLETE", "LastUpdatedTimestamp": NOW}
    listed = [{**summary, "ResourceType": "AWS::Lambda::Function", "PhysicalResourceId": "api"}]
    stub.add_response("list_stack_resources", {"StackResourceSummaries": listed}, {"StackName": STACK})
    stub.add_response("detect_stack_drift", {"StackDriftDetectionId": "d-1"}, {"StackName": STACK})
    for each in statuses:
        stub.add_response("describe_stack_drift_detection_status", each)


def _look(stub: Stubber, client: Any, **options: Any) -> DriftReport:
    with stub:
        return detect_drift(client, [STACK], sleep=lambda _: None, **options)


def test_every_page_of_differences_is_read() -> None:
    # Given a detection that is first in progress, and two pages of differences
    client = _SESSION.client("cloudformation")
    stub = Stubber(client)
    _detected(stub, _status("DETECTION_IN_PROGRESS"), _status("DETECTION_COMPLETE", StackDriftStatus="DRIFTED"))
    difference = {
        "PropertyPath": "/MemorySize",
        "ExpectedValue": "256",
        "ActualValue": "512",
        "DifferenceType": "NOT_EQUAL",
    }
    first = [_resource("Api", "MODIFIED", PropertyDifferences=[difference]), _resource("Same", "IN_SYNC")]
    stub.add_response("describe_stack_resource_drifts", {"StackResourceDrifts": first, "NextToken": "t"})
    stub.add_response(
        "describe_stack_resource_drifts",
        {"StackResourceDrifts": [_resource("Gone", "DELETED")]},
        {"StackName": STACK, "NextToken": "t"},
    )
    # When drift is detected, then both pages are reported
    report = _look(stub, client)
    assert [line for each in report.drifted for line in each.lines()] == [
        f"{STACK}: Api (AWS::Lambda::Function, api): /MemorySize is 512, not 256",
        f"{STACK}: Gone (AWS::Lambda::Function, gone) was deleted",
    ]
    assert report.unread == ()


def test_unreadable_resources_are_not_in_sync() -> None:
    client = _SESSION.client("cloudformation")
    stub = Stubber(client)
    reason = "Failed to detect drift on resources [Api]"
    _detected(stub, _status("DETECTION_FAILED", DetectionStatusReason=reason))
    unknown = _resource("Api", "UNKNOWN", DriftStatusReason="AccessDenied")
    stub.add_response("describe_stack_resource_drifts", {"StackResourceDrifts": [unknown]})
    assert _look(stub, client).unread == (f"{STACK}: Api (AWS::Lambda::Function): AccessDenied",)


@pytest.mark.parametrize(("resources", "unread"), [(["Role"], 0), ([], 1)])
def test_a_failure_without_a_named_resource_is_reported(resources: list[str], unread: int) -> None:
    # Given a detection that failed at a type that is skipped, or without naming a resource
    client = _SESSION.client("cloudformation")
    stub = Stubber(client)
    _detected(stub, _status("DETECTION_FAILED", DetectionStatusReason="Failed"))
    found = [{**_resource(each, "UNKNOWN"), "ResourceType": "AWS::IAM::Role"} for each in resources]
    stub.add_response("describe_stack_resource_drifts", {"StackResourceDrifts": found})
    assert len(_look(stub, client, skips=("AWS::IAM::",)).unread) == unread


def test_a_detection_that_does_not_end_is_reported() -> None:
    client = _SESSION.client("cloudformation")
    stub = Stubber(client)
    _detected(stub, _status("DETECTION_IN_PROGRESS"))
    assert _look(stub, client, wait_seconds=0).unread == (f"{STACK}: the detection did not end in time",)


@pytest.mark.parametrize(
    ("words", "unread"),
    [(f"Stack with id {STACK} does not exist", 0), ("User is not authorized to perform: ListStackResources", 1)],
)
def test_only_a_missing_stack_is_left_out(words: str, unread: int) -> None:
    client = _SESSION.client("cloudformation")
    stub = Stubber(client)
    stub.add_client_error("list_stack_resources", "ValidationError", words)
    report = _look(stub, client)
    assert (report.stacks, len(report.unread)) == ((), unread)


def _told(report: DriftReport, monkeypatch: pytest.MonkeyPatch) -> Message:
    monkeypatch.setenv("BUS_NAME", "slipway-delivery")
    sent = drift_handlers.entry("prod", report)
    assert sent["EventBusName"] == "slipway-delivery"
    event = {
        "detail-type": sent["DetailType"],
        "source": sent["Source"],
        "account": "123456789012",
        "time": "2026-11-20T04:00:00Z",
        "detail": json.loads(sent["Detail"]),
    }
    change = read(event)
    assert change
    said = message(change, region="us-east-1", environment_of=lambda *_: None)
    assert said
    return said


def _drifted(number: int) -> DriftedResource:
    difference = PropertyDifference("/MemorySize", "256", "5" * 2_000)
    return DriftedResource(
        STACK, f"Api{number}", "api", "AWS::Lambda::Function", deleted=False, differences=(difference,)
    )


def test_notification_names_resource_property_and_values(monkeypatch: pytest.MonkeyPatch) -> None:
    difference = PropertyDifference("/MemorySize", "256", "512")
    resource = DriftedResource(STACK, "Api", "api", "AWS::Lambda::Function", deleted=False, differences=(difference,))
    said = _told(DriftReport((STACK,), (resource,), ("prod-items-data: UPDATE_IN_PROGRESS",)), monkeypatch)
    assert said.subject == "prod: 1 resource differs from the templates, 1 could not be compared with the templates"
    assert "Api (AWS::Lambda::Function, api): /MemorySize is 512, not 256" in said.text
    assert "not compared: prod-items-data: UPDATE_IN_PROGRESS" in said.text


def test_an_event_stays_within_the_limit_of_eventbridge(monkeypatch: pytest.MonkeyPatch) -> None:
    report = DriftReport((STACK,), tuple(_drifted(number) for number in range(300)), ())
    monkeypatch.setenv("BUS_NAME", "slipway-delivery")
    assert len(drift_handlers.entry("prod", report)["Detail"]) < 256_000
    said = _told(report, monkeypatch)
    assert "and 200 more: `slipway drift --env prod` lists them" in said.text
