"""Contract of every function's role: what AWS's services do under it. `make permissions` runs these tests.

The suite reads the functions from the synthesised stages. The app subclasses it in its own local tests.
"""

from __future__ import annotations

import io
import json
import time
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from functools import cache
from pathlib import Path
from typing import Any
from uuid import uuid4

import boto3
import httpx
import pytest

from slipway import settings as config
from slipway.assembly.flat import stack_template
from slipway.assembly.reader import read_manifest
from slipway.emulator.environment import FOUNDATION
from slipway.emulator.stages import stage_folder, staged
from slipway.permissions.plan import functions
from slipway.testing.emulated import refusals, synthesized, until

SECONDS = 30
"""Time-out of a service's own action on a busy machine, seconds."""


FAILS_AT_IMPORT = "raise RuntimeError('of a broken version')\n"
ANSWERS_WITH_NONSENSE = "def handler(event, context):\n    return {'statusCode': 200, 'body': '{}'}\n"


class Work(StrEnum):
    """Purpose of a function."""

    HOOK = "hook"
    """CodeDeploy calls it to check a new version."""
    PROBE = "probe"
    """It calls the service at its public address."""
    SERVICE = "service"
    """The service's own work, or that of its resources."""


@dataclass(frozen=True)
class FoundFunction:
    """A function of the first environment, as it was synthesised.

    Attributes:
        name: As `exercises` names it, such as `<service>/ApiFunction`.
        work: Its purpose.
        asynchronous: True if events that it fails to process go to a queue.
    """

    name: str
    work: Work
    asynchronous: bool


@cache
def found_functions() -> tuple[FoundFunction, ...]:
    """Return the functions of all services in the first environment."""
    assembly, environment = synthesized(), config.load().environments[0].name
    return tuple(
        found
        for service in staged(assembly, environment)
        if service != FOUNDATION
        for found in _found_in(assembly, environment, service)
    )


def _found_in(assembly: Path, environment: str, service: str) -> Iterator[FoundFunction]:
    stage = stage_folder(assembly, environment, service)
    resources = {entry.name: stack_template(entry)["Resources"] for entry in read_manifest(stage).stacks()}
    for function in functions(stage):
        variables = resources[function.stack][function.logical_id]["Properties"]["Environment"]["Variables"]
        work = Work.HOOK if "TARGET_ALIAS_ARN" in variables else Work.SERVICE
        put_aside = (
            resource["Properties"]["FunctionName"]
            for resource in resources[function.stack].values()
            if resource["Type"] == "AWS::Lambda::EventInvokeConfig"
        )
        yield FoundFunction(
            function.name,
            Work.PROBE if "PROBE_API" in variables else work,
            {"Ref": function.logical_id} in put_aside,
        )


def arrives(look: Callable[[], Any], root: boto3.Session, function: str, *, since: float) -> Any:
    """Return the result of `look`, or nothing as soon as a call in the function's name is refused."""
    return until(lambda: look() or refusals(root, function, since=since), SECONDS) and look()


def messages(root: boto3.Session, queue_arn: str) -> list[dict[str, Any]]:
    """Return the bodies of all messages in a queue without removing them."""
    sqs = root.client("sqs")
    url = sqs.get_queue_url(QueueName=queue_arn.rpartition(":")[2])["QueueUrl"]
    # One call returns ten messages at most, and the same ones again unless they are hidden in the meantime.
    found = []
    while received := sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10, VisibilityTimeout=60).get("Messages"):
        found += received
    for message in found:
        sqs.change_message_visibility(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"], VisibilityTimeout=0)
    return [json.loads(message["Body"]) for message in found]


class _OfFunctions:
    @staticmethod
    def concerns(found: FoundFunction) -> bool:
        """Return True if it is about that function."""
        raise NotImplementedError

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        """Run each test for each function, marked as a test of it."""
        names = [found.name for found in found_functions() if type(self).concerns(found)]
        metafunc.parametrize("name", [pytest.param(each, marks=pytest.mark.exercises(each), id=each) for each in names])


class TracedContract(_OfFunctions):
    """Functions write their log and their trace."""

    @staticmethod
    def concerns(found: FoundFunction) -> bool:
        """See `_OfFunctions`."""
        return found.work is Work.SERVICE

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
    """Functions that are called asynchronously send failed events to their dead letters."""

    @staticmethod
    def concerns(found: FoundFunction) -> bool:
        """See `_OfFunctions`."""
        return found.asynchronous and found.work is not Work.PROBE

    def test_a_failed_event_goes_to_the_dead_letters(
        self, session: Callable[..., boto3.Session], function_names: dict[str, str], name: str
    ) -> None:
        root, function, began = session(), function_names[name], time.time()
        # When it is invoked asynchronously with an event that it can't process
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

    @staticmethod
    def concerns(found: FoundFunction) -> bool:
        """See `_OfFunctions`."""
        return found.work is Work.HOOK

    def test_a_hook_reports_to_codedeploy(
        self, session: Callable[..., boto3.Session], function_names: dict[str, str], name: str
    ) -> None:
        root, function, began = session(), function_names[name], time.time()
        # When a deployment of the group that the hook may report to calls it
        deployment = start_deployment(root, function)

        # Then the hook reports that the new version may take traffic
        def ended() -> str | None:
            return end_of(root, deployment)

        assert arrives(ended, root, function, since=began) == "Succeeded"

    @pytest.mark.parametrize("source", [FAILS_AT_IMPORT, ANSWERS_WITH_NONSENSE], ids=["import", "nonsense"])
    def test_a_hook_keeps_traffic_from_a_broken_version(
        self,
        session: Callable[..., boto3.Session],
        http: httpx.Client,
        function_names: dict[str, str],
        name: str,
        source: str,
    ) -> None:
        root, hook = session(), function_names[name]
        # Given a newest version that doesn't keep its contract
        with _newest_version(root, http, hook, source):
            # When CodeDeploy calls the hook before it allows traffic
            deployment = start_deployment(root, hook)
            # Then the hook reports that the version failed
            assert until(lambda: end_of(root, deployment)) == "Failed"


@contextmanager
def _newest_version(root: boto3.Session, http: httpx.Client, hook: str, source: str) -> Iterator[None]:
    """Let the alias that a hook checks point to a version with another handler for a while."""
    functions_api = root.client("lambda")
    target = functions_api.get_function_configuration(FunctionName=hook)["Environment"]["Variables"]["TARGET_ALIAS_ARN"]
    *_, name, alias = target.split(":")
    before = functions_api.get_alias(FunctionName=name, Name=alias)["FunctionVersion"]
    shipped = functions_api.get_function(FunctionName=name)
    module = shipped["Configuration"]["Handler"].rpartition(".")[0]
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr(module.replace(".", "/") + ".py", source)
    version = functions_api.update_function_code(FunctionName=name, ZipFile=content.getvalue(), Publish=True)["Version"]
    assert version != before
    functions_api.update_alias(FunctionName=name, Name=alias, FunctionVersion=version)
    try:
        yield
    finally:
        functions_api.update_alias(FunctionName=name, Name=alias, FunctionVersion=before)
        # What is published next is the shipped code again.
        code = http.get(shipped["Code"]["Location"]).raise_for_status().content
        functions_api.update_function_code(FunctionName=name, ZipFile=code)


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
