"""CodeDeploy's part that hooks report to; in a rehearsal the player replaces it.

A deployment here calls its hooks and waits for their reports. It moves no traffic.
"""

from __future__ import annotations

import json
import secrets
import threading
from dataclasses import dataclass, field
from typing import Any

from ministack.core.responses import get_account_id, get_region, new_uuid
from ministack.services import lambda_svc

from slipway.emulator.extensions import apis

HOOKS = ("BeforeAllowTraffic", "AfterAllowTraffic")
"""https://docs.aws.amazon.com/codedeploy/latest/userguide/reference-appspec-file-structure-hooks.html"""


@dataclass
class _Deployment:
    application: str
    group: str
    events: dict[str, str] = field(default_factory=dict)
    """Hook → status."""
    executions: dict[str, str] = field(default_factory=dict)
    """Id of a hook's execution → hook."""

    @property
    def status(self) -> str:
        found = set(self.events.values())
        if "Failed" in found:
            return "Failed"
        return "Succeeded" if found <= {"Succeeded"} else "InProgress"


_deployments: dict[tuple[str, str, str], _Deployment] = {}
_lock = threading.Lock()


def _find(request: dict[str, Any]) -> _Deployment:
    deployment = _deployments.get((get_account_id(), get_region(), str(request.get("deploymentId"))))
    if deployment is None:
        raise apis.ApiRefusalError("DeploymentDoesNotExistException", "The deployment does not exist.")
    return deployment


def _resource(request: dict[str, Any]) -> str:
    if "deploymentId" in request:
        try:
            deployment = _find(request)
        except apis.ApiRefusalError:
            return "*"
        application, group = deployment.application, deployment.group
    else:
        application, group = request.get("applicationName", ""), request.get("deploymentGroupName", "")
    return f"arn:aws:codedeploy:{get_region()}:{get_account_id()}:deploymentgroup:{application}/{group}"


def _create(request: dict[str, Any]) -> dict[str, Any]:
    specification = json.loads(request["revision"]["appSpecContent"]["content"])
    hooks = {name: function for entry in specification.get("Hooks", []) for name, function in entry.items()}
    name = f"d-{secrets.token_hex(5)[:9].upper()}"
    deployment = _Deployment(request["applicationName"], request["deploymentGroupName"])
    with _lock:
        _deployments[get_account_id(), get_region(), name] = deployment
        for hook in HOOKS:
            if hook in hooks:
                deployment.events[hook] = "InProgress"
                deployment.executions[new_uuid()] = hook
    for execution, hook in list(deployment.executions.items()):
        function, config, _ = lambda_svc._get_func_record_for_ref(hooks[hook])
        if function is None:
            deployment.events[hook] = "Failed"
            continue
        record = lambda_svc._execution_record_for_config(function, config)
        event = {"DeploymentId": name, "LifecycleEventHookExecutionId": execution}
        lambda_svc.invoke_async_with_retry(record, event)
    return {"deploymentId": name}


def _get(request: dict[str, Any]) -> dict[str, Any]:
    deployment = _find(request)
    return {
        "deploymentInfo": {
            "applicationName": deployment.application,
            "deploymentGroupName": deployment.group,
            "deploymentId": request["deploymentId"],
            "status": deployment.status,
            "computePlatform": "Lambda",
        }
    }


def _put_status(request: dict[str, Any]) -> dict[str, Any]:
    deployment, execution = _find(request), str(request.get("lifecycleEventHookExecutionId"))
    if execution not in deployment.executions:
        raise apis.ApiRefusalError(
            "InvalidLifecycleEventHookExecutionIdException", "The lifecycle event hook execution ID is invalid."
        )
    deployment.events[deployment.executions[execution]] = str(request.get("status"))
    return {"lifecycleEventHookExecutionId": execution}


def install() -> None:
    """Make the emulator serve the API."""
    operations = {
        "CreateDeployment": _create,
        "GetDeployment": _get,
        "PutLifecycleEventHookExecutionStatus": _put_status,
    }
    apis.add("codedeploy", operations, target="CodeDeploy_20141006", resource=_resource)
