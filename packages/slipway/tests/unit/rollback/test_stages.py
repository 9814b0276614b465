"""Rolling an environment back: the target, the order of stages, and what CodePipeline refuses."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
from botocore.exceptions import ClientError

import specimen
from slipway.errors import RehearsalError
from slipway.rehearsal.player.actions import Task
from slipway.rollback.command import describe_plan
from slipway.rollback.errors import RollbackError
from slipway.rollback.stages import RollbackPlan, _message, plan_rollback, roll_back, stages_of
from unit.rollback.pipeline import ENVIRONMENTS, STAGES, Delivered


def _plan(delivered: Delivered, to: str | None = None) -> RollbackPlan:
    return plan_rollback(delivered.client, delivered.name, "prod", ENVIRONMENTS, to=to)


def _roll_back(delivered: Delivered, plan: RollbackPlan) -> list[str]:
    said: list[str] = []
    roll_back(delivered.client, plan, say=said.append, poll_seconds=0.01)
    delivered.play.player.join_rollback()
    return said


def test_an_environments_stages_exclude_approvals() -> None:
    names = ["Source", "dev-items", "prod-approval", *STAGES, "prod-eu-items"]
    assert stages_of(names, "prod", ENVIRONMENTS) == list(STAGES)
    assert stages_of(names, "prod-eu", ENVIRONMENTS) == ["prod-eu-items"]


def test_an_environment_rolls_back_its_last_stage_first(tmp_path: Path) -> None:
    # Given two deliveries
    delivered = Delivered(tmp_path)
    good, bad = delivered.deliver("a"), delivered.deliver("b")
    delivered.play.actions.log.clear()
    # When the environment is rolled back
    plan = _plan(delivered)
    said = _roll_back(delivered, plan)
    # Then each stage returns to the first delivery, the foundation last
    assert plan.target.id == good.id
    assert [each.id for each in plan.taken_back] == [bad.id]
    assert plan.stages == tuple(reversed(STAGES))
    assert delivered.play.actions.log == [
        f"{name}.{what}" for name in reversed(STAGES) for what in ("Prepare", "Deploy")
    ]
    assert said[-1] == "prod-foundation: rolled back"
    # And the rollbacks are separate executions with the first delivery's artifacts
    rollbacks = delivered.play.memory.executions[-3:]
    assert {each.target for each in rollbacks} == {good.id}
    assert {each.status for each in rollbacks} == {"Succeeded"}
    assert all(task.run.variables == delivered.play.memory.executions[0].variables for task in _last_tasks(delivered))


def _last_tasks(delivered: Delivered) -> list[Task]:
    return delivered.play.actions.tasks[-6:]


def test_a_second_rollback_goes_further_back(tmp_path: Path) -> None:
    # Given an environment that was rolled back from the third delivery to the second
    delivered = Delivered(tmp_path)
    first, second, _ = (delivered.deliver(name) for name in "abc")
    plan = _plan(delivered)
    assert plan.target.id == second.id
    _roll_back(delivered, plan)
    # Then the next rollback targets the first, not the third
    assert _plan(delivered).target.id == first.id


def test_an_execution_may_be_named(tmp_path: Path) -> None:
    delivered = Delivered(tmp_path)
    first = delivered.deliver("a")
    for name in "bc":
        delivered.deliver(name)
    assert _plan(delivered, to=first.id).target.id == first.id
    with pytest.raises(RollbackError, match="did not succeed in every stage of prod") as refused:
        _plan(delivered, to="11111111-1111-4111-8111-111111111111")
    assert refused.value.exit_code == 2


def test_half_failed_stage_rolls_back_to_last_success(tmp_path: Path) -> None:
    # Given an execution that passed prod's first stages and failed in the last one
    fails: list[str] = []

    def fail(task: Task) -> None:
        if fails and task.run.remembered.commit.startswith("b"):
            raise RehearsalError("no")

    delivered = Delivered(tmp_path, {"prod-services-2.Deploy": fail})
    good = delivered.deliver("a")
    fails.append("b")
    delivered.deliver("b")
    # Then every stage is rolled back to the previous delivery
    plan = _plan(delivered)
    assert (plan.target.id, plan.stages, plan.skipped) == (good.id, tuple(reversed(STAGES)), ())


def test_stages_that_hold_the_target_are_left_alone(tmp_path: Path) -> None:
    # Given a rollback that failed in its second stage
    fails: list[str] = []

    def fail(_: Task) -> None:
        if fails:
            raise RehearsalError("Action denied by stack policy")

    delivered = Delivered(tmp_path, {"prod-services-1.Deploy": fail})
    good = delivered.deliver("a")
    delivered.deliver("b")
    fails.append("now")
    with pytest.raises(
        RollbackError, match=r"prod-services-1: the rollback ended with Failed.*prod-foundation"
    ) as told:
        _roll_back(delivered, _plan(delivered))
    delivered.play.player.join_rollback()
    assert "rollback-refused" in str(told.value)
    # When it is repeated, then it continues with the failed stage
    fails.clear()
    plan = _plan(delivered)
    assert (plan.target.id, plan.stages) == (good.id, ("prod-services-1", "prod-foundation"))
    assert plan.skipped == ("prod-services-2",)
    assert _roll_back(delivered, plan)[-1] == "prod-foundation: rolled back"


def test_missing_rollback_target_is_reported(tmp_path: Path) -> None:
    # Given one delivery before the pipeline changed, and one after it
    delivered = Delivered(tmp_path)
    old = delivered.deliver("a")
    delivered.play.memory.change()
    delivered.deliver("b")
    with pytest.raises(RollbackError, match="--alias"):
        _plan(delivered)
    # And CodePipeline refuses to roll back to the first
    with pytest.raises(ClientError, match="PipelineExecutionOutdatedException"):
        delivered.client.rollback_stage(
            pipelineName=delivered.name, stageName=STAGES[0], targetPipelineExecutionId=old.id
        )


def test_a_busy_stage_is_not_rolled_back(tmp_path: Path) -> None:
    # Given a stage with an execution in progress
    entered, go_on = threading.Event(), threading.Event()
    holds: list[bool] = []

    def hold(_: Task) -> None:
        if holds:
            entered.set()
            assert go_on.wait(10)

    delivered = Delivered(tmp_path, {"prod-services-1.Deploy": hold})
    good = delivered.deliver("a")
    holds.append(True)
    thread = threading.Thread(target=delivered.deliver, args=("b",))
    thread.start()
    try:
        assert entered.wait(10)
        with pytest.raises(RollbackError, match="prod-services-1 is in progress"):
            _plan(delivered)
        with pytest.raises(ClientError, match="UnableToRollbackStageException"):
            delivered.client.rollback_stage(
                pipelineName=delivered.name, stageName=STAGES[1], targetPipelineExecutionId=good.id
            )
    finally:
        go_on.set()
        thread.join()


@pytest.mark.parametrize(
    ("stage", "target", "code"),
    [
        ("nowhere", "{good}", "StageNotFoundException"),
        ("Source", "{good}", "UnableToRollbackStageException"),
        (STAGES[0], "11111111-1111-4111-8111-111111111111", "PipelineExecutionNotFoundException"),
        (STAGES[0], "{rollback}", "UnableToRollbackStageException"),
    ],
)
def test_codepipeline_refuses_what_it_documents(tmp_path: Path, stage: str, target: str, code: str) -> None:
    # Given an environment that was rolled back
    delivered = Delivered(tmp_path)
    good = delivered.deliver("a")
    delivered.deliver("b")
    _roll_back(delivered, _plan(delivered))
    rollback = delivered.play.memory.executions[-1].id
    wanted = target.format(good=good.id, rollback=rollback)
    # When another rollback is not possible, then CodePipeline refuses it
    with pytest.raises(ClientError, match=code):
        delivered.client.rollback_stage(pipelineName=delivered.name, stageName=stage, targetPipelineExecutionId=wanted)


@pytest.mark.parametrize(
    ("summary", "message"),
    [
        ("A change", "A change"),
        ('{"ProviderType": "GitHub", "CommitMessage": "A change"}', "A change"),
        ("42", "42"),
    ],
)
def test_a_commits_message_is_read_from_any_source(summary: str, message: str) -> None:
    assert _message(summary) == message


def test_plan_says_what_is_not_rolled_back(tmp_path: Path) -> None:
    delivered = Delivered(tmp_path)
    for name in "ab":
        delivered.deliver(name)
    prod = specimen.SETTINGS.environments[-1].model_copy(update={"name": "prod"})
    said = "\n".join(describe_plan(_plan(delivered), [prod]))
    assert "together" not in said
    for words in (
        "Change a",
        "takes back  bbbb",
        "data that the new version wrote is kept",
        "disable-stage-transition",
    ):
        assert words in said


def test_environments_in_the_same_stages_roll_back_together(tmp_path: Path) -> None:
    delivered = Delivered(tmp_path)
    for name in "ab":
        delivered.deliver(name)
    prod = specimen.SETTINGS.environments[-1].model_copy(update={"name": "prod"})
    twin = prod.model_copy(update={"name": "prod-eu"})

    said = "\n".join(describe_plan(_plan(delivered), [prod, twin]))

    assert "prod, prod-eu share these stages, and all of them go back" in said
