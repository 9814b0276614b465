"""Tests of what AWS's services do in the name of a function's role; `make permissions` runs them.

A service subclasses what applies to its functions, and names them as `exercises` does, such as `<service>/ApiFunction`.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, ClassVar
from uuid import uuid4

import boto3
import pytest

from slipway.testing.emulated import refusals, until

SECONDS = 15
"""Time-out of a service's own action on a busy machine, seconds."""


def exercising(*names: str) -> list[Any]:
    """Return a parameter for each function, marked as a test of it."""
    return [pytest.param(name, marks=pytest.mark.exercises(name), id=name) for name in names]


def arrives(look: Callable[[], Any], root: boto3.Session, function: str, *, since: float) -> Any:
    """Return what `look` finds, or nothing as soon as something was refused in the function's name."""
    return until(lambda: look() or refusals(root, function, since=since), SECONDS) and look()


def messages(root: boto3.Session, queue_arn: str) -> list[dict[str, Any]]:
    """Return the bodies in a queue, which stay there."""
    sqs = root.client("sqs")
    url = sqs.get_queue_url(QueueName=queue_arn.rpartition(":")[2])["QueueUrl"]
    found = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10, VisibilityTimeout=0).get("Messages", [])
    return [json.loads(message["Body"]) for message in found]


class _OfFunctions:
    functions: ClassVar[tuple[str, ...]]
    """Names of the functions."""

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        """Run each test for each function."""
        metafunc.parametrize("name", exercising(*self.functions))


class TracedContract(_OfFunctions):
    """Functions write their log and their trace."""

    def test_lambda_writes_log_and_trace(
        self, session: Callable[..., boto3.Session], function_names: dict[str, str], name: str
    ) -> None:
        root, function, began = session(), function_names[name], time.time()
        # When it is invoked, whatever it answers
        root.client("lambda").invoke(FunctionName=function, Qualifier="live", Payload=b"{}")
        # Then its log and its trace are there
        configuration = root.client("lambda").get_function_configuration(FunctionName=function)
        written = root.client("logs").filter_log_events(
            logGroupName=configuration["LoggingConfig"]["LogGroup"], startTime=int(began * 1000)
        )["events"]
        assert any("REPORT RequestId" in event["message"] for event in written)
        moment = {"StartTime": datetime.fromtimestamp(began, UTC), "EndTime": datetime.now(UTC)}
        traces = root.client("xray").get_trace_summaries(**moment)["TraceSummaries"]
        assert function in {service["Name"] for trace in traces for service in trace["ServiceIds"]}


class AsynchronousContract(_OfFunctions):
    """Functions that are called asynchronously put aside what they cannot do."""

    def test_a_failed_event_goes_to_the_dead_letters(
        self, session: Callable[..., boto3.Session], function_names: dict[str, str], name: str
    ) -> None:
        root, function, began = session(), function_names[name], time.time()
        # When it is handed an event that it can't make sense of, asynchronously
        event = {"DeploymentId": f"d-{uuid4().hex}"}
        root.client("lambda").invoke(
            FunctionName=function, Qualifier="live", InvocationType="Event", Payload=json.dumps(event).encode()
        )
        # Then the event is in the dead letters, after two retries
        config = root.client("lambda").get_function_event_invoke_config(FunctionName=function, Qualifier="live")
        queue = config["DestinationConfig"]["OnFailure"]["Destination"]

        def letter() -> dict[str, Any] | None:
            return next((each for each in messages(root, queue) if each.get("requestPayload") == event), None)

        found = arrives(letter, root, function, since=began)
        assert found, refusals(root, function, since=began)
        assert found["requestContext"]["condition"] == "RetriesExhausted"
        assert found["requestContext"]["approximateInvokeCount"] == 3


class HookContract(_OfFunctions):
    """Hooks of deployments report to CodeDeploy."""

    def test_a_hook_reports_to_codedeploy(
        self, session: Callable[..., boto3.Session], function_names: dict[str, str], name: str
    ) -> None:
        root, function, began = session(), function_names[name], time.time()
        # When a deployment of the group that the hook may report to calls it
        deployment = start_deployment(root, function)

        # Then the hook says that the new version may have traffic
        def ended() -> str | None:
            return end_of(root, deployment)

        assert arrives(ended, root, function, since=began) == "Succeeded"


def start_deployment(root: boto3.Session, hook: str) -> str:
    """Start a deployment of the group that a hook may report to, which calls the hook; return the deployment's id."""
    role = root.client("lambda").get_function_configuration(FunctionName=hook)["Role"].rpartition("/")[2]
    application, group = _deployment_group(root, role)
    hooks = {"Hooks": [{"BeforeAllowTraffic": f"{hook}:live"}]}
    content: Any = {"content": json.dumps(hooks), "sha256": "0" * 64}
    return root.client("codedeploy").create_deployment(
        applicationName=application,
        deploymentGroupName=group,
        revision={"revisionType": "AppSpecContent", "appSpecContent": content},
    )["deploymentId"]


def end_of(root: boto3.Session, deployment: str) -> str | None:
    """Return how a deployment ended; None while it lasts."""
    status = root.client("codedeploy").get_deployment(deploymentId=deployment)["deploymentInfo"]["status"]
    return status if status != "InProgress" else None


def _deployment_group(root: boto3.Session, role: str) -> tuple[str, str]:
    """Return the application and group that a role may report on."""
    iam = root.client("iam")
    for attached in iam.list_attached_role_policies(RoleName=role)["AttachedPolicies"]:
        version = iam.get_policy(PolicyArn=attached["PolicyArn"])["Policy"]["DefaultVersionId"]
        document: Any = iam.get_policy_version(PolicyArn=attached["PolicyArn"], VersionId=version)["PolicyVersion"][
            "Document"
        ]
        for statement in document["Statement"]:
            if "codedeploy:PutLifecycleEventHookExecutionStatus" in statement["Action"]:
                resource = statement["Resource"]
                arn = resource if isinstance(resource, str) else resource[0]
                application, _, group = arn.partition("deploymentgroup:")[2].partition("/")
                return application, group
    # Without the permission, any other group is equivalent.
    return "none", "none"
