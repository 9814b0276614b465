"""AWS FIS, as far as it delays and fails functions: templates through CloudFormation, experiments through its API.

What FIS writes into its bucket for the functions' extension is not documented, so nothing is written here; IAM decides
whether FIS's role may write there and the function's may read. An experiment ends when its time is up, when a stop
condition is in alarm (https://docs.aws.amazon.com/fis/latest/userguide/stop-conditions.html), or on request. Time and
stop conditions are checked whenever a function is invoked or the experiment is requested from the API.
"""

from __future__ import annotations

import json
import re
import secrets
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

from ministack.core.responses import AccountRegionScopedDict, error_response_json, get_account_id, get_region
from ministack.services import cloudformation, cloudwatch, lambda_svc
from ministack.services.cloudformation import provisioners

from slipway.emulator.extensions import apis
from slipway.emulator.extensions.authority import Actor
from slipway.emulator.extensions.functions import Record, actor
from slipway.emulator.extensions.patches import UnknownEmulatorError, wrap

TYPE = "AWS::FIS::ExperimentTemplate"
PRINCIPAL = "fis.amazonaws.com"
LOCATION = "AWS_FIS_CONFIGURATION_LOCATION"
UNDER_WAY = "running"
DELAY, ERROR = "aws:lambda:invocation-add-delay", "aws:lambda:invocation-error"
INJECTED = "Fault injected by AWS FIS"

_DURATION = re.compile(r"PT(?:(\d+)H)?(?:(\d+)M)?(?:(\d+)S)?")
_lock = threading.Lock()


@dataclass
class _Experiment:
    """One experiment, with the template as it was at the start."""

    name: str
    template_name: str
    template: Mapping[str, Any]
    began: float = field(default_factory=time.time)
    status: str = UNDER_WAY
    reason: str = "Experiment is running."
    ended: float | None = None
    met: Counter[str] = field(default_factory=Counter)
    """Action and function → number of invocations that the action could have affected."""

    def end(self, status: str, reason: str) -> None:
        if self.status == UNDER_WAY:
            self.status, self.reason, self.ended = status, reason, time.time()

    def advance(self) -> None:
        """End the experiment if a stop condition is in alarm or its time is up."""
        for condition in self.template.get("StopConditions", []):
            alarm = cloudwatch._alarms.get(str(condition.get("Value", "")).partition(":alarm:")[2])
            if alarm is not None and alarm["StateValue"] == "ALARM":
                self.end("stopped", f"Experiment halted by stop condition: {condition['Value']}")
        longest = max(seconds_of(action) for action in self.template["Actions"].values())
        if time.time() >= self.began + longest:
            self.end("completed", "Experiment completed.")

    def targets(self, action: Mapping[str, Any]) -> list[str]:
        """Return the ARNs of an action's functions."""
        name = action["Targets"]["Functions"]
        return list(self.template["Targets"][name]["ResourceArns"])

    def plain(self) -> dict[str, Any]:
        """Return the experiment in the API's format."""
        state = {"status": self.status, "reason": self.reason}
        return {
            "id": self.name,
            "experimentTemplateId": self.template_name,
            "roleArn": self.template["RoleArn"],
            "state": state,
            "actions": {
                name: {"actionId": each["ActionId"], "parameters": each.get("Parameters", {}), "state": state}
                for name, each in self.template["Actions"].items()
            },
            "targets": {
                name: {"resourceType": each["ResourceType"], "resourceArns": list(each["ResourceArns"])}
                for name, each in self.template["Targets"].items()
            },
            "stopConditions": [
                {"source": each["Source"], "value": each.get("Value", "")} for each in self.template["StopConditions"]
            ],
            "creationTime": self.began,
            "startTime": self.began,
            **({"endTime": self.ended} if self.ended else {}),
        }


_experiments: Any = AccountRegionScopedDict()
"""Id → experiment. They end with the emulator's process."""


def seconds_of(action: Mapping[str, Any]) -> float:
    """Return an action's duration in seconds; its parameter is ISO 8601."""
    found = _DURATION.fullmatch(str(action.get("Parameters", {}).get("duration", "")))
    if found is None:
        raise apis.ApiRefusalError("ValidationException", "The action needs a duration.")
    hours, minutes, seconds = (int(part or 0) for part in found.groups())
    return hours * 3600 + minutes * 60 + seconds


# The API


def _find_template(name: str) -> Mapping[str, Any]:
    for stack in cloudformation._stacks.values():
        for resource in stack.get("_resources", {}).values():
            if resource["ResourceType"] == TYPE and resource["PhysicalResourceId"] == name:
                found: Mapping[str, Any] = resource["Properties"]
                return found
    raise apis.ApiRefusalError("ResourceNotFoundException", f"Experiment template {name} does not exist.")


def _find(name: str) -> _Experiment:
    found: _Experiment | None = _experiments.get(name)
    if found is None:
        raise apis.ApiRefusalError("ResourceNotFoundException", f"Experiment {name} does not exist.")
    found.advance()
    return found


def _start(request: Mapping[str, Any]) -> dict[str, Any]:
    name = str(request.get("experimentTemplateId", ""))
    # A copy: an update of the template does not change its experiments.
    template = json.loads(json.dumps(_find_template(name)))
    experiment = _Experiment(f"EXP{secrets.token_hex(8)}", name, template)
    _experiments[experiment.name] = experiment
    for action in template["Actions"].values():
        if action["ActionId"] not in {DELAY, ERROR}:
            experiment.end("failed", f"{action['ActionId']} is not emulated.")
            continue
        for function in experiment.targets(action):
            if (reason := _unreachable(template["RoleArn"], function, experiment.name)) is not None:
                experiment.end("failed", reason)
    experiment.advance()
    return {"experiment": experiment.plain()}


def _unreachable(role: str, function: str, name: str) -> str | None:
    """Return why FIS cannot inject faults into a function; None if it can."""
    fis = Actor(role, "fis", PRINCIPAL)
    if (refusal := fis.first_refusal(("tag:GetResources", "*"), ("lambda:GetFunction", function))) is not None:
        return refusal.message
    record = lambda_svc._functions.get(function.rpartition(":")[2])
    location = None if record is None else _location(record["config"])
    if location is None:
        return f"{function} lacks the required environment variable {LOCATION}."
    refusal = fis.first_refusal(("s3:PutObject", f"{location}{name}"), ("s3:DeleteObject", f"{location}{name}"))
    return None if refusal is None else refusal.message


def _stop(name: str) -> dict[str, Any]:
    experiment = _find(name)
    if experiment.status != UNDER_WAY:
        raise apis.ApiRefusalError("ValidationException", f"Experiment {name} is {experiment.status}.")
    experiment.end("stopped", "Experiment stopped by request.")
    return {"experiment": experiment.plain()}


async def _handle(method: str, path: str, _headers: Any, body: bytes, _query: Any) -> Any:
    kind, _, name = path.strip("/").partition("/")
    try:
        match method, kind, bool(name):
            case "POST", "experiments", False:
                answer = _start(json.loads(body or b"{}"))
            case "GET", "experiments", True:
                answer = {"experiment": _find(name).plain()}
            case "DELETE", "experiments", True:
                answer = _stop(name)
            case _:
                return error_response_json("UnknownOperationException", f"the emulated FIS has no {method} {path}", 400)
    except apis.ApiRefusalError as refusal:
        missing = refusal.code == "ResourceNotFoundException"
        return error_response_json(refusal.code, refusal.message, HTTPStatus.NOT_FOUND if missing else 400)
    return 200, {"Content-Type": "application/json"}, json.dumps(answer).encode()


def _resource(method: str, path: str, body: bytes) -> str:
    """Return the ARN that IAM has to authorise: of a template to be started, or of an experiment.

    https://docs.aws.amazon.com/service-authorization/latest/reference/list_fis.html
    """
    own = f"arn:aws:fis:{get_region()}:{get_account_id()}"
    if method == "POST":
        return f"{own}:experiment-template/{json.loads(body or b'{}').get('experimentTemplateId', '')}"
    return f"{own}:experiment/{path.strip('/').partition('/')[2]}"


# The functions


def _location(config: Record) -> str | None:
    """Return the ARN below which a function's extension reads faults; None without it."""
    found = (config.get("Environment") or {}).get("Variables", {}).get(LOCATION)
    return str(found) if found else None


def _faults(config: Record) -> Iterator[Mapping[str, Any]]:
    """Yield each action that affects an invocation of a function."""
    location = _location(config)
    if location is None:
        return
    function = ":".join(config["FunctionArn"].split(":")[:7])
    for experiment in list(_experiments.values()):
        experiment.advance()
        if experiment.status != UNDER_WAY:
            continue
        for action in experiment.template["Actions"].values():
            if function not in experiment.targets(action):
                continue
            bucket = location.partition("/")[0]
            read = ("s3:ListBucket", bucket), ("s3:GetObject", f"{location}{experiment.name}")
            if actor(config).first_refusal(*read) is None and _is_due(experiment, action, function):
                yield action


def _is_due(experiment: _Experiment, action: Mapping[str, Any], function: str) -> bool:
    """Return True for an action's share of the invocations, evenly spread."""
    share = float(action["Parameters"].get("invocationPercentage", 100)) / 100
    key = f"{action['ActionId']} {function}"
    with _lock:
        experiment.met[key] += 1
        return int(experiment.met[key] * share) > int((experiment.met[key] - 1) * share)


def _execute(original: Callable[..., Any], func: Record, event: Any, request_id: str) -> Record:
    config = func.get("config") or func
    fails = False
    for action in _faults(config):
        parameters = action["Parameters"]
        if action["ActionId"] == DELAY:
            time.sleep(int(parameters.get("startupDelayMilliseconds", 1000)) / 1000)
        elif parameters.get("preventExecution") == "true":
            return _failed(config, request_id, "")
        else:
            fails = True
    result: Record = original(func, event, request_id)
    return _failed(config, request_id, result.get("log", "")) if fails and not result.get("error") else result


def _failed(config: Record, request_id: str, log: str) -> Record:
    # The emulator itself only counts the errors of direct invocations.
    lambda_svc._emit_lambda_metrics(config["FunctionName"], duration_ms=0.0, error=True, throttle=False)
    said = {"errorType": "AwsFisFault", "errorMessage": f"RequestId: {request_id} Error: {INJECTED}"}
    return {"error": True, "body": said, "log": log}


# CloudFormation


def _create(_logical_id: str, props: Mapping[str, Any], _stack_name: str) -> tuple[str, dict[str, str]]:
    for action in props["Actions"].values():
        seconds_of(action)
    name = f"EXT{secrets.token_hex(8)}"
    return name, {"Id": name}


def _update(physical_id: str, _old: Any, _new: Any, _stack_name: str) -> tuple[str, dict[str, str]]:
    return physical_id, {"Id": physical_id}


def _delete(_physical_id: str, _props: Any) -> None:
    """Delete nothing besides the stack's own record."""


def install() -> None:
    """Make the emulator serve the API, and inject the faults into its functions.

    Raises:
        UnknownEmulatorError: It is another version of the emulator, which may have FIS itself.
    """
    if TYPE in provisioners._RESOURCE_HANDLERS:
        raise UnknownEmulatorError(f"the emulator has {TYPE} itself: remove it from slipway.emulator.extensions")
    provisioners._RESOURCE_HANDLERS[TYPE] = {"create": _create, "update": _update, "delete": _delete}
    apis.serve("fis", _handle, resource=_resource)
    wrap(lambda_svc, "_execute_function_warm", _execute, "func", "event", "request_id")
