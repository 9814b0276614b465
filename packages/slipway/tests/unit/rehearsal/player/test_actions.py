"""Actions: a commit passes source, build, change sets and approval, each under the role that the pipeline names."""

from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import Any

import pytest

from slipway.rehearsal.player.approvals import ApprovalAnswer, Approvals, Pending
from slipway.rehearsal.player.builds import BuildPlace
from slipway.rehearsal.player.execution import Player
from slipway.rehearsal.player.memory import Memory
from slipway.rehearsal.player.records import Execution, PlayedAction, PlayedStage, PlayStatus
from slipway.rehearsal.player.source import Commit
from unit.rehearsal.aws import DEV, TOOLS, accounts_in
from unit.rehearsal.player.pipelines import (
    PIPELINE_ROLE,
    approval,
    build,
    deploy,
    deploy_role,
    pipeline,
    prepare,
    source,
    stage,
)
from unit.rehearsal.player.stage import FRIDAY, Told, Watcher
from unit.rehearsal.repositories import commit

pytestmark = pytest.mark.programs


STACK = "dev-items"
KEY, TABLE = {"Type": "AWS::KMS::Key"}, {"Type": "AWS::DynamoDB::Table"}
SPEC = {
    "version": 0.2,
    "env": {"exported-variables": ["MADE"]},
    "phases": {"build": {"commands": ["mkdir out", "cp *.json* out", "MADE=$COMMIT-made", "ls -A"]}},
    "artifacts": {"files": ["**/*"], "base-directory": "out"},
}
SYNTH = build(
    Namespace="Synth",
    OutputArtifacts=[{"Name": "Assembly"}],
    Configuration={
        "ProjectName": "Synth",
        "EnvironmentVariables": json.dumps(
            [{"name": "COMMIT", "type": "PLAINTEXT", "value": "#{Source@repository.CommitId}"}]
        ),
    },
)
ASKS = {"CustomData": "Deploy #{Synth.MADE}?", "ExternalEntityLink": "https://page", "NotificationArn": "arn:topic"}
DEV_STAGE = stage("dev", prepare(STACK), deploy(STACK))


class Delivery:
    """Accounts with the bootstrap's roles, a repository, and a player that needs no AWS."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.accounts, behind = accounts_in(folder)
        self.tools, self.dev = behind[TOOLS], behind[DEV]
        self.pipeline_may("s3:*", "codebuild:*", "sns:Publish", "sts:AssumeRole")
        self.tools.role("project", "s3:*")
        self.dev.role("exec", "*")
        self.dev_trusts(f"arn:aws:iam::{TOOLS}:root")
        self.tools.builds.projects["Synth"] = {
            "name": "Synth",
            "serviceRole": f"arn:aws:iam::{TOOLS}:role/project",
            "source": {"type": "CODEPIPELINE", "buildspec": json.dumps(SPEC)},
            "environment": {"type": "LINUX_CONTAINER", "image": "i", "computeType": "BUILD_GENERAL1_SMALL"},
            "timeoutInMinutes": 60,
        }
        self.memory = Memory(folder / "codepipeline.json")
        self.told, self.watcher = Told(), Watcher()
        self.source = source()
        self.asked: list[Pending] = []
        self.answer: ApprovalAnswer = ApprovalAnswer.APPROVED
        self.says = ""
        self.stores: dict[str, str] = {}
        self.as_for_aws: dict[str, Any] = {}
        self.outputs: dict[str, Any] = {}

    def pipeline_may(self, *actions: str) -> None:
        """Set what the pipeline's own role may do."""
        self.tools.role(PIPELINE_ROLE.rpartition("/")[2], *actions)

    def dev_trusts(self, *whom: str) -> None:
        """Set who may deploy to dev."""
        self.dev.role(deploy_role().rpartition("/")[2], "cloudformation:*", "iam:PassRole", trusts=set(whom))

    def _ask(self, pending: Pending) -> ApprovalAnswer:
        self.asked.append(pending)
        pending.summary = self.says
        return self.answer

    def deliver(self, resources: dict[str, Any], *stages: dict[str, Any], message: str = "A change") -> Execution:
        """Deliver a commit whose template has these resources."""
        repository = self.folder / "repository"
        files = {f"{STACK}.template.json": json.dumps({"Resources": resources, "Outputs": self.outputs})}
        if self.as_for_aws:
            files[f"{STACK}.template.json.aws"] = json.dumps({"Resources": self.as_for_aws})
        commit(repository, files, message)
        definition = pipeline(*(stages or (stage("Build", SYNTH), DEV_STAGE)))
        definition["Stages"][0]["Actions"] = [self.source]
        if self.stores:
            del definition["ArtifactStore"]
            definition["ArtifactStores"] = [
                {"Region": region, "ArtifactStore": {"Type": "S3", "Location": bucket}}
                for region, bucket in self.stores.items()
            ]
        self.memory.define(definition)
        stopping = threading.Event()
        player = Player(
            self.accounts,
            self.memory,
            approvals=Approvals(self._ask, stopping),
            events=self.told,
            # Each run has its own folder, as with the verbs
            place=BuildPlace(self.folder / "runs" / message, self.folder / "host", self.folder),
            bake=lambda *_: (True, "quiet"),
            view=self.watcher,
            stopping=stopping,
        )
        (execution,) = player.play(Commit.of(repository, "HEAD", branch="main"), FRIDAY)
        return execution

    @property
    def resources(self) -> dict[str, Any]:
        """Return the resources of the stack in dev."""
        found: dict[str, Any] = self.dev.formation.stacks[STACK].template["Resources"]
        return found


@pytest.fixture
def delivery(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Delivery:
    monkeypatch.setattr("slipway.rehearsal.player.changesets.POLL_SECONDS", 0.0)
    return Delivery(tmp_path)


def _played(execution: Execution) -> dict[str, PlayedAction]:
    return {action.name: action for each in execution.stages for action in each.actions}


def _stages(execution: Execution) -> list[str]:
    return [f"{each.name} {each.kind} {each.status}" for each in execution.stages]


def test_a_commit_is_delivered_through_all_stages(delivery: Delivery) -> None:
    # When a commit is delivered
    execution = delivery.deliver({"Key": KEY, "Table": TABLE})
    # Then dev has the commit's template
    assert (execution.status, execution.reason) == (PlayStatus.SUCCEEDED, "")
    assert delivery.resources == {"Key": KEY, "Table": TABLE}
    # And each action reports its account and a summary
    actions = _played(execution)
    assert [(each.name, each.account, each.summary) for each in actions.values()] == [
        ("repository", "tools", f"{execution.commit[:12]} A change"),
        ("Synth", "tools", ""),
        (f"{STACK}.Prepare", "dev", "2 changes"),
        (f"{STACK}.Deploy", "dev", "2 resources"),
    ]
    assert {change.logical_id: change.outcome for change in actions[f"{STACK}.Deploy"].changes} == {
        "Key": "CREATE_COMPLETE",
        "Table": "CREATE_COMPLETE",
    }
    # And the build's log is stored next to the page
    assert (delivery.folder / "runs" / "A change" / actions["Synth"].log).read_text().endswith("out\n")


def test_actions_know_their_execution(delivery: Delivery) -> None:
    asks = approval(Configuration={"CustomData": "Deploy by #{codepipeline.PipelineExecutionId}?"})
    execution = delivery.deliver({}, stage("prod-approval", asks))
    assert [each.comment for each in delivery.asked] == [f"Deploy by {execution.id}?"]


def test_an_action_of_another_region_reads_from_its_bucket(delivery: Delivery) -> None:
    # Given a pipeline with an environment in another region
    there = [{**each, "Region": "eu-west-1"} for each in (prepare(STACK), deploy(STACK))]
    delivery.stores = {"us-east-1": "artifacts", "eu-west-1": "artifacts-there"}
    # When a commit is delivered
    execution = delivery.deliver({"Key": KEY}, stage("Build", SYNTH), stage("dev", *there))
    # Then the assembly was copied to that region's bucket, and deployed from there
    assert (execution.status, execution.reason) == (PlayStatus.SUCCEEDED, "")
    copied = {key for bucket, key in delivery.tools.s3.objects if bucket == "artifacts-there"}
    assert [key.split("/")[1] for key in copied] == ["Assembly"]


def test_outputs_of_a_deployed_stack_are_variables(delivery: Delivery) -> None:
    # Given an action that exports its stack's outputs under a namespace, and an approval that refers to one
    deployed = {**deploy(STACK), "Namespace": "App"}
    asks = approval(Configuration={"CustomData": "Look at #{App.Url}"}, RunOrder=3)
    delivery.outputs = {"Url": {"Value": "https://app"}}
    # When a commit is delivered, then the approval shows the output's value
    execution = delivery.deliver({"Key": KEY}, stage("Build", SYNTH), stage("dev", prepare(STACK), deployed, asks))
    assert (execution.reason, [each.comment for each in delivery.asked]) == ("", ["Look at https://app"])


def test_every_action_works_under_its_own_role(delivery: Delivery) -> None:
    delivery.deliver({"Key": KEY})
    made = {
        (role, action) for role, action in delivery.dev.asked if action.startswith("cloudformation:") and role != "root"
    }
    role = deploy_role().rpartition("/")[2]
    assert {(role, "cloudformation:CreateChangeSet"), (role, "cloudformation:ExecuteChangeSet")} <= made
    assert {who for who, _ in made} == {role}
    assert ("pipeline", "codebuild:StartBuild") in delivery.tools.asked
    assert ("pipeline", "s3:PutObject") in delivery.tools.asked
    assert ("project", "s3:PutObject") in delivery.tools.asked


def test_change_set_needs_what_the_emulator_does_not_check(delivery: Delivery) -> None:
    # Given a template with a scalable table, and an execution role that may only set alarms with certain names
    delivery.as_for_aws = {"Target": {"Type": "AWS::ApplicationAutoScaling::ScalableTarget", "Properties": {}}}
    delivery.dev.role("exec", "dynamodb:*", "cloudwatch:*Alarm* arn:aws:cloudwatch:*:*:alarm:TargetTracking-*")
    # When it is delivered
    execution = delivery.deliver({"Table": TABLE})
    # Then executing the change set fails, and nothing is created
    assert execution.reason.startswith(
        f"dev/{STACK}.Deploy: {STACK}: Target (AWS::ApplicationAutoScaling::ScalableTarget)"
    )
    assert "is not authorized to perform: cloudwatch:PutMetricAlarm on resource: *" in execution.reason
    assert delivery.dev.formation.stacks[STACK].status == "REVIEW_IN_PROGRESS"


def test_a_commit_that_changes_nothing_executes_nothing(delivery: Delivery) -> None:
    delivery.deliver({"Key": KEY}, message="one")
    execution = delivery.deliver({"Key": KEY}, message="two")
    assert [action.summary for action in execution.stages[2].actions] == ["no changes", "no changes"]


def test_builds_clone_the_source_if_configured(delivery: Delivery) -> None:
    delivery.tools.builds.projects["Synth"]["source"]["buildspec"] = json.dumps(
        {**SPEC, "phases": {"build": {"commands": ["mkdir out", "git log --format=%s >out/log", "cat out/log"]}}}
    )
    clones = source()
    clones["Configuration"] = {"OutputArtifactFormat": "CODEBUILD_CLONE_REF"}
    delivery.source = clones
    execution = delivery.deliver({}, stage("Build", SYNTH), message="cloned")
    assert execution.status is PlayStatus.SUCCEEDED
    log = delivery.folder / "runs" / "cloned" / _played(execution)["Synth"].log
    assert log.read_text().splitlines()[-1] == "cloned"


# --- Approval ---


def test_an_approval_shows_what_the_build_made(delivery: Delivery) -> None:
    delivery.says = "go"
    execution = delivery.deliver(
        {"Key": KEY}, stage("Build", SYNTH), stage("Ask", approval(Configuration=ASKS)), DEV_STAGE
    )
    # Then the approval shows its comment and link
    (pending,) = delivery.asked
    assert (pending.stage, pending.action) == ("Ask", "Approve")
    assert (pending.comment, pending.link) == (f"Deploy {execution.commit}-made?", "https://page")
    # And the pipeline's role publishes the same to the topic
    (message,) = delivery.tools.topics.published
    assert message == {
        "TopicArn": "arn:topic",
        "Subject": "APPROVAL NEEDED: slipway",
        "Message": f"{pending.comment}\n\nhttps://page",
    }
    assert ("pipeline", "sns:Publish") in delivery.tools.asked
    # And EventBridge receives the action's start
    assert [each["state"] for each in delivery.told.all if each["kind"] == "Action"] == ["STARTED"]
    # And the execution continues after the answer
    assert _played(execution)["Approve"].summary == "approved: go"
    assert delivery.resources == {"Key": KEY}


@pytest.mark.parametrize(
    ("answer", "minutes", "error"),
    [
        (ApprovalAnswer.REJECTED, None, "rejected: not today"),
        (ApprovalAnswer.TIMED_OUT, "90", "no answer within 1.5 hours"),
        (ApprovalAnswer.TIMED_OUT, None, "no answer within 168 hours"),
    ],
)
def test_nothing_is_played_after_a_missing_approval(
    delivery: Delivery, answer: ApprovalAnswer, minutes: str | None, error: str
) -> None:
    delivery.answer, delivery.says = answer, "not today"
    more = {"TimeoutInMinutes": minutes} if minutes else {}
    execution = delivery.deliver({"Key": KEY}, stage("Ask", approval(**more)), stage("Build", SYNTH), DEV_STAGE)
    asked = _played(execution)["Approve"]
    assert (asked.status, asked.error) == (PlayStatus.FAILED, error)
    assert execution.reason == f"Ask/Approve: {error}"
    assert _stages(execution)[1:] == ["Ask deliver Failed", "Build deliver Skipped", "dev deliver Skipped"]
    assert STACK not in delivery.dev.formation.stacks
    # An unanswered approval takes its whole timeout in virtual time
    waited = 60.0 * float(minutes or 7 * 24 * 60) if answer is ApprovalAnswer.TIMED_OUT else 0.0
    assert waited <= asked.virtual_seconds < waited + 60


# --- Failures ---


@pytest.mark.parametrize(
    ("spoils", "failed", "error"),
    [
        (lambda it: it.dev_trusts(), f"{STACK}.Prepare", "sts:AssumeRole"),
        (lambda it: it.pipeline_may("s3:*", "codebuild:*"), f"{STACK}.Prepare", "sts:AssumeRole"),
        (lambda it: it.pipeline_may("s3:Get*", "codebuild:*"), "repository", "could not be written"),
        (lambda it: it.pipeline_may("s3:*", "sts:AssumeRole"), "Synth", "the action may not start Synth"),
        (lambda it: it.tools.role("project", "s3:Get*"), "Synth", "could not be written"),
    ],
)
def test_missing_permission_stops_the_action_that_needs_it(
    delivery: Delivery, spoils: Any, failed: str, error: str
) -> None:
    spoils(delivery)
    execution = delivery.deliver({"Key": KEY})
    action = _played(execution)[failed]
    assert action.status is PlayStatus.FAILED
    assert error in action.error
    assert STACK not in delivery.dev.formation.stacks


def test_failed_build_stops_delivery_with_its_last_output(delivery: Delivery) -> None:
    spec = {"version": 0.2, "phases": {"build": {"commands": ["echo it is broken", "exit 3"]}}}
    delivery.tools.builds.projects["Synth"]["source"]["buildspec"] = json.dumps(spec)
    execution = delivery.deliver({"Key": KEY})
    assert execution.reason.startswith("Build/Synth: phase build of Synth failed with exit code 3: it is broken")
    assert _stages(execution)[1:] == ["Build deliver Failed", "dev deliver Skipped"]


def test_a_template_that_is_not_in_the_artifact_is_named(delivery: Delivery) -> None:
    execution = delivery.deliver({}, stage("Build", SYNTH), stage("dev", prepare("other"), deploy("other")))
    assert "other.template.json" in _played(execution)["other.Prepare"].error


def test_unsupported_action_mode_is_named(delivery: Delivery) -> None:
    strange = deploy(STACK)
    strange["Configuration"]["ActionMode"] = "DELETE_ONLY"
    execution = delivery.deliver({}, stage("Build", SYNTH), stage("dev", strange))
    assert _played(execution)[f"{STACK}.Deploy"].error == "the player does not support the action mode DELETE_ONLY"


def test_a_variable_that_is_not_there_is_named(delivery: Delivery) -> None:
    asks = approval(Configuration={"CustomData": "#{Synth.GONE}"})
    execution = delivery.deliver({}, stage("Build", SYNTH), stage("Ask", asks))
    assert _played(execution)["Approve"].error == "Approve: unknown variable #{Synth.GONE}"
    assert delivery.asked == []


# --- Rollback and retry ---


def test_a_stage_rolls_back_to_its_last_success(delivery: Delivery) -> None:
    # Given a stage that rolls back on failure, and a commit that was delivered
    stages = stage("Build", SYNTH), {**DEV_STAGE, "OnFailure": {"Result": "ROLLBACK"}}
    first = delivery.deliver({"Key": KEY}, *stages, message="sound")
    # When the next commit changes one resource and then fails to create another
    delivery.dev.formation.fails["Table"] = "No"
    execution = delivery.deliver({"Key": KEY, "Table": TABLE}, *stages, message="broken")
    # Then the stage is played again with the artifacts of the first commit
    assert _stages(execution)[1:] == ["Build deliver Succeeded", "dev deliver Failed", "dev rollback Succeeded"]
    assert execution.stages[3].reason == f"back to {first.commit[:12]}: sound"
    assert delivery.resources == {"Key": KEY}
    # And the execution has failed, with the original reason
    assert execution.status is PlayStatus.FAILED
    assert "Table (AWS::DynamoDB::Table): No" in execution.reason


def test_retried_stage_creates_its_change_sets_again(delivery: Delivery) -> None:
    failing: PlayedStage | None = None
    again = {**DEV_STAGE, "OnFailure": {"Result": "RETRY", "RetryConfiguration": {"RetryMode": "ALL_ACTIONS"}}}
    delivery.dev.formation.fails["Key"] = "Throttled"
    # The cause of the failure no longer exists after the first attempt
    told = delivery.watcher.stage

    def stage_told(shown: PlayedStage) -> None:
        nonlocal failing
        told(shown)
        if shown.status is PlayStatus.FAILED:
            failing = shown
            delivery.dev.formation.fails.clear()
            del delivery.dev.formation.stacks[STACK]

    delivery.watcher.stage = stage_told  # type: ignore[method-assign, assignment]
    execution = delivery.deliver({"Key": KEY}, stage("Build", SYNTH), again)
    assert failing is not None
    assert _stages(execution)[2:] == ["dev deliver Failed", "dev retry Succeeded"]
    assert [action.attempt for action in execution.stages[3].actions] == [2, 2]
    assert (execution.status, delivery.resources) == (PlayStatus.SUCCEEDED, {"Key": KEY})
