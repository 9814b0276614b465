"""An environment, deployed once on its own emulator, for all tests of running services.

Each test process has an emulator, so that `pytest -n` works too; it costs one deployment per process.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol, TypeVar

import boto3
import httpx
import pytest
from filelock import FileLock

from slipway import settings as config
from slipway.emulator.environment import FOUNDATION, LocalEnvironment, Outputs
from slipway.emulator.prepare import prepare
from slipway.emulator.routes import SigV4, target
from slipway.emulator.server import Credentials, isolate
from slipway.emulator.stages import stage_folder
from slipway.permissions.plan import functions
from slipway.project import ROOT

T = TypeVar("T")

TESTS = ROOT / "build" / "test"
FOLDER = TESTS / os.environ.get("PYTEST_XDIST_WORKER", "main")


class Request(Protocol):
    """Sends a request to a service."""

    def __call__(self, method: str, path: str, *, service: str = "", **content: Any) -> httpx.Response:
        """Send it; `content` is httpx's: `json`, `content`, `headers` and so on."""


def synthesized() -> Path:
    """Return the assembly of this run of pytest: its first process creates it, the others wait for it."""
    run = os.environ.get("PYTEST_XDIST_TESTRUNUID", str(os.getpid()))
    assembly, made_by = TESTS / "cdk.out", TESTS / "cdk.out.run"
    with FileLock(TESTS / "cdk.out.lock"):
        if not made_by.is_file() or made_by.read_text(encoding="utf-8") != run:
            prepare(lambda _: None, assembly=assembly)
            made_by.write_text(run, encoding="utf-8")
    return assembly


@pytest.fixture(scope="session")
def local() -> Iterator[LocalEnvironment]:
    """Yield the first environment with every service deployed; the session's end removes it, also after Ctrl-C."""
    isolate()
    settings = config.load()
    FOLDER.mkdir(parents=True, exist_ok=True)
    assembly = synthesized()
    environment = settings.environments[0]
    # Delete leftovers of a killed session.
    LocalEnvironment(environment, settings.pipeline, folder=FOLDER / "dev", port=0).stop()
    local = LocalEnvironment(environment, settings.pipeline, folder=FOLDER / "dev", port=0, assembly=assembly)
    try:
        local.start()
        deployed = local.deploy((), lambda _: nullcontext(lambda _: None))
        local.caller(deployed.outputs)
        yield local
    finally:
        local.stop()


@pytest.fixture(scope="session")
def function_names(local: LocalEnvironment) -> dict[str, str]:
    """Return the names of the deployed functions by those of `exercises`, such as <service>/ApiFunction."""
    formation = local.emulator.session().client("cloudformation")
    services = [name for name in local.outputs() if name != FOUNDATION]
    found = [each for service in services for each in functions(stage_folder(local.assembly, local.name, service))]
    physical = {
        (stack, resource["LogicalResourceId"]): resource["PhysicalResourceId"]
        for stack in {function.stack for function in found}
        for resource in formation.describe_stack_resources(StackName=stack)["StackResources"]
    }
    return {function.name: physical[function.stack, function.logical_id] for function in found}


def refusals(session: boto3.Session, function: str, *, since: float) -> list[str]:
    """Return the calls that AWS's services were refused in the name of a function's role, from CloudTrail."""
    events = session.client("cloudtrail").lookup_events(
        LookupAttributes=[{"AttributeKey": "Username", "AttributeValue": function}],
        StartTime=datetime.fromtimestamp(since, UTC),
    )["Events"]
    return [json.loads(event["CloudTrailEvent"])["errorMessage"] for event in events]


def until(look: Callable[[], T | None], seconds: float = 60, pause: float = 0.1) -> T:
    """Return the result of `look` once it finds something. The time-out allows for a busy machine."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if found := look():
            return found
        time.sleep(pause)
    raise AssertionError(f"nothing after {seconds} s")


@pytest.fixture(autouse=True)
def nothing_is_refused_in_the_roles_name(request: pytest.FixtureRequest) -> Iterator[None]:
    """Fail an exercised function's test if Lambda, KMS or X-Ray is refused anything in its role's name."""
    exercised = [name for marker in request.node.iter_markers("exercises") for name in marker.args]
    if not exercised:
        yield
        return
    names = request.getfixturevalue("function_names")
    session = request.getfixturevalue("session")
    began = time.time()
    yield
    assert [text for name in exercised for text in refusals(session(), names[name], since=began)] == []


@pytest.fixture(scope="session")
def outputs(local: LocalEnvironment) -> Outputs:
    """Return service → output → value, as in `build/local/outputs.json`."""
    return local.outputs()


@pytest.fixture(scope="session")
def session(local: LocalEnvironment) -> Callable[..., boto3.Session]:
    """Return a function that creates a boto3 session: of the account's root, or with the given credentials."""
    return local.emulator.session


class Invoke:
    """Invokes a function as the account's root, and returns its answer.

    Args:
        session: Session of the root.
    """

    def __init__(self, session: boto3.Session) -> None:
        self._lambda = session.client("lambda")

    def __call__(self, function_arn: str, event: Any) -> Any:
        """Return the function's answer; the test fails if the function raised."""
        answer = self._lambda.invoke(FunctionName=function_arn, Payload=json.dumps(event).encode())
        content = json.loads(answer["Payload"].read())
        assert not answer.get("FunctionError"), content
        return content


@pytest.fixture(scope="session")
def invoke(session: Callable[..., boto3.Session]) -> Invoke:
    """Invoke functions as AWS's services do."""
    return Invoke(session())


@pytest.fixture(scope="session")
def caller(local: LocalEnvironment) -> Credentials:
    """Return the access key of the user who may call the signed routes and nothing else."""
    return local.credentials()


@pytest.fixture(scope="session")
def http(local: LocalEnvironment) -> Iterator[httpx.Client]:
    """Yield a client that trusts the emulator's certificate; it is thread-safe."""
    with local.emulator.http() as client:
        yield client


def _service_of(request: pytest.FixtureRequest) -> str:
    """Return the service of a test in `services/<name>/tests/local`."""
    parts = request.path.relative_to(ROOT).parts
    assert parts[0] == "services", f"{request.path} is not in the folder of a service; request `signed` with its name"
    return parts[1]


@pytest.fixture(scope="module")
def signed(
    request: pytest.FixtureRequest, local: LocalEnvironment, http: httpx.Client, outputs: Outputs, caller: Credentials
) -> Request:
    """Return a function that sends a request signed by the caller, to the API itself."""
    auth = SigV4(caller, local.emulator.region)

    def send(method: str, path: str, *, service: str = "", **content: Any) -> httpx.Response:
        where = target(outputs[service or _service_of(request)], path, edge=False)
        return http.request(method, where.url, **{"auth": auth, **content})

    return send


@pytest.fixture(scope="module")
def unsigned(request: pytest.FixtureRequest, http: httpx.Client, outputs: Outputs) -> Request:
    """Return a function that sends an unsigned request to the API itself, bypassing the edge."""

    def send(method: str, path: str, *, service: str = "", **content: Any) -> httpx.Response:
        return http.request(method, target(outputs[service or _service_of(request)], path, edge=False).url, **content)

    return send


@pytest.fixture(scope="module")
def edge(request: pytest.FixtureRequest, http: httpx.Client, outputs: Outputs) -> Request:
    """Return a function that sends a request through CloudFront."""

    def send(method: str, path: str, *, service: str = "", **content: Any) -> httpx.Response:
        where = target(outputs[service or _service_of(request)], path, edge=True)
        headers = {**content.pop("headers", {}), **({"Host": where.host} if where.host else {})}
        return http.request(method, where.url, headers=headers, **content)

    return send
