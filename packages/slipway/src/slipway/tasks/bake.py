"""Watch an environment's alarms after a deployment: `slipway bake --env prod`.

The last action of an environment's stage. Every minute it checks the alarm that is active while any of the
environment's own is, and fails the stage if it is active. A `CloudWatchAlarm` rule of a stage condition would seem to
do that, but CodePipeline's documentation contradicts itself: that it watches for its wait time, and that it "will
immediately succeed" when the alarm is OK at first
(https://docs.aws.amazon.com/codepipeline/latest/userguide/stage-conditions.html).

When a stage is rolled back, its actions run again with the previous version, including this one
(https://docs.aws.amazon.com/codepipeline/latest/userguide/stage-rollback.html), and the alarm that failed the stage is
still active. So in a rollback the alarm may stay active until the previous version has ended it; only at the end does
it fail the stage.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
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
"""Seconds between two looks: the alarm's own period."""

BLIND_MINUTES = 3
"""Consecutive checks that may fail: a bake that cannot check is not quiet, but one lost call does not fail it."""


class BakeError(SlipwayError):
    """The environment did not stay quiet, or could not be checked; the message is one line."""


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
    client: CloudWatchClient, alarm: str, minutes: int, wait: Callable[[int], None], *, may_be_on: bool = False
) -> None:
    """Watch an alarm for some minutes.

    Args:
        client: CloudWatch in the pipeline's account and region.
        alarm: Its name.
        minutes: How long.
        wait: Waits for some seconds.
        may_be_on: Whether the alarm may be on at first, as long as it is quiet before the end. Default: it may not.

    Raises:
        BakeError: The alarm went on or stayed on, it is not there, or it could not be looked at three times in a row.
    """
    blind = 0
    for minute in range(1, minutes + 1):
        wait(MINUTE)
        try:
            found = client.describe_alarms(AlarmNames=[alarm])["MetricAlarms"]
        except (BotoCoreError, ClientError) as error:
            blind += 1
            if blind == BLIND_MINUTES:
                raise BakeError(f"{alarm} could not be checked for {blind} minutes: {error}") from None
            continue
        blind = 0
        if not found:
            raise BakeError(f"alarm {alarm} does not exist")
        if found[0]["StateValue"] != "ALARM":
            may_be_on = False
        elif not may_be_on or minute == minutes:
            raise BakeError(f"{alarm} was ALARM after {minute} of {minutes} minutes: {found[0].get('StateReason', '')}")
    if blind:
        raise BakeError(f"{alarm} could not be checked in the last {blind} minutes")


def sleep(seconds: int) -> None:
    """Wait with the program `sleep`: a rehearsal replaces it by one in which virtual time passes."""
    process.run(["sleep", str(seconds)], check=True)  # the build's own PATH


def bake(env: Annotated[str, typer.Option(help="The environment, as a file in config/ names it.")]) -> None:
    """Watch an environment's alarms for its `bake_minutes`, and fail when one is on."""
    settings = config.load()
    try:
        environment = settings.environment(env)
    except KeyError:
        known = ", ".join(each.name for each in settings.environments)
        raise BakeError(f"--env {env}: choose from {known}") from None
    alarm, pipeline = os.environ.get(ALARM), os.environ.get(PIPELINE)
    if not alarm or not pipeline:
        raise BakeError(f"{ALARM} and {PIPELINE} name no alarm and no pipeline: this runs in the pipeline's build")
    minutes = environment.deployment.bake_minutes
    names = [each.name for each in settings.environments]
    back = is_rollback(boto3.client("codepipeline"), pipeline, env, names)
    watch(boto3.client("cloudwatch"), alarm, minutes, sleep, may_be_on=back)
    Console(soft_wrap=True).print(f"{env} stayed quiet for {minutes} minutes")
