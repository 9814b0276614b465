"""Resources that exist once per account and region."""

from __future__ import annotations

import json
from collections.abc import Sequence

import pytest
from aws_cdk import App, Stack
from aws_cdk.assertions import Template
from ministack.services.eventbridge import _matches_pattern

from infrastructure.matrix import SPECIMEN, changed
from slipway.delivery.relay import PATTERN_CHARACTERS, EventRelay
from slipway.testing.templates import DeployedTemplates


def test_api_gateway_may_write_its_logs(deployment: DeployedTemplates) -> None:
    # Given the account's role for API Gateway's logs
    foundation = deployment["foundation"]
    ((_, account),) = foundation.of_type("AWS::ApiGateway::Account").items()
    role_id = account["Properties"]["CloudWatchRoleArn"]["Fn::GetAtt"][0]
    role = foundation.resources[role_id]["Properties"]

    # Then only API Gateway may assume it, with AWS's policy for it, and it is created first
    (trust,) = role["AssumeRolePolicyDocument"]["Statement"]
    assert trust["Principal"] == {"Service": "apigateway.amazonaws.com"}
    (policy,) = role["ManagedPolicyArns"]
    assert deployment.text("foundation", policy).endswith(
        ":iam::aws:policy/service-role/AmazonAPIGatewayPushToCloudWatchLogs"
    )
    assert role_id in account["DependsOn"]
    assert deployment.output("ApiGatewayLoggingRoleArn") == f"<foundation/{role_id}.Arn>"


def _relayed(environment: str, services: Sequence[str], detail_type: str, resource: str) -> bool:
    """Return True if the relay of an environment sends an event on a resource."""
    settings = changed(SPECIMEN.environments[0], {"name": environment})
    stack = Stack(App(), "Foundation")
    EventRelay(stack, "Relay", environment=settings, services=services)
    patterns = [
        json.dumps(rule["Properties"]["EventPattern"])
        for rule in Template.from_stack(stack).find_resources("AWS::Events::Rule").values()
    ]
    assert max(map(len, patterns)) <= PATTERN_CHARACTERS
    detail = {"alarmName": resource, "application": resource, "operation": "delete", "state": "FAILURE"}
    event = {
        "Source": "aws.codedeploy" if "Deployment" in detail_type else "aws.cloudwatch",
        "DetailType": detail_type,
        "Resources": [f"arn:aws:cloudwatch:us-east-1:111111111111:alarm:{resource}"],
        "Detail": json.dumps(detail),
    }
    return any(_matches_pattern(pattern, event) for pattern in patterns)


_EVENTS = (
    "CloudWatch Alarm State Change",
    "CloudWatch Alarm Configuration Change",
    "CodeDeploy Deployment State-change Notification",
)


@pytest.mark.parametrize("detail_type", _EVENTS)
@pytest.mark.parametrize("other", ["dev-x", "dev-catalog", "de"])
def test_environments_of_one_account_relay_their_own(other: str, detail_type: str) -> None:
    # Given two environments in one account, where one's name starts with the other's
    services = ["catalog", "orders"]
    own, foreign = (f"{name}-catalog-compute-Thing1A2B-3C4D" for name in ("dev", other))

    # Then each is only relayed by its own environment
    assert _relayed("dev", services, detail_type, own)
    assert _relayed(other, services, detail_type, foreign)
    assert not _relayed("dev", services, detail_type, foreign)
    assert not _relayed(other, services, detail_type, own)


@pytest.mark.parametrize("detail_type", _EVENTS)
def test_relay_supports_any_number_of_services(detail_type: str) -> None:
    # Given more services than fit into one event pattern
    services = [f"service-number-{number}" for number in range(40)]

    for service in (services[0], services[-1]):
        assert _relayed("production", services, detail_type, f"production-{service}-observability-Thing1A2B-3C4D")
    assert not _relayed("production", services, detail_type, "production-other-observability-Thing1A2B-3C4D")
