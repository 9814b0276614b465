"""CodeDeploy's past deployments in every account, stored with the accounts.

https://docs.aws.amazon.com/codedeploy/latest/APIReference/API_ListDeployments.html and
https://docs.aws.amazon.com/codedeploy/latest/APIReference/API_BatchGetDeployments.html. For Lambda, a deployment's
revision is its AppSpec file, which names the alias's old version and its new one:
https://docs.aws.amazon.com/codedeploy/latest/userguide/reference-appspec-file-structure-resources.html.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from slipway import files
from slipway.emulator.partition import ApiError

MOST = 1_000
"""Maximum number of stored deployments."""
OF_A_CALL = 25
"""Maximum number of deployments per call of BatchGetDeployments."""


@dataclass(frozen=True)
class PastDeployment:
    """A deployment that has ended.

    Attributes:
        started: Virtual time of its start, Unix time in seconds.
        ended: Virtual time of its end.
    """

    id: str
    account: str
    application: str
    group: str
    function: str
    alias: str
    old_version: str
    new_version: str
    succeeded: bool
    started: float
    ended: float

    def describe(self) -> dict[str, Any]:
        """Return the deployment in the format of CodeDeploy's API."""
        versions = {"CurrentVersion": self.old_version, "TargetVersion": self.new_version}
        properties = {"Name": self.function, "Alias": self.alias, **versions}
        resource = {"Type": "AWS::Lambda::Function", "Properties": properties}
        content = {"version": 0.0, "Resources": [{self.function: resource}]}
        return {
            "deploymentId": self.id,
            "applicationName": self.application,
            "deploymentGroupName": self.group,
            "status": self._status,
            "createTime": self.started,
            "completeTime": self.ended,
            "computePlatform": "Lambda",
            "revision": {"revisionType": "AppSpecContent", "appSpecContent": {"content": json.dumps(content)}},
        }

    @property
    def _status(self) -> str:
        return "Succeeded" if self.succeeded else "Stopped"

    def meets(self, request: Mapping[str, Any]) -> bool:
        """Return True if a request to list deployments matches it."""
        statuses = request.get("includeOnlyStatuses") or [self._status]
        return (
            self._status in statuses
            and request.get("applicationName") in {None, self.application}
            and request.get("deploymentGroupName") in {None, self.group}
        )


class DeploymentHistory:
    """Past deployments, oldest first.

    Args:
        file: File that stores them.
    """

    def __init__(self, file: Path) -> None:
        self._file, self._lock = file, threading.Lock()
        self._past = [PastDeployment(**each) for each in files.read_json(file) or []]

    def add(self, deployment: PastDeployment) -> None:
        """Store a deployment."""
        with self._lock:
            self._past = [*self._past, deployment][-MOST:]
            files.write_json(self._file, [asdict(each) for each in self._past])

    def ask(self, operation: str, request: Mapping[str, Any], account: str) -> dict[str, Any]:
        """Answer an operation of CodeDeploy's API.

        Args:
            operation: Name of the operation.
            request: Its parameters.
            account: Account of the deployments.

        Raises:
            ApiError: The operation is unknown, or CodeDeploy refuses it.
        """
        with self._lock:
            theirs = [each for each in self._past if each.account == account]
        if operation == "ListDeployments":
            return {"deployments": [each.id for each in reversed(theirs) if each.meets(request)]}
        if operation != "BatchGetDeployments":
            raise ApiError("InvalidOperationException", f"the player's CodeDeploy does not support {operation}")
        wanted = request.get("deploymentIds", [])
        if len(wanted) > OF_A_CALL:
            raise ApiError("BatchLimitExceededException", f"at most {OF_A_CALL} deployments can be requested at once")
        return {"deploymentsInfo": [each.describe() for each in theirs if each.id in wanted]}
