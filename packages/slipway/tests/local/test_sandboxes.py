"""Two sandboxes beside each other on this machine; what is left of one that ended; and one whose time is over."""

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
from slipway import paths
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
    """The folder of the sandboxes of the specimen; whatever a test leaves there is ended."""
    isolate()
    folder = tmp_path / "sandboxes"
    monkeypatch.setattr(paths, "ROOT", project)
    monkeypatch.setattr(sandboxes, "FOLDER", folder)
    yield folder
    for left in [each.name for each in listed(folder)]:
        take_down(left, folder)


def _bucket_of(found: LocalSandbox) -> str:
    """Put an object into a new bucket of the sandbox's account, under a name that each of them uses."""
    s3 = found.local.emulator.session().client("s3")
    s3.create_bucket(Bucket="mine")
    s3.put_object(Bucket="mine", Key="whose", Body=found.wanted.name.encode())
    body: bytes = s3.get_object(Bucket="mine", Key="whose")["Body"].read()
    return body.decode()


@pytest.mark.timeout(600)
def test_two_sandboxes_stand_beside_each_other_and_one_ends_alone(home: Path) -> None:
    # Given two sandboxes of the same environment
    anna, ben = (LocalSandbox(specimen.SETTINGS, name, of="dev") for name in ("anna", "ben"))
    for each in (anna, ben):
        deployed = each.up([SERVICE], _silent)
        assert SERVICE in deployed.outputs

    # Then each has what is its own, in an account of its own
    states = {state.name: state for state in listed(home)}
    assert {name: (state.state, state.environment) for name, state in states.items()} == {
        "anna": ("up", "dev-anna"),
        "ben": ("up", "dev-ben"),
    }
    assert states["anna"].services == (SERVICE,)
    for what in ("account", "endpoint", "pid", "folder"):
        assert getattr(states["anna"], what) != getattr(states["ben"], what)
    assert [_bucket_of(each) for each in (anna, ben)] == ["anna", "ben"]

    # When one ends
    pid, ports = states["anna"].pid, (anna.local.emulator.port, anna.local.emulator.plain_port)
    assert pid is not None
    children = [pid, *(child.pid for child in psutil.Process(pid).children(recursive=True))]
    assert take_down("anna", home)

    # Then nothing of it is left: no process, no port, no file, and so no account
    assert not any(psutil.pid_exists(each) for each in children)
    assert [holder_of(port) for port in ports] == [None, None]
    assert [each.name for each in home.iterdir()] == ["ben"]
    # And the other one still answers
    assert [state.state for state in listed(home)] == ["up"]
    assert ben.local.emulator.session().client("s3").get_object(Bucket="mine", Key="whose")["Body"].read() == b"ben"
    # And ending it once more says that there is none
    assert not take_down("anna", home)
    assert take_down("ben", home)
    assert not home.exists()
    # The verbs end a sandbox from a process of their own; this one started it, and has to reap it.
    for each in (anna, ben):
        each.local.emulator.stop()


@pytest.mark.timeout(600)
def test_sandbox_whose_time_is_over_ends_itself(project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Given a sandbox in the development environment's account whose last day is past
    isolate()
    monkeypatch.setattr(paths, "ROOT", project)
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

        # When its schedule invokes the function, again and again
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

        # Then its stacks are gone, with the function and the schedule
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
