"""The two functions that accompany the pipeline: one records metrics, one sends notifications."""

from __future__ import annotations

import json
import os
from functools import cache
from typing import Any

from aws_lambda_powertools.metrics import MetricUnit, single_metric
from aws_lambda_powertools.utilities.typing import LambdaContext

from slipway.delivery.runtime import webhook
from slipway.delivery.runtime.events import read
from slipway.delivery.runtime.figures import ObservedPipeline, figures
from slipway.delivery.runtime.memory import PipelineExecutions, TableMemory
from slipway.delivery.runtime.messages import message
from slipway_runtime import aws
from slipway_runtime.telemetry import logger


@cache
def _described() -> dict[str, Any]:
    """Return the pipeline stack's own description."""
    described: dict[str, Any] = json.loads(os.environ["DELIVERY"])
    return described


@cache
def _delivery() -> ObservedPipeline:
    described = _described()
    return ObservedPipeline(
        stages=described["stages"],
        last_stages=frozenset(described["last_stages"]),
        accounts=described["accounts"],
    )


@cache
def _memory() -> TableMemory:
    return TableMemory(os.environ["TABLE_NAME"], aws.client("dynamodb"))


@cache
def _executions() -> PipelineExecutions:
    return PipelineExecutions(aws.client("codepipeline"))


@logger.inject_lambda_context
def figures_handler(event: dict[str, Any], context: LambdaContext) -> None:  # noqa: ARG001 - Lambda passes both
    """Add an event to the metrics, by environment."""
    change = read(event)
    if change is None:
        return
    for figure in figures(change, _delivery(), _memory(), _executions()):
        with single_metric(
            name=figure.metric, unit=MetricUnit(figure.unit), value=figure.value, namespace=_described()["namespace"]
        ) as metric:
            metric.add_dimension("Environment", figure.environment)


@logger.inject_lambda_context
def notify_handler(event: dict[str, Any], context: LambdaContext) -> None:  # noqa: ARG001 - Lambda passes both
    """Notify the topic, and the chat if one is configured."""
    change = read(event)
    said = change and message(change, region=os.environ["AWS_REGION"], environment_of=_delivery().environment)
    if not said:
        return
    if not said.chat_only:
        aws.client("sns").publish(TopicArn=os.environ["TOPIC_ARN"], Subject=said.subject, Message=said.text)
    secret = os.environ.get("WEBHOOK_SECRET_ARN")
    if secret:
        url = aws.client("secretsmanager").get_secret_value(SecretId=secret)["SecretString"]
        webhook.post(url, said.text)
