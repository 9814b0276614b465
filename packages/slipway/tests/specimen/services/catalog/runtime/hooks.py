"""Contract checks of new versions, before traffic goes to them."""

# ruff: isort: off
from slipway_runtime import startup  # before all others
# ruff: isort: on

import os
from collections.abc import Sequence
from typing import Any, Final

from aws_lambda_powertools.utilities.typing import LambdaContext

from slipway_runtime import aws
from slipway_runtime.checks import is_problem, rest_request, well
from slipway_runtime.comparison import Read
from slipway_runtime.hook import Check, ContractCheck, HookEvent, Verdict, require
from slipway_runtime.outside import PublicCheck, probe
from slipway_runtime.secrets import CachedSecret
from slipway_runtime.telemetry import logger, tracer


def _healthy(answer: dict[str, Any]) -> None:
    require(answer["statusCode"] == 200, f"answered {answer['statusCode']}")


def _no_failures(answer: dict[str, Any]) -> None:
    require(answer == {"batchItemFailures": []}, "an empty batch has failures")


API: Final = (Check("health", {"httpMethod": "GET", "path": "/health"}, _healthy),)
READS: Final = (
    Read(
        "an entry that nobody made",
        lambda: {
            "httpMethod": "GET",
            "path": "/items/nobody",
            "headers": {
                "X-Origin-Verify": CachedSecret(
                    lambda: aws.client("secretsmanager"), os.environ["ORIGIN_SECRET_ARN"], "header"
                ).current()
            },
        },
    ),
)
STREAM: Final = (Check("an empty batch", {"Records": []}, _no_failures),)

PUBLIC: Final = (
    PublicCheck(Check("health", rest_request("GET", "/health"), well)),
    PublicCheck(Check("a read past the edge", rest_request("GET", "/items/none"), is_problem(403))),
    PublicCheck(Check("an entry that nobody made", rest_request("GET", "/items/none"), is_problem(404)), edge=True),
)

probe_handler = probe(PUBLIC)


def _run(checks: Sequence[Check], event: HookEvent, context: LambdaContext) -> Verdict:
    check = ContractCheck(
        functions=aws.client("lambda", read_seconds=35.0),
        codedeploy=aws.client("codedeploy"),
        target_arn=os.environ["TARGET_ALIAS_ARN"],
        checks=checks,
        current_arn=os.environ.get("CURRENT_ALIAS_ARN", ""),
        reads=READS,
    )
    return check.run(event, context)


@logger.inject_lambda_context(clear_state=True)
@tracer.capture_lambda_handler(capture_response=False, capture_error=False)
def api_handler(event: HookEvent, context: LambdaContext) -> Verdict:
    """Check a new version of `api`."""
    return _run(API, event, context)


@logger.inject_lambda_context(clear_state=True)
@tracer.capture_lambda_handler(capture_response=False, capture_error=False)
def stream_handler(event: HookEvent, context: LambdaContext) -> Verdict:
    """Check a new version of `stream`."""
    return _run(STREAM, event, context)


startup.finished()
