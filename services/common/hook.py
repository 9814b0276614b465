"""CodeDeploy's hook before traffic: real requests against the new version, and the verdict."""

import json
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, TypedDict

from services.common.telemetry import logger

if TYPE_CHECKING:
    from mypy_boto3_codedeploy import CodeDeployClient
    from mypy_boto3_lambda import LambdaClient


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

    Args:
        functions: Client of Lambda.
        codedeploy: Client of CodeDeploy.
        target_arn: ARN of the alias that points to the new version.
        checks: What it must pass.
    """

    def __init__(
        self,
        *,
        functions: "LambdaClient",
        codedeploy: "CodeDeployClient",
        target_arn: str,
        checks: Sequence[Check],
    ) -> None:
        self._lambda = functions
        self._codedeploy = codedeploy
        self._target_arn = target_arn
        self._checks = checks

    def run(self, event: HookEvent) -> Verdict:
        """Runs all checks, reports the verdict to CodeDeploy, and returns it."""
        failures = [f"{check.name}: {reason}" for check in self._checks if (reason := self._failure(check))]
        verdict = Verdict(status="Failed" if failures else "Succeeded", failures=failures)
        logger.info("contract check", extra={"target": self._target_arn, **verdict})
        if "DeploymentId" in event:
            self._codedeploy.put_lifecycle_event_hook_execution_status(
                deploymentId=event["DeploymentId"],
                lifecycleEventHookExecutionId=event["LifecycleEventHookExecutionId"],
                status="Failed" if failures else "Succeeded",
            )
        return verdict

    def _failure(self, check: Check) -> str | None:
        try:
            answer = self._lambda.invoke(FunctionName=self._target_arn, Payload=json.dumps(check.event).encode())
            require("FunctionError" not in answer, f"the function failed ({answer.get('FunctionError')})")
            check.verify(json.loads(answer["Payload"].read()))
        except CheckFailedError as failure:
            return str(failure)
        except Exception as error:  # noqa: BLE001 - whatever it is, no traffic may go to this version
            return type(error).__name__
        return None
