"""Watch an environment's alarms after a deployment: `slipway bake --env prod`.

This is the last action of an environment's stage. Every minute it checks the alarm that is active while any of the
environment's own alarms is, and fails the stage if it is active. A `CloudWatchAlarm` rule of a stage condition would
seem to do that, but CodePipeline's documentation contradicts itself: that it watches for its wait time, and that it
"will immediately succeed" when the alarm is OK at first
(https://docs.aws.amazon.com/codepipeline/latest/userguide/stage-conditions.html).

When a stage is rolled back, its actions run again with the previous version, including this one
(https://docs.aws.amazon.com/codepipeline/latest/userguide/stage-rollback.html), and the alarm that failed the stage is
still active. So in a rollback the alarm may stay active until the previous version has ended it; only at the end does
it fail the stage.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Annotated

import boto3
import typer
from botocore.exceptions import BotoCoreError, ClientError
from rich.console import Console

from slipway import process
from slipway import settings as config
from slipway.delivery.baking import ACTION, ALARM, PIPELINE
from slipway.errors import SlipwayError

if TYPE_CHECKING:
    from mypy_boto3_cloudwatch import CloudWatchClient
    from mypy_boto3_codepipeline import CodePipelineClient

MINUTE = 60
"""Seconds between two checks: the alarm's own period."""

BLIND_MINUTES = 3
"""Consecutive checks that may fail: a bake that cannot check is not quiet, but one lost call does not fail it."""


class BakeError(SlipwayError):
    """The environment did not stay quiet, or could not be checked. The message is one line."""


def is_rollback(client: CodePipelineClient, pipeline: str, environment: str, others: Iterable[str]) -> bool:
    """Return True if the environment's stage that bakes is being rolled back.

    Args:
        client: CodePipeline in the pipeline's account and region.
        pipeline: Its name.
        environment: Name of the environment.
        others: Names of all environments; one may begin with another's.
    """
    longer = [name for name in others if len(name) > len(environment)]
    return any(
        stage.get("latestExecution", {}).get("type") == "ROLLBACK"
        for stage in client.get_pipeline_state(name=pipeline)["stageStates"]
        if stage["stageName"].startswith(f"{environment}-")
        and not any(stage["stageName"].startswith(f"{name}-") for name in longer)
        and any(action["actionName"] == ACTION for action in stage["actionStates"])
    )


def watch(
    client: CloudWatchClient,
    alarms: Sequence[str],
    minutes: int,
    wait: Callable[[int], None],
    *,
    may_be_on: bool = False,
) -> None:
    """Watch alarms for some minutes.

    Args:
        client: CloudWatch in the pipeline's account and region.
        alarms: Their names.
        minutes: Duration.
        wait: Waits for a number of seconds.
        may_be_on: True if an alarm may be active at first, as long as it is quiet before the end. Default: False.

    Raises:
        BakeError: An alarm became or stayed active, does not exist, or could not be checked three times in a row.
    """
    blind, ringing = 0, set(alarms) if may_be_on else set()
    for minute in range(1, minutes + 1):
        wait(MINUTE)
        try:
            listed = client.describe_alarms(AlarmNames=list(alarms))["MetricAlarms"]
        except (BotoCoreError, ClientError) as error:
            blind += 1
            if blind == BLIND_MINUTES:
                raise BakeError(f"{' '.join(alarms)} could not be checked for {blind} minutes: {error}") from None
            continue
        blind = 0
        found = {each["AlarmName"]: each for each in listed}
        for alarm in alarms:
            if alarm not in found:
                raise BakeError(f"alarm {alarm} does not exist")
            if found[alarm]["StateValue"] != "ALARM":
                ringing.discard(alarm)
            elif alarm not in ringing or minute == minutes:
                reason = found[alarm].get("StateReason", "")
                raise BakeError(f"{alarm} was ALARM after {minute} of {minutes} minutes: {reason}")
    if blind:
        raise BakeError(f"{' '.join(alarms)} could not be checked in the last {blind} minutes")


def sleep(seconds: int) -> None:
    """Wait with the program `sleep`: a rehearsal replaces it by one in which virtual time passes."""
    process.run(["sleep", str(seconds)], check=True)  # Found on the build's own PATH.


def bake(
    env: Annotated[
        list[str],
        typer.Option(help="Environment: the name of a file in config/; repeat it for environments of the same stages."),
    ],
) -> None:
    """Watch an environment's alarms for its `bake_minutes`, and fail if one is active."""
    settings = config.load()
    names = [each.name for each in settings.environments]
    for name in env:
        if name not in names:
            raise BakeError(f"--env {name}: choose from {', '.join(names)}")
    alarms, pipeline = os.environ.get(ALARM), os.environ.get(PIPELINE)
    if not alarms or not pipeline:
        raise BakeError(f"{ALARM} and {PIPELINE} name no alarm and no pipeline: this runs in the pipeline's build")
    minutes = max(settings.environment(name).deployment.bake_minutes for name in env)
    back = is_rollback(boto3.client("codepipeline"), pipeline, settings.leader(env[0]), names)
    watch(boto3.client("cloudwatch"), alarms.split(), minutes, sleep, may_be_on=back)
    Console(soft_wrap=True).print(f"{' and '.join(env)} stayed quiet for {minutes} minutes")
