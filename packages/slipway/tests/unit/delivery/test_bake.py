"""The bake checks an environment's alarms every minute for the configured time."""

from __future__ import annotations

from typing import Any
from unittest.mock import Mock

import pytest
from botocore.exceptions import ClientError

from slipway.tasks.bake import BakeError, is_rollback, watch

THROTTLED = ClientError({"Error": {"Code": "Throttling", "Message": "Rate exceeded"}}, "DescribeAlarms")


def _client(*looks: Any) -> Mock:
    """Return a CloudWatch client that answers each check with a state, an error or, for None, no alarm."""
    answers = [
        look
        if isinstance(look, Exception)
        else {"MetricAlarms": [{"AlarmName": "prod", "StateValue": look, "StateReason": "1 of 1"}] if look else []}
        for look in looks
    ]
    return Mock(describe_alarms=Mock(side_effect=answers))


def _watch(minutes: int, *looks: Any, may_be_on: bool = False) -> list[int]:
    waited: list[int] = []
    watch(_client(*looks), ["prod"], minutes, waited.append, may_be_on=may_be_on)
    return waited


def test_a_quiet_alarm_is_watched_to_the_end() -> None:
    assert _watch(3, "OK", "INSUFFICIENT_DATA", "OK") == [60, 60, 60]


@pytest.mark.requirement("bake and rollback")
def test_an_alarm_in_minute_three_ends_the_bake() -> None:
    with pytest.raises(BakeError, match="prod was ALARM after 3 of 5 minutes: 1 of 1"):
        _watch(5, "OK", "OK", "ALARM")


def test_a_rollback_may_end_an_alarm_that_is_on() -> None:
    assert len(_watch(4, "ALARM", "ALARM", "OK", "OK", may_be_on=True)) == 4


@pytest.mark.parametrize(
    ("looks", "minute"), [(["ALARM", "ALARM", "ALARM"], 3), (["ALARM", "OK", "ALARM"], 3), (["OK", "ALARM", "OK"], 2)]
)
def test_a_rollback_that_does_not_end_the_alarm_fails(looks: list[str], minute: int) -> None:
    with pytest.raises(BakeError, match=f"prod was ALARM after {minute} of 3 minutes"):
        _watch(3, *looks, may_be_on=True)


def test_any_of_several_alarms_ends_the_bake() -> None:
    # Given two environments deployed in parallel, the second of which has an alarm on
    states = [{"AlarmName": "prod-eu", "StateValue": "ALARM"}, {"AlarmName": "prod", "StateValue": "OK"}]
    client = Mock(describe_alarms=Mock(return_value={"MetricAlarms": states}))

    with pytest.raises(BakeError, match="prod-eu was ALARM after 1 of 5 minutes"):
        watch(client, ["prod", "prod-eu"], 5, Mock())

    # Then one call asks for both alarms
    client.describe_alarms.assert_called_once_with(AlarmNames=["prod", "prod-eu"])


def _stage(name: str, kind: str, *actions: str) -> dict[str, Any]:
    states = [{"actionName": action} for action in actions]
    return {"stageName": name, "actionStates": states, "latestExecution": {"type": kind, "status": "InProgress"}}


@pytest.mark.parametrize(
    ("stages", "back"),
    [
        ([_stage("prod-services", "ROLLBACK", "Verify", "Bake")], True),
        ([_stage("prod-services", "STANDARD", "Verify", "Bake")], False),
        # An earlier wave, another environment, and an environment whose name has the same prefix
        ([_stage("prod-services-1", "ROLLBACK", "Verify"), _stage("prod-services-2", "STANDARD", "Bake")], False),
        ([_stage("staging-services", "ROLLBACK", "Bake"), _stage("prod-services", "STANDARD", "Bake")], False),
        ([_stage("prod-eu-services", "ROLLBACK", "Bake"), _stage("prod-services", "STANDARD", "Bake")], False),
        ([{"stageName": "prod-services", "actionStates": [{"actionName": "Bake"}]}], False),
    ],
)
def test_the_baking_stage_reports_a_rollback(stages: list[dict[str, Any]], back: bool) -> None:
    client = Mock(get_pipeline_state=Mock(return_value={"stageStates": stages}))

    assert is_rollback(client, "slipway", "prod", ["staging", "prod", "prod-eu"]) is back


def test_a_missing_alarm_fails_the_bake() -> None:
    with pytest.raises(BakeError, match="alarm prod"):
        _watch(5, None)


def test_a_single_failed_check_is_not_an_alarm() -> None:
    assert len(_watch(4, THROTTLED, THROTTLED, "OK", "OK")) == 4


@pytest.mark.parametrize("looks", [[THROTTLED] * 3, ["OK", "OK", "OK", THROTTLED]])
def test_repeated_failed_checks_fail_the_bake(looks: list[Any]) -> None:
    with pytest.raises(BakeError, match="could not be checked"):
        _watch(4, *looks)
