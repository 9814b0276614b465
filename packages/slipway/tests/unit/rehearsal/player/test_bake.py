"""The bake: requests after a deployment, the environment's alarms, and the path to the condition's alarm."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from slipway.cloudwatch import AlarmState
from slipway.delivery.runtime.events import read
from slipway.delivery.runtime.figures import ObservedPipeline, figures
from slipway.errors import RehearsalError
from slipway.rehearsal.player.bake import RARE_A_MINUTE, REQUESTS_A_MINUTE, AlarmRule, Bake
from slipway.rehearsal.player.events import Events
from unit.delivery.delivery import Desk
from unit.rehearsal.aws import DEV, REGION, STAGING, TOOLS, Function
from unit.rehearsal.aws.others import Rule
from unit.rehearsal.player.moving import AT_ONCE, HANDLER, Account, fail
from unit.rehearsal.player.stage import FRIDAY

BUS = f"arn:aws:events:{REGION}:{TOOLS}:event-bus/delivery"
COUNTED = {
    "_aws": {
        "CloudWatchMetrics": [
            {"Namespace": "Slipway", "Dimensions": [["Environment"]], "Metrics": [{"Name": "Ringing"}]}
        ]
    },
    "Environment": "dev",
    "Ringing": 1,
}
COUNTED_SUCCESS = {"Namespace": "Slipway", "Dimensions": [["Environment"]], "Metrics": [{"Name": "Success"}]}
RULE = {"AlarmName": "dev-bake", "AlarmStates": "ALARM", "WaitTime": "5"}


class Baking(Account):
    """An environment with a moved function, the relay of its alarms, and the condition's own alarm."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.told = Events(self.accounts)
        self.asked: list[str] = []
        self.rare_from: int | None = None
        self.bake = self.reading(AlarmRule.WATCHES)
        relay = self.aws.role("relay", f"events:PutEvents {BUS}")
        ringing = {"source": ["aws.cloudwatch"], "detail": {"state": {"value": ["ALARM"]}}}
        self.aws.rules.all["relay"] = Rule(ringing, [{"Arn": BUS, "RoleArn": relay}])
        self.tools.rules.all["figures"] = Rule(
            ringing, [{"Arn": f"arn:aws:lambda:{REGION}:{TOOLS}:function:figures"}], bus="delivery"
        )
        self.heard: list[dict[str, Any]] = []
        self.tools.functions.all["figures"] = Function(versions={"$LATEST": self.heard.append}, log=json.dumps(COUNTED))
        self.tools.alarms.all["dev-bake"] = {
            **self.watches("Ringing", Environment="dev"),
            "Namespace": "Slipway",
        }
        self.aws.alarms.all["dev-items-Errors"] = self.watches("Errors", FunctionName="items")
        self.deploy(AT_ONCE)
        self.aws.functions.happened.clear()

    def reading(self, reading: AlarmRule) -> Bake:
        """Return a bake whose alarm rule behaves in one of the two documented ways."""
        return Bake(
            self.accounts,
            self.codedeploy,
            self.told,
            self._requests,
            self.stopping,
            reading=reading,
            rare=self._rare,
        )

    def _rare(self, account: str, minute: int) -> list[dict[str, Any]]:
        return [{"rare": True}] if self.rare_from is not None and minute >= self.rare_from else []

    def _requests(self, handler: str) -> list[dict[str, Any]]:
        self.asked.append(handler)
        return [{"number": 1}, {"number": 2}]

    @staticmethod
    def watches(metric: str, **dimensions: str) -> dict[str, Any]:
        """Return an alarm on one occurrence per minute."""
        return {
            "Namespace": "AWS/Lambda",
            "MetricName": metric,
            "Dimensions": [{"Name": name, "Value": value} for name, value in dimensions.items()],
            "Statistic": "Sum",
            "Period": 60,
            "EvaluationPeriods": 1,
            "Threshold": 1.0,
            "ComparisonOperator": "GreaterThanOrEqualToThreshold",
            "TreatMissingData": "notBreaching",
        }

    def counts_as_the_pipeline_does(self) -> None:
        """Let the pipeline's own code compute the figures, at each change and each minute."""
        desk, count = Desk(), self.tools.functions.all["figures"]
        delivery = ObservedPipeline(stages={}, last_stages=frozenset(), accounts={"dev": DEV})

        def handler(event: dict[str, Any]) -> None:
            change = read(event)
            assert change is not None
            found = figures(change, delivery, desk, desk)
            count.log = "\n".join(json.dumps({**COUNTED, "Ringing": each.value}) for each in found)

        count.versions["$LATEST"] = handler
        self.aws.rules.all["relay"].pattern = {"source": ["aws.cloudwatch"]}
        self.tools.rules.all["figures"].pattern = {"source": ["aws.cloudwatch"]}
        targets = self.tools.rules.all["figures"].targets
        self.tools.rules.all["minutes"] = Rule(None, targets, schedule="rate(1 minute)")
        self.tools.alarms.all["dev-bake"] |= {"Statistic": "Maximum", "TreatMissingData": "ignore"}

    def bakes(self, **more: str) -> tuple[bool, str]:
        """Play the bake's rule."""
        return self.bake({**RULE, **more}, [DEV], FRIDAY)


@pytest.fixture
def baking(tmp_path: Path) -> Iterator[Baking]:
    found = Baking(tmp_path)
    yield found
    found.told.close()


def test_a_healthy_version_bakes_without_alarms(baking: Baking) -> None:
    assert baking.bakes() == (True, "1 alarms of the environment stayed quiet for 5 minutes")
    # And in each minute it received requests from the checks of its hook
    assert baking.aws.functions.invocations() == ["items:2"] * REQUESTS_A_MINUTE * 5
    assert set(baking.asked) == {HANDLER}
    assert baking.heard == []


def test_a_version_that_fails_is_seen_through_the_whole_chain(baking: Baking) -> None:
    # Given a version that fails once all traffic was moved to it
    baking.function.versions["2"] = fail
    # When it bakes
    held, said = baking.bakes()
    # Then the environment's alarm triggers, the relay forwards it, the figures count it, and the bake's alarm triggers
    assert (held, said) == (False, "dev-bake was ALARM after 1 of 5 minutes: dev-items-Errors")
    (event,) = baking.heard
    assert event["account"] == DEV
    assert event["detail-type"] == "CloudWatch Alarm State Change"
    assert event["detail"]["alarmName"] == "dev-items-Errors"
    assert (event["detail"]["state"]["value"], event["detail"]["previousState"]["value"]) == ("ALARM", "OK")
    assert event["time"] == "2026-11-20T15:01:00Z"
    # And no further requests are sent
    assert len(baking.aws.functions.invocations()) == REQUESTS_A_MINUTE


def test_version_that_begins_to_fail_is_seen_immediately(baking: Baking) -> None:
    calls = iter(range(100))
    baking.function.versions["2"] = lambda event: fail(event) if next(calls) >= 2 * REQUESTS_A_MINUTE else "fine"
    assert baking.bakes() == (False, "dev-bake was ALARM after 3 of 5 minutes: dev-items-Errors")


@pytest.mark.parametrize(
    "breaks",
    [
        lambda baking: baking.aws.rules.all.clear(),
        lambda baking: baking.aws.role("relay"),
        lambda baking: baking.tools.rules.all.clear(),
        lambda baking: setattr(baking.tools.functions.all["figures"], "log", "nothing"),
    ],
    ids=["no relay", "a relay without permission", "no rule for the figures", "nothing is counted"],
)
def test_a_broken_relay_hides_the_failure(baking: Baking, breaks: Any) -> None:
    # Given a version that fails, and a broken path from its alarm: the bake must not notice the failure
    baking.function.versions["2"] = fail
    breaks(baking)
    assert baking.bakes(WaitTime="1")[0]
    assert baking.heard == [] or baking.tools.functions.all["figures"].log == "nothing"


# --- The two documented readings of the alarm rule ---


def test_the_rule_may_succeed_at_once(baking: Baking) -> None:
    # Given a version that fails from the bake's first minute
    baking.function.versions["2"] = fail
    baking.bake = baking.reading(AlarmRule.AT_ONCE)
    # When the rule is evaluated before any alarm is on, then it succeeds without sending requests
    assert baking.bakes() == (True, "dev-bake was OK after 0 of 5 minutes")
    assert baking.aws.functions.invocations() == []


def test_the_rule_may_wait_for_an_alarm_to_end(baking: Baking) -> None:
    # Given an alarm that is on when the rule is first evaluated, and ends two minutes later
    baking.bake = baking.reading(AlarmRule.AT_ONCE)
    calls = iter(range(100))
    baking.function.versions["2"] = lambda event: fail(event) if next(calls) < 2 * REQUESTS_A_MINUTE else "fine"
    figures = baking.tools.functions.all["figures"]
    baking.bake.let_pass(DEV, FRIDAY - timedelta(minutes=1), 1)
    assert baking.tools.alarms.all["dev-bake"]["StateValue"] == "ALARM"
    # Then the rule succeeds
    held, said = baking.bakes()
    assert (held, said.split()[2]) == (True, "OK")
    assert figures.log


def test_the_rule_fails_if_the_alarm_stays_on(baking: Baking) -> None:
    baking.bake = baking.reading(AlarmRule.AT_ONCE)
    baking.tools.alarms.all["dev-bake"]["TreatMissingData"] = "ignore"
    baking.function.versions["2"] = fail
    baking.bake.let_pass(DEV, FRIDAY - timedelta(minutes=1), 1)
    assert baking.bakes() == (False, "dev-bake was ALARM for 5 minutes")


@pytest.mark.parametrize("reading", list(AlarmRule))
def test_an_alarm_in_minute_three_is_visible_while_watching(baking: Baking, reading: AlarmRule) -> None:
    # Given a type of request that fails, and is only sent from the third minute on
    baking.bake = baking.reading(reading)
    baking.function.versions["2"] = lambda event: fail(event) if event.get("rare") else "fine"
    baking.rare_from = 3
    # When the minutes pass one by one, as while the build watches
    seen = []
    for minute in range(5):
        baking.bake.let_pass(DEV, FRIDAY + timedelta(minutes=minute), 1)
        seen.append(baking.tools.alarms.all["dev-bake"].get("StateValue"))
    # Then the bake's alarm is on from the third minute
    assert [state == "ALARM" for state in seen[:3]] == [False, False, True]
    assert len(baking.aws.functions.invocations()) == 5 * REQUESTS_A_MINUTE + 3 * RARE_A_MINUTE


def test_other_states_may_be_unwanted(baking: Baking) -> None:
    baking.tools.alarms.all["dev-bake"]["TreatMissingData"] = "missing"
    held, said = baking.bakes(AlarmStates="ALARM,INSUFFICIENT_DATA")
    assert (held, said) == (False, "dev-bake was INSUFFICIENT_DATA after 1 of 5 minutes: no alarm")


def test_a_condition_without_its_alarm_is_named(baking: Baking) -> None:
    with pytest.raises(RehearsalError, match="the tools account has no alarm prod-bake"):
        baking.bakes(AlarmName="prod-bake")


def test_unevaluable_alarm_of_the_environment_is_reported(baking: Baking) -> None:
    baking.aws.alarms.all["dev-items-Errors"]["ComparisonOperator"] = "GreaterThanUpperThreshold"
    with pytest.raises(RehearsalError, match="an alarm of the environment cannot be evaluated: dev-items-Errors"):
        baking.bakes()


def test_alarms_that_requests_cannot_trigger_are_left_out(baking: Baking) -> None:
    baking.aws.alarms.all["Depth"] = {**baking.watches("Depth", QueueName="q"), "Namespace": "AWS/SQS"}
    baking.aws.alarms.all["Version"] = baking.watches("Errors", FunctionName="items", ExecutedVersion="2")
    assert baking.bakes(WaitTime="1") == (True, "1 alarms of the environment stayed quiet for 1 minutes")


def test_another_environment_gets_no_requests(baking: Baking) -> None:
    assert baking.bake(RULE, [STAGING], FRIDAY) == (True, "0 alarms of the environment stayed quiet for 5 minutes")
    assert baking.aws.functions.invocations() == []


# --- Scheduled functions ---


def test_metric_of_a_scheduled_function_triggers_an_alarm(baking: Baking) -> None:
    # Given a function that runs every two minutes and counts a failure
    wrong = {**COUNTED, "_aws": {"CloudWatchMetrics": [{**COUNTED_SUCCESS}]}, "Success": 0}
    baking.aws.functions.all["probe"] = Function(versions={"$LATEST": lambda _: None}, log=json.dumps(wrong))
    target = {"Arn": f"arn:aws:lambda:{REGION}:{DEV}:function:probe"}
    baking.aws.rules.all["probe"] = Rule(None, [target], schedule="rate(2 minutes)")
    baking.aws.alarms.all["dev-items-ProbeFailed"] = {
        **baking.watches("Success", Environment="dev"),
        "Namespace": "Slipway",
        "Statistic": "Minimum",
        "ComparisonOperator": "LessThanThreshold",
    }
    # When it bakes
    held, said = baking.bakes()
    # Then the function ran when it was due, and its alarm stops the bake
    assert (held, said) == (False, "dev-bake was ALARM after 2 of 5 minutes: dev-items-ProbeFailed")
    assert "in ALARM: dev-items-ProbeFailed" in baking.tools.alarms.all["dev-bake"]["StateReason"]


# --- Several alarms ---


def test_alarms_that_end_in_one_minute_end_the_bake_alarm(baking: Baking) -> None:
    # Given two alarms on the same failure, counted by the pipeline's own figures
    baking.counts_as_the_pipeline_does()
    baking.aws.alarms.all["dev-items-MoreErrors"] = baking.watches("Errors", FunctionName="items")
    baking.function.versions["2"] = fail
    baking.bake.let_pass(DEV, FRIDAY, 1)
    assert baking.tools.alarms.all["dev-bake"]["StateValue"] == "ALARM"
    # When both end in the same minute, whose maximum count is still one
    baking.function.versions["2"] = lambda _: "fine"
    baking.bake.let_pass(DEV, FRIDAY + timedelta(minutes=1), 2)
    # Then the next minute's count ends the bake's alarm
    assert baking.tools.alarms.all["dev-bake"]["StateValue"] == "OK"


# --- Before the delivery ---


def test_an_old_bug_puts_the_environment_in_alarm(baking: Baking) -> None:
    baking.function.versions["2"] = fail
    states = baking.bake.watch(DEV, FRIDAY, minutes=2, a_minute=3)
    assert states == {"dev-items-Errors": AlarmState.ALARM}
    assert len(baking.aws.functions.invocations()) == 6


def test_alarm_is_reported_only_when_it_changes(baking: Baking) -> None:
    baking.function.versions["2"] = fail
    baking.bake.watch(DEV, FRIDAY, minutes=3, a_minute=1)
    baking.told.drain()
    assert len(baking.heard) == 1
    # Until it ends
    baking.function.versions["2"] = lambda _: "fine"
    later = FRIDAY + timedelta(minutes=3)
    assert baking.bake.watch(DEV, later, minutes=1, a_minute=1) == {"dev-items-Errors": AlarmState.OK}
