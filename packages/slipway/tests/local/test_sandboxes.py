"""Sandboxes on this machine: two at the same time, what is left after one ends, and one that has expired."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import psutil
import pytest

import specimen
from slipway.delivery.names import deletion_waves
from slipway.emulator.environment import LocalEnvironment
from slipway.emulator.server import holder_of, isolate
from slipway.process import run
from slipway.sandbox import local as sandboxes
from slipway.sandbox.local import LocalSandbox, listed, take_down
from slipway.settings.sandbox import WantedSandbox, derive
from slipway.testing.emulated import until

SERVICE = "sweep"
PAST = "2026-01-01T00:00:00Z"


def _silent(_: str) -> Any:
    return nullcontext(lambda _: None)


@pytest.fixture
def home(project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Create the folder of the specimen's sandboxes; sandboxes that a test leaves running are ended."""
    isolate()
    folder = tmp_path / "sandboxes"
    monkeypatch.setattr("slipway.project.ROOT", project)
    monkeypatch.setattr(sandboxes, "FOLDER", folder)
    yield folder
    for left in [each.name for each in listed(folder)]:
        take_down(left, folder)


def _bucket_of(found: LocalSandbox) -> str:
    """Put an object into a new bucket of the sandbox's account, with the same bucket name in each."""
    s3 = found.local.emulator.session().client("s3")
    s3.create_bucket(Bucket="mine")
    s3.put_object(Bucket="mine", Key="whose", Body=found.wanted.name.encode())
    body: bytes = s3.get_object(Bucket="mine", Key="whose")["Body"].read()
    return body.decode()


@pytest.mark.timeout(600)
def test_two_sandboxes_run_in_parallel_and_end_separately(home: Path) -> None:
    # Given two sandboxes of the same environment
    anna, ben = (LocalSandbox(specimen.SETTINGS, name, of="dev") for name in ("anna", "ben"))
    for each in (anna, ben):
        deployed = each.up([SERVICE], _silent)
        assert SERVICE in deployed.outputs

    # Then each has its own resources in its own account
    states = {state.name: state for state in listed(home)}
    assert {name: (state.state, state.environment) for name, state in states.items()} == {
        "anna": ("up", "dev-anna"),
        "ben": ("up", "dev-ben"),
    }
    assert states["anna"].services == (SERVICE,)
    for what in ("account", "endpoint", "pid", "folder"):
        assert getattr(states["anna"], what) != getattr(states["ben"], what)
    assert [_bucket_of(each) for each in (anna, ben)] == ["anna", "ben"]

    # When one of them is ended
    pid, ports = states["anna"].pid, (anna.local.emulator.port, anna.local.emulator.plain_port)
    assert pid is not None
    children = [pid, *(child.pid for child in psutil.Process(pid).children(recursive=True))]
    assert take_down("anna", home)

    # Then nothing of it is left: no process, port or file, and therefore no account
    assert not any(psutil.pid_exists(each) for each in children)
    assert [holder_of(port) for port in ports] == [None, None]
    assert [each.name for each in home.iterdir()] == ["ben"]
    # And the other one still answers
    assert [state.state for state in listed(home)] == ["up"]
    assert ben.local.emulator.session().client("s3").get_object(Bucket="mine", Key="whose")["Body"].read() == b"ben"
    # And ending it again reports that it does not exist
    assert not take_down("anna", home)
    assert take_down("ben", home)
    assert not home.exists()
    # The verbs end a sandbox that another process started; this process started it, and has to reap its children
    for each in (anna, ben):
        each.local.emulator.stop()


@pytest.mark.timeout(600)
def test_expired_sandbox_deletes_itself(project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Given a sandbox in the development environment's account that has expired
    isolate()
    monkeypatch.setattr("slipway.project.ROOT", project)
    wanted = WantedSandbox("over", "dev", expires=PAST)
    derived = derive(specimen.SETTINGS, wanted)
    (environment,) = derived.environments
    found = LocalEnvironment(
        environment, derived.pipeline, folder=tmp_path / "over", port=0, assembly=tmp_path / "cdk.out"
    )
    _synthesise(project, wanted, found.assembly)
    try:
        found.start()
        found.deploy([SERVICE], _silent)
        session = found.emulator.session()
        formation, functions = session.client("cloudformation"), session.client("lambda")

        def there() -> set[str]:
            ours = [each["StackName"] for each in formation.describe_stacks()["Stacks"]]
            return {name for name in ours if name.startswith(f"{environment.name}-")}

        expected = {name for wave in deletion_waves(environment, [SERVICE]) for name, _ in wave}
        assert there()
        assert there() <= expected

        # When its schedule invokes the function repeatedly
        (schedule,) = session.client("scheduler").list_schedules()["Schedules"]
        target = session.client("scheduler").get_schedule(Name=schedule["Name"])["Target"]["Arn"]
        while left := there():
            answer = functions.invoke(FunctionName=target, Payload=b"{}")
            said = json.loads(answer["Payload"].read())
            assert not answer.get("FunctionError"), said
            assert said, "it found nothing to do"

            def fewer(before: set[str] = left) -> bool | None:
                return there() < before or None

            until(fewer)

        # Then its stacks are deleted, including the function and the schedule
        assert not session.client("scheduler").list_schedules()["Schedules"]
        names = [each["FunctionName"] for each in functions.list_functions()["Functions"]]
        assert not [name for name in names if name.startswith(environment.name)]
    finally:
        found.stop()


def _synthesise(project: Path, wanted: WantedSandbox, assembly: Path) -> None:
    variables = {
        **os.environ,
        **wanted.variables,
        "SLIPWAY_PROJECT": str(project),
        "SLIPWAY_SERVICES": SERVICE,
        "CDK_VALIDATION": "false",
        "CDK_OUTDIR": str(assembly),
    }
    done = run([sys.executable, "-O", "app.py"], folder=project, environment=variables)
    assert done.returncode == 0, done.last_error
