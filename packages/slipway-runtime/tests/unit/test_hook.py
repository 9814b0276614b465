"""The hook before traffic compares the new version with the version that serves the traffic."""

import io
import json
import logging
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError

from slipway.testing import functions
from slipway.testing.functions import client_error
from slipway_runtime import aws
from slipway_runtime.checks import EMPTY_BATCH, healthy, no_failures, rest_request
from slipway_runtime.comparison import Intended, Read
from slipway_runtime.hook import LAST_CALL_SECONDS, Check, ContractCheck, HookEvent, Verdict, before_traffic, require

EVENT: HookEvent = {"DeploymentId": "d-1", "LifecycleEventHookExecutionId": "e-1"}
READ = Read("a page", {"path": "/items"})
FUNCTION = "arn:aws:lambda:eu-west-1:111111111111:function:api"
LIVE, STAGING = f"{FUNCTION}:live", f"{FUNCTION}:staging"
TOMORROW = datetime.now(UTC).date() + timedelta(days=1)


def version(number: str, code: str, *, layer: int = 1, **variables: str) -> dict[str, Any]:
    layers = [{"Arn": f"{FUNCTION}-layer:{number}", "CodeSize": layer}]
    return {"Version": number, "CodeSha256": code, "Environment": {"Variables": variables}, "Layers": layers}


class Context:
    """The context that Lambda passes to the hook."""

    def __init__(self, seconds: float = 900) -> None:
        self.seconds = seconds

    def get_remaining_time_in_millis(self) -> int:
        return int(1000 * self.seconds)


class Versions:
    """Lambda with an old version behind `live` and a new one behind `staging`."""

    def __init__(self, old: Callable[[Any], Any], new: Callable[[Any], Any]) -> None:
        self._answers = {LIVE: old, STAGING: new}
        self.called: list[str] = []
        self.published = [version("$LATEST", "new"), version("3", "old"), version("4", "new")]
        self.refuses = False

    def get_paginator(self, operation: str) -> "Versions":
        assert operation == "list_versions_by_function"
        return self

    def paginate(self, *, FunctionName: str) -> list[dict[str, Any]]:  # noqa: N803 - AWS's names
        assert f"{FunctionName}:live" == LIVE
        if self.refuses:
            raise ClientError({"Error": {"Code": "AccessDeniedException", "Message": ""}}, "ListVersionsByFunction")
        return [{"Versions": self.published[:2]}, {"Versions": self.published[2:]}]

    def invoke(self, *, FunctionName: str, Payload: bytes) -> dict[str, Any]:  # noqa: N803 - AWS's names
        self.called.append(FunctionName)
        answer = self._answers[FunctionName](json.loads(Payload))
        version = {LIVE: "3", STAGING: "4"}[FunctionName]
        error = {"FunctionError": "Unhandled"} if answer is None else {}
        return {"ExecutedVersion": version, "Payload": io.BytesIO(json.dumps(answer).encode()), **error}


class CodeDeploy:
    """Records the reported status."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def put_lifecycle_event_hook_execution_status(
        self,
        *,
        status: str,
        deploymentId: str,  # noqa: N803 - AWS's names
        lifecycleEventHookExecutionId: str,  # noqa: N803 - AWS's names
    ) -> None:
        assert (deploymentId, lifecycleEventHookExecutionId) == ("d-1", "e-1")
        self.said.append(status)


def page(*names: str) -> Callable[[Any], Mapping[str, Any]]:
    body = json.dumps({"items": list(names)})
    return lambda _: {"statusCode": 200, "headers": {"Content-Type": "application/json"}, "body": body}


def run(
    old: Callable[[Any], Any],
    new: Callable[[Any], Any],
    *,
    seconds: float = 900,
    checks: tuple[Check, ...] = (),
    published: list[dict[str, Any]] | None = None,
    refuses: bool = False,
    **more: Any,
) -> tuple[Verdict, Versions, CodeDeploy]:
    versions, codedeploy = Versions(old, new), CodeDeploy()
    versions.published, versions.refuses = published or versions.published, refuses
    check = ContractCheck(
        functions=versions,  # type: ignore[arg-type]
        codedeploy=codedeploy,  # type: ignore[arg-type]
        target_arn=STAGING,
        checks=checks,
        **{"current_arn": LIVE, "reads": (READ,), **more},
    )
    return check.run(EVENT, Context(seconds)), versions, codedeploy  # type: ignore[arg-type]


def test_version_with_the_same_answers_takes_traffic() -> None:
    verdict, versions, codedeploy = run(page("kettle"), page("kettle"))

    assert verdict == {"status": "Succeeded", "failures": []}
    assert versions.called == [LIVE, STAGING, LIVE]
    assert codedeploy.said == ["Succeeded"]


def test_wrong_answer_with_200_stops_the_version() -> None:
    verdict, _, codedeploy = run(page("kettle"), page("pot"))

    assert verdict["failures"] == ["a page: version 4 differs from version 3 at /items/0"]
    assert codedeploy.said == ["Failed"]


def test_declared_change_takes_traffic() -> None:
    intended = (Intended("a page", "/items", "names are new", TOMORROW),)

    assert run(page("kettle"), page("pot"), intended=intended)[0]["status"] == "Succeeded"


def test_log_says_what_was_compared_and_how_much(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        run(page("kettle"), page("secret pot"))

    (record,) = (record for record in caplog.records if record.message == "comparison")
    said = vars(record)
    assert (said["versions"], said["reads"], said["compared"]) == (["3", "4"], 1, 1)
    assert said["differ"] == {"a page": ["/items/0"]}
    assert "secret" not in str(said)


@pytest.mark.parametrize(
    ("earlier", "wrong", "back"),
    [
        (version("2", "good"), version("3", "wrong"), version("4", "good")),
        (version("2", "same", PAGE="10"), version("3", "same", PAGE="0"), version("4", "same", PAGE="10")),
        (version("2", "same", layer=1), version("3", "same", layer=2), version("4", "same", layer=1)),
    ],
    ids=["code", "variable", "layer"],
)
def test_rollback_from_wrong_answers_takes_traffic(
    earlier: dict[str, Any], wrong: dict[str, Any], back: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO):
        verdict, _, codedeploy = run(page("pot"), page("kettle"), published=[earlier, wrong, back])

    assert verdict["status"] == "Succeeded"
    assert codedeploy.said == ["Succeeded"]
    (record,) = (record for record in caplog.records if record.message == "comparison")
    assert vars(record)["goes_back_to"] == "2"


@pytest.mark.parametrize(
    "published",
    [
        [version("$LATEST", "new"), version("2", "other"), version("3", "old"), version("4", "new")],
        [version("2", "same"), version("3", "same"), version("4", "same")],
        [version("2", "new"), version("3", "old")],
    ],
    ids=["new code", "nothing changed", "not listed"],
)
def test_difference_is_only_ignored_for_a_rollback(published: list[dict[str, Any]]) -> None:
    assert run(page("kettle"), page("pot"), published=published)[0]["status"] == "Failed"


def test_difference_counts_if_versions_cannot_be_listed() -> None:
    published = [version("2", "new"), version("3", "old"), version("4", "new")]

    assert run(page("kettle"), page("pot"), published=published)[0]["status"] == "Succeeded"
    assert run(page("kettle"), page("pot"), published=published, refuses=True)[0]["status"] == "Failed"


def test_fix_of_a_version_that_fails_is_not_blocked() -> None:
    assert run(lambda _: None, page("kettle"))[0]["status"] == "Succeeded"


def test_version_that_fails_at_a_read_is_stopped() -> None:
    verdict, _, _ = run(page("kettle"), lambda _: None)

    assert verdict["failures"] == ["the function failed (Unhandled) at a read that is compared"]


def test_comparison_that_could_not_run_fails() -> None:
    def without_secret() -> Mapping[str, Any]:
        raise KeyError("ORIGIN_SECRET_ARN")

    verdict, _, _ = run(page(), page(), reads=(Read("a page", without_secret),))
    assert verdict["failures"] == ["not compared: KeyError"]
    verdict, versions, _ = run(page(), page(), seconds=LAST_CALL_SECONDS - 1)
    assert verdict["failures"] == ["no time is left to compare the versions"]
    assert not versions.called


def test_broken_contract_fails_without_comparison() -> None:
    broken = Check("always wrong", {}, lambda _: require(condition=False, reason="no"))

    verdict, versions, _ = run(page(), page(), checks=(broken,))

    assert verdict["failures"] == ["always wrong: no"]
    assert versions.called == [STAGING]


def test_nothing_is_compared_without_reads() -> None:
    assert run(page("kettle"), page("pot"), reads=())[1].called == []


HEALTH = Check("health", rest_request("GET", "/health"), healthy)
BATCH = Check("an empty batch", EMPTY_BATCH, no_failures)


def health(version: str = "7", status: int = 200) -> Callable[[Any], Any]:
    body = json.dumps({"status": "ok", "function_version": version})
    return lambda _: {"statusCode": status, "body": body, "multiValueHeaders": {"Content-Type": ["application/json"]}}


def checked(new: Callable[[Any], Any], *checks: Check, **more: Any) -> tuple[Verdict, CodeDeploy]:
    verdict, _, codedeploy = run(page(), new, checks=checks, reads=(), **more)
    return verdict, codedeploy


class TestChecks:
    @pytest.mark.requirement("safe deployments")
    def test_version_that_keeps_its_contract_takes_traffic(self) -> None:
        verdict, codedeploy = checked(health(), HEALTH)
        assert verdict == {"status": "Succeeded", "failures": []}
        assert codedeploy.said == ["Succeeded"]

    @pytest.mark.requirement("safe deployments", "versions and aliases")
    @pytest.mark.parametrize(
        ("new", "failure"),
        [
            (health(status=503), "health: answered 503"),
            (health("$LATEST"), "health: the answer came from $LATEST, not from a version"),
        ],
    )
    def test_version_without_its_table_or_number_fails(self, new: Callable[[Any], Any], failure: str) -> None:
        verdict, codedeploy = checked(new, HEALTH)
        assert verdict == {"status": "Failed", "failures": [failure]}
        assert codedeploy.said == ["Failed"]

    @pytest.mark.parametrize(
        "answer",
        [
            None,
            {},
            {"statusCode": 200},
            {"statusCode": 200, "body": "no json", "multiValueHeaders": {}},
            {"batchItemFailures": [{"itemIdentifier": "1"}]},
        ],
        ids=str,
    )
    @pytest.mark.parametrize("check", [HEALTH, BATCH], ids=["api", "batch"])
    def test_any_other_answer_fails(self, check: Check, answer: Any) -> None:
        verdict, codedeploy = checked(lambda _: answer, check)
        assert verdict["status"] == "Failed"
        assert codedeploy.said == ["Failed"]

    def test_a_call_that_fails_is_a_failed_check(self) -> None:
        def refuse(_: object) -> None:
            raise client_error("AccessDeniedException", "Invoke")

        assert checked(refuse, BATCH)[0]["failures"] == ["an empty batch: ClientError"]

    def test_manual_call_returns_the_verdict_without_reporting(self, monkeypatch: pytest.MonkeyPatch) -> None:
        clients: dict[str, Any] = {"lambda": Versions(page(), health()), "codedeploy": CodeDeploy()}
        monkeypatch.setattr(aws, "client", lambda service, **_: clients[service])
        monkeypatch.setenv("TARGET_ALIAS_ARN", STAGING)
        assert before_traffic((HEALTH,))({}, functions.Context())["status"] == "Succeeded"
        assert clients["codedeploy"].said == []


class TestThrottles:
    """A throttled call does not judge the new version, since other versions use the same concurrency."""

    @staticmethod
    def check(refusals: int, seconds: float) -> tuple[Verdict, list[float]]:
        """Check a function that refuses this number of calls."""
        left = iter(range(refusals))
        pauses: list[float] = []
        context = Context(seconds)

        def answer(_: object) -> dict[str, list[str]]:
            if next(left, None) is not None:
                raise client_error("TooManyRequestsException", "Invoke")
            return {"batchItemFailures": []}

        def pause(wanted: float) -> None:
            pauses.append(wanted)
            context.seconds -= wanted

        checks = ContractCheck(
            functions=Versions(page(), answer),  # type: ignore[arg-type]
            codedeploy=CodeDeploy(),  # type: ignore[arg-type]
            target_arn=STAGING,
            checks=(BATCH,),
            pause=pause,
        )
        verdict = checks.run(EVENT, context)  # type: ignore[arg-type]
        assert context.seconds >= LAST_CALL_SECONDS
        return verdict, pauses

    @pytest.mark.requirement("a contract check that fails because the function is busy")
    def test_a_throttled_check_is_repeated(self) -> None:
        verdict, pauses = self.check(6, 900)
        assert verdict["status"] == "Succeeded"
        assert pauses == [1, 2, 4, 8, 10, 10]

    def test_throttled_checks_end_in_time_to_report(self) -> None:
        verdict, pauses = self.check(10_000, 900)
        assert verdict["failures"] == [
            "an empty batch: throttled until time ran out: the function has no concurrency left for a check"
        ]
        assert sum(pauses) > 600
