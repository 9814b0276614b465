"""Stage conditions are written in CloudFormation's format."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from slipway.delivery.conditions import Conditions, Result, bake, window
from slipway.settings.model import DeploymentWindow

OFFICE_HOURS = DeploymentWindow.model_validate(
    {"days": ["MON", "TUE"], "from_hour": 8, "to_hour": 17, "time_zone": "Europe/Berlin"}
)


def test_no_conditions_are_written_by_default() -> None:
    assert Conditions().render() == {}


def test_window_is_a_seven_field_cron_without_year() -> None:
    rule = window(OFFICE_HOURS).render()

    assert rule == {
        "Name": "DeploymentWindow",
        "RuleTypeId": {"Category": "Rule", "Owner": "AWS", "Provider": "DeploymentWindow", "Version": "1"},
        "Configuration": {"Cron": "* * 8-16 ? * MON,TUE", "TimeZone": "Europe/Berlin"},
    }


def test_an_entry_out_of_the_window_fails() -> None:
    rendered = Conditions(before_entry=[window(OFFICE_HOURS)]).render()

    (condition,) = rendered["BeforeEntry"]["Conditions"]
    assert condition["Result"] == "FAIL"
    assert len(condition["Rules"]) == 1


@pytest.mark.requirement("bake and rollback")
def test_bakes_rule_checks_again_and_rolls_back() -> None:
    rendered = Conditions(on_success=[bake("Alarms")]).render()

    (condition,) = rendered["OnSuccess"]["Conditions"]
    assert condition["Result"] == "ROLLBACK"
    assert condition["Rules"][0]["Configuration"] == {"AlarmName": "Alarms", "AlarmStates": "ALARM", "WaitTime": "1"}


def test_a_retry_is_of_the_failed_actions() -> None:
    assert Conditions(on_failure=Result.RETRY).render() == {
        "OnFailure": {"Result": "RETRY", "RetryConfiguration": {"RetryMode": "ALL_ACTIONS"}}
    }


def test_a_rollback_has_no_retry() -> None:
    assert Conditions(on_failure=Result.ROLLBACK).render() == {"OnFailure": {"Result": "ROLLBACK"}}


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"to_hour": 8}, "never opens"),
        ({"from_hour": 20, "to_hour": 6}, "never opens"),
        ({"time_zone": "Mars/Olympus"}, "IANA"),
        ({"time_zone": "Etc/GMT+5"}, "not accepted by CodePipeline"),
        ({"days": []}, "at least 1"),
        ({"days": ["monday"]}, "'MON'"),
    ],
)
def test_a_window_that_never_opens_is_rejected(change: dict[str, object], says: str) -> None:
    with pytest.raises(ValidationError, match=says):
        DeploymentWindow.model_validate(OFFICE_HOURS.model_dump() | change)
