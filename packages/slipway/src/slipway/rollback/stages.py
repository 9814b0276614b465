"""Roll every stage of an environment back to an earlier execution, with CodePipeline's RollbackStage.

The limits (https://docs.aws.amazon.com/codepipeline/latest/userguide/stage-rollback.html): the target must have
succeeded in the stage, under the current version of the pipeline's structure, and must not be a rollback itself; a
source stage cannot be rolled back. CodePipeline uses the artifacts and variables of the target. A rollback is a
separate execution that ends with its stage, so each stage of the environment needs its own call.

The last stage is rolled back first, the foundation last, so that each intermediate state is one that the delivery has
passed through.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from slipway.rollback.errors import RollbackError

if TYPE_CHECKING:
    from mypy_boto3_codepipeline import CodePipelineClient
    from mypy_boto3_codepipeline.type_defs import StageStateTypeDef

POLL_SECONDS = 5.0
APPROVAL = "-approval"
_ENDED = frozenset({"Cancelled", "Failed", "Stopped", "Succeeded", "Superseded"})
_BUSY = frozenset({"InProgress", "Stopping"})


@dataclass(frozen=True)
class PastExecution:
    """An execution of the pipeline."""

    id: str
    commit: str
    message: str
    started: datetime

    def __str__(self) -> str:
        """Return its commit, message and start, in one line."""
        message = self.message.partition("\n")[0]
        return f"{self.commit[:12] or self.id} {message} ({self.started:%Y-%m-%d %H:%M} UTC)"


@dataclass(frozen=True)
class HeldStage:
    """Current execution of a stage: it may have succeeded, failed, or been rolled back to."""

    name: str
    execution: PastExecution
    whole: bool
    """True if its last execution succeeded there."""


@dataclass(frozen=True)
class RollbackPlan:
    """The steps of a rollback.

    Attributes:
        stages: Names of the stages, in the order in which they are rolled back.
        held: Current executions of the environment's stages.
        skipped: Stages that already have the target.
    """

    pipeline: str
    target: PastExecution
    stages: tuple[str, ...]
    held: tuple[HeldStage, ...]
    skipped: tuple[str, ...] = ()

    @property
    def taken_back(self) -> list[PastExecution]:
        """The executions to roll back, newest first."""
        found = {each.execution.id: each.execution for each in self.held if each.execution.id != self.target.id}
        return sorted(found.values(), key=lambda each: each.started, reverse=True)


def stages_of(names: Sequence[str], environment: str, environments: Sequence[str]) -> list[str]:
    """Return the stages that deploy to an environment, in the pipeline's order.

    Args:
        names: Names of all stages.
        environment: Name of the environment.
        environments: Names of all environments; one may begin with another's.
    """
    longer = [each for each in environments if each.startswith(f"{environment}-")]
    return [
        name
        for name in names
        if name.startswith(f"{environment}-")
        and not name.endswith(APPROVAL)
        and not any(name.startswith(f"{each}-") for each in longer)
    ]


def plan_rollback(
    client: CodePipelineClient, pipeline: str, environment: str, environments: Sequence[str], *, to: str | None = None
) -> RollbackPlan:
    """Find the execution to which an environment is rolled back, and the stages to roll back.

    Args:
        client: CodePipeline in the pipeline's account and region.
        pipeline: Its name.
        environment: Name of the environment.
        environments: Names of all environments.
        to: Id of the execution to return to. Default: the newest one before the current one that succeeded in every
            stage of the environment.

    Raises:
        RollbackError: A stage is busy, or there is nothing to return to.
    """
    states = {each["stageName"]: each for each in client.get_pipeline_state(name=pipeline)["stageStates"]}
    names = stages_of(list(states), environment, environments)
    if not names:
        raise RollbackError(f"the pipeline {pipeline} has no stage that deploys to {environment}", exit_code=2)
    for name in names:
        _check_idle(pipeline, states[name])
    held = tuple(each for each in (_held(client, pipeline, states[name]) for name in names) if each)
    if not held:
        raise RollbackError(f"nothing has been delivered to {environment} yet: there is nothing to roll back")
    candidates = _candidates(client, pipeline, names)
    target = _chosen(candidates, to, environment) if to else _last_good(candidates, held, environment)
    holding = {each.name for each in held if each.whole and each.execution.id == target.id}
    return RollbackPlan(
        pipeline,
        target,
        tuple(name for name in reversed(names) if name not in holding),
        held,
        tuple(name for name in names if name in holding),
    )


def roll_back(
    client: CodePipelineClient,
    plan: RollbackPlan,
    *,
    say: Callable[[str], None],
    poll_seconds: float = POLL_SECONDS,
) -> None:
    """Roll the stages of a plan back, one after the other.

    Args:
        client: CodePipeline in the pipeline's account and region.
        plan: The plan.
        say: Called with each step.
        poll_seconds: Pause between two polls.

    Raises:
        RollbackError: A stage was not rolled back. The following ones were not changed.
    """
    for number, stage in enumerate(plan.stages):
        execution = client.rollback_stage(
            pipelineName=plan.pipeline, stageName=stage, targetPipelineExecutionId=plan.target.id
        )["pipelineExecutionId"]
        say(f"{stage}: execution {execution} returns to {plan.target.commit[:12] or plan.target.id}")
        status = _ended(client, plan.pipeline, execution, poll_seconds)
        if status != "Succeeded":
            left = plan.stages[number + 1 :]
            raise RollbackError(
                f"{stage}: the rollback ended with {status}: {_reason(client, plan.pipeline, execution)}."
                + (f" Not rolled back: {', '.join(left)}." if left else "")
                + " See docs/runbooks/rollback-refused.md"
            )
        say(f"{stage}: rolled back")


def _check_idle(pipeline: str, state: StageStateTypeDef) -> None:
    latest = state.get("latestExecution")
    if latest is not None and latest["status"] in _BUSY:
        stage, execution = state["stageName"], latest["pipelineExecutionId"]
        raise RollbackError(
            f"{stage} is in progress with execution {execution}: wait for its end, or stop it with `aws codepipeline "
            f"stop-pipeline-execution --pipeline-name {pipeline} --pipeline-execution-id {execution}`; --alias "
            f"rolls the functions back meanwhile"
        )


def _held(client: CodePipelineClient, pipeline: str, state: StageStateTypeDef) -> HeldStage | None:
    latest = state.get("latestExecution")
    if latest is None:
        return None
    found = client.get_pipeline_execution(pipelineName=pipeline, pipelineExecutionId=latest["pipelineExecutionId"])
    execution = found["pipelineExecution"]
    identifier = latest["pipelineExecutionId"]
    if execution.get("executionType") == "ROLLBACK":
        identifier = execution["rollbackMetadata"]["rollbackTargetPipelineExecutionId"]
    return HeldStage(
        state["stageName"],
        _execution(client, pipeline, identifier),
        whole=latest["status"] == "Succeeded",
    )


def _execution(client: CodePipelineClient, pipeline: str, identifier: str) -> PastExecution:
    for page in client.get_paginator("list_pipeline_executions").paginate(pipelineName=pipeline):
        for each in page["pipelineExecutionSummaries"]:
            if each["pipelineExecutionId"] == identifier:
                return _past(each)
    raise RollbackError(f"CodePipeline no longer lists the execution {identifier} of {pipeline}")


def _past(summary: Mapping[str, Any]) -> PastExecution:
    revision: Mapping[str, str] = next(iter(summary.get("sourceRevisions", ())), {})
    return PastExecution(
        summary["pipelineExecutionId"],
        revision.get("revisionId", ""),
        _message(revision.get("revisionSummary", "")),
        summary["startTime"],
    )


def _message(summary: str) -> str:
    """Return a commit's message; a source by a connection gives it within JSON."""
    try:
        found = json.loads(summary)
    except ValueError:
        return summary
    return str(found.get("CommitMessage", summary)) if isinstance(found, dict) else summary


def _candidates(client: CodePipelineClient, pipeline: str, stages: Sequence[str]) -> list[PastExecution]:
    """Return the executions that every stage can be rolled back to, newest first."""
    found: list[dict[str, PastExecution]] = []
    for stage in stages:
        listed = client.get_paginator("list_pipeline_executions").paginate(
            pipelineName=pipeline, filter={"succeededInStage": {"stageName": stage}}
        )
        found.append(
            {
                each["pipelineExecutionId"]: _past(each)
                for page in listed
                for each in page["pipelineExecutionSummaries"]
                if each.get("executionType") != "ROLLBACK"
            }
        )
    common = [each for identifier, each in found[0].items() if all(identifier in other for other in found)]
    return sorted(common, key=lambda each: each.started, reverse=True)


def _chosen(candidates: Sequence[PastExecution], to: str, environment: str) -> PastExecution:
    for each in candidates:
        if each.id == to:
            return each
    known = "; ".join(f"{each.id} {each}" for each in candidates[:5]) or "none"
    raise RollbackError(
        f"--to {to}: did not succeed in every stage of {environment} under the current version of the pipeline's "
        f"structure; those that did: {known}",
        exit_code=2,
    )


def _last_good(candidates: Sequence[PastExecution], held: Sequence[HeldStage], environment: str) -> PastExecution:
    newest = max((each.execution for each in held), key=lambda execution: execution.started)
    # A rollback to it may have failed in one of the stages, although all have it.
    broken = all(each.execution.id == newest.id for each in held) and not all(each.whole for each in held)
    for each in candidates:
        if each.started < newest.started or (broken and each.id == newest.id):
            return each
    raise RollbackError(
        f"no execution before {newest} succeeded in every stage of {environment} under the current version of the "
        f"pipeline's structure: CodePipeline cannot roll back. Roll the functions back with --alias, then deliver "
        f"a commit that reverts the change"
    )


def _ended(client: CodePipelineClient, pipeline: str, execution: str, poll_seconds: float) -> str:
    while True:
        found = client.get_pipeline_execution(pipelineName=pipeline, pipelineExecutionId=execution)
        status = found["pipelineExecution"]["status"]
        if status in _ENDED:
            return status
        time.sleep(poll_seconds)


def _reason(client: CodePipelineClient, pipeline: str, execution: str) -> str:
    listed = client.list_action_executions(pipelineName=pipeline, filter={"pipelineExecutionId": execution})
    for each in listed["actionExecutionDetails"]:
        if each.get("status") == "Failed":
            result = each.get("output", {}).get("executionResult", {})
            why = result.get("errorDetails", {}).get("message") or result.get("externalExecutionSummary") or "failed"
            return f"{each['actionName']}: {why}"
    return "CodePipeline names no failed action"
