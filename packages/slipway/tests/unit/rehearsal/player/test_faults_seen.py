"""A version that answers 5xx is detected by the requests of a deployment and of a bake."""

from __future__ import annotations

import base64
import io
import json
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any, cast

import pytest

import specimen
from slipway.cloudwatch import Alarm, AlarmState, Metric
from slipway.emulator.accounts import Accounts
from slipway.emulator.server import Emulator
from slipway.errors import RehearsalError
from slipway.rehearsal.faults import Fault, find, find_target, judge, list_faults
from slipway.rehearsal.player.bake import Bake
from slipway.rehearsal.player.deployments import CodeDeploy, Measures, Moved, ShiftRequest, alarm_of
from slipway.rehearsal.player.events import Events
from slipway.rehearsal.player.records import Execution, PlayedStage, PlayStatus, Rehearsal
from slipway.rehearsal.player.traffic import PlayedTraffic

FUNCTION = "prod-items-compute-ApiFunction0A1B2C3D"
REQUEST = {"requestContext": {"requestId": "contract-check"}}
START = 6_000.0


def _emf(version: str) -> str:
    names = ["service", "function_name", "function_version"]
    directive = {"Namespace": "Slipway", "Dimensions": [names], "Metrics": [{"Name": "Faults", "Unit": "Count"}]}
    values = {"service": "items", "function_name": FUNCTION, "function_version": version, "Faults": [1.0]}
    return json.dumps({"_aws": {"Timestamp": 1, "CloudWatchMetrics": [directive]}, **values})


class Lambda:
    """Lambda with one function, whose versions answer as specified.

    Args:
        answers: Status of each version's answers; 0 raises an error, -1 is throttled.
    """

    def __init__(self, **answers: int) -> None:
        self.answers = {version.removeprefix("v"): status for version, status in answers.items()}

    def invoke(self, *, FunctionName: str, Qualifier: str, Payload: bytes, LogType: str) -> dict[str, Any]:  # noqa: N803
        assert (FunctionName, LogType) == (FUNCTION, "Tail")
        status = self.answers[Qualifier]
        if not status:
            return {"FunctionError": "Unhandled", "Payload": io.BytesIO(b'{"errorType": "ValueError"}')}
        log = f"START\n{_emf(Qualifier)}\nEND" if status >= 500 else "START\nEND"
        said = json.dumps({"statusCode": status} if "requestContext" in json.loads(Payload) else {}).encode()
        return {"Payload": io.BytesIO(said), "LogResult": base64.b64encode(log.encode()).decode()}


class CloudWatch:
    """The alarms of an account."""

    def __init__(self, *alarms: dict[str, Any]) -> None:
        self._alarms = list(alarms)

    def get_paginator(self, _: str) -> CloudWatch:
        return self

    def paginate(self) -> Iterator[dict[str, Any]]:
        yield {"MetricAlarms": self._alarms}


class Account:
    """An emulator with the given clients."""

    region = "us-east-1"

    def __init__(self, **clients: object) -> None:
        self._clients = clients

    def session(self) -> Account:
        return self

    def client(self, name: str, **_: Any) -> object:
        return self._clients["functions" if name == "lambda" else name]


@pytest.fixture
def traffic() -> Callable[..., PlayedTraffic]:
    """Return a function that creates the traffic to a function."""

    def make(functions: Lambda, request: dict[str, Any] = REQUEST) -> PlayedTraffic:
        return PlayedTraffic(cast("Emulator", Account(functions=functions)), FUNCTION, [request], threading.Event())

    return make


def test_what_a_version_counts_is_read_from_its_log(traffic: Callable[..., PlayedTraffic]) -> None:
    # Given a healthy old version and a new one that answers 500, when each gets half of the requests
    met = traffic(Lambda(v1=200, v2=500)).send(8, old="1", new="2", weight=0.5)
    # Then only the new one's outcomes are bad, though Lambda counts no errors
    assert {(version, outcome.failed, outcome.bad, outcome.server_error) for version, outcome in met} == {
        ("1", False, False, False),
        ("2", False, True, True),
    }


def test_errors_and_server_errors_are_bad(traffic: Callable[..., PlayedTraffic]) -> None:
    ((_, outcome),) = traffic(Lambda(v2=0)).send(1, old="1", new="2", weight=1)

    assert (outcome.failed, outcome.bad, outcome.server_error) == (True, True, True)


def test_a_failed_event_has_no_status(traffic: Callable[..., PlayedTraffic]) -> None:
    ((_, outcome),) = traffic(Lambda(v2=503), {"Records": []}).send(1, old="1", new="2", weight=1)

    assert (outcome.bad, outcome.server_error) == (True, None)


def test_the_alarm_on_faults_sees_them_in_virtual_time(traffic: Callable[..., PlayedTraffic]) -> None:
    # Given a deployment's alarm as the player reads it from the template, with numbers as strings
    queries: list[dict[str, Any]] = [
        {"Id": "e", "Expression": "IF(FILL(invocations, REPEAT), faults)"},
        _stat(
            "invocations",
            "AWS/Lambda",
            "Invocations",
            FunctionName=FUNCTION,
            Resource=f"{FUNCTION}:live",
            ExecutedVersion="2",
        ),
        _stat("faults", "Slipway", "Faults", service="items", function_name=FUNCTION, function_version="2"),
    ]
    alarm = Alarm.from_template(
        {
            "AlarmName": "Faults",
            "AlarmDescription": "why",
            "ComparisonOperator": "GreaterThanOrEqualToThreshold",
            "EvaluationPeriods": "5",
            "DatapointsToAlarm": "1",
            "Threshold": "1",
            "TreatMissingData": "notBreaching",
            "Metrics": queries,
        }
    )
    measures = Measures()
    # When a minute of requests reaches a healthy version, then one that answers 500
    measures.put(FUNCTION, "live", traffic(Lambda(v1=200, v2=200)).send(30, old="1", new="2", weight=0.1), START)
    assert measures.state(alarm, START + 60, AlarmState.OK) is AlarmState.OK
    measures.put(FUNCTION, "live", traffic(Lambda(v1=200, v2=500)).send(30, old="1", new="2", weight=0.1), START + 60)
    # Then the alarm is on
    assert measures.state(alarm, START + 120, AlarmState.OK) is AlarmState.ALARM


def _stat(identifier: str, namespace: str, name: str, **dimensions: str) -> dict[str, Any]:
    metric = {
        "Namespace": namespace,
        "MetricName": name,
        "Dimensions": [{"Name": key, "Value": value} for key, value in dimensions.items()],
    }
    stat = {"Metric": metric, "Period": "60", "Stat": "Sum"}
    return {"Id": identifier, "MetricStat": stat, "ReturnData": "false"}


def test_request_contains_alarms_the_emulator_lacks() -> None:
    event = {
        "StackId": "arn:aws:cloudformation:us-east-1:1:stack/prod-items-compute/1",
        "ResourceProperties": {
            "FunctionName": FUNCTION,
            "Alias": "live",
            "FunctionVersion": "2",
            "DeploymentGroup": {},
            "DeploymentGroupName": "Group",
            "Alarms": [{"AlarmName": "Faults"}],
        },
    }

    assert ShiftRequest.of("1", event).alarms == [{"AlarmName": "Faults"}]
    # And older assemblies have no alarms
    del event["ResourceProperties"]["Alarms"]  # type: ignore[attr-defined]
    assert ShiftRequest.of("1", event).alarms == ()


class Quiet:
    """A listener that ignores events."""

    def put(self, *_: Any, **__: Any) -> None:
        """Ignore an event."""


@pytest.mark.parametrize(
    ("status", "service", "state"),
    [
        (500, "items", AlarmState.ALARM),
        (0, "items", AlarmState.ALARM),
        (403, "items", AlarmState.OK),
        (500, "ingest", AlarmState.OK),
    ],
    ids=["it answers 500", "it raises", "it refuses", "the alarm of another service"],
)
def test_bake_sees_5xx_by_the_apis_alarm(status: int, service: str, state: AlarmState) -> None:
    # Given an environment with an alarm on an API's 5xx, and alarms that these requests cannot trigger
    name = f"prod-{service}-observability-AlarmsApi5xx0A1B2C3D-1"
    of_api = _described(name, "AWS/ApiGateway", "5XXError", ApiName="prod-items", Stage="live")
    others = (
        _described("prod-items-observability-4xx", "AWS/ApiGateway", "4XXError", ApiName="prod-items", Stage="live"),
        _described("prod-items-observability-Table", "AWS/DynamoDB", "UserErrors"),
    )
    emulator = Account(functions=Lambda(v2=status), cloudwatch=CloudWatch(of_api, *others))

    accounts = cast("Accounts", SimpleNamespace(ids=("1",), seen=lambda _: [emulator], emulator=lambda *_: emulator))
    codedeploy = CodeDeploy(accounts, threading.Event())
    codedeploy.moved["1", FUNCTION] = Moved(FUNCTION, "live", "1", "2", "hooks.api_handler", "us-east-1")
    bake = Bake(accounts, codedeploy, cast("Events", Quiet()), lambda _: [REQUEST], threading.Event())
    # When it bakes for two minutes, then only that alarm is evaluated
    states = bake.watch("1", datetime.fromtimestamp(START, UTC), minutes=2, a_minute=3)
    assert states == {name: state}


def _described(name: str, namespace: str, metric: str, **dimensions: str) -> dict[str, Any]:
    """Return an alarm in the format of CloudWatch's API."""
    return {
        "AlarmName": name,
        "Namespace": namespace,
        "MetricName": metric,
        "Dimensions": [{"Name": key, "Value": value} for key, value in dimensions.items()],
        "Statistic": "Sum",
        "Period": 60,
        "EvaluationPeriods": 1,
        "Threshold": 1.0,
        "ComparisonOperator": "GreaterThanThreshold",
        "TreatMissingData": "notBreaching",
    }


def test_an_alarm_that_cloudwatch_describes_is_read() -> None:
    described = _described("a", "AWS/ApiGateway", "5XXError", ApiName="api")

    assert alarm_of(described).metrics == (Metric.of("AWS/ApiGateway", "5XXError", {"ApiName": "api"}),)


def test_an_old_bug_without_an_alarm_proves_nothing() -> None:
    # Given a run that delivered the fix of an old bug
    fault = Fault("already-failing", "an old bug", "prod", base_edits={"api.py": str})
    done = Execution("1", "sha", "message", 1, "", status=PlayStatus.SUCCEEDED)
    record = Rehearsal("sha", "message", ["items"], delivered=True, executions=[done])
    # When no alarm was on before it, then the run proves nothing; otherwise it is as expected
    assert judge(fault, record) == "no alarm was active before it"
    record.in_alarm["prod"] = ["prod-items-observability-AlarmsApi5xx"]
    assert judge(fault, record) is None


def test_an_edit_that_does_not_apply_is_reported() -> None:
    faults = list_faults(find_target(specimen.SETTINGS, folder=specimen.PROJECT))
    (edit,) = find("permission-missing", faults).edits.values()

    with pytest.raises(RehearsalError, match="the fault does not apply to this commit"):
        edit("")


def test_last_failed_stage_is_what_stopped_an_execution() -> None:
    # Given an execution whose first stage succeeded on retry, and whose second failed and was rolled back
    stages = [
        PlayedStage("dev-items", status=PlayStatus.FAILED),
        PlayedStage("dev-items", kind="retry", status=PlayStatus.SUCCEEDED),
        PlayedStage("prod-items", status=PlayStatus.FAILED),
        PlayedStage("prod-items", kind="rollback", status=PlayStatus.SUCCEEDED),
    ]
    execution = Execution("1", "sha", "message", 1, "", stages=stages)

    assert execution.stopped is stages[2]
    assert Execution("1", "sha", "message", 1, "", stages=stages[1:2]).stopped is None
