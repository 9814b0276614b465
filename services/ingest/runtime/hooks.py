"""Contract checks of new versions, before traffic goes to them. They write nothing."""

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
_NOBODY: Final = "00000000-0000-4000-8000-000000000000"
"""Id of no record and no job."""


def _request(
    method: str, path: str, *, resource: str | None = None, body: str | None = None, **query: str
) -> dict[str, Any]:
    """A proxy event of API Gateway, with the parts that the function reads. The key is none of the usage plan's."""
    headers = {"Content-Type": "application/json", "x-api-key": "contract-check"}
    return {
        "resource": resource or path,
        "path": path,
        "httpMethod": method,
        "headers": headers,
        "multiValueHeaders": {name: [value] for name, value in headers.items()},
        "queryStringParameters": query or None,
        "multiValueQueryStringParameters": {name: [value] for name, value in query.items()} or None,
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
    Check("a record that nobody sent is read from the table", _request("GET", "/data", id=_NOBODY), _is_problem(404)),
    Check("a job that nobody started is read from the table", _request("GET", f"/process/{_NOBODY}"), _is_problem(404)),
    Check("a record without a payload is refused", _request("POST", "/data", body='{"payload": ""}'), _is_problem(400)),
)
QUEUE_CHECKS: Final[Sequence[Check]] = (Check("an empty batch", {"Records": []}, _no_failures),)


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
def queue_handler(event: HookEvent, context: LambdaContext) -> Verdict:
    """Checks a new version of a function that reads a queue: `processor` or `worker`."""
    return _contract_check(QUEUE_CHECKS).run(event, context)


startup.finished()
