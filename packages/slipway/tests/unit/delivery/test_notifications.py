"""What notifications say, and how the chat is called."""

from __future__ import annotations

import json
from typing import Any
from unittest.mock import Mock

import pytest
import urllib3

from slipway.delivery.runtime.events import DeploymentChange, PipelineChange, StageChange, read
from slipway.delivery.runtime.messages import SUBJECT_LIMIT, Message, message
from slipway.delivery.runtime.webhook import WebhookError, post
from unit.delivery.delivery import DELIVERY, at, recorded

SECRET = "https://hooks.example.com/services/T0/B0/very-secret"


def told(name: str) -> Message | None:
    change = read(recorded(name))
    assert change
    return message(change, region="us-east-1", environment_of=DELIVERY.environment)


@pytest.mark.requirement("the approval", "notifications and figures")
@pytest.mark.parametrize(
    ("name", "subject"),
    {
        "pipeline-succeeded": "slipway: execution succeeded",
        "pipeline-failed": "slipway: execution failed",
        "pipeline-rollback-started": "slipway: a stage is being rolled back",
        "approval-waiting": "slipway: prod-approval waits for an approval",
        "approval-canceled": "slipway: the approval of prod-approval was canceled: the pipeline was changed",
        "stage-canceled": "slipway: prod-services was canceled half-way: the pipeline was changed",
        "pipeline-canceled": "slipway: execution was canceled: the pipeline was changed",
        "deployment-failed": (
            "prod: deployment of prod-items-compute-ApiDeploymentApplication failed and was rolled back"
        ),
    }.items(),
)
def test_failure_success_approval_and_rollback_are_notified(name: str, subject: str) -> None:
    said = told(name)

    assert said
    assert said.subject == subject
    assert said.text.startswith(subject)


@pytest.mark.parametrize("name", ["stage-started", "stage-succeeded", "alarm-deleted"])
def test_single_steps_are_not_notified(name: str) -> None:
    assert told(name) is None


def test_a_message_links_to_the_execution() -> None:
    said = told("pipeline-failed")

    assert said
    assert "/pipelines/slipway/executions/01234567-0123-0123-0123-012345678901/" in said.text


@pytest.mark.parametrize("is_rollback", [True, False])
def test_a_rollback_is_called_one(is_rollback: bool) -> None:
    change = PipelineChange(at=at(0), pipeline="slipway", execution="e", state="FAILED", is_rollback=is_rollback)

    said = message(change, region="us-east-1", environment_of=DELIVERY.environment)

    assert said
    assert said.subject == f"slipway: {'rollback' if is_rollback else 'execution'} failed"


def test_a_subject_fits_the_limit_of_sns() -> None:
    change = DeploymentChange(
        at=at(0), account="333333333333", application="prod-" + "x" * 200, deployment="d", state="FAILURE"
    )

    said = message(change, region="us-east-1", environment_of=DELIVERY.environment)

    assert said
    assert len(said.subject) == SUBJECT_LIMIT


def test_unrelated_deployments_are_not_notified() -> None:
    change = DeploymentChange(at=at(0), account="333333333333", application="other", deployment="d", state="FAILURE")

    assert message(change, region="us-east-1", environment_of=DELIVERY.environment) is None


def test_a_stage_alone_is_not_notified() -> None:
    change = StageChange(at=at(0), pipeline="slipway", execution="e", stage="prod-services", state="FAILED")

    assert message(change, region="us-east-1", environment_of=DELIVERY.environment) is None


def pool(answer: Any) -> Mock:
    return Mock(spec=urllib3.PoolManager, request=Mock(side_effect=[answer]))


def test_the_chat_gets_json_over_https() -> None:
    connections = pool(Mock(status=200))

    post(SECRET, 'it said "no"\nagain', pool=connections)

    (method, url), sent = connections.request.call_args
    assert (method, url) == ("POST", SECRET)
    assert json.loads(sent["body"]) == {"text": 'it said "no"\nagain'}
    assert sent["headers"] == {"Content-Type": "application/json"}
    assert sent["timeout"].total is None
    assert sent["timeout"].read_timeout == 5


@pytest.mark.parametrize("status", [301, 400, 404, 500])
def test_answer_other_than_2xx_is_error_without_address(status: int) -> None:
    with pytest.raises(WebhookError) as raised:
        post(SECRET, "text", pool=pool(Mock(status=status)))

    assert str(status) in str(raised.value)
    assert "secret" not in repr(raised.value) + str(raised.value.__cause__)


@pytest.mark.parametrize(
    "error",
    [
        urllib3.exceptions.MaxRetryError(Mock(), SECRET, Exception(SECRET)),
        urllib3.exceptions.LocationParseError(SECRET),
    ],
)
def test_no_answer_is_an_error_without_the_address(error: Exception) -> None:
    with pytest.raises(WebhookError) as raised:
        post(SECRET, "text", pool=pool(error))

    assert "secret" not in str(raised.value)
    # The original error, which contains the address, is not chained into a log
    assert raised.value.__suppress_context__


@pytest.mark.parametrize("url", ["http://hooks.example.com/very-secret", "very-secret", ""])
def test_an_address_that_is_not_https_is_not_called(url: str) -> None:
    connections = pool(Mock(status=200))

    with pytest.raises(WebhookError) as raised:
        post(url, "text", pool=connections)

    assert "secret" not in str(raised.value)
    connections.request.assert_not_called()
