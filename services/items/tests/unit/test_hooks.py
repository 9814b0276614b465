"""The contract checks before traffic: what passes, what fails, and what CodeDeploy hears."""

import io
import json
from collections.abc import Callable
from typing import Any

import pytest

from services.items.runtime import hooks, stream
from services.items.tests.unit.fakes import Harness
from slipway.testing.functions import Context, client_error
from slipway_runtime import aws
from slipway_runtime.hook import LAST_CALL_SECONDS, ContractCheck

EVENT = {"DeploymentId": "d-1", "LifecycleEventHookExecutionId": "e-1"}


class Lambda:
    """Lambda with one function behind the alias."""

    def __init__(self, function: Callable[[Any], Any]) -> None:
        self.function = function
        self.targets: list[str] = []

    def invoke(self, *, FunctionName: str, Payload: bytes) -> dict[str, Any]:  # noqa: N803
        self.targets.append(FunctionName)
        try:
            answer = self.function(json.loads(Payload))
        except ValueError:
            return {"FunctionError": "Unhandled", "Payload": io.BytesIO(b'{"errorMessage": "x"}')}
        return {"Payload": io.BytesIO(json.dumps(answer).encode())}


class CodeDeploy:
    def __init__(self) -> None:
        self.reports: list[dict[str, str]] = []

    def put_lifecycle_event_hook_execution_status(self, **call: str) -> None:
        self.reports.append(call)


@pytest.fixture
def codedeploy() -> CodeDeploy:
    return CodeDeploy()


@pytest.fixture
def check(monkeypatch: pytest.MonkeyPatch, codedeploy: CodeDeploy) -> Callable[..., Any]:
    def run(handler: Any, function: Callable[[Any], Any], event: dict[str, str] = EVENT) -> Any:
        functions = Lambda(function)
        clients: dict[str, object] = {"lambda": functions, "codedeploy": codedeploy}
        monkeypatch.setattr(aws, "client", lambda service, **_: clients[service])
        verdict = handler(event, Context())
        assert set(functions.targets) == {"arn:aws:lambda:us-east-1:111111111111:function:api:staging"}
        return verdict

    return run


def report(status: str) -> list[dict[str, str]]:
    return [{"deploymentId": "d-1", "lifecycleEventHookExecutionId": "e-1", "status": status}]


@pytest.mark.requirement("safe deployments")
def test_the_real_function_passes_and_nothing_is_written(
    api: Harness, check: Callable[..., Any], codedeploy: CodeDeploy
) -> None:
    verdict = check(hooks.api_handler, lambda event: api.call(event).raw)
    assert verdict == {"status": "Succeeded", "failures": []}
    assert codedeploy.reports == report("Succeeded")
    assert not api.storage.items


def test_the_real_stream_function_passes(check: Callable[..., Any], codedeploy: CodeDeploy) -> None:
    assert check(hooks.stream_handler, lambda event: stream.handler(event, Context()))["status"] == "Succeeded"
    assert codedeploy.reports == report("Succeeded")


@pytest.mark.requirement("safe deployments")
def test_a_version_without_its_table_fails(api: Harness, check: Callable[..., Any], codedeploy: CodeDeploy) -> None:
    api.storage.failure = client_error("AccessDeniedException", "GetItem")
    verdict = check(hooks.api_handler, lambda event: api.call(event).raw)
    assert verdict == {"status": "Failed", "failures": ["health: answered 503"]}
    assert codedeploy.reports == report("Failed")


@pytest.mark.requirement("versions and aliases")
def test_an_alias_that_does_not_point_to_a_version_fails(api: Harness, check: Callable[..., Any]) -> None:
    api.context = Context(function_version="$LATEST")
    verdict = check(hooks.api_handler, lambda event: api.call(event).raw)
    assert verdict["failures"] == ["health: the answer came from $LATEST, not from a version"]


def crash(_: object) -> None:
    raise ValueError


@pytest.mark.parametrize(
    "function",
    [
        crash,
        lambda _: None,
        lambda _: {"statusCode": 200},
        lambda _: {"statusCode": 200, "body": "no json", "multiValueHeaders": {}},
        lambda _: {"statusCode": 200, "body": '{"function_version": "7"}', "multiValueHeaders": {}},
        lambda _: {"batchItemFailures": [{"itemIdentifier": "1"}]},
    ],
)
@pytest.mark.parametrize("handler", [hooks.api_handler, hooks.stream_handler])
def test_whatever_else_a_version_does_fails(
    check: Callable[..., Any], codedeploy: CodeDeploy, handler: Any, function: Callable[[Any], Any]
) -> None:
    assert check(handler, function)["status"] == "Failed"
    assert codedeploy.reports == report("Failed")


def test_a_call_that_fails_is_a_failed_check(check: Callable[..., Any], codedeploy: CodeDeploy) -> None:
    def refuse(_: object) -> None:
        raise client_error("AccessDeniedException", "Invoke")

    assert check(hooks.stream_handler, refuse)["failures"] == ["an empty batch: ClientError"]
    assert codedeploy.reports == report("Failed")


class TestThrottles:
    """A throttled call says nothing of the new version: the other versions use the same concurrency."""

    @staticmethod
    def check(refusals: int, context: Context) -> tuple[Any, list[float]]:
        """Check a function that refuses so many calls."""
        left = iter(range(refusals))
        pauses: list[float] = []

        def answer(_: object) -> dict[str, list[str]]:
            if next(left, None) is not None:
                raise client_error("TooManyRequestsException", "Invoke")
            return {"batchItemFailures": []}

        def pause(wanted: float) -> None:
            pauses.append(wanted)
            context.remaining -= int(1000 * wanted)

        checks = ContractCheck(
            functions=Lambda(answer),  # type: ignore[arg-type]
            codedeploy=CodeDeploy(),  # type: ignore[arg-type]
            target_arn="target",
            checks=hooks.STREAM_CHECKS,
            pause=pause,
        )
        return checks.run(EVENT, context), pauses  # type: ignore[arg-type]

    @pytest.mark.requirement("a contract check that fails because the function is busy")
    def test_a_throttled_check_is_repeated(self) -> None:
        verdict, pauses = self.check(6, Context(remaining=900_000))
        assert verdict["status"] == "Succeeded"
        assert pauses == [1, 2, 4, 8, 10, 10]

    def test_throttles_end_in_time_to_report(self) -> None:
        context = Context(remaining=900_000)
        verdict, pauses = self.check(10_000, context)
        assert verdict["failures"] == [
            "an empty batch: throttled to the end: the function has no concurrency left for a check"
        ]
        assert context.remaining >= 1000 * LAST_CALL_SECONDS
        assert sum(pauses) > 600


def test_by_hand_the_verdict_is_returned_and_nobody_told(
    api: Harness, check: Callable[..., Any], codedeploy: CodeDeploy
) -> None:
    assert check(hooks.api_handler, lambda event: api.call(event).raw, {})["status"] == "Succeeded"
    assert codedeploy.reports == []
