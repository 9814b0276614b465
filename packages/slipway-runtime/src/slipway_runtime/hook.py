"""CodeDeploy's hook before traffic: real requests against the new version, and the verdict."""

import json
import os
import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypedDict

from aws_lambda_powertools.utilities.typing import LambdaContext
from botocore.exceptions import ClientError

from slipway_runtime import aws
from slipway_runtime.telemetry import Handler, lambda_handler, logger

if TYPE_CHECKING:
    from mypy_boto3_codedeploy import CodeDeployClient
    from mypy_boto3_lambda import LambdaClient


LAST_CALL_SECONDS: Final = 240.0
"""What is kept of the hook's own time for a last call and the report: three attempts that each wait over a minute."""

_THROTTLED: Final = "TooManyRequestsException"
_LONGEST_PAUSE_SECONDS: Final = 10.0
# A new version starts cold, and one call must outlast the 30 s that it may take.
_READ_SECONDS: Final = 35.0


class HookEvent(TypedDict, total=False):
    """What CodeDeploy sends. Without the ids, as in an invocation by hand, nobody waits for a report."""

    DeploymentId: str
    LifecycleEventHookExecutionId: str


class Verdict(TypedDict):
    """What came of the checks: `Succeeded` or `Failed` as CodeDeploy writes them, and why."""

    status: str
    failures: list[str]


class CheckFailedError(Exception):
    """The new version does not do what it must. The text is ours and goes to the log."""


class Check(NamedTuple):
    """One request to the new version.

    Attributes:
        name: Names the check in the log.
        event: What the function is invoked with.
        verify: Raises `CheckFailedError` when the answer is not as it must be.
    """

    name: str
    event: Mapping[str, Any]
    verify: Callable[[Any], None]


def require(condition: object, reason: str) -> None:
    """Raises `CheckFailedError` with the reason, unless the condition holds."""
    if not condition:
        raise CheckFailedError(reason)


class ContractCheck:
    """Invokes a new version with each check and tells CodeDeploy whether traffic may go there.

    The versions of a function share its reserved concurrency, so a busy function refuses the check's call with 429
    (https://docs.aws.amazon.com/lambda/latest/dg/configuration-concurrency.html). That says nothing of the new version:
    the call is repeated for as long as the hook itself may run, which ends within the hour that CodeDeploy waits
    (https://docs.aws.amazon.com/codedeploy/latest/userguide/reference-appspec-file-structure-hooks.html).

    Args:
        functions: Client of Lambda.
        codedeploy: Client of CodeDeploy.
        target_arn: ARN of the alias that points to the new version.
        checks: What it must pass.
        pause: Waits for so many seconds. Default: `time.sleep`.
    """

    def __init__(
        self,
        *,
        functions: "LambdaClient",
        codedeploy: "CodeDeployClient",
        target_arn: str,
        checks: Sequence[Check],
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        self._lambda = functions
        self._codedeploy = codedeploy
        self._target_arn = target_arn
        self._checks = checks
        self._pause = pause

    def run(self, event: HookEvent, context: LambdaContext) -> Verdict:
        """Runs all checks, reports the verdict to CodeDeploy, and returns it."""
        failures = [f"{check.name}: {reason}" for check in self._checks if (reason := self._failure(check, context))]
        verdict = Verdict(status="Failed" if failures else "Succeeded", failures=failures)
        logger.info("contract check", extra={"target": self._target_arn, **verdict})
        if "DeploymentId" in event:
            self._codedeploy.put_lifecycle_event_hook_execution_status(
                deploymentId=event["DeploymentId"],
                lifecycleEventHookExecutionId=event["LifecycleEventHookExecutionId"],
                status="Failed" if failures else "Succeeded",
            )
        return verdict

    def _failure(self, check: Check, context: LambdaContext) -> str | None:
        try:
            answer = self._invoke(json.dumps(check.event).encode(), context)
            require("FunctionError" not in answer, f"the function failed ({answer.get('FunctionError')})")
            check.verify(json.loads(answer["Payload"].read()))
        except CheckFailedError as failure:
            return str(failure)
        except Exception as error:  # noqa: BLE001 - whatever it is, no traffic may go to this version
            return type(error).__name__
        return None

    def _invoke(self, payload: bytes, context: LambdaContext) -> Any:
        """Invokes the new version, again and again while the function is throttled."""
        pause = 1.0
        while True:
            try:
                return self._lambda.invoke(FunctionName=self._target_arn, Payload=payload)
            except ClientError as error:
                if error.response["Error"]["Code"] != _THROTTLED:
                    raise
            if context.get_remaining_time_in_millis() / 1000 < LAST_CALL_SECONDS + pause:
                raise CheckFailedError("throttled to the end: the function has no concurrency left for a check")
            logger.info("throttled: the check is repeated", extra={"target": self._target_arn, "seconds": pause})
            self._pause(pause)
            pause = min(2 * pause, _LONGEST_PAUSE_SECONDS)


def before_traffic(checks: Sequence[Check]) -> Handler:
    """Return the handler that CodeDeploy invokes before it moves traffic to a new version.

    Args:
        checks: What the version behind the alias `TARGET_ALIAS_ARN` must pass.
    """

    @lambda_handler()
    def handler(event: HookEvent, context: LambdaContext) -> Verdict:
        check = ContractCheck(
            functions=aws.client("lambda", read_seconds=_READ_SECONDS),
            codedeploy=aws.client("codedeploy"),
            target_arn=os.environ["TARGET_ALIAS_ARN"],
            checks=checks,
        )
        return check.run(event, context)

    return handler
