"""Executions: order, parallel actions, conditions, retries, rollbacks, self-mutation, and how they end."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError, ConnectTimeoutError

from slipway.emulator.partition import ApiError, Requester
from slipway.errors import RehearsalError
from slipway.rehearsal.player import records
from slipway.rehearsal.player.actions import Actions, Task
from slipway.rehearsal.player.approvals import Approvals, Pending
from slipway.rehearsal.player.builds import BuildFailedError, BuildPlace
from slipway.rehearsal.player.execution import allowed
from slipway.rehearsal.player.memory import Remembered
from slipway.rehearsal.player.quota import BuildQuotas
from slipway.rehearsal.player.records import Execution, PlayStatus
from slipway.rehearsal.player.rules import Window
from unit.rehearsal.aws import DEV, PROD, REGION, STAGING, TOOLS
from unit.rehearsal.player.pipelines import (
    BUCKET,
    Properties,
    approval,
    build,
    conditions,
    deploy,
    pipeline,
    prepare,
    retry,
    rule,
    stage,
)
from unit.rehearsal.player.stage import COMMIT, FRIDAY, Does, Play

BOTH_SECONDS = 10.0
"""Seconds that one of two parallel actions waits for the other before the test fails."""


def _fails(message: str = "no") -> Does:
    def fail(task: Task) -> None:
        raise RehearsalError(message)

    return fail


def _fails_once(message: str = "no") -> Does:
    def fail(task: Task) -> None:
        if task.record.attempt == 1:
            raise RehearsalError(message)

    return fail


def _takes(seconds: float) -> Does:
    return lambda task: task.clock.wait(seconds)


def _ends(execution: Execution) -> list[tuple[str, str, str]]:
    return [(each.name, each.kind, each.status.value) for each in execution.stages]


# --- Order ---


def test_stages_are_sequential_with_actions_in_order(tmp_path: Path) -> None:
    # Given a pipeline with actions in several run orders
    stages = (
        stage("Build", build()),
        stage("dev", deploy("b", 2), prepare("a", 1), build("Verify", 10)),
        stage("prod", prepare("c", account=PROD)),
    )
    play = Play(tmp_path, pipeline(*stages))
    # When it is played
    execution = play.once()
    # Then every action ran once, in order
    assert play.actions.log == ["repository", "Synth", "a.Prepare", "b.Deploy", "Verify", "c.Prepare"]
    assert execution.status is PlayStatus.SUCCEEDED
    assert execution.reason == ""
    assert _ends(execution) == [(name, "deliver", "Succeeded") for name in ("Source", "Build", "dev", "prod")]
    # And the viewer was notified of each start and end
    assert play.watcher.told[:5] == [
        "execution of slipway 1",
        "stage Source InProgress",
        "action repository InProgress",
        "action repository Succeeded",
        "stage Source Succeeded",
    ]
    assert play.told.states("Stage")[:2] == ["Source STARTED", "Source SUCCEEDED"]
    assert play.told.states("Pipeline") == ["STARTED", "SUCCEEDED"]


def test_actions_of_the_same_order_run_in_parallel(tmp_path: Path) -> None:
    # Given two actions that each wait for the other
    meet = threading.Barrier(2, timeout=BOTH_SECONDS)
    does: dict[str, Does] = {name: lambda _: meet.wait() for name in ("One", "Two")}
    play = Play(tmp_path, pipeline(stage("Build", build("One"), build("Two"))), does)
    # When they are played, then they run in parallel
    assert play.once().status is PlayStatus.SUCCEEDED


def test_actions_of_another_order_wait(tmp_path: Path) -> None:
    done: list[str] = []
    does: dict[str, Does] = {name: lambda task: done.append(task.definition.name) for name in ("One", "Two", "Three")}
    play = Play(tmp_path, pipeline(stage("Build", build("Three", 3), build("Two", 2), build("One", 1))), does)
    play.once()
    assert done == ["One", "Two", "Three"]


def test_failing_action_stops_stage_after_parallel_ones_finish(tmp_path: Path) -> None:
    # Given an action that fails immediately, and a parallel one that ends later
    failed = threading.Event()

    def fail(task: Task) -> None:
        failed.set()
        raise RehearsalError("Lint is not amused")

    def last(task: Task) -> None:
        assert failed.wait(BOTH_SECONDS)
        task.record.summary = "done"

    actions = (build("Lint"), build("Unit"), build("Package", 2))
    play = Play(tmp_path, pipeline(stage("Build", *actions), stage("dev", prepare("a"))), {"Lint": fail, "Unit": last})
    # When it is played
    execution = play.once()
    # Then the parallel action is completed, and nothing starts after the two
    assert play.actions.log[1:] in (["Lint", "Unit"], ["Unit", "Lint"])
    ended = execution.stages[1]
    assert [(each.name, each.status, each.summary) for each in ended.actions] == [
        ("Lint", PlayStatus.FAILED, ""),
        ("Unit", PlayStatus.SUCCEEDED, "done"),
    ]
    assert execution.status is PlayStatus.FAILED
    assert execution.reason == ended.reason == "Build/Lint: Lint is not amused"
    assert _ends(execution)[2] == ("dev", "deliver", "Skipped")
    assert play.told.states("Stage")[-1] == "Build FAILED"
    assert play.told.states("Pipeline")[-1] == "FAILED"


def _client_error() -> ClientError:
    return ClientError({"Error": {"Code": "AccessDenied", "Message": "not yours"}}, "PutObject")


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (RehearsalError("a reason"), "a reason"),
        (ApiError("AccessDenied", "not trusted", status=403), "not trusted"),
        (_client_error(), "refused: An error occurred (AccessDenied) when calling the PutObject operation: not yours"),
        (
            ConnectTimeoutError(endpoint_url="https://there"),
            'refused: Connect timeout on endpoint URL: "https://there"',
        ),
        (KeyError("TemplatePath"), "the player failed: KeyError: 'TemplatePath'"),
    ],
)
def test_failed_action_ends_and_reports(tmp_path: Path, error: Exception, said: str) -> None:
    def fail(task: Task) -> None:
        raise error

    execution = Play(tmp_path, pipeline(stage("Build", build())), {"Synth": fail}).once()
    assert execution.stages[1].actions[0].error == said
    assert execution.reason == f"Build/Synth: {said}"


def test_the_tests_of_a_build_that_failed_are_kept(tmp_path: Path) -> None:
    tests = records.Tests(tests=3, failures=1, failed=["a::b"])

    def fail(task: Task) -> None:
        raise BuildFailedError("phase build failed", tests)

    execution = Play(tmp_path, pipeline(stage("Build", build())), {"Synth": fail}).once()
    assert execution.stages[1].actions[0].tests == tests


def test_virtual_time_follows_longest_actions_of_groups(tmp_path: Path) -> None:
    # Given groups of actions that wait in virtual time
    actions = (build("Short"), build("Long"), build("Next", 2))
    does = {"Short": _takes(60), "Long": _takes(600), "Next": _takes(30)}
    play = Play(tmp_path, pipeline(stage("Build", *actions), stage("dev", prepare("a"))), does)
    # When they are played
    execution = play.once()
    # Then virtual time passes as on AWS, without real waiting
    starts = {each.name: datetime.fromisoformat(each.virtual_start) for each in _actions(execution)}
    assert starts["Short"] == starts["Long"]
    assert starts["Next"] - starts["Long"] == pytest.approx(timedelta(seconds=600), abs=timedelta(seconds=5))
    assert starts["a.Prepare"] - starts["Long"] == pytest.approx(timedelta(seconds=630), abs=timedelta(seconds=5))
    assert execution.virtual_seconds == pytest.approx(630, abs=5)
    assert execution.seconds < 30


def _actions(execution: Execution) -> list[records.PlayedAction]:
    return [action for each in execution.stages for action in each.actions]


def test_each_action_gets_its_account(tmp_path: Path) -> None:
    stages = (stage("Build", build()), stage("dev", prepare("a")), stage("prod", prepare("b", account=PROD)))
    execution = Play(tmp_path, pipeline(*stages)).once()
    assert [each.account for one in execution.stages for each in one.actions] == ["tools", "tools", "dev", "prod"]


def test_environments_of_functions_are_ended_after_a_stage(tmp_path: Path) -> None:
    play = Play(tmp_path, pipeline(stage("dev", prepare("a"))))
    play.once()
    assert {account: behind.recycled for account, behind in play.aws.items()} == {
        TOOLS: [""],
        DEV: [""],
        STAGING: [],
        PROD: [],
    }


def test_a_stage_whose_transition_is_disabled_is_not_entered(tmp_path: Path) -> None:
    frozen = [{"StageName": "dev", "Reason": "end of the year"}]
    play = Play(tmp_path, pipeline(stage("dev", prepare("a")), DisableInboundStageTransitions=frozen))
    execution = play.once()
    assert play.actions.log == ["repository"]
    assert execution.status is PlayStatus.FAILED
    assert execution.reason == "the transition into dev is disabled: end of the year"
    assert _ends(execution)[-1] == ("dev", "deliver", "Failed")


def test_artifacts_and_variables_of_an_execution_are_remembered(tmp_path: Path) -> None:
    def take(task: Task) -> None:
        task.run.keep("Sources", tmp_path / "sources.zip")
        task.run.variables["Source@repository"] = {"CommitId": "c0ffee"}

    play = Play(tmp_path, pipeline(stage("dev", prepare("a"))), {"repository": take, "a.Prepare": _fails()})
    execution = play.once()
    (remembered,) = play.memory.executions
    assert (remembered.id, remembered.commit, remembered.version) == (execution.id, COMMIT.sha, 1)
    assert remembered.status == "Failed"
    assert remembered.stages == {"Source": "Succeeded", "dev": "Failed"}
    assert remembered.artifacts == {"Sources": f"slipway/Sources/{execution.id[:8]}"}
    assert remembered.variables == {"Source@repository": {"CommitId": "c0ffee"}}
    assert remembered.started == FRIDAY.isoformat()
    assert datetime.fromisoformat(remembered.ended) >= FRIDAY


# --- Retries ---


def test_failed_stage_is_retried_as_a_whole(tmp_path: Path) -> None:
    # Given a stage whose last action fails on the first attempt
    actions = (prepare("a", 1), deploy("a", 2), build("Verify", 3))
    play = Play(tmp_path, pipeline(stage("dev", *actions, OnFailure=retry())), {"Verify": _fails_once()})
    # When it is played
    execution = play.once()
    # Then all of its actions ran twice, and the execution continued
    assert play.actions.log[1:] == ["a.Prepare", "a.Deploy", "Verify"] * 2
    assert execution.status is PlayStatus.SUCCEEDED
    assert _ends(execution)[1:] == [("dev", "deliver", "Failed"), ("dev", "retry", "Succeeded")]
    assert [each.attempt for each in execution.stages[2].actions] == [2, 2, 2]
    assert play.memory.executions[0].stages["dev"] == "Succeeded"


def test_only_failed_actions_are_retried_if_configured(tmp_path: Path) -> None:
    actions = (prepare("a", 1), build("Verify", 2), build("Check", 2), build("After", 3))
    failing = stage("dev", *actions, OnFailure=retry("FAILED_ACTIONS"))
    play = Play(tmp_path, pipeline(failing), {"Verify": _fails_once()})
    assert play.once().status is PlayStatus.SUCCEEDED
    assert sorted(play.actions.log[2:4]) == ["Check", "Verify"]
    assert play.actions.log[4:] == ["Verify", "After"]


def test_stage_that_fails_again_is_not_retried(tmp_path: Path) -> None:
    play = Play(tmp_path, pipeline(stage("dev", prepare("a"), OnFailure=retry())), {"a.Prepare": _fails("still no")})
    execution = play.once()
    assert play.actions.log[1:] == ["a.Prepare"] * 2
    assert (execution.status, execution.reason) == (PlayStatus.FAILED, "dev/a.Prepare: still no")
    assert _ends(execution)[1:] == [("dev", "deliver", "Failed"), ("dev", "retry", "Failed")]


def test_success_condition_is_checked_after_retry_too(tmp_path: Path) -> None:
    asked = []

    def bake(configuration: Mapping[str, str], accounts: Sequence[str], moment: datetime) -> tuple[bool, str]:
        asked.append(accounts)
        return True, "quiet"

    properties = stage("dev", deploy("a"), OnFailure=retry(), OnSuccess=conditions("FAIL", BAKE))
    play = _baking(tmp_path, pipeline(properties), {"a.Deploy": _fails_once()}, bake)
    assert play.once().status is PlayStatus.SUCCEEDED
    assert asked == [[DEV]]


# --- Rollbacks ---


def _rolling_back(**more: object) -> Properties:
    actions = (prepare("a", 1), deploy("a", 2))
    return pipeline(stage("dev", *actions, OnFailure={"Result": "ROLLBACK"}, **more), stage("prod", prepare("b")))


def _earlier(play: Play, **changes: object) -> Remembered:
    """Add an earlier execution that succeeded everywhere."""
    settled: dict[str, object] = {
        "id": "00000000-earlier",
        "commit": "e" * 40,
        "message": "As it was",
        "version": 1,
        "started": "2026-11-19T12:00:00+00:00",
        "status": "Succeeded",
        "artifacts": {"Assembly": "slipway/Assembly/00000000"},
        "variables": {"Source@repository": {"CommitId": "e" * 40}},
        "stages": {"Source": "Succeeded", "dev": "Succeeded", "prod": "Succeeded"},
    }
    earlier = Remembered(**{**settled, **changes})  # type: ignore[arg-type]  # as they are above
    play.memory.executions.append(earlier)
    return earlier


def test_failed_stage_rolls_back_to_last_success(tmp_path: Path) -> None:
    # Given an earlier execution, and a current one whose deployment fails
    fails = {"a.Deploy": lambda task: _fails("no such thing")(task) if task.commit else None}
    play = Play(tmp_path, _rolling_back(), fails)
    earlier = _earlier(play)
    # When it is played
    execution = play.once()
    # Then the stage's actions ran again with the earlier execution's artifacts
    assert play.actions.log[1:] == ["a.Prepare", "a.Deploy"] * 2
    back = play.actions.tasks[-1]
    assert back.commit is None
    assert back.run.remembered.artifacts == earlier.artifacts
    assert back.run.variables == earlier.variables
    # And the execution has failed, with the original reason
    assert execution.status is PlayStatus.FAILED
    assert execution.reason == "dev/a.Deploy: no such thing"
    assert _ends(execution) == [
        ("Source", "deliver", "Succeeded"),
        ("dev", "deliver", "Failed"),
        ("dev", "rollback", "Succeeded"),
        ("prod", "deliver", "Skipped"),
    ]
    assert execution.stages[2].reason == "back to eeeeeeeeeeee: As it was"


def test_rollback_is_in_the_stage_while_its_actions_run(tmp_path: Path) -> None:
    # Given a stage that fails, with an action that records what the pipeline remembers of the stage
    seen: list[list[tuple[bool, str]]] = []

    def deploy(task: Any) -> Any:
        seen.append(
            [(bool(each.target), each.stages["dev"]) for each in play.memory.executions if "dev" in each.stages]
        )
        return _fails()(task) if task.commit else None

    play = Play(tmp_path, _rolling_back(), {"a.Deploy": deploy})
    _earlier(play)
    play.once()

    assert seen[0] == [(False, "Succeeded"), (False, "InProgress")]
    assert seen[1] == [(False, "Succeeded"), (False, "Failed"), (True, "InProgress")]


def test_a_rollback_is_its_own_execution(tmp_path: Path) -> None:
    fails = {"a.Deploy": lambda task: _fails()(task) if task.commit else None}
    play = Play(tmp_path, _rolling_back(), fails)
    earlier = _earlier(play)
    play.once()
    rollback = play.memory.executions[-1]
    assert rollback.target == earlier.id
    assert (rollback.commit, rollback.status) == (earlier.commit, "Succeeded")
    assert rollback.stages == {"dev": "Succeeded"}
    assert rollback.variables == earlier.variables
    assert rollback.ended
    begun = [each for each in play.told.all if each["kind"] == "Pipeline" and "rollback-metadata" in each]
    assert [each["execution-id"] for each in begun] == [rollback.id]


@pytest.mark.parametrize(("days", "status"), [(1, "Failed"), (30, "Succeeded"), (None, "Succeeded")])
def test_a_rollback_needs_artifacts_that_are_still_there(tmp_path: Path, days: int | None, status: str) -> None:
    # Given an environment deployed yesterday, and a bucket that keeps artifacts for some days
    fails = {"a.Deploy": lambda task: _fails()(task) if task.commit else None}
    play = Play(tmp_path, _rolling_back(), fails)
    _earlier(play)
    if days is not None:
        play.tools.s3.expire[BUCKET] = days
    # When its stage is rolled back
    execution = play.once()
    # Then this succeeds only if S3 still has the earlier artifacts
    assert _ends(execution)[2] == ("dev", "rollback", status)
    assert ("The specified key does not exist." in execution.stages[2].reason) is (status == "Failed")


def test_a_second_rollback_restores_the_same_execution(tmp_path: Path) -> None:
    fails = {"a.Deploy": lambda task: _fails()(task) if task.commit else None}
    play = Play(tmp_path, _rolling_back(), fails)
    earlier = _earlier(play)
    play.once()
    play.once()
    assert [each.target for each in play.memory.executions if each.target] == [earlier.id] * 2


def test_a_rollback_does_not_change_the_earlier_execution(tmp_path: Path) -> None:
    def prepares(task: Task) -> None:
        task.run.variables["Prepare"] = {"Made": "now"}
        task.run.keep("Assembly", tmp_path / "assembly.zip")

    fails: dict[str, Does] = {"a.Prepare": prepares, "a.Deploy": _fails()}
    play = Play(tmp_path, _rolling_back(), fails)
    earlier = _earlier(play)
    play.once()
    assert earlier.variables == {"Source@repository": {"CommitId": "e" * 40}}
    assert earlier.artifacts == {"Assembly": "slipway/Assembly/00000000"}


@pytest.mark.parametrize("changes", [{"version": 0}, {"stages": {"prod": "Succeeded"}}, {"target": "another"}])
def test_without_an_earlier_execution_nothing_is_rolled_back(tmp_path: Path, changes: dict[str, object]) -> None:
    # Given an earlier execution that a rollback cannot use
    play = Play(tmp_path, _rolling_back(), {"a.Deploy": _fails()})
    _earlier(play, **changes)
    # When the stage fails
    execution = play.once()
    # Then nothing runs again, and the rollback gives the reason
    assert play.actions.log[1:] == ["a.Prepare", "a.Deploy"]
    assert execution.stages[2].kind == "rollback"
    assert execution.stages[2].status is PlayStatus.FAILED
    assert "nothing to go back to" in execution.stages[2].reason
    assert "version 1" in execution.stages[2].reason
    assert execution.reason == "dev/a.Deploy: no"


def test_failed_rollback_is_reported_and_keeps_the_reason(tmp_path: Path) -> None:
    fails = {"a.Deploy": lambda task: _fails("at first" if task.commit else "on the way back")(task)}
    play = Play(tmp_path, _rolling_back(), fails)
    _earlier(play)
    execution = play.once()
    assert execution.reason == "dev/a.Deploy: at first"
    assert execution.stages[2].reason == "dev/a.Deploy: on the way back"
    assert execution.stages[2].status is PlayStatus.FAILED
    assert play.memory.executions[-1].status == "Failed"


def test_a_rollback_takes_virtual_time(tmp_path: Path) -> None:
    does: dict[str, Does] = {"a.Prepare": _takes(300), "a.Deploy": _fails()}
    play = Play(tmp_path, _rolling_back(), does)
    _earlier(play)
    assert play.once().virtual_seconds == pytest.approx(600, abs=5)


# --- Conditions ---

OFFICE = rule("Office", "DeploymentWindow", Cron="* * 8-16 ? * MON-FRI", TimeZone="America/New_York")
BAKE = rule("Bake", "CloudWatchAlarm", AlarmName="bake-dev", AlarmStates="ALARM", WaitTime="10")

Bake = Callable[[Mapping[str, str], Sequence[str], datetime], tuple[bool, str]]


def _baking(folder: Path, properties: Properties, does: Mapping[str, Does], bake: Bake) -> Play:
    play = Play(folder, properties, does, bake=bake)
    play.tools.role("pipeline", f"cloudwatch:DescribeAlarms arn:aws:cloudwatch:{REGION}:{TOOLS}:alarm:bake-*")
    return play


def test_a_stage_is_entered_within_its_window(tmp_path: Path) -> None:
    play = Play(tmp_path, pipeline(stage("dev", prepare("a"), BeforeEntry=conditions("FAIL", OFFICE))))
    execution = play.once(FRIDAY)
    (asked,) = execution.stages[1].conditions
    assert (asked.kind, asked.rule, asked.status) == ("BeforeEntry", "Office", PlayStatus.SUCCEEDED)
    assert asked.detail == "Fri 15:00 UTC; * * 8-16 ? * MON-FRI America/New_York"
    assert execution.status is PlayStatus.SUCCEEDED


def test_stage_is_not_entered_outside_its_window(tmp_path: Path) -> None:
    # Given a stage with an entry window that is retried on failure
    properties = stage("dev", prepare("a"), BeforeEntry=conditions("FAIL", OFFICE), OnFailure=retry())
    play = Play(tmp_path, pipeline(properties))
    # When it is reached on a Saturday
    execution = play.once(FRIDAY + timedelta(days=1))
    # Then none of its actions starts
    assert play.actions.log == ["repository"]
    assert _ends(execution)[1:] == [("dev", "deliver", "Failed")]
    assert execution.reason.startswith("dev: Office does not hold: Sat 15:00 UTC")


def test_window_is_checked_at_virtual_arrival_of_stage(tmp_path: Path) -> None:
    properties = stage("dev", prepare("a"), BeforeEntry=conditions("FAIL", OFFICE))
    play = Play(tmp_path, pipeline(stage("Build", build()), properties), {"Synth": _takes(8 * 3600)})
    assert play.once(FRIDAY).status is PlayStatus.FAILED


@pytest.mark.parametrize(
    ("configuration", "said"),
    [
        ({"Cron": "nonsense"}, "has 1 fields"),
        ({"Cron": "* * * ? * *", "TimeZone": "Mars/Olympus"}, "Mars/Olympus"),
        ({}, "Cron"),
    ],
)
def test_a_window_that_cannot_be_read_does_not_hold(tmp_path: Path, configuration: dict[str, str], said: str) -> None:
    condition = conditions("FAIL", rule("Office", "DeploymentWindow", **configuration))
    execution = Play(tmp_path, pipeline(stage("dev", prepare("a"), BeforeEntry=condition))).once()
    assert execution.status is PlayStatus.FAILED
    assert said in execution.reason


def test_a_bake_watches_its_stages_environment(tmp_path: Path) -> None:
    # Given a stage that deploys to staging and runs a verification in the tools account
    asked = []

    def bake(configuration: Mapping[str, str], accounts: Sequence[str], moment: datetime) -> tuple[bool, str]:
        asked.append((configuration["AlarmName"], accounts, moment))
        return True, "nothing rang"

    actions = (deploy("a", account=STAGING), build("Verify", 3))
    properties = stage("staging", *actions, OnSuccess=conditions("ROLLBACK", BAKE))
    play = _baking(tmp_path, pipeline(properties), {"a.Deploy": _takes(60)}, bake)
    # When it is played
    execution = play.once()
    # Then the bake starts after the stage's actions, and takes its configured time
    ((alarm, accounts, moment),) = asked
    assert (alarm, accounts) == ("bake-dev", [STAGING])
    assert moment - FRIDAY == pytest.approx(timedelta(seconds=60), abs=timedelta(seconds=5))
    (condition,) = execution.stages[1].conditions
    assert (condition.kind, condition.status, condition.detail) == ("OnSuccess", PlayStatus.SUCCEEDED, "nothing rang")
    assert condition.virtual_seconds == 600
    assert execution.virtual_seconds == pytest.approx(660, abs=5)


def test_alarm_during_bake_rolls_stage_back(tmp_path: Path) -> None:
    # Given a stage that rolls back only when its bake fails
    properties = stage("dev", deploy("a"), OnSuccess=conditions("ROLLBACK", BAKE))
    play = _baking(tmp_path, pipeline(properties), {}, lambda *_: (False, "Errors went off"))
    _earlier(play)
    # When an alarm triggers during the bake
    execution = play.once()
    # Then the stage's last successful execution is deployed again
    assert play.actions.log[1:] == ["a.Deploy", "a.Deploy"]
    assert _ends(execution)[1:] == [("dev", "deliver", "Failed"), ("dev", "rollback", "Succeeded")]
    assert execution.reason == "dev: Bake does not hold: Errors went off"


def test_failed_bake_without_rollback_fails_the_stage(tmp_path: Path) -> None:
    # Given a stage that is retried when an action fails, whose bake fails
    properties = stage("dev", deploy("a"), OnSuccess=conditions("FAIL", BAKE), OnFailure=retry())
    play = _baking(tmp_path, pipeline(properties), {}, lambda *_: (False, "Errors went off"))
    _earlier(play)
    execution = play.once()
    assert play.actions.log[1:] == ["a.Deploy"]
    assert _ends(execution)[1:] == [("dev", "deliver", "Failed")]


def test_pipelines_role_must_read_the_bakes_alarm(tmp_path: Path) -> None:
    properties = stage("dev", deploy("a"), OnSuccess=conditions("FAIL", BAKE))
    play = Play(tmp_path, pipeline(properties), bake=lambda *_: pytest.fail("it baked"))
    play.tools.role("pipeline", f"cloudwatch:DescribeAlarms arn:aws:cloudwatch:{REGION}:{TOOLS}:alarm:another")
    assert play.once().reason == (
        f"dev: Bake does not hold: arn:aws:iam::{TOOLS}:role/pipeline may not see the alarm bake-dev"
    )


def test_parallel_environments_bake_and_roll_back_together(tmp_path: Path) -> None:
    # Given a stage that deploys to two environments in parallel, with one rule for each
    asked: list[tuple[str, Sequence[str]]] = []

    def bake(configuration: Mapping[str, str], accounts: Sequence[str], _: datetime) -> tuple[bool, str]:
        asked.append((configuration["AlarmName"], accounts))
        return configuration["AlarmName"] == "bake-dev", "Errors went off"

    other = rule("Bake-prod", "CloudWatchAlarm", AlarmName="bake-prod", AlarmStates="ALARM", WaitTime="1")
    actions = (deploy("a"), deploy("b", account=PROD))
    properties = stage("dev", *actions, OnSuccess=conditions("ROLLBACK", BAKE, other))
    play = _baking(tmp_path, pipeline(properties), {}, bake)
    _earlier(play)
    # When the second environment's alarm triggers
    execution = play.once()
    # Then each rule waits in both environments, and both are rolled back
    assert asked == [("bake-dev", [DEV, PROD]), ("bake-prod", [DEV, PROD])]
    assert sorted(play.actions.log[1:]) == ["a.Deploy", "a.Deploy", "b.Deploy", "b.Deploy"]
    assert _ends(execution)[1:] == [("dev", "deliver", "Failed"), ("dev", "rollback", "Succeeded")]


def test_bake_needs_a_stage_that_deploys(tmp_path: Path) -> None:
    properties = stage("tests", build("Verify", 1), OnSuccess=conditions("FAIL", BAKE))
    play = _baking(tmp_path, pipeline(properties), {}, lambda *_: pytest.fail("it baked"))
    assert "tests deploys to no account" in play.once().reason


def test_a_closed_window_may_hold_the_stage(tmp_path: Path) -> None:
    # Given a stage that is reached on a Friday evening, with a window that opens on Monday
    evening = FRIDAY + timedelta(hours=8)
    entry = conditions("FAIL", OFFICE)
    play = Play(tmp_path, pipeline(stage("dev", prepare("a"), BeforeEntry=entry)), window=Window.WAITS)
    # When the rule waits
    execution = play.once(evening)
    # Then the stage is entered once the window opens
    (condition,) = execution.stages[1].conditions
    assert condition.status is PlayStatus.SUCCEEDED
    assert "waited until Mon 13:00 UTC" in condition.detail
    assert timedelta(seconds=execution.virtual_seconds) > timedelta(days=2)


def test_time_that_passes_in_a_build_passes_in_its_environment(tmp_path: Path) -> None:
    # Given a build that waits, in a stage that deploys
    play = Play(tmp_path, pipeline(stage("dev", deploy("a"), build("Bake", 3))))
    play.actions.does = {"Bake": lambda task: play.player._wait(task, 600)}
    # When it is played
    execution = play.once()
    # Then ten minutes have passed in the environment
    assert [(account, minutes) for account, _, minutes in play.passed] == [(DEV, 10)]
    assert execution.virtual_seconds == pytest.approx(600, abs=5)


def test_rules_are_evaluated_in_order_until_one_fails(tmp_path: Path) -> None:
    closed = rule("Night", "DeploymentWindow", Cron="* * 2 ? * *")
    rules = conditions("FAIL", OFFICE, closed, rule("Never asked", "DeploymentWindow", Cron="* * 8 ? * *"))
    execution = Play(tmp_path, pipeline(stage("dev", prepare("a"), BeforeEntry=rules))).once()
    assert [(each.rule, each.status) for each in execution.stages[1].conditions] == [
        ("Office", PlayStatus.SUCCEEDED),
        ("Night", PlayStatus.FAILED),
    ]


# --- Self-mutation ---


def _mutable(extra: str = "", **more: object) -> Properties:
    """Return a pipeline with a stage that changes it, and one more build once it was changed."""
    builds = [build("Verify"), *([build(extra)] if extra else [])]
    return pipeline(stage("UpdatePipeline", build("SelfMutate")), stage("dev", *builds), **more)


def test_pipeline_that_changes_itself_restarts_in_its_new_form(tmp_path: Path) -> None:
    # Given a commit that adds an action
    play = Play(tmp_path, _mutable())
    play.actions.does = {
        "repository": _takes(20),
        "SelfMutate": lambda _: play.memory.define(_mutable("Another")),
    }
    # When it is played
    first, second = play.play()
    # Then the first execution stops after changing the pipeline, and a second one plays the new definition
    assert (first.status, first.pipeline_version) == (PlayStatus.CANCELED, 1)
    assert _ends(first)[-1] == ("dev", "deliver", "Skipped")
    assert (second.status, second.pipeline_version) == (PlayStatus.SUCCEEDED, 2)
    assert play.actions.log[:4] == ["repository", "SelfMutate", "repository", "SelfMutate"]
    assert sorted(play.actions.log[4:]) == ["Another", "Verify"]
    assert first.commit == second.commit == COMMIT.sha
    # And it starts later, in virtual time, than the first one
    moved = datetime.fromisoformat(second.virtual_start) - datetime.fromisoformat(first.virtual_start)
    assert moved == pytest.approx(timedelta(seconds=20), abs=timedelta(seconds=5))
    # And the rules of EventBridge are read again
    assert play.told.refreshed == 1
    assert [each.status for each in play.memory.executions] == ["Cancelled", "Succeeded"]
    assert play.told.states("Pipeline") == ["STARTED", "CANCELED", "STARTED", "SUCCEEDED"]


def test_an_unchanged_pipeline_continues(tmp_path: Path) -> None:
    play = Play(tmp_path, _mutable())
    play.actions.does = {"SelfMutate": lambda _: play.memory.define(_mutable())}
    assert play.once().status is PlayStatus.SUCCEEDED
    assert play.actions.log == ["repository", "SelfMutate", "Verify"]


def test_a_pipeline_without_restart_is_reported(tmp_path: Path) -> None:
    play = Play(tmp_path, _mutable())
    changed = _mutable("Another", RestartExecutionOnUpdate="false")
    play.actions.does = {"SelfMutate": lambda _: play.memory.define(changed)}
    execution = play.once()
    assert execution.status is PlayStatus.CANCELED
    assert execution.reason.endswith("which cancels running executions; they do not start again after the update")


def test_a_pipeline_that_removes_itself_ends(tmp_path: Path) -> None:
    play = Play(tmp_path, _mutable())
    play.actions.does = {"SelfMutate": lambda _: play.memory.undefine()}
    with pytest.raises(RehearsalError, match="has no pipeline"):
        play.once()
    assert play.player.executions[0].status is PlayStatus.CANCELED


def _changed(properties: Properties) -> Properties:
    """Return the same pipeline with one more action in its last stage."""
    *stages, last = properties["Stages"]
    return {**properties, "Stages": [*stages, {**last, "Actions": [*last["Actions"], build("Another", 9)]}]}


def test_a_changed_pipeline_cancels_what_is_in_flight(tmp_path: Path) -> None:
    # Given a stage that rolls back on failure, and a pipeline change while it deploys
    properties = _rolling_back()
    play = Play(tmp_path, properties)
    _earlier(play)
    changes = iter([lambda: play.memory.define(_changed(properties))])

    def meanwhile(task: Task) -> None:
        if (change := next(changes, None)) is not None:
            change()

    play.actions.does = {"a.Prepare": meanwhile}
    # When it is played
    first, second = play.play()
    # Then the running action completes, nothing is rolled back, and no other stage is entered
    assert _ends(first)[1:] == [("dev", "deliver", "Cancelled"), ("prod", "deliver", "Skipped")]
    assert [action.status for action in first.stages[1].actions] == [PlayStatus.SUCCEEDED]
    assert first.reason == "the pipeline was changed, which cancels running executions; it begins again"
    # And the cancellation is sent as an event, before the newest commit is delivered again
    assert "dev CANCELED" in play.told.states("Stage")
    assert play.told.states("Pipeline")[:3] == ["STARTED", "CANCELED", "STARTED"]
    assert second.status is PlayStatus.SUCCEEDED


def test_a_changed_pipeline_cancels_an_approval_that_waits(tmp_path: Path) -> None:
    # Given an approval that is never answered
    properties = pipeline(stage("prod-approval", approval()), stage("prod", prepare("a")))
    play = Play(tmp_path, properties)

    def ask(_: Pending) -> None:
        play.memory.define(_changed({**properties, "RestartExecutionOnUpdate": "no"}))

    actions = Actions(
        play.accounts,
        Approvals(ask, play.stopping),
        BuildPlace(tmp_path / "run", tmp_path / "host", tmp_path),
        quotas=BuildQuotas(),
        progress=play.watcher.progress,
        asked=lambda _: None,
        stopping=play.stopping,
    )
    play.actions.does = {"Approve": actions.do}
    # When the pipeline is changed meanwhile
    execution = play.once()
    # Then the approval is canceled
    assert _ends(execution)[1:] == [("prod-approval", "deliver", "Cancelled"), ("prod", "deliver", "Skipped")]
    assert [(each["action"], each["state"]) for each in play.told.all if each["kind"] == "Action"] == [
        ("Approve", "CANCELED")
    ]


def test_without_a_pipeline_nothing_is_played(tmp_path: Path) -> None:
    with pytest.raises(RehearsalError, match="has no pipeline: its stack was never deployed"):
        Play(tmp_path, None).play()


# --- Stopped or killed ---


def test_a_stop_does_not_roll_back_the_stage(tmp_path: Path) -> None:
    # Given a stage that rolls back on failure, and is stopped while it deploys
    play = Play(tmp_path, _rolling_back())
    _earlier(play)

    def stopped(task: Task) -> None:
        play.stopping.set()
        raise RehearsalError("the stack was in the middle of something")

    play.actions.does = {"a.Prepare": stopped}
    # When it is played
    execution = play.once()
    # Then no further action, rollback or stage is started
    assert play.actions.log == ["repository", "a.Prepare"]
    assert _ends(execution)[1:] == [("dev", "deliver", "Failed"), ("prod", "deliver", "Skipped")]
    assert execution.reason == "dev/a.Prepare: interrupted"


def test_a_stop_between_groups_starts_no_other_group(tmp_path: Path) -> None:
    play = Play(tmp_path, pipeline(stage("dev", prepare("a", 1), deploy("a", 2))))
    play.actions.does = {"a.Prepare": lambda _: play.stopping.set()}
    execution = play.once()
    assert play.actions.log == ["repository", "a.Prepare"]
    assert execution.reason == "interrupted"


def test_an_interrupt_leaves_a_record_of_what_was_played(tmp_path: Path) -> None:
    # Given an execution that is interrupted while an action runs
    def interrupted(task: Task) -> None:
        raise KeyboardInterrupt

    play = Play(tmp_path, pipeline(stage("dev", prepare("a"))), {"a.Prepare": interrupted})
    # When it is played
    with pytest.raises(KeyboardInterrupt):
        play.play()
    # Then what was played so far is recorded
    (execution,) = play.player.executions
    assert (execution.status, execution.reason) == (PlayStatus.FAILED, "interrupted")
    assert _ends(execution) == [("Source", "deliver", "Succeeded"), ("dev", "deliver", "InProgress")]
    assert play.memory.executions[0].status == "Failed"


def test_next_player_continues_after_a_kill(tmp_path: Path) -> None:
    # Given a player that was killed during a delivery, after another delivery
    killed = Play(tmp_path, _rolling_back())
    earlier = _earlier(killed)
    unended = Remembered("killed", "k" * 40, "Killed", 1, FRIDAY.isoformat(), stages={"Source": "Succeeded"})
    killed.memory.executions.append(unended)
    killed.memory.keep()
    # When another player plays, and its deployment fails
    play = Play(tmp_path, None, {"a.Deploy": lambda task: _fails()(task) if task.commit else None})
    execution = play.once()
    # Then it plays the existing pipeline, and rolls back to what was delivered before
    assert execution.pipeline_version == 1
    assert execution.stages[2].reason == "back to eeeeeeeeeeee: As it was"
    assert play.memory.executions[-1].target == earlier.id
    # And the killed execution is recorded as stopped
    assert [each.status for each in play.memory.executions[:2]] == ["Succeeded", "Stopped"]


# --- Access to the pipeline ---


@pytest.mark.parametrize(
    ("caller", "calling", "may"),
    [
        (Requester(TOOLS, TOOLS), None, True),
        (Requester(PROD, PROD), None, False),
        (Requester(TOOLS, "ASIA1", "verify"), None, True),
        (Requester(TOOLS, "ASIA1", "other"), None, False),
        (Requester(PROD, "ASIA1", "verify"), None, False),
        # A function's session is only known to its own process; the role of the function being called is known
        (Requester(TOOLS, "ASIA1"), f"arn:aws:iam::{TOOLS}:role/verify", True),
        (Requester(TOOLS, "ASIA1"), f"arn:aws:iam::{TOOLS}:role/other", False),
        (Requester(TOOLS, "ASIA1"), None, False),
    ],
)
def test_iam_of_the_tools_account_controls_access(
    tmp_path: Path, caller: Requester, calling: str | None, *, may: bool
) -> None:
    play = Play(tmp_path, pipeline())
    pipeline_arn = f"arn:aws:codepipeline:{REGION}:{TOOLS}:slipway"
    play.tools.role("verify", f"codepipeline:GetPipelineState {pipeline_arn}")
    play.tools.role("other", f"codepipeline:GetPipelineState {pipeline_arn}-2", "codepipeline:StopPipelineExecution")
    play.told.calling = calling
    ask = allowed(play.accounts, play.told, "slipway")
    assert ask(caller, "codepipeline:GetPipelineState") is may
