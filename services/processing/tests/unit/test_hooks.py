"""The contract checks before traffic: they pass for the functions as they are, and fail for others."""

import json
from typing import Any

import pytest

from services.processing.runtime import hooks
from services.processing.runtime import worker as worker_function
from services.processing.runtime.api import handler
from services.processing.tests.unit.fakes import Harness
from slipway.testing.functions import Context
from slipway_runtime.hook import Check, CheckFailedError


def _answer(function: Any, event: Any) -> Any:
    return json.loads(json.dumps(function(json.loads(json.dumps(event)), Context())))


@pytest.mark.parametrize("check", hooks.API_CHECKS, ids=lambda check: check.name)
def test_the_api_passes_and_nothing_is_written(api: Harness, check: Check) -> None:
    check.verify(_answer(handler, check.event))
    assert not api.records.records
    assert not api.jobs.sent


@pytest.mark.requirement("safe deployments")
@pytest.mark.parametrize("check", hooks.WORKER_CHECKS, ids=lambda check: check.name)
def test_the_worker_passes_and_nothing_is_written(api: Harness, check: Check) -> None:
    worker_function.bind(api.worker)
    check.verify(_answer(worker_function.handler, check.event))
    assert not api.results.texts


@pytest.mark.parametrize("check", [*hooks.API_CHECKS, *hooks.WORKER_CHECKS], ids=lambda check: check.name)
@pytest.mark.parametrize(
    "answer",
    [
        {"statusCode": 500, "headers": {"Content-Type": "application/problem+json"}, "body": '{"status": 500}'},
        {"outcome": "done"},
        None,
    ],
    ids=["a failure", "work done", "nothing"],
)
def test_another_answer_does_not_pass(check: Check, answer: Any) -> None:
    with pytest.raises((CheckFailedError, KeyError, TypeError)):
        check.verify(answer)
