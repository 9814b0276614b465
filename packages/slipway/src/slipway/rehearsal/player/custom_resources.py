"""Custom resources through which CloudFormation waits for the player."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from typing import Any

import httpx
from botocore.exceptions import ClientError

from slipway.emulator.accounts import Accounts
from slipway.emulator.substitutions import DEPLOYMENT, PIPELINE
from slipway.rehearsal.player.clock import VirtualClock
from slipway.rehearsal.player.deployments import (
    AlarmRingsError,
    CodeDeploy,
    DeploymentFailedError,
    ShiftRequest,
    VersionRequests,
    record_of,
)
from slipway.rehearsal.player.events import Events
from slipway.rehearsal.player.memory import Memory
from slipway.rehearsal.player.records import PlayedAction, PlayStatus

Deploying = Callable[[str, str], "tuple[PlayedAction, VirtualClock] | None"]
"""Account and stack → the action that deploys it, and its clock."""


class CustomResources:
    """Answers CloudFormation's requests for custom resources.

    Args:
        accounts: The accounts, which run when requests arrive.
        memory: State of the pipeline.
        codedeploy: Moves aliases.
        events: Receiver of events.
        deploying: Finds the action of a stack.
        requests: The traffic of deployments.
        pipelines: Name of a pipeline → its state. Default: a single pipeline, with `memory`.
    """

    def __init__(
        self,
        accounts: Callable[[], Accounts],
        memory: Memory,
        *,
        pipelines: Callable[[str], Memory] | None = None,
        codedeploy: Callable[[], CodeDeploy],
        events: Callable[[], Events],
        deploying: Deploying,
        requests: VersionRequests,
    ) -> None:
        self._pipelines = pipelines or (lambda _: memory)
        self._accounts, self._memory, self._codedeploy, self._events = accounts, memory, codedeploy, events
        self._deploying, self._requests = deploying, requests

    def take(self, account: str, event: dict[str, Any]) -> None:
        """Accept an event; the answer comes later, from a separate thread."""
        threading.Thread(target=self._handle, args=(account, event), daemon=True).start()

    def give_up(self, event: Mapping[str, Any], reason: str) -> None:
        """Report to CloudFormation that a request will not be fulfilled."""
        _answer(event, PlayStatus.FAILED, reason=reason)

    def _handle(self, account: str, event: dict[str, Any]) -> None:
        token = str(event["RequestId"])
        self._memory.remember_pending(token, event)
        try:
            identifier = self._do(account, event)
            _answer(event, PlayStatus.SUCCEEDED, identifier=identifier)
        except DeploymentFailedError as error:
            _answer(event, PlayStatus.FAILED, reason=str(error))
        except Exception as error:  # noqa: BLE001  # CloudFormation must not wait for an hour after any error
            _answer(event, PlayStatus.FAILED, reason=f"the player failed: {type(error).__name__}: {error}")
        finally:
            self._memory.remember_pending(token, None)

    def _do(self, account: str, event: dict[str, Any]) -> str:
        kind, properties = event["RequestType"], event["ResourceProperties"]
        match event["ResourceType"]:
            case resource if resource == PIPELINE:
                name = str(properties["Definition"]["Name"])
                if kind == "Delete":
                    self._pipelines(name).undefine()
                else:
                    self._pipelines(name).define(properties["Definition"])
                return name
            case resource if resource == DEPLOYMENT:
                if kind == "Update":
                    self._move(account, event)
                return f"{properties['FunctionName']}:{properties['Alias']}"
            case stranger:
                raise DeploymentFailedError(f"the player does not support {stranger}")

    def _move(self, account: str, event: dict[str, Any]) -> None:
        request = ShiftRequest.of(account, event)
        session = self._accounts().emulator(account, request.region).session()
        stack = session.client("cloudformation").describe_stacks(StackName=request.stack)["Stacks"][0]
        if "ROLLBACK" in stack["StackStatus"]:
            # CloudFormation restores the alias itself.
            return
        try:
            old = session.client("lambda").get_alias(FunctionName=request.function, Name=request.alias)
        except ClientError:
            return  # The alias is being created.
        if old["FunctionVersion"] == request.version:
            return
        deploying = self._deploying(account, request.stack)
        record = record_of(request, old["FunctionVersion"])
        if deploying is None:
            # No action deploys the stack: the accounts are being launched.
            return
        action, clock = deploying
        action.deployments.append(record)
        own = VirtualClock(clock.now)
        self._tell(request, record.id, "START", own)
        try:
            self._codedeploy().deploy(request, self._requests, own, record)
        except AlarmRingsError:
            # https://docs.aws.amazon.com/codedeploy/latest/userguide/monitoring-create-alarms.html
            self._tell(request, record.id, "STOP", own)
            raise
        except DeploymentFailedError:
            self._tell(request, record.id, "FAILURE", own)
            raise
        self._tell(request, record.id, "SUCCESS", own)

    def _tell(self, request: ShiftRequest, deployment: str, state: str, clock: VirtualClock) -> None:
        detail = {
            "application": request.group["ApplicationName"],
            "deploymentGroup": request.group_name,
            "deploymentId": deployment,
            "instanceGroupId": deployment,
            "region": request.region,
            "state": state,
        }
        kind = "CodeDeploy Deployment State-change Notification"
        self._events().put(request.account, "aws.codedeploy", kind, detail, clock.now, region=request.region)


def _answer(event: Mapping[str, Any], status: PlayStatus, *, identifier: str = "", reason: str = "") -> None:
    content = {
        "Status": "SUCCESS" if status is PlayStatus.SUCCEEDED else "FAILED",
        "PhysicalResourceId": identifier or event.get("PhysicalResourceId") or event["LogicalResourceId"],
        "StackId": event["StackId"],
        "RequestId": event["RequestId"],
        "LogicalResourceId": event["LogicalResourceId"],
        "Reason": reason,
        "Data": {},
    }
    try:
        httpx.put(str(event["ResponseURL"]), json=content, trust_env=False, timeout=10)
    except httpx.HTTPError:
        return  # The account has been stopped, and the waiting stack with it.
