"""Contract checks of new versions, before traffic goes to them. They write nothing that lasts."""

# ruff: isort: off
from slipway_runtime import startup  # before all others
# ruff: isort: on

import json
import os
from collections.abc import Callable, Sequence
from typing import Any, Final

from aws_lambda_powertools.utilities.typing import LambdaContext

from services.processing.runtime.model import Outcome
from slipway_runtime import aws
from slipway_runtime.hook import Check, ContractCheck, HookEvent, Verdict, require
from slipway_runtime.telemetry import logger, tracer

# A new version starts cold, and one call must outlast the 30 s that it may take.
_READ_SECONDS: Final = 35.0
_CLAIMS: Final = {"token_use": "access", "sub": "contract-check"}  # nosec B105  # a kind of token


def _request(method: str, path: str, body: str | None = None, *, signed_in: bool = False) -> dict[str, Any]:
    """A proxy event of an HTTP API, with the parts that the function reads."""
    return {
        "version": "2.0",
        "routeKey": f"{method} {path}",
        "rawPath": path,
        "rawQueryString": "",
        "headers": {"content-type": "application/json"},
        "requestContext": {
            "requestId": "contract-check",
            "stage": "$default",
            "http": {"method": method, "path": path},
            **({"authorizer": {"jwt": {"claims": _CLAIMS}}} if signed_in else {}),
        },
        "body": body,
        "isBase64Encoded": False,
    }


def _healthy(answer: dict[str, Any]) -> None:
    require(answer["statusCode"] == 200, f"answered {answer['statusCode']}")
    version = json.loads(answer["body"])["function_version"]
    require(version != "$LATEST", "the answer came from $LATEST, not from a version")


def _is_problem(status: int) -> Callable[[dict[str, Any]], None]:
    def verify(answer: dict[str, Any]) -> None:
        require(answer["statusCode"] == status, f"answered {answer['statusCode']}, not {status}")
        content_type = answer["headers"]["Content-Type"]
        require(content_type == "application/problem+json", f"answered with {content_type}")
        require(json.loads(answer["body"])["status"] == status, "the problem names another status")

    return verify


def _knows_no_such_job(answer: dict[str, Any]) -> None:
    require(answer == {"outcome": Outcome.UNKNOWN.value}, "a job that is none was not told from one")


API_CHECKS: Final[Sequence[Check]] = (
    Check("health", _request("GET", "/health"), _healthy),
    Check("a request without a token is refused", _request("POST", "/process", "{}"), _is_problem(401)),
    Check("invalid data is refused", _request("POST", "/validate", '{"data": []}', signed_in=True), _is_problem(400)),
    Check(
        "nobody has a job that is none", _request("GET", "/process/contract-check", signed_in=True), _is_problem(404)
    ),
)
WORKER_CHECKS: Final[Sequence[Check]] = (
    Check("a job without a record", {"owner": "contract-check", "id": "none", "data": "{}"}, _knows_no_such_job),
)


def _contract_check(checks: Sequence[Check]) -> ContractCheck:
    return ContractCheck(
        functions=aws.client("lambda", read_seconds=_READ_SECONDS),
        codedeploy=aws.client("codedeploy"),
        target_arn=os.environ["TARGET_ALIAS_ARN"],
        checks=checks,
    )


@logger.inject_lambda_context(clear_state=True)
@tracer.capture_lambda_handler(capture_response=False)
def api_handler(event: HookEvent, context: LambdaContext) -> Verdict:
    """Checks a new version of the `api` function."""
    return _contract_check(API_CHECKS).run(event, context)


@logger.inject_lambda_context(clear_state=True)
@tracer.capture_lambda_handler(capture_response=False)
def worker_handler(event: HookEvent, context: LambdaContext) -> Verdict:
    """Checks a new version of the `worker` function."""
    return _contract_check(WORKER_CHECKS).run(event, context)


startup.finished()
