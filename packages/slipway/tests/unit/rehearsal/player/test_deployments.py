"""CodeDeploy moves an alias by hooks, weights and alarms, and rolls it back when an alarm triggers."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from slipway.emulator.partition import ApiError, Requester
from slipway.emulator.substitutions import DEPLOYMENT
from slipway.rehearsal.player.deployments import Moved
from slipway.rehearsal.player.records import PlayStatus
from unit.rehearsal.aws import DEV, PROD, REGION, Function, Stack
from unit.rehearsal.player.moving import (
    ALIAS,
    ALL_EVENTS,
    AT_ONCE,
    CANARY,
    GROUP,
    HANDLER,
    LINEAR,
    REPORT,
    Account,
    fail,
)


@pytest.fixture
def account(tmp_path: Path) -> Account:
    return Account(tmp_path)


# --- Traffic ---


def test_all_at_once_moves_all_after_the_hook(account: Account) -> None:
    record = account.deploy(AT_ONCE)
    assert (record.status, record.minutes, record.hooks) == (
        PlayStatus.SUCCEEDED,
        [],
        {"BeforeAllowTraffic": "Succeeded"},
    )
    assert account.steps == ["hook", "100%"]
    assert account.serves == ("2", {})


def test_canary_moves_a_tenth_then_all(account: Account) -> None:
    # Given a hook after the traffic shift too
    account.properties["AfterAllowTrafficHook"] = "hook"
    # When a five-minute canary is deployed
    record = account.deploy(CANARY)
    # Then the hooks run before and after it
    assert account.steps == ["hook", *["10%"] * 5, "100%", "hook"]
    assert record.hooks == {"BeforeAllowTraffic": "Succeeded", "AfterAllowTraffic": "Succeeded"}
    # And a tenth of the requests reached the new version
    assert [(minute.minute, minute.requests_old, minute.requests_new) for minute in record.minutes] == [
        (number, 9, 1) for number in range(1, 6)
    ]
    assert (record.met_new, record.failed_new, record.status) == (5, 0, PlayStatus.SUCCEEDED)
    # And it took five virtual minutes
    assert 300 <= record.virtual_seconds < 360
    # And the requests are the checks of the hook
    asked = {
        str(event)
        for kind, what, event in account.aws.functions.happened
        if what.startswith("items:") and kind == "invoke"
    }
    assert asked == {str({"checks": HANDLER})}


def test_a_linear_deployment_moves_a_tenth_more_each_minute(account: Account) -> None:
    record = account.deploy(LINEAR)
    assert account.steps == ["hook", *(f"{step}0%" for step in range(1, 11))]
    assert [minute.requests_new for minute in record.minutes] == list(range(1, 10))
    assert record.met_new == 45


def test_small_share_of_few_requests_is_met_over_minutes(account: Account) -> None:
    account.a_minute = 4
    record = account.deploy(CANARY)
    assert record.met_new == 2


# --- Alarms ---


def test_alarm_on_new_version_rolls_it_back(account: Account) -> None:
    # Given a version that fails, and an alarm on its errors
    account.alarm("dev-items-compute-ErrorsAB12CD34-x")
    account.function.versions["2"] = fail
    # When it is deployed
    record = account.fails(
        match=r"Errors became active in minute 1 at 10% of the traffic; 1 of 1 requests to version 2 failed"
    )
    # Then the deployment ends after the first minute, and the old version has all traffic again
    assert account.steps == ["hook", "10%", "0%"]
    assert account.serves == ("1", {})
    assert (record.met_new, record.failed_new, len(record.minutes)) == (1, 1, 1)
    assert record.minutes[0].alarms == {"Errors": "ALARM"}
    assert record.minutes[0].errors_new == 1
    # And no move is recorded
    assert account.codedeploy.moved == {}


def test_an_alarm_that_needs_two_minutes_of_three_gets_them(account: Account) -> None:
    account.alarm("Errors", EvaluationPeriods=3, DatapointsToAlarm=2)
    account.function.versions["2"] = fail
    record = account.fails(match="in minute 2")
    assert [minute.alarms["Errors"] for minute in record.minutes] == ["OK", "ALARM"]


def test_an_old_version_that_fails_does_not_stop_its_fix(account: Account) -> None:
    account.alarm("Errors")
    account.function.versions["1"] = fail
    record = account.deploy()
    assert record.status is PlayStatus.SUCCEEDED
    assert record.minutes[0].errors_old == 9
    assert {state for minute in record.minutes for state in minute.alarms.values()} == {"OK"}


def test_alarm_on_whole_function_counts_old_versions_errors(account: Account) -> None:
    account.alarm("All", version=None)
    account.function.versions["1"] = fail
    account.fails(match="All became active in minute 1")


def test_active_alarm_stops_a_deployment_at_its_start(account: Account) -> None:
    # Given a function that fails, and an alarm on all of its versions
    account.alarm("All", version=None)
    account.function.versions["1"] = fail
    account.fails(match="All became active in minute 1")
    account.aws.functions.happened.clear()
    # When the fix is deployed right afterwards
    record = account.fails(match=r"All is already in alarm")
    # Then neither the hook nor any request runs
    assert "hook" not in account.steps
    assert (record.met_new, record.minutes) == (0, [])
    assert account.serves == ("1", {})


def test_disabled_alarms_are_ignored(account: Account) -> None:
    account.alarm("Errors")
    account.group["AlarmConfiguration"]["Enabled"] = "false"
    account.function.versions["2"] = fail
    record = account.deploy()
    assert record.failed_new == 5
    assert record.minutes[0].alarms == {}


def test_a_missing_alarm_stops_the_deployment(account: Account) -> None:
    account.alarm("Errors")
    account.aws.alarms.all.clear()
    account.fails(match="alarm Errors")
    assert account.serves == ("1", {})


def test_an_alarm_that_cannot_be_evaluated_stops_the_deployment(account: Account) -> None:
    account.alarm("Errors", ComparisonOperator="GreaterThanUpperThreshold")
    record = account.fails(match="Errors")
    assert record.reason.startswith(f"{record.id}: ")


# --- Hooks ---


def test_the_hook_gets_its_deployment(account: Account) -> None:
    record = account.deploy(AT_ONCE)
    (event,) = account.events
    assert event.keys() == {"DeploymentId", "LifecycleEventHookExecutionId"}
    assert event["DeploymentId"] == record.id
    # And the environments of the hook and of the replaced version are ended
    assert account.aws.recycled == ["hook", "items:1"]


def test_a_hook_may_be_named_by_its_arn_and_alias(account: Account) -> None:
    account.hook.aliases["live"] = ("$LATEST", {})
    account.properties["BeforeAllowTrafficHook"] = f"arn:aws:lambda:{REGION}:{DEV}:function:hook:live"
    assert account.deploy(AT_ONCE).hooks == {"BeforeAllowTraffic": "Succeeded"}
    assert account.aws.recycled[0] == "hook"


def test_a_failed_hook_stops_the_deployment_with_its_reasons(account: Account) -> None:
    account.says = "Failed"
    record = account.fails(match="BeforeAllowTraffic reported Failed: an item without a name was taken")
    assert record.hooks == {"BeforeAllowTraffic": "Failed"}
    assert record.met_new == 0
    assert account.serves == ("1", {})


def test_a_failed_hook_after_the_traffic_rolls_back(account: Account) -> None:
    del account.properties["BeforeAllowTrafficHook"]
    account.properties["AfterAllowTrafficHook"] = "hook"
    account.says = "Failed"
    account.fails(AT_ONCE, match="AfterAllowTraffic reported Failed")
    assert account.steps == ["100%", "hook", "0%"]
    assert account.serves == ("1", {})


@pytest.mark.parametrize(("does", "said"), [(lambda _: "nothing", "nothing"), (fail, "broken")])
def test_missing_hook_report_is_awaited_for_an_hour(account: Account, does: Callable[[Any], Any], said: str) -> None:
    account.hook.versions["$LATEST"] = does
    record = account.fails(match=f"BeforeAllowTraffic did not report within an hour: .*{said}")
    assert record.hooks == {"BeforeAllowTraffic": "TimedOut"}
    assert record.virtual_seconds >= timedelta(hours=1).total_seconds()


def test_a_denied_hook_is_reported(account: Account) -> None:
    account.aws.role("group", "cloudwatch:DescribeAlarms", f"lambda:UpdateAlias {ALIAS}")
    account.fails(match="the group's role may not call BeforeAllowTraffic: .*AccessDenied")


def test_a_hook_report_without_permission_is_refused(account: Account) -> None:
    account.aws.role("hook")
    account.fails(match=f"did not report within an hour: .*hook is not authorized to perform: {REPORT} on {GROUP}")


def test_an_account_reports_only_its_own_deployments(account: Account) -> None:
    def does(event: dict[str, Any]) -> None:
        account.report(event["LifecycleEventHookExecutionId"], account=PROD)

    account.hook.versions["$LATEST"] = does
    account.fails(match="did not report within an hour: .*no hook with that id has a pending report")


def test_finished_and_unknown_jobs_get_no_results(account: Account) -> None:
    account.deploy(AT_ONCE)
    for execution in (account.events[0]["LifecycleEventHookExecutionId"], "another"):
        with pytest.raises(ApiError) as error:
            account.report(execution)
        assert error.value.code == "InvalidLifecycleEventHookExecutionIdException"


def test_codedeploys_api_names_an_unknown_operation(account: Account) -> None:
    with pytest.raises(ApiError, match="does not support StopDeployment"):
        account.codedeploy.api("StopDeployment", {}, Requester(DEV, "key", "hook"))


# --- Failures ---


@pytest.mark.parametrize(
    ("events", "after"),
    [
        (ALL_EVENTS, ("1", {})),
        (["DEPLOYMENT_STOP_ON_ALARM"], ("1", {})),
        (["DEPLOYMENT_FAILURE"], ("1", {"2": 0.1})),
        ([], ("1", {"2": 0.1})),
    ],
)
def test_an_alarm_rolls_back_if_the_group_is_configured_so(account: Account, events: list[str], after: object) -> None:
    account.alarm("Errors")
    account.function.versions["2"] = fail
    account.group["AutoRollbackConfiguration"]["Events"] = events
    account.fails(match="Errors became active")
    assert account.serves == after


@pytest.mark.parametrize(("events", "serves"), [(["DEPLOYMENT_FAILURE"], "1"), (["DEPLOYMENT_STOP_ON_ALARM"], "2")])
def test_a_failure_rolls_back_if_the_group_is_configured_so(account: Account, events: list[str], serves: str) -> None:
    account.properties["AfterAllowTrafficHook"] = account.properties.pop("BeforeAllowTrafficHook")
    account.says = "Failed"
    account.group["AutoRollbackConfiguration"]["Events"] = events
    account.fails(AT_ONCE, match="AfterAllowTraffic reported Failed")
    assert account.serves == (serves, {})


def test_a_group_without_rollback_leaves_the_weights(account: Account) -> None:
    account.alarm("Errors")
    account.function.versions["2"] = fail
    account.group["AutoRollbackConfiguration"]["Enabled"] = "false"
    account.fails(match="Errors became active")
    assert account.serves == ("1", {"2": 0.1})


def test_a_role_without_access_to_alarms_is_reported(account: Account) -> None:
    account.alarm("Errors")
    account.aws.role("group", "lambda:InvokeFunction", f"lambda:UpdateAlias {ALIAS}")
    record = account.fails(match="the group's role may not see its alarms: .*AccessDenied")
    assert record.reason.startswith(record.id)


def test_a_role_that_may_not_move_the_alias_is_reported(account: Account) -> None:
    account.aws.role("group", "lambda:InvokeFunction", "cloudwatch:DescribeAlarms", f"lambda:UpdateAlias {ALIAS}-other")
    account.fails(match="the group's role may not move the alias of items")
    assert account.serves == ("1", {})


def test_a_role_that_codedeploy_may_not_assume_is_reported(account: Account) -> None:
    account.aws.role("group", "*", trusts=set())
    account.fails(match="not authorized to perform: sts:AssumeRole")


def test_unsupported_configuration_fails_the_deployment(account: Account) -> None:
    account.fails("Mine", match="does not support the deployment configuration: 'Mine'")


def test_without_a_hook_the_function_is_invoked_by_name(account: Account) -> None:
    del account.properties["BeforeAllowTrafficHook"]
    assert account.deploy().met_new > 0
    assert {event["checks"] for _, _, event in account.aws.functions.happened if "checks" in str(event)} == {"items"}


def test_a_deployment_ends_when_the_run_is_stopped(account: Account) -> None:
    account.function.versions["1"] = lambda _: account.stopping.set()
    record = account.fails(match="interrupted")
    assert record.minutes == []
    # And it is rolled back, since the group rolls back stopped deployments
    assert account.serves == ("1", {})


# --- Recorded moves ---


def test_moved_functions_are_recorded(account: Account) -> None:
    account.deploy(AT_ONCE)
    assert account.codedeploy.moved == {(DEV, "items"): Moved("items", "live", "1", "2", HANDLER, REGION)}


def test_functions_moved_earlier_are_found_by_their_hook(account: Account) -> None:
    # Given a stack with a deployment and its hook, and one whose hook cannot be found
    def resource(logical_id: str, kind: str, physical_id: str) -> dict[str, str]:
        return {"LogicalResourceId": logical_id, "ResourceType": kind, "PhysicalResourceId": physical_id}

    account.function.aliases["live"] = ("7", {})
    account.aws.functions.all["other"] = Function(aliases={"live": ("1", {})})
    account.aws.formation.stacks["dev-items-compute"] = Stack(
        "UPDATE_COMPLETE",
        resources=[
            resource("ApiFunctionLive0123ABCDDeployment", DEPLOYMENT, "items:live"),
            resource("ApiDeploymentHookFunction0123ABCD", "AWS::Lambda::Function", "hook"),
            resource("OtherFunctionLive0123ABCDDeployment", DEPLOYMENT, "other:live"),
            resource("Table", "AWS::DynamoDB::Table", "t"),
        ],
    )
    # When CodeDeploy looks up the account's functions
    account.codedeploy.know(DEV)
    # Then the first is found, with the version that it serves
    assert account.codedeploy.moved == {(DEV, "items"): Moved("items", "live", "7", "7", HANDLER, REGION)}
