"""The operations of CodePipeline's API that this repository's functions, builds and verbs use."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any, Protocol

from slipway.emulator.partition import ApiError, Requester
from slipway.rehearsal.player.approvals import ApprovalAnswer, Approvals
from slipway.rehearsal.player.memory import Memory, Remembered


class Allowed(Protocol):
    """Checks with IAM if a caller may perform an action on the pipeline, or on one of its stages."""

    def __call__(self, caller: Requester, action: str, stage: str = "", /) -> bool:
        """Return True if it is allowed."""


RollBack = Callable[[str, str], str]
"""Starts a rollback of a stage to an execution, and returns the id of the rollback's own execution."""


def _cannot(stage: str, target: str) -> str:
    raise ApiError("UnableToRollbackStageException", f"no player is running: {stage} cannot be rolled back to {target}")


class PipelineApi:
    """CodePipeline's API.

    Args:
        memory: State of the pipeline.
        approvals: Approvals of the running execution.
        allowed: Checks permissions with IAM.
        roll_back: Rolls a stage back. Default: no player is running.
    """

    def __init__(
        self, memory: Memory, approvals: Approvals, allowed: Allowed, *, roll_back: RollBack = _cannot
    ) -> None:
        self._memory, self._approvals, self._allowed, self._roll_back = memory, approvals, allowed, roll_back

    def __call__(self, operation: str, request: dict[str, Any], caller: Requester) -> dict[str, Any]:
        """Answer a request.

        Raises:
            ApiError: It is refused.
        """
        # Only this operation has a stage instead of the pipeline as its resource:
        # https://docs.aws.amazon.com/service-authorization/latest/reference/list_awscodepipeline.html
        stage = str(request.get("stageName")) if operation == "RollbackStage" else ""
        if not self._allowed(caller, f"codepipeline:{operation}", *([stage] if stage else [])):
            raise ApiError("AccessDeniedException", f"not authorized to perform: codepipeline:{operation}")
        match operation:
            case "GetPipelineState":
                return self._state()
            case "ListPipelineExecutions":
                return {"pipelineExecutionSummaries": [_summary(each) for each in self._listed(request)]}
            case "GetPipelineExecution":
                return {"pipelineExecution": self._execution(str(request.get("pipelineExecutionId")))}
            case "ListActionExecutions":
                return {"actionExecutionDetails": self._actions(request)}
            case "RetryStageExecution":
                return self._retry(request)
            case "RollbackStage":
                return {"pipelineExecutionId": self._roll_back(stage, str(request.get("targetPipelineExecutionId")))}
            case "PutApprovalResult":
                return self._answer(request)
            case _:
                raise ApiError("InvalidAction", f"the player's CodePipeline does not support {operation}")

    def _state(self) -> dict[str, Any]:
        definition = self._memory.definition
        waiting = {(each.stage, each.action): each for each in self._approvals.waiting()}
        stages = []
        for stage in definition.stages:
            actions = []
            for action in stage.actions:
                state: dict[str, Any] = {"actionName": action.name}
                if (pending := waiting.get((stage.name, action.name))) is not None:
                    state["latestExecution"] = {
                        "status": "InProgress",
                        "summary": pending.comment,
                        "token": pending.token,
                        **({"externalExecutionUrl": pending.link} if pending.link else {}),
                    }
                actions.append(state)
            state_of_stage: dict[str, Any] = {"stageName": stage.name, "actionStates": actions}
            if (latest := self._latest(stage.name)) is not None:
                state_of_stage["latestExecution"] = {
                    "pipelineExecutionId": latest.id,
                    "status": latest.stages[stage.name],
                    "type": "ROLLBACK" if latest.target else "STANDARD",
                }
            stages.append(state_of_stage)
        return {"pipelineName": definition.name, "pipelineVersion": definition.version, "stageStates": stages}

    def _listed(self, request: dict[str, Any]) -> list[Remembered]:
        """Return the executions, newest first; with a filter, those that succeeded in a stage of the current structure.

        https://docs.aws.amazon.com/codepipeline/latest/APIReference/API_SucceededInStageFilter.html
        """
        stage = request.get("filter", {}).get("succeededInStage", {}).get("stageName")
        version = self._memory.definition.version
        return [
            each
            for each in reversed(self._memory.executions)
            if stage is None or (each.version == version and each.stages.get(stage) == "Succeeded")
        ]

    def _retry(self, request: dict[str, Any]) -> dict[str, Any]:
        """Refuse to retry a stage, with CodePipeline's error or because the player plays each execution to its end.

        https://docs.aws.amazon.com/codepipeline/latest/APIReference/API_RetryStageExecution.html
        """
        stage, latest = str(request.get("stageName")), self._latest(str(request.get("stageName")))
        if latest is None or latest.id != request.get("pipelineExecutionId"):
            raise ApiError(
                "NotLatestPipelineExecutionException",
                "The stage has failed in a later run of the pipeline and the pipelineExecutionId associated with the "
                "request is out of date.",
            )
        if stage not in latest.failed:
            raise ApiError(
                "StageNotRetryableException",
                "Unable to retry. The pipeline structure or state might have changed while actions awaited retry, or "
                "the stage contains no failed actions.",
            )
        raise ApiError("InvalidAction", "the player does not support manual retries: deliver the commit again")

    def _latest(self, stage: str) -> Remembered | None:
        """Return the newest execution that entered a stage."""
        return next((each for each in reversed(self._memory.executions) if stage in each.stages), None)

    def _execution(self, identifier: str) -> dict[str, Any]:
        for each in self._memory.executions:
            if each.id == identifier:
                return {
                    "pipelineName": self._memory.definition.name,
                    "pipelineVersion": each.version,
                    "pipelineExecutionId": each.id,
                    "status": each.status,
                    "artifactRevisions": [
                        {"name": "Source", "revisionId": each.commit, "revisionSummary": each.message[:2048]}
                    ],
                    "executionType": "ROLLBACK" if each.target else "STANDARD",
                    **({"rollbackMetadata": {"rollbackTargetPipelineExecutionId": each.target}} if each.target else {}),
                }
        raise ApiError("PipelineExecutionNotFoundException", f"unknown execution {identifier}")

    def _actions(self, request: dict[str, Any]) -> list[dict[str, Any]]:
        wanted = request.get("filter", {}).get("pipelineExecutionId")
        return [
            {
                "pipelineExecutionId": each.id,
                "actionName": namespace.removeprefix("Source@"),
                "stageName": "Source",
                "status": "Succeeded",
                "output": {"outputVariables": variables},
                "input": {"namespace": namespace, "actionTypeId": self._kind(namespace)},
            }
            for each in self._memory.executions
            if wanted in {None, each.id}
            for namespace, variables in each.variables.items()
            if namespace.startswith("Source")
        ]

    def _kind(self, namespace: str) -> dict[str, str]:
        """Return the type of the action that provides a namespace's variables."""
        actions = (action for stage in self._memory.definition.stages for action in stage.actions)
        provider = next((each.provider for each in actions if each.namespace == namespace), "CodeStarSourceConnection")
        return {"category": "Source", "owner": "AWS", "provider": provider, "version": "1"}

    def _answer(self, request: dict[str, Any]) -> dict[str, Any]:
        result = request.get("result", {})
        answer = next(
            (each for each in (ApprovalAnswer.APPROVED, ApprovalAnswer.REJECTED) if each == result.get("status")), None
        )
        if answer is None:
            raise ApiError("ValidationException", "result.status must be Approved or Rejected")
        if not self._approvals.answer(str(request.get("token")), answer, str(result.get("summary", ""))):
            raise ApiError("InvalidApprovalTokenException", "no approval with that token is pending")
        return {}


def _summary(each: Remembered) -> dict[str, Any]:
    started = datetime.fromisoformat(each.started).timestamp()
    return {
        "pipelineExecutionId": each.id,
        "status": each.status,
        "startTime": started,
        "lastUpdateTime": datetime.fromisoformat(each.ended).timestamp() if each.ended else started,
        "sourceRevisions": [
            {"actionName": "Source", "revisionId": each.commit, "revisionSummary": each.message[:2048]}
        ],
        "executionType": "ROLLBACK" if each.target else "STANDARD",
    }
