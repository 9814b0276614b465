"""Fail if a commit changes the pipeline while an execution is deploying: `slipway in-flight`.

When the pipeline is changed, CodePipeline cancels running executions without rolling back
(https://docs.aws.amazon.com/codepipeline/latest/userguide/execution-modes.html): an environment would be left half
deployed. So the build of such a change fails while a stage that deploys is busy. Some minutes pass between this check
and the pipeline's change of itself, in which another execution may enter such a stage; then people are notified that it
was canceled. Outside the pipeline's build nothing is checked.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
from rich.console import Console

from slipway import settings as config
from slipway.errors import SlipwayError
from slipway.review.checks.restart import RESTARTED
from slipway.review.deployed import pipeline_of_build
from slipway.settings import Settings

if TYPE_CHECKING:
    from mypy_boto3_codepipeline import CodePipelineClient

REVIEW = Path("build") / "report" / "review.json"
_APPROVAL = "-approval"


class InFlightError(SlipwayError):
    """The change must not continue. The message is one line."""


def restarts(review: Mapping[str, Any]) -> bool:
    """Return True if a change restarts the pipeline, or if the review compared nothing and so cannot tell.

    Args:
        review: The report of `make review`.
    """
    if review.get("state") == "first delivery":
        return False
    if review.get("state") != "reviewed":
        return True
    return any(finding["kind"] == RESTARTED for finding in review["findings"])


def deploying(client: CodePipelineClient, pipeline: str, environments: Sequence[str]) -> dict[str, str]:
    """Return the stages that are deploying, each with its execution.

    Args:
        client: CodePipeline in the pipeline's account.
        pipeline: Its name.
        environments: Names of the environments.
    """
    found = {}
    for stage in client.get_pipeline_state(name=pipeline)["stageStates"]:
        name, latest = stage["stageName"], stage.get("latestExecution")
        deploys = any(name.startswith(f"{environment}-") for environment in environments)
        if deploys and not name.endswith(_APPROVAL) and latest and latest["status"] in {"InProgress", "Stopping"}:
            found[name] = latest["pipelineExecutionId"]
    return found


def check(
    settings: Settings,
    review: Path = REVIEW,
    *,
    env: Mapping[str, str] = os.environ,
    client: CodePipelineClient | None = None,
) -> str:
    """Check that a change of the pipeline cancels no deployment.

    Args:
        settings: All of `config/`.
        review: The report of `make review`.
        env: The environment variables.
        client: Client of CodePipeline. Default: one for the build's own region and role.

    Returns:
        The result, in one line.

    Raises:
        InFlightError: It would cancel one, or the review cannot be read.
    """
    pipeline = pipeline_of_build(env)
    if pipeline is None:
        return "not the pipeline's build: running executions were not checked"
    try:
        content = json.loads(review.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InFlightError(f"{review}: cannot be read ({error}): run `make review` first") from None
    if not restarts(content):
        return "the pipeline does not change: no running execution is canceled"
    busy = deploying(
        client or boto3.client("codepipeline"), pipeline, [environment.name for environment in settings.environments]
    )
    if busy:
        stages = ", ".join(f"{stage} (execution {execution})" for stage, execution in busy.items())
        raise InFlightError(
            f"this change restarts the pipeline and would cancel these half-way: {stages}. Wait until they have "
            f"ended, then "
            f"release the change again: `aws codepipeline start-pipeline-execution --name {pipeline}`"
        )
    return "this change restarts the pipeline, and no stage deploys"


def in_flight() -> None:
    """Fail if this commit changes the pipeline while another execution is deploying."""
    Console(soft_wrap=True).print(check(config.load()), markup=False, highlight=False)
