"""CodePipeline's API: responses follow AWS's model, and IAM decides who may call it."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest
from botocore.validate import ParamValidator

from slipway.emulator.partition import ApiError, Requester
from slipway.rehearsal.player.approvals import ApprovalAnswer, Approvals, Pending
from slipway.rehearsal.player.memory import Memory, Remembered
from slipway.rehearsal.player.pipeline_api import PipelineApi
from unit.rehearsal.aws import TOOLS, model
from unit.rehearsal.player.pipelines import approval, build, pipeline, stage

ME = Requester(TOOLS, TOOLS)


class Api:
    """The API of a pipeline with three executions, and an approval that may be pending."""

    def __init__(self, folder: Path) -> None:
        self.memory = Memory(folder / "codepipeline.json")
        self.memory.define(pipeline(stage("Build", build()), stage("prod-approval", approval())))
        started, ended = "2026-11-20T15:00:00+00:00", "2026-11-20T15:30:00+00:00"
        self.memory.executions = [
            Remembered("e-1", "a" * 40, "The first", 1, started, "Succeeded", ended=ended),
            Remembered("e-2", "b" * 40, "x" * 5000, 1, started, "InProgress"),
            Remembered("e-3", "a" * 40, "The first", 1, started, "Succeeded", target="e-1", ended=ended),
        ]
        variables = {"CommitId": "b" * 40, "AuthorDate": started}
        self.memory.executions[1].variables = {"Source@repository": variables, "Synth": {"Made": "it"}}
        self.stopping = threading.Event()
        self.approvals = Approvals(lambda _: None, self.stopping)
        self.may = {"codepipeline:*"}
        self.asked: list[tuple[Requester, str]] = []
        self.api = PipelineApi(self.memory, self.approvals, self._allowed)

    def _allowed(self, caller: Requester, action: str, _: str = "") -> bool:
        self.asked.append((caller, action))
        return bool({"codepipeline:*", action} & self.may)

    def ask(self, operation: str, **request: Any) -> dict[str, Any]:
        """Call an operation, and validate the response against AWS's own model."""
        answer = self.api(operation, request, ME)
        shape = model("codepipeline").operation_model(operation).output_shape
        assert shape is not None
        report = ParamValidator().validate(answer, shape)
        assert not report.has_errors(), report.generate_report()
        return answer

    def waits(self, pending: Pending) -> tuple[threading.Thread, list[ApprovalAnswer | None]]:
        """Make an approval wait."""
        found: list[ApprovalAnswer | None] = []
        thread = threading.Thread(target=lambda: found.append(self.approvals.wait(pending)), daemon=True)
        thread.start()
        while not self.approvals.waiting():
            pass
        return thread, found


@pytest.fixture
def api(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Api:
    monkeypatch.setattr("slipway.rehearsal.player.approvals.POLL_SECONDS", 0.01)
    return Api(tmp_path)


@pytest.fixture
def pending() -> Pending:
    return Pending("prod-approval", "Approve", "Go?", "https://page")


def _retry(api: Api, execution: str) -> ApiError:
    with pytest.raises(ApiError) as refused:
        api.ask(
            "RetryStageExecution",
            pipelineName="slipway",
            stageName="Build",
            pipelineExecutionId=execution,
            retryMode="FAILED_ACTIONS",
        )
    return refused.value


def test_a_stage_is_not_retried_after_another_execution(api: Api) -> None:
    # Given a stage in which an execution failed and, as after every rollback, another one ran since
    first, second, _ = api.memory.executions
    first.stages, first.failed = {"Build": "Failed"}, ["Build"]
    second.stages = {"Build": "Succeeded"}
    # Then the failed execution cannot be retried
    assert _retry(api, "e-1").code == "NotLatestPipelineExecutionException"


def test_a_stage_without_a_failed_action_is_not_retried(api: Api) -> None:
    # Given a stage whose entry condition failed
    api.memory.executions[1].stages = {"Build": "Failed"}
    # Then there is no action to retry
    assert _retry(api, "e-2").code == "StageNotRetryableException"


def test_manual_retry_is_not_supported(api: Api) -> None:
    api.memory.executions[1].stages, api.memory.executions[1].failed = {"Build": "Failed"}, ["Build"]
    assert "deliver the commit again" in str(_retry(api, "e-2"))


def test_a_stage_shows_its_latest_execution(api: Api) -> None:
    api.memory.executions[1].stages = {"Build": "InProgress"}
    state = api.ask("GetPipelineState", name="slipway")["stageStates"]
    assert {each["stageName"]: each.get("latestExecution") for each in state} == {
        "Source": None,
        "Build": {"pipelineExecutionId": "e-2", "status": "InProgress", "type": "STANDARD"},
        "prod-approval": None,
    }


def test_executions_are_listed_newest_first(api: Api) -> None:
    listed = api.ask("ListPipelineExecutions", pipelineName="slipway")["pipelineExecutionSummaries"]
    assert [each["pipelineExecutionId"] for each in listed] == ["e-3", "e-2", "e-1"]
    assert [each["status"] for each in listed] == ["Succeeded", "InProgress", "Succeeded"]
    assert [each["executionType"] for each in listed] == ["ROLLBACK", "STANDARD", "STANDARD"]
    assert listed[2]["sourceRevisions"][0]["revisionId"] == "a" * 40
    assert listed[2]["lastUpdateTime"] - listed[2]["startTime"] == 1800


def test_an_execution_is_shown_with_its_commit(api: Api) -> None:
    found = api.ask("GetPipelineExecution", pipelineName="slipway", pipelineExecutionId="e-2")["pipelineExecution"]
    assert (found["status"], found["pipelineName"], found["pipelineVersion"]) == ("InProgress", "slipway", 1)
    (revision,) = found["artifactRevisions"]
    # The message is truncated as by CodePipeline
    assert (revision["revisionId"], len(revision["revisionSummary"])) == ("b" * 40, 2048)
    assert "rollbackMetadata" not in found


def test_a_rollback_names_its_target_execution(api: Api) -> None:
    found = api.ask("GetPipelineExecution", pipelineName="slipway", pipelineExecutionId="e-3")["pipelineExecution"]
    assert found["executionType"] == "ROLLBACK"
    assert found["rollbackMetadata"] == {"rollbackTargetPipelineExecutionId": "e-1"}


def test_an_unknown_execution_is_reported(api: Api) -> None:
    with pytest.raises(ApiError, match="unknown execution e-9") as error:
        api.ask("GetPipelineExecution", pipelineName="slipway", pipelineExecutionId="e-9")
    assert error.value.code == "PipelineExecutionNotFoundException"


@pytest.mark.parametrize("wanted", [{}, {"filter": {"pipelineExecutionId": "e-2"}}])
def test_source_actions_are_listed(api: Api, wanted: dict[str, Any]) -> None:
    (found,) = api.ask("ListActionExecutions", pipelineName="slipway", **wanted)["actionExecutionDetails"]
    assert (found["pipelineExecutionId"], found["stageName"], found["actionName"]) == ("e-2", "Source", "repository")
    assert found["output"]["outputVariables"]["CommitId"] == "b" * 40


def test_unknown_execution_lists_no_actions(api: Api) -> None:
    assert api.ask("ListActionExecutions", pipelineName="slipway", filter={"pipelineExecutionId": "e-1"}) == {
        "actionExecutionDetails": []
    }


# --- Approvals ---


def test_an_approval_that_waits_is_found_and_answered(api: Api, pending: Pending) -> None:
    # Given a pending approval
    thread, found = api.waits(pending)
    states = api.ask("GetPipelineState", name="slipway")["stageStates"]
    assert [each["stageName"] for each in states] == ["Source", "Build", "prod-approval"]
    latest = states[2]["actionStates"][0]["latestExecution"]
    assert (latest["status"], latest["summary"], latest["externalExecutionUrl"]) == (
        "InProgress",
        "Go?",
        "https://page",
    )
    assert "latestExecution" not in states[1]["actionStates"][0]
    # When it is answered with its token
    result = {"status": "Rejected", "summary": "not today"}
    api.ask("PutApprovalResult", **_about(latest["token"], result))
    # Then the waiting action has the answer, and the approval is no longer pending
    thread.join(10)
    assert (found, pending.summary) == ([ApprovalAnswer.REJECTED], "not today")
    assert api.approvals.waiting() == []
    assert "latestExecution" not in api.ask("GetPipelineState", name="slipway")["stageStates"][2]["actionStates"][0]


def _about(token: str, result: dict[str, str]) -> dict[str, Any]:
    return {
        "pipelineName": "slipway",
        "stageName": "prod-approval",
        "actionName": "Approve",
        "token": token,
        "result": result,
    }


def test_an_unknown_token_is_refused(api: Api, pending: Pending) -> None:
    thread, found = api.waits(pending)
    with pytest.raises(ApiError) as error:
        api.ask("PutApprovalResult", **_about("another", {"status": "Approved", "summary": ""}))
    assert error.value.code == "InvalidApprovalTokenException"
    api.stopping.set()
    thread.join(10)
    assert found == [None]


@pytest.mark.parametrize("status", ["", "Maybe", "TimedOut", "approved"])
def test_an_answer_is_yes_or_no(api: Api, pending: Pending, status: str) -> None:
    thread, found = api.waits(pending)
    with pytest.raises(ApiError, match="Approved or Rejected") as error:
        api.ask("PutApprovalResult", **_about(pending.token, {"status": status, "summary": ""}))
    assert error.value.code == "ValidationException"
    api.stopping.set()
    thread.join(10)
    assert found == [None]


def test_the_first_answer_counts(api: Api, pending: Pending, monkeypatch: pytest.MonkeyPatch) -> None:
    # Given a pending approval that is between two polls
    monkeypatch.setattr("slipway.rehearsal.player.approvals.POLL_SECONDS", 0.3)
    thread, found = api.waits(pending)
    # When two people answer it
    api.ask("PutApprovalResult", **_about(pending.token, {"status": "Rejected", "summary": "no"}))
    with pytest.raises(ApiError):
        api.ask("PutApprovalResult", **_about(pending.token, {"status": "Approved", "summary": "yes"}))
    # Then the first answer counts
    thread.join(10)
    assert (found, pending.summary) == ([ApprovalAnswer.REJECTED], "no")


def test_the_terminal_can_answer_too() -> None:
    said = iter([None, None, ApprovalAnswer.APPROVED])
    approvals = Approvals(lambda _: next(said), threading.Event())
    assert approvals.wait(Pending("s", "a", "", "")) is ApprovalAnswer.APPROVED
    assert approvals.waiting() == []


# --- Access ---


@pytest.mark.parametrize(
    "operation", [*("GetPipelineState", "ListPipelineExecutions", "GetPipelineExecution", "PutApprovalResult")]
)
def test_iam_is_checked_for_each_operation(api: Api, operation: str) -> None:
    api.may = set()
    with pytest.raises(ApiError, match=f"not authorized to perform: codepipeline:{operation}") as error:
        api.api(operation, {}, ME)
    assert error.value.code == "AccessDeniedException"
    assert api.asked == [(ME, f"codepipeline:{operation}")]


def test_an_unknown_operation_is_reported(api: Api) -> None:
    with pytest.raises(ApiError, match="does not support StopPipelineExecution"):
        api.api("StopPipelineExecution", {}, ME)
