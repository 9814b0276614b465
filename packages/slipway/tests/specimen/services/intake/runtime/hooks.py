"""Contract checks of new versions, before traffic goes to them."""

# ruff: isort: off
from slipway_runtime import startup  # before all others
# ruff: isort: on

import os
from collections.abc import Sequence
from typing import Any, Final

from aws_lambda_powertools.utilities.typing import LambdaContext

from slipway_runtime import aws
from slipway_runtime.checks import is_refused, rest_request, well
from slipway_runtime.hook import Check, ContractCheck, HookEvent, Verdict, require
from slipway_runtime.outside import PublicCheck, probe
from slipway_runtime.telemetry import logger, tracer


def _healthy(answer: dict[str, Any]) -> None:
    require(answer["statusCode"] == 200, f"answered {answer['statusCode']}")


def _no_failures(answer: dict[str, Any]) -> None:
    require(answer == {"batchItemFailures": []}, "an empty batch has failures")


API: Final = (Check("health", {"httpMethod": "GET", "path": "/health"}, _healthy),)
WORKER: Final = (Check("an empty batch", {"Records": []}, _no_failures),)

PUBLIC: Final = (
    PublicCheck(Check("health", rest_request("GET", "/health"), well)),
    PublicCheck(
        Check("a record that nobody sent", rest_request("GET", "/data", query={"id": "none"}), is_refused(404)),
        keyed=True,
    ),
)

probe_handler = probe(PUBLIC)


def _run(checks: Sequence[Check], event: HookEvent, context: LambdaContext) -> Verdict:
    check = ContractCheck(
        functions=aws.client("lambda", read_seconds=35.0),
        codedeploy=aws.client("codedeploy"),
        target_arn=os.environ["TARGET_ALIAS_ARN"],
        checks=checks,
    )
    return check.run(event, context)


@logger.inject_lambda_context(clear_state=True)
@tracer.capture_lambda_handler(capture_response=False, capture_error=False)
def api_handler(event: HookEvent, context: LambdaContext) -> Verdict:
    """Check a new version of `api`."""
    return _run(API, event, context)


@logger.inject_lambda_context(clear_state=True)
@tracer.capture_lambda_handler(capture_response=False, capture_error=False)
def worker_handler(event: HookEvent, context: LambdaContext) -> Verdict:
    """Check a new version of `worker`."""
    return _run(WORKER, event, context)


startup.finished()
