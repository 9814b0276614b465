"""The custom resources with which CloudFormation waits for the player are always answered."""

from __future__ import annotations

import queue
from pathlib import Path
from typing import Any

import httpx
import pytest

from slipway.emulator.substitutions import DEPLOYMENT, PIPELINE
from slipway.rehearsal.player.clock import VirtualClock
from slipway.rehearsal.player.custom_resources import CustomResources
from slipway.rehearsal.player.deployments import VersionRequests
from slipway.rehearsal.player.memory import Memory
from slipway.rehearsal.player.records import PlayedAction, PlayStatus
from unit.rehearsal.aws import DEV, REGION, TOOLS, Stack
from unit.rehearsal.player.moving import HANDLER, Account
from unit.rehearsal.player.pipelines import action, build, pipeline, stage
from unit.rehearsal.player.stage import FRIDAY, Told


class Waiting(Account):
    """An account whose CloudFormation waits for answers."""

    def __init__(self, folder: Path, answers: queue.Queue[tuple[str, dict[str, Any]]]) -> None:
        super().__init__(folder)
        self._answers = answers
        self.memory = Memory(folder / "codepipeline.json")
        self.told = Told()
        self.deploying: tuple[PlayedAction, VirtualClock] | None = (
            PlayedAction("compute.Deploy", "CloudFormation", "dev", 2),
            self.clock,
        )
        self.stack = Stack("UPDATE_IN_PROGRESS")
        self.aws.formation.stacks["dev-items-compute"] = self.stack
        self.custom = CustomResources(
            lambda: self.accounts,
            self.memory,
            codedeploy=lambda: self.codedeploy,
            events=lambda: self.told,
            deploying=lambda account, stack: self.deploying if (account, stack) == (DEV, "dev-items-compute") else None,
            requests=VersionRequests(lambda handler: [{"checks": handler}], {DEV: 10}),
        )

    def event(self, kind: str, resource: str, properties: dict[str, Any], **more: str) -> dict[str, Any]:
        """Return an event as CloudFormation sends it."""
        return {
            "RequestType": kind,
            "ResourceType": resource,
            "RequestId": "r-1",
            "LogicalResourceId": "Logical",
            "StackId": f"arn:aws:cloudformation:{REGION}:{DEV}:stack/dev-items-compute/1",
            "ResponseURL": "https://answer",
            "ResourceProperties": properties,
            **more,
        }

    def ask(self, event: dict[str, Any], *, account: str = DEV) -> dict[str, Any]:
        """Pass an event to the player and wait for the answer, as CloudFormation does."""
        self.custom.take(account, event)
        url, answer = self._answers.get(timeout=30)
        assert url == "https://answer"
        assert {name: answer[name] for name in ("RequestId", "LogicalResourceId", "StackId")} == {
            name: event[name] for name in ("RequestId", "LogicalResourceId", "StackId")
        }
        return answer

    def move(self, kind: str = "Update") -> dict[str, Any]:
        """Request the deployment."""
        return self.ask(self.event(kind, DEPLOYMENT, self.properties))

    @property
    def states(self) -> list[str]:
        """Return the deployment states that EventBridge received."""
        return [each["state"] for each in self.told.all if each["source"] == "aws.codedeploy"]


@pytest.fixture
def waiting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Waiting:
    answers: queue.Queue[tuple[str, dict[str, Any]]] = queue.Queue()

    def put(url: str, *, json: dict[str, Any], **_: Any) -> None:
        answers.put((url, json))

    monkeypatch.setattr(httpx, "put", put)
    return Waiting(tmp_path, answers)


# --- The pipeline ---


def test_a_pipeline_is_created_updated_and_deleted(waiting: Waiting) -> None:
    def ask(kind: str, definition: dict[str, Any]) -> dict[str, Any]:
        return waiting.ask(waiting.event(kind, PIPELINE, {"Definition": definition}), account=TOOLS)

    first, second = pipeline(stage("Build", build())), pipeline(stage("Build", build("Other")))
    assert ask("Create", first)["Status"] == "SUCCESS"
    assert waiting.memory.definition.version == 1
    answer = ask("Update", second)
    assert (answer["Status"], answer["PhysicalResourceId"]) == ("SUCCESS", "slipway")
    assert waiting.memory.definition.version == 2
    assert ask("Delete", second)["Status"] == "SUCCESS"
    assert not waiting.memory.has_pipeline


def test_a_pipeline_that_cannot_be_played_fails_its_stack(waiting: Waiting) -> None:
    definition = pipeline(stage("Build", action("Call", "Invoke/Lambda")))
    answer = waiting.ask(waiting.event("Create", PIPELINE, {"Definition": definition}), account=TOOLS)
    assert answer["Status"] == "FAILED"
    assert "does not support the action Invoke/Lambda (Build/Call)" in answer["Reason"]
    assert not waiting.memory.has_pipeline


def test_an_unknown_resource_type_is_reported(waiting: Waiting) -> None:
    answer = waiting.ask(waiting.event("Create", "Custom::Else", {}))
    assert (answer["Status"], answer["Reason"]) == ("FAILED", "the player does not support Custom::Else")
    # And its physical id is the one that CloudFormation passed
    assert answer["PhysicalResourceId"] == "Logical"
    known = waiting.ask(waiting.event("Delete", "Custom::Else", {}, PhysicalResourceId="p-1"))
    assert known["PhysicalResourceId"] == "p-1"


# --- Deployments ---


def test_deployment_is_part_of_the_stacks_action(waiting: Waiting) -> None:
    waiting.clock.wait(600)
    answer = waiting.move()
    assert (answer["Status"], answer["PhysicalResourceId"]) == ("SUCCESS", "items:live")
    assert waiting.serves == ("2", {})
    # And its record belongs to the action
    assert waiting.deploying is not None
    (record,) = waiting.deploying[0].deployments
    assert (record.function, record.old_version, record.new_version) == ("items", "1", "2")
    assert record.status is PlayStatus.SUCCEEDED
    # And EventBridge receives it, with the action's account and time
    assert waiting.states == ["START", "SUCCESS"]
    begun, ended = waiting.told.all
    assert (begun["account"], begun["kind"]) == (DEV, "CodeDeploy Deployment State-change Notification")
    assert (begun["application"], begun["deploymentGroup"], begun["deploymentId"]) == ("App", "Group", record.id)
    assert 600 <= (begun["at"] - FRIDAY).total_seconds() < 660
    assert 300 <= (ended["at"] - begun["at"]).total_seconds() < 360


def test_a_deployment_that_fails_fails_its_stack_with_its_reason(waiting: Waiting) -> None:
    waiting.says = "Failed"
    answer = waiting.move()
    assert answer["Status"] == "FAILED"
    assert "BeforeAllowTraffic reported Failed" in answer["Reason"]
    assert waiting.states == ["START", "FAILURE"]


def test_a_deployment_that_an_alarm_ends_was_stopped(waiting: Waiting) -> None:
    # https://docs.aws.amazon.com/codedeploy/latest/userguide/monitoring-create-alarms.html
    waiting.alarm("Errors")
    waiting.function.versions["2"] = lambda _: 1 / 0
    assert "Errors became active" in waiting.move()["Reason"]
    assert waiting.states == ["START", "STOP"]


@pytest.mark.parametrize("kind", ["Create", "Delete"])
def test_only_an_update_moves_an_alias(waiting: Waiting, kind: str) -> None:
    assert waiting.move(kind)["Status"] == "SUCCESS"
    assert (waiting.steps, waiting.told.all) == ([], [])


@pytest.mark.parametrize(
    "given",
    [
        lambda waiting: waiting.properties.update(FunctionVersion="1"),
        lambda waiting: waiting.function.aliases.clear(),
        lambda waiting: setattr(waiting.stack, "status", "UPDATE_ROLLBACK_IN_PROGRESS"),
        lambda waiting: setattr(waiting, "deploying", None),
    ],
    ids=["version is live", "new function", "stack is rolled back", "no running action"],
)
def test_updates_without_a_deployment_are_left_to_cloudformation(waiting: Waiting, given: Any) -> None:
    given(waiting)
    assert waiting.move()["Status"] == "SUCCESS"
    assert (waiting.steps, waiting.told.all) == ([], [])


def test_an_error_of_the_player_is_answered_too(waiting: Waiting) -> None:
    del waiting.properties["DeploymentGroup"]["ApplicationName"]
    answer = waiting.move()
    assert (answer["Status"], answer["Reason"]) == ("FAILED", "the player failed: KeyError: 'ApplicationName'")


# --- Pending requests ---


def test_pending_requests_are_kept_until_they_are_answered(waiting: Waiting, tmp_path: Path) -> None:
    kept: list[dict[str, Any]] = []

    def does(event: dict[str, Any]) -> None:
        kept.append(Memory(tmp_path / "codepipeline.json").pending)
        waiting.report(event["LifecycleEventHookExecutionId"])

    waiting.hook.versions["$LATEST"] = does
    waiting.move()
    assert [list(each) for each in kept] == [["r-1"]]
    deadline = VirtualClock(FRIDAY)
    while waiting.memory.pending and deadline.seconds < 10:
        pass
    assert Memory(tmp_path / "codepipeline.json").pending == {}


def test_an_interrupted_player_answers_its_requests(waiting: Waiting) -> None:
    event = waiting.event("Update", DEPLOYMENT, waiting.properties)
    waiting.custom.give_up(event, "the rehearsal was interrupted")
    _, answer = waiting._answers.get_nowait()  # of this file
    assert (answer["Status"], answer["Reason"]) == ("FAILED", "the rehearsal was interrupted")


def test_a_removed_account_needs_no_answer(waiting: Waiting, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise httpx.ConnectError("refused")

    monkeypatch.setattr(httpx, "put", refuse)
    waiting.custom.give_up(waiting.event("Update", DEPLOYMENT, {}), "the rehearsal was interrupted")


def test_requests_are_the_checks_of_the_hook(waiting: Waiting) -> None:
    waiting.move()
    asked = [event for kind, what, event in waiting.aws.functions.happened if kind == "invoke" and "items" in what]
    assert asked[0] == {"checks": HANDLER}
