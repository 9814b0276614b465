"""An in-memory account whose CodeDeploy moves an alias from one version to the next."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest

from slipway.emulator.partition import Requester
from slipway.rehearsal.player.clock import VirtualClock
from slipway.rehearsal.player.deployments import (
    CodeDeploy,
    DeploymentFailedError,
    ShiftRequest,
    VersionRequests,
    record_of,
)
from slipway.rehearsal.player.records import PlayedDeployment, PlayStatus
from unit.rehearsal.aws import DEV, REGION, TOOLS, Function, accounts_in
from unit.rehearsal.player.stage import FRIDAY

ALIAS = f"arn:aws:lambda:{REGION}:{DEV}:function:items"
GROUP = f"arn:aws:codedeploy:{REGION}:{DEV}:deploymentgroup:App/Group"
REPORT = "codedeploy:PutLifecycleEventHookExecutionStatus"
HANDLER = "services.items.runtime.hooks.api_handler"
CANARY, LINEAR, AT_ONCE = (
    f"CodeDeployDefault.Lambda{name}"
    for name in ("Canary10Percent5Minutes", "Linear10PercentEvery1Minute", "AllAtOnce")
)
ALL_EVENTS = ["DEPLOYMENT_FAILURE", "DEPLOYMENT_STOP_ON_ALARM", "DEPLOYMENT_STOP_ON_REQUEST"]


def fail(event: Any) -> None:
    """Fail, as a broken version does."""
    raise RuntimeError("broken")


class Account:
    """An account with a function whose alias moves from version 1 to 2, its hook, and its deployment group."""

    def __init__(self, folder: Path) -> None:
        self.accounts, behind = accounts_in(folder)
        self.aws, self.tools = behind[DEV], behind[TOOLS]
        self.stopping = threading.Event()
        self.codedeploy = CodeDeploy(self.accounts, self.stopping)
        self.role = self.aws.role(
            "group", "lambda:InvokeFunction", "cloudwatch:DescribeAlarms", f"lambda:UpdateAlias {ALIAS}"
        )
        self.hook_role = self.aws.role("hook", f"{REPORT} {GROUP}")
        self.says = "Succeeded"
        self.events: list[dict[str, Any]] = []
        self.function = Function(versions={"1": lambda _: "fine", "2": lambda _: "fine"}, aliases={"live": ("1", {})})
        self.hook = Function(role=self.hook_role, handler=HANDLER, versions={"$LATEST": self._report})
        self.aws.functions.all |= {"items": self.function, "hook": self.hook}
        self.properties: dict[str, Any] = {
            "FunctionName": "items",
            "Alias": "live",
            "FunctionVersion": "2",
            "DeploymentGroupName": "Group",
            "DeploymentGroup": {
                "ApplicationName": "App",
                "ServiceRoleArn": self.role,
                "DeploymentConfigName": CANARY,
                "AlarmConfiguration": {"Enabled": "true", "Alarms": []},
                "AutoRollbackConfiguration": {"Enabled": "true", "Events": ALL_EVENTS},
            },
            "BeforeAllowTrafficHook": "hook",
        }
        self.a_minute = 10
        self.clock = VirtualClock(FRIDAY)
        self.record: PlayedDeployment | None = None

    def _report(self, event: dict[str, Any]) -> dict[str, Any]:
        self.events.append(event)
        self.report(event["LifecycleEventHookExecutionId"])
        return {"failures": ["an item without a name was taken"]}

    def report(self, execution: str, *, account: str = DEV) -> None:
        """Report success, as the hook does."""
        request = {"lifecycleEventHookExecutionId": execution, "status": self.says}
        self.codedeploy.api("PutLifecycleEventHookExecutionStatus", request, Requester(account, "key", "hook"))

    @property
    def group(self) -> dict[str, Any]:
        found: dict[str, Any] = self.properties["DeploymentGroup"]
        return found

    def alarm(self, name: str, *, version: str | None = "2", **more: Any) -> None:
        """Add an alarm on one error per minute, of a version or of the whole function."""
        dimensions = {"FunctionName": "items"}
        if version:
            dimensions |= {"Resource": "items:live", "ExecutedVersion": version}
        self.aws.alarms.all[name] = {
            "Namespace": "AWS/Lambda",
            "MetricName": "Errors",
            "Dimensions": [{"Name": key, "Value": value} for key, value in dimensions.items()],
            "Statistic": "Sum",
            "Period": 60,
            "EvaluationPeriods": 1,
            "Threshold": 1.0,
            "ComparisonOperator": "GreaterThanOrEqualToThreshold",
            "TreatMissingData": "notBreaching",
            **more,
        }
        self.group["AlarmConfiguration"]["Alarms"].append({"Name": name})

    def deploy(self, configuration: str = CANARY) -> PlayedDeployment:
        """Deploy version 2."""
        self.group["DeploymentConfigName"] = configuration
        stack = f"arn:aws:cloudformation:{REGION}:{DEV}:stack/dev-items-compute/1"
        request = ShiftRequest.of(DEV, {"StackId": stack, "ResourceProperties": self.properties})
        self.record = record_of(request, "1")
        asks = VersionRequests(lambda handler: [{"checks": handler}], {DEV: self.a_minute})
        self.codedeploy.deploy(request, asks, self.clock, self.record)
        return self.record

    def fails(self, configuration: str = CANARY, *, match: str) -> PlayedDeployment:
        """Deploy, and expect a failure with a message."""
        with pytest.raises(DeploymentFailedError, match=match):
            self.deploy(configuration)
        assert self.record is not None
        assert self.record.status is PlayStatus.FAILED
        return self.record

    @property
    def steps(self) -> list[str]:
        """Return what happened, in order: calls of the hook, and the share of version 2."""
        return [
            "hook" if what.startswith("hook:") else f"{detail.get('2', 0.0):.0%}"
            for kind, what, detail in self.aws.functions.happened
            if kind == "route" or what.startswith("hook:")
        ]

    @property
    def serves(self) -> tuple[str, dict[str, float]]:
        """Return the version and weights of the alias."""
        return self.function.aliases["live"]
