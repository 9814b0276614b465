"""Experiments on a service: it is called while its function is delayed or fails, and judged by its answers."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from botocore.credentials import ReadOnlyCredentials

from local.bare import LOGS, Account, emulated_account
from local.injected import CODE, DELAY, ERROR, READS, VARIABLES, alarm, template
from slipway.attack.target import AttackTarget
from slipway.emulator.routes import routes
from slipway.resilience.experiment import ExperimentRun, Pace, run_experiment
from slipway.resilience.function_faults import FAILING_API, FAILING_READERS, SLOW_FUNCTIONS, FunctionFault

RESPONSES = {str(status): {"description": "-"} for status in (200, 500, 503)}
DOCUMENT = {"openapi": "3.1.0", "paths": {"/things": {"get": {"responses": RESPONSES}}}}
PACE = Pace(call_seconds=0.1, refused_seconds=0.1, metric_seconds=1)
ALL = {"preventExecution": "true"}


account = emulated_account()


@pytest.fixture
def function(account: Account) -> str:
    name = account.function(account.role(LOGS, *READS), CODE, Environment={"Variables": VARIABLES})
    assert account.invoke(name) == "well"
    return name


@contextmanager
def service(logic: Callable[[], int], folder: Path) -> Iterator[AttackTarget]:
    """Yield a service whose only operation returns the test's status."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status = logic()
            self.send_response(status)
            self.send_header("Content-Type", "application/json" if status == 200 else "application/problem+json")
            self.end_headers()
            self.wfile.write(b"{}")

        def log_message(self, *_: object) -> None:
            pass

    (folder / "things").mkdir()
    (folder / "things" / "openapi.json").write_text(json.dumps(DOCUMENT), encoding="utf-8")
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield AttackTarget(
            service="things",
            document=DOCUMENT,
            routes=routes("things", services=folder),
            outputs={"ApiEndpoint": f"http://127.0.0.1:{server.server_port}/"},
            region="us-east-1",
            headers={},
            credentials=ReadOnlyCredentials("id", "secret", None),
        )
    finally:
        server.shutdown()
        server.server_close()


def run(account: Account, target: AttackTarget, name: str, fault: FunctionFault) -> ExperimentRun:
    found = ExperimentRun("things", fault, delay_seconds=0.6)
    run_experiment(account.emulator.session(), target, name, found, pace=PACE, most_seconds=20)
    return found


@pytest.mark.parametrize(
    ("refusal", "fault", "broken"),
    [
        # The gateway may refuse instead of a failing function, but not if the work is repeated
        (503, FAILING_API, ()),
        (503, FAILING_READERS, ("GET /things answered 503",)),
        (418, FAILING_API, ("GET /things answered 418, which its document does not describe",)),
    ],
)
def test_a_planted_fault_is_found(  # noqa: PLR0917
    account: Account, function: str, tmp_path: Path, refusal: int, fault: FunctionFault, broken: tuple[str, ...]
) -> None:
    # Given a service that answers with a status if its function fails
    def logic() -> int:
        return 200 if account.invoke(function) == "well" else refusal

    with service(logic, tmp_path) as target:
        # When an experiment fails every invocation
        found = run(account, target, template(account, function, ERROR, ALL, duration="PT2S"), fault)
        # Then the broken operations are reported, with the number of failed invocations
        assert found.broken == broken
        assert found.status == "completed"
        assert found.failed_invocations
        assert logic() == 200


def test_late_functions_are_noticed(account: Account, function: str, tmp_path: Path) -> None:
    with service(lambda: 200 if account.invoke(function) == "well" else 500, tmp_path) as target:
        found = run(account, target, template(account, function, *DELAY, duration="PT2S"), SLOW_FUNCTIONS)
    assert found.late
    assert found.faults == []
    assert "degrades as it promises" in str(found)


def test_unaffected_functions_are_a_failure(account: Account, function: str, tmp_path: Path) -> None:
    # Given a service that does not call the function
    with service(lambda: 200, tmp_path) as target:
        found = run(account, target, template(account, function, *DELAY, duration="PT2S"), SLOW_FUNCTIONS)
    assert found.faults == ["no answer was late: the experiment did not reach the functions"]


def test_an_alarm_stops_an_experiment_and_the_run(account: Account, function: str, tmp_path: Path) -> None:
    # Given an alarm that triggers when the function fails
    alarm(account, "alarmed")

    def logic() -> int:
        if account.invoke(function) == "well":
            return 200
        account.client("cloudwatch").set_alarm_state(AlarmName="alarmed", StateValue="ALARM", StateReason="test")
        return 503

    with service(logic, tmp_path) as target:
        began = time.monotonic()
        found = run(account, target, template(account, function, ERROR, ALL, alarm="alarmed"), FAILING_API)
    assert time.monotonic() - began < 15
    assert found.status == "stopped"
    assert "alarm:alarmed" in found.faults[0]


def test_an_interrupted_run_stops_its_experiment(account: Account, function: str, tmp_path: Path) -> None:
    found, name = ExperimentRun("things", FAILING_API), template(account, function, ERROR, ALL)
    with service(lambda: 200, tmp_path) as target, pytest.raises(KeyboardInterrupt):
        run_interrupted(account, target, name, found)
    state = account.client("fis").get_experiment(id=found.name)["experiment"]["state"]
    assert state == {"status": "stopped", "reason": "Experiment stopped by request."}


def run_interrupted(account: Account, target: AttackTarget, name: str, found: ExperimentRun) -> None:
    """Run an experiment that is interrupted with Ctrl-C at the first pause."""

    def interrupt(_: float) -> None:
        raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("slipway.resilience.experiment.time.sleep", interrupt)
        run_experiment(account.emulator.session(), target, name, found, pace=PACE, most_seconds=20)
