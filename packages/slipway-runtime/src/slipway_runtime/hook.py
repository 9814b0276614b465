"""CodeDeploy's hook before traffic: real requests against the new version, and the verdict.

First come the checks, which state what any version must answer. Then, if the service declares reads, comes the
comparison with the version that takes the traffic (`slipway_runtime.comparison`).
"""

import json
import os
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypedDict

from aws_lambda_powertools.utilities.typing import LambdaContext
from botocore.exceptions import ClientError

from slipway_runtime import aws
from slipway_runtime.comparison import Comparison, Intended, NotComparableError, Read, compare, described
from slipway_runtime.telemetry import Handler, lambda_handler, logger

if TYPE_CHECKING:
    from mypy_boto3_codedeploy import CodeDeployClient
    from mypy_boto3_lambda import LambdaClient
    from mypy_boto3_lambda.type_defs import FunctionConfigurationTypeDef


LAST_CALL_SECONDS: Final = 240.0
"""Seconds reserved for a last call and the report: three attempts that each wait over a minute."""

_THROTTLED: Final = "TooManyRequestsException"
_LONGEST_PAUSE_SECONDS: Final = 10.0
# A new version starts cold, and a call must outlast the function's 30 s time-out.
_READ_SECONDS: Final = 35.0


class HookEvent(TypedDict, total=False):
    """CodeDeploy's event. Without the ids, as in a manual invocation, there is no report to send."""

    DeploymentId: str
    LifecycleEventHookExecutionId: str


class Verdict(TypedDict):
    """Result of the checks: CodeDeploy's `Succeeded` or `Failed`, and why."""

    status: str
    failures: list[str]


class CheckFailedError(Exception):
    """The new version fails a check. Its text quotes no answer, so it is logged."""


class Check(NamedTuple):
    """One request to the new version.

    Attributes:
        name: Names the check in the log.
        event: The event that the function is invoked with.
        verify: Raises `CheckFailedError` if the answer is wrong.
    """

    name: str
    event: Mapping[str, Any]
    verify: Callable[[Any], None]


def require(condition: object, reason: str) -> None:
    """Raise `CheckFailedError` with the reason unless the condition holds."""
    if not condition:
        raise CheckFailedError(reason)


class ContractCheck:
    """Checks of a new version, whose result decides if CodeDeploy shifts traffic.

    The versions of a function share its reserved concurrency, so a busy function refuses the check's call with 429
    (https://docs.aws.amazon.com/lambda/latest/dg/configuration-concurrency.html). That says nothing about the new
    version: the call is repeated for as long as the hook itself may run, which ends within the hour that CodeDeploy
    waits (https://docs.aws.amazon.com/codedeploy/latest/userguide/reference-appspec-file-structure-hooks.html).

    Args:
        functions: Client of Lambda.
        codedeploy: Client of CodeDeploy.
        target_arn: ARN of the alias that points to the new version.
        checks: The checks that it must pass.
        current_arn: ARN of the alias that takes the traffic. Default: nothing is compared.
        reads: Requests sent to both versions.
        intended: Differences between them that a change makes on purpose.
        pause: Waits for a number of seconds. Default: `time.sleep`.
    """

    def __init__(
        self,
        *,
        functions: "LambdaClient",
        codedeploy: "CodeDeployClient",
        target_arn: str,
        checks: Sequence[Check],
        current_arn: str = "",
        reads: Sequence[Read] = (),
        intended: Sequence[Intended] = (),
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        self._lambda = functions
        self._codedeploy = codedeploy
        self._target_arn = target_arn
        self._checks = checks
        self._current_arn, self._reads, self._intended = current_arn, reads, intended
        self._pause = pause

    def run(self, event: HookEvent, context: LambdaContext) -> Verdict:
        """Run all checks, report the verdict to CodeDeploy, and return it."""
        failures = [f"{check.name}: {reason}" for check in self._checks if (reason := self._failure(check, context))]
        # A version that breaks its contract needs no comparison.
        if not failures and self._reads and self._current_arn:
            failures = self._comparison(context)
        verdict = Verdict(status="Failed" if failures else "Succeeded", failures=failures)
        logger.info("contract check", extra={"target": self._target_arn, **verdict})
        if "DeploymentId" in event:
            self._codedeploy.put_lifecycle_event_hook_execution_status(
                deploymentId=event["DeploymentId"],
                lifecycleEventHookExecutionId=event["LifecycleEventHookExecutionId"],
                status="Failed" if failures else "Succeeded",
            )
        return verdict

    def _comparison(self, context: LambdaContext) -> list[str]:
        """Return where the new version's answers differ from those of the version that takes the traffic."""
        versions: dict[str, str] = {}

        def ask(target: str, event: Mapping[str, Any]) -> Any:
            if context.get_remaining_time_in_millis() / 1000 < LAST_CALL_SECONDS:
                raise CheckFailedError("no time is left to compare the versions")
            answer = self._invoke(json.dumps(event).encode(), context, target)
            versions[target] = answer["ExecutedVersion"]
            if "FunctionError" in answer:
                if target == self._current_arn:
                    raise NotComparableError("the version that takes the traffic itself fails")
                raise CheckFailedError(f"the function failed ({answer['FunctionError']}) at a read that is compared")
            return json.loads(answer["Payload"].read())

        try:
            found = compare(
                self._reads,
                current=lambda event: ask(self._current_arn, event),
                new=lambda event: ask(self._target_arn, event),
                intended=self._intended,
                today=datetime.now(UTC).date(),
            )
        except CheckFailedError as failure:
            return [str(failure)]
        except Exception as error:  # noqa: BLE001 - after any error, the versions have not been compared
            return [f"not compared: {type(error).__name__}"]
        return self._judge(found, versions.get(self._current_arn, "?"), versions.get(self._target_arn, "?"))

    def _judge(self, found: Comparison, current: str, new: str) -> list[str]:
        earlier = self._earlier(current, new) if found.differ else None
        back = {"goes_back_to": earlier} if earlier else {}
        logger.info("comparison", extra={"versions": [current, new], **found.summary(len(self._reads)), **back})
        if earlier:
            return []
        return [
            f"{name}: version {new} differs from version {current} at {described(places)}"
            for name, places in found.differ.items()
        ]

    def _earlier(self, current: str, new: str) -> str | None:
        """Return the number of an earlier version that the new one repeats; None if it repeats none.

        A rollback publishes an earlier version's content again. Its answers differ from those of the version that it
        replaces, which is the purpose of a rollback, so the difference must not stop it.
        """
        try:
            pages = self._lambda.get_paginator("list_versions_by_function").paginate(
                FunctionName=self._current_arn.rpartition(":")[0]
            )
            published = {each["Version"]: _content(each) for page in pages for each in page["Versions"]}
        except ClientError as error:
            logger.warning(
                "versions could not be listed: the difference counts", extra={"error": error.response["Error"]["Code"]}
            )
            return None
        wanted = published.get(new)
        if wanted is None or wanted == published.get(current):
            return None
        others = (number for number, content in published.items() if content == wanted)
        return next((number for number in others if number not in {"$LATEST", current, new}), None)

    def _failure(self, check: Check, context: LambdaContext) -> str | None:
        try:
            answer = self._invoke(json.dumps(check.event).encode(), context, self._target_arn)
            require("FunctionError" not in answer, f"the function failed ({answer.get('FunctionError')})")
            check.verify(json.loads(answer["Payload"].read()))
        except CheckFailedError as failure:
            return str(failure)
        except Exception as error:  # noqa: BLE001 - after any error, no traffic may go to this version
            return type(error).__name__
        return None

    def _invoke(self, payload: bytes, context: LambdaContext, target: str) -> Any:
        """Invoke a version, and repeat while the function is throttled."""
        pause = 1.0
        while True:
            try:
                return self._lambda.invoke(FunctionName=target, Payload=payload)
            except ClientError as error:
                if error.response["Error"]["Code"] != _THROTTLED:
                    raise
            if context.get_remaining_time_in_millis() / 1000 < LAST_CALL_SECONDS + pause:
                raise CheckFailedError("throttled until time ran out: the function has no concurrency left for a check")
            logger.info("throttled: the check is repeated", extra={"target": target, "seconds": pause})
            self._pause(pause)
            pause = min(2 * pause, _LONGEST_PAUSE_SECONDS)


def _content(version: "FunctionConfigurationTypeDef") -> tuple[Any, ...]:
    """Return what a version runs: its code, its variables, and the sizes of its layers, whose numbers change."""
    layers = tuple(layer.get("CodeSize") for layer in version.get("Layers", ()))
    return version["CodeSha256"], version.get("Environment"), layers


def before_traffic(
    checks: Sequence[Check], *, reads: Sequence[Read] = (), intended: Sequence[Intended] = ()
) -> Handler:
    """Return the handler that CodeDeploy invokes before it moves traffic to a new version.

    Args:
        checks: Checks that the version behind the alias `TARGET_ALIAS_ARN` must pass.
        reads: Requests that it must answer as the version behind `CURRENT_ALIAS_ARN` does. Default: nothing is
            compared.
        intended: Differences that this change makes on purpose.
    """

    @lambda_handler()
    def handler(event: HookEvent, context: LambdaContext) -> Verdict:
        check = ContractCheck(
            functions=aws.client("lambda", read_seconds=_READ_SECONDS),
            codedeploy=aws.client("codedeploy"),
            target_arn=os.environ["TARGET_ALIAS_ARN"],
            checks=checks,
            current_arn=os.environ.get("CURRENT_ALIAS_ARN", ""),
            reads=reads,
            intended=intended,
        )
        return check.run(event, context)

    return handler
