"""Contract checks of new versions, before traffic goes to them. They write nothing that lasts."""

# ruff: isort: off
from slipway_runtime import startup  # before all others
# ruff: isort: on

import json
import os
from collections.abc import Sequence
from typing import Any, Final

from aws_lambda_powertools.utilities.typing import LambdaContext

from slipway_runtime import aws
from slipway_runtime.hook import Check, ContractCheck, HookEvent, Verdict, require
from slipway_runtime.telemetry import logger, tracer

# A new version starts cold, and one call must outlast the 30 s that it may take.
_READ_SECONDS: Final = 35.0


def _request(method: str, path: str, body: str | None = None, **headers: str) -> dict[str, Any]:
    """A proxy event of API Gateway, with the parts that the function reads."""
    return {
        "resource": path,
        "path": path,
        "httpMethod": method,
        "headers": headers,
        "multiValueHeaders": {name: [value] for name, value in headers.items()},
        "queryStringParameters": None,
        "multiValueQueryStringParameters": None,
        "pathParameters": None,
        "stageVariables": None,
        "requestContext": {
            "requestId": "contract-check",
            "stage": "live",
            "path": path,
            "httpMethod": method,
            "identity": {},
        },
        "body": body,
        "isBase64Encoded": False,
    }


def _healthy(answer: dict[str, Any]) -> None:
    require(answer["statusCode"] == 200, f"answered {answer['statusCode']}")
    version = json.loads(answer["body"])["function_version"]
    require(version != "$LATEST", "the answer came from $LATEST, not from a version")


def _is_problem(status: int) -> Any:
    def verify(answer: dict[str, Any]) -> None:
        require(answer["statusCode"] == status, f"answered {answer['statusCode']}, not {status}")
        content_type = answer["multiValueHeaders"]["Content-Type"]
        require(content_type == ["application/problem+json"], f"answered with {content_type}")
        require(json.loads(answer["body"])["status"] == status, "the problem names another status")

    return verify


def _no_failures(answer: dict[str, Any]) -> None:
    require(answer == {"batchItemFailures": []}, "an empty batch has failures")


API_CHECKS: Final[Sequence[Check]] = (
    Check("health", _request("GET", "/health"), _healthy),
    Check(
        "a read past the distribution is refused",
        _request("GET", "/items/contract-check", None, **{"X-Origin-Verify": "contract-check"}),
        _is_problem(403),
    ),
    Check(
        "an invalid item is refused",
        _request("POST", "/items", '{"name": ""}', **{"Content-Type": "application/json"}),
        _is_problem(400),
    ),
)
STREAM_CHECKS: Final[Sequence[Check]] = (Check("an empty batch", {"Records": []}, _no_failures),)


def _contract_check(checks: Sequence[Check]) -> ContractCheck:
    return ContractCheck(
        functions=aws.client("lambda", read_seconds=_READ_SECONDS),
        codedeploy=aws.client("codedeploy"),
        target_arn=os.environ["TARGET_ALIAS_ARN"],
        checks=checks,
    )


@logger.inject_lambda_context(clear_state=True)
@tracer.capture_lambda_handler(capture_response=False, capture_error=False)
def api_handler(event: HookEvent, context: LambdaContext) -> Verdict:
    """Checks a new version of the `api` function."""
    return _contract_check(API_CHECKS).run(event, context)


@logger.inject_lambda_context(clear_state=True)
@tracer.capture_lambda_handler(capture_response=False, capture_error=False)
def stream_handler(event: HookEvent, context: LambdaContext) -> Verdict:
    """Checks a new version of the `stream` function."""
    return _contract_check(STREAM_CHECKS).run(event, context)


startup.finished()
