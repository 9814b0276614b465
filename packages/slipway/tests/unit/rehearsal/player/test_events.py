"""Events: EventBridge rules and targets, also across accounts, and the metrics of the called functions."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from slipway.cloudwatch import Metric, Statistic
from slipway.rehearsal.player.events import Events
from unit.rehearsal.aws import DEV, REGION, TOOLS, Account, Function, accounts_in
from unit.rehearsal.aws.others import Rule
from unit.rehearsal.player.moving import fail
from unit.rehearsal.player.stage import FRIDAY

BUS = f"arn:aws:events:{REGION}:{TOOLS}:event-bus/delivery"


def arn(name: str, account: str = TOOLS) -> str:
    """Return the ARN of a function."""
    return f"arn:aws:lambda:{REGION}:{account}:function:{name}"


class Buses:
    """Two accounts with their event buses."""

    def __init__(self, folder: Path) -> None:
        self.accounts, behind = accounts_in(folder)
        self.tools, self.dev = behind[TOOLS], behind[DEV]
        self.events = Events(self.accounts)
        self.heard: list[dict[str, Any]] = []
        self.listens("figures", {"source": ["aws.codepipeline"]})

    def function(self, account: Account, name: str) -> Function:
        """Create a function that records the events it receives."""
        made = Function(role=f"arn:aws:iam::{account.account}:role/{name}", versions={"$LATEST": self.heard.append})
        account.functions.all[name] = made
        return made

    def listens(self, name: str, pattern: dict[str, Any] | None, *, bus: str = "default", **more: Any) -> Function:
        """Let a function of the tools account receive matching events."""
        self.tools.rules.all[name] = Rule(pattern, [{"Arn": arn(name)}], bus=bus, **more)
        return self.function(self.tools, name)

    def pipeline(self, **detail: Any) -> None:
        """Deliver an event of the pipeline."""
        self.events.pipeline("Stage", detail, FRIDAY)
        self.events.drain()

    def deployment(self) -> None:
        """Deliver an event of a deployment in dev."""
        self.events.put(DEV, "aws.codedeploy", "State-change", {"state": "FAILURE"}, FRIDAY)
        self.events.drain()

    def relays(self, may: str = f"events:PutEvents {BUS}") -> None:
        """Relay dev's deployment events to the bus of the tools account."""
        role = self.dev.role("relay", may)
        self.dev.rules.all["relay"] = Rule({"source": ["aws.codedeploy"]}, [{"Arn": BUS, "RoleArn": role}])
        self.listens("figures", {"source": ["aws.codedeploy"]}, bus="delivery")


@pytest.fixture
def buses(tmp_path: Path) -> Iterator[Buses]:
    found = Buses(tmp_path)
    yield found
    found.events.close()


def test_an_event_has_eventbridges_format(buses: Buses) -> None:
    buses.pipeline(stage="dev", state="FAILED")
    (event,) = buses.heard
    assert len(event.pop("id")) == 36
    assert event == {
        "version": "0",
        "detail-type": "CodePipeline Stage Execution State Change",
        "source": "aws.codepipeline",
        "account": TOOLS,
        "time": "2026-11-20T15:00:00Z",
        "region": REGION,
        "resources": [],
        "detail": {"stage": "dev", "state": "FAILED"},
    }
    assert (buses.events.told, buses.events.faults) == (1, [])


@pytest.mark.parametrize(
    ("pattern", "heard"),
    [
        ({"source": ["aws.codepipeline"], "detail": {"state": ["FAILED", "STOPPED"]}}, 1),
        ({"source": ["aws.codepipeline"], "detail": {"state": ["SUCCEEDED"]}}, 0),
        ({"source": ["aws.codedeploy"]}, 0),
        (None, 0),
    ],
)
def test_the_pattern_decides_who_receives_an_event(buses: Buses, pattern: dict[str, Any] | None, heard: int) -> None:
    buses.listens("figures", pattern)
    buses.pipeline(state="FAILED")
    assert len(buses.heard) == heard


def test_a_disabled_rule_calls_nobody(buses: Buses) -> None:
    buses.listens("figures", {"source": ["aws.codepipeline"]}, state="DISABLED")
    buses.pipeline(state="FAILED")
    assert buses.heard == []


def test_events_arrive_in_order(buses: Buses) -> None:
    for number in range(20):
        buses.events.pipeline("Stage", {"number": number}, FRIDAY)
    buses.events.drain()
    assert [event["detail"]["number"] for event in buses.heard] == list(range(20))


def test_rules_are_cached_until_they_are_refreshed(buses: Buses) -> None:
    buses.pipeline()
    buses.pipeline()
    assert buses.tools.rules.listed == 1
    # Given another rule, added by a change of the pipeline
    buses.listens("notify", {"source": ["aws.codepipeline"]})
    buses.pipeline()
    assert len(buses.heard) == 3
    # When the cached rules are discarded
    buses.events.refresh()
    buses.pipeline()
    # Then both rules receive the event
    assert len(buses.heard) == 5


# --- Across accounts ---


def test_environment_relays_events_to_the_tools_accounts_bus(buses: Buses) -> None:
    buses.relays()
    buses.deployment()
    (event,) = buses.heard
    assert (event["account"], event["detail"]) == (DEV, {"state": "FAILURE"})


def test_relay_whose_role_may_not_put_events_fails(buses: Buses) -> None:
    buses.relays(may=f"events:PutEvents {BUS}-other")
    buses.deployment()
    assert buses.heard == []
    assert buses.events.faults == [f"State-change: arn:aws:iam::{DEV}:role/relay may not put events on {BUS}"]


def test_an_environments_events_need_a_rule(buses: Buses) -> None:
    buses.listens("figures", {"source": ["aws.codedeploy"]})
    buses.deployment()
    assert buses.heard == []


# --- Failures ---


def test_failing_listener_is_reported_and_next_is_called(buses: Buses) -> None:
    buses.listens("broken", {"source": ["aws.codepipeline"]}).versions["$LATEST"] = fail
    buses.tools.rules.all = dict(sorted(buses.tools.rules.all.items()))
    buses.pipeline()
    assert len(buses.heard) == 1
    (fault,) = buses.events.faults
    assert fault.startswith("CodePipeline Stage Execution State Change: broken failed: ")
    assert "RuntimeError" in fault


def test_a_failing_listener_is_retried_twice(buses: Buses) -> None:
    calls = []

    def fails_twice(event: dict[str, Any]) -> None:
        calls.append(event)
        if len(calls) <= 2:
            raise RuntimeError("not yet")

    buses.listens("broken", {"source": ["aws.codepipeline"]}).versions["$LATEST"] = fails_twice
    buses.pipeline()
    assert len(calls) == 3
    assert calls[0] == calls[2]
    assert buses.events.faults == []


@pytest.mark.parametrize(
    "target",
    [
        {"Arn": arn("gone")},
        {"Arn": BUS},
        {"Arn": BUS, "RoleArn": f"arn:aws:iam::{TOOLS}:role/gone"},
        {"Arn": BUS, "RoleArn": "no role"},
        {"Arn": BUS.replace(TOOLS, "123456789012"), "RoleArn": f"arn:aws:iam::{TOOLS}:role/relay"},
    ],
)
def test_unreachable_target_is_reported_and_next_is_called(buses: Buses, target: dict[str, Any]) -> None:
    buses.tools.role("relay", "events:PutEvents")
    figures = buses.tools.rules.all["figures"]
    figures.targets = [target, *figures.targets]
    buses.pipeline()
    assert len(buses.heard) == 1
    assert len(buses.events.faults) == 1
    assert "CodePipeline Stage Execution State Change" in buses.events.faults[0]


def test_nothing_is_delivered_after_the_end(buses: Buses) -> None:
    buses.events.close()
    buses.events.pipeline("Stage", {}, FRIDAY)
    buses.events.refresh()
    assert buses.heard == []


def test_role_of_the_called_function_is_known(buses: Buses) -> None:
    # The emulator's functions call CodePipeline with a session that is unknown here
    seen: list[str | None] = []
    buses.tools.functions.all["figures"].versions["$LATEST"] = lambda _: seen.append(buses.events.calling)
    buses.pipeline()
    assert (seen, buses.events.calling) == ([f"arn:aws:iam::{TOOLS}:role/figures"], None)


# --- Metrics ---


def _line(content: dict[str, Any], *, dimensions: list[list[str]], names: list[str]) -> str:
    metrics = [{"Name": name, "Unit": "Count"} for name in names]
    directive = {"Namespace": "Slipway/Delivery", "Dimensions": dimensions, "Metrics": metrics}
    return json.dumps({"_aws": {"Timestamp": 0, "CloudWatchMetrics": [directive]}, **content})


def _sum(buses: Buses, name: str, **dimensions: str) -> float | None:
    metric = Metric.of("Slipway/Delivery", name, dimensions)
    start = FRIDAY.timestamp()
    return buses.events.metrics.statistic(metric, Statistic.parse("Sum"), start, start + 60)


def test_embedded_metrics_of_a_function_are_stored(buses: Buses) -> None:
    content = {"Environment": "dev", "Failures": 2, "Seconds": [1.5, 2.5]}
    buses.tools.functions.all["figures"].log = "\n".join(
        (
            "START RequestId: 1",
            "[INFO] " + _line(content, dimensions=[["Environment"], []], names=["Failures", "Seconds"]),
            '{"level": "INFO", "message": "no metric"}',
            "END",
        )
    )
    buses.pipeline()
    assert _sum(buses, "Failures", Environment="dev") == 2
    assert _sum(buses, "Failures") == 2
    assert _sum(buses, "Seconds", Environment="dev") == 4
    assert _sum(buses, "Failures", Environment="prod") is None
