"""`items` when parts of it are broken or away, in an environment of its own that nobody else needs afterwards."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any

import boto3
import httpx
import pytest

from services.items.tests.local.items import recycle
from slipway.emulator.environment import LocalEnvironment
from slipway.emulator.routes import SigV4, target
from slipway.testing.contract.roles import end_of, start_deployment
from slipway.testing.emulated import FOLDER, synthesized, until
from slipway.testing.problems import assert_problem

FAILS_AT_IMPORT = "raise RuntimeError('of a broken version')\n"
ANSWERS_WITH_NONSENSE = "def handler(event, context):\n    return {'statusCode': 200, 'body': '{}'}\n"


@dataclass(frozen=True)
class Broken:
    """The environment, and what breaks and calls it."""

    local: LocalEnvironment
    http: httpx.Client

    @property
    def outputs(self) -> dict[str, str]:
        return self.local.outputs()["items"]

    @property
    def session(self) -> boto3.Session:
        return self.local.emulator.session()

    def call(self, method: str, path: str, **content: Any) -> httpx.Response:
        """A signed write, a read through the edge, or a health check."""
        read = method == "GET" and path != "/health"
        where = target(self.outputs, path, edge=read)
        headers = {**content.pop("headers", {}), **({"Host": where.host} if where.host else {})}
        auth = SigV4(self.local.credentials(), self.local.emulator.region) if method != "GET" else None
        return self.http.request(method, where.url, headers=headers, auth=auth, **content)


@pytest.fixture(scope="module")
def broken(local: LocalEnvironment) -> Iterator[Broken]:
    """`items` deployed once more, from what was synthesized for the other tests."""
    folder = FOLDER / "broken"
    # What a killed session left behind.
    LocalEnvironment(local.environment, local.pipeline, folder=folder, port=0).stop()
    mine = LocalEnvironment(local.environment, local.pipeline, folder=folder, port=0, assembly=synthesized())
    try:
        mine.start()
        mine.caller(mine.deploy(("items",), lambda _: nullcontext(lambda _: None)).outputs)
        with mine.emulator.http() as http:
            yield Broken(mine, http)
    finally:
        mine.stop()


@contextmanager
def another_version(broken: Broken, function: str, source: str) -> Iterator[None]:
    """A newest version whose handler is this, which the alias `staging` points to, as in a deployment."""
    functions = broken.session.client("lambda")
    name = broken.outputs[function].split(":")[6]
    before = functions.get_alias(FunctionName=name, Name="staging")["FunctionVersion"]
    module = functions.get_function_configuration(FunctionName=name)["Handler"].rpartition(".")[0]
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr(module.replace(".", "/") + ".py", source)
    version = functions.update_function_code(FunctionName=name, ZipFile=content.getvalue(), Publish=True)["Version"]
    assert version != before
    functions.update_alias(FunctionName=name, Name="staging", FunctionVersion=version)
    try:
        yield
    finally:
        functions.update_alias(FunctionName=name, Name="staging", FunctionVersion=before)


@pytest.mark.requirement("safe deployments")
@pytest.mark.parametrize("source", [FAILS_AT_IMPORT, ANSWERS_WITH_NONSENSE], ids=["fails at import", "says nonsense"])
@pytest.mark.parametrize(
    ("function", "hook"),
    [
        pytest.param("ApiFunctionArn", "ApiHookFunctionArn", id="api"),
        pytest.param("StreamFunctionArn", "StreamHookFunctionArn", id="stream"),
    ],
)
def test_the_hook_keeps_traffic_from_a_broken_version(broken: Broken, function: str, hook: str, source: str) -> None:
    # Given a newest version that does not do what it must
    with another_version(broken, function, source):
        # When CodeDeploy asks before it allows traffic
        deployment = start_deployment(broken.session, broken.outputs[hook].split(":")[6])
        # Then it is told that the version is not good
        assert until(lambda: end_of(broken.session, deployment)) == "Failed"
        # And traffic still goes to the version of before
        assert broken.call("GET", "/health").status_code == 200


@pytest.fixture
def item(broken: Broken) -> dict[str, Any]:
    created = broken.call("POST", "/items", json={"name": "kettle"})
    assert created.status_code == 201, created.text
    item: dict[str, Any] = created.json()
    return item


def unavailable(response: httpx.Response) -> bool:
    """Whether it is the problem that says nothing of the inside."""
    problem = assert_problem(response, 503)
    assert response.headers["access-control-allow-origin"] == "*"
    return "detail" not in problem and "Error" not in response.text


@pytest.mark.requirement("secrets")
def test_without_its_secrets_the_service_does_what_needs_none(broken: Broken, item: dict[str, Any]) -> None:
    # Given secrets that cannot be read any more, and a function that has not read them
    role = broken.session.client("lambda").get_function_configuration(FunctionName=broken.outputs["ApiFunctionArn"])[
        "Role"
    ]
    with denied(broken, role, "secretsmanager:*"):
        recycle(broken.local, broken.outputs["ApiFunctionArn"])
        # Then what needs none works
        assert broken.call("GET", "/health").status_code == 200
        path = f"/items/{item['id']}"
        assert broken.call("PUT", path, json={"name": "teapot"}, headers={"If-Match": '"1"'}).status_code == 200
        # And reads are refused for now
        assert unavailable(broken.call("GET", path))
        assert unavailable(broken.call("GET", "/items"))
    # And they work again, at once in a function that starts now
    recycle(broken.local, broken.outputs["ApiFunctionArn"])
    assert broken.call("GET", path).json()["name"] == "teapot"


@pytest.mark.requirement("errors")
def test_unreachable_table_reveals_nothing_internal(broken: Broken, item: dict[str, Any]) -> None:
    path = f"/items/{item['id']}"
    assert broken.call("GET", path).status_code == 200
    role = broken.session.client("lambda").get_function_configuration(FunctionName=broken.outputs["ApiFunctionArn"])[
        "Role"
    ]
    # Given a function that may not reach its tables any more
    with denied(broken, role, "dynamodb:*"):
        # Then every route says that it cannot now, and no more
        _assert_all_unavailable(broken, path)
    # And afterwards it works again
    assert broken.call("GET", "/health").status_code == 200
    assert broken.call("GET", path).json() == item


@pytest.mark.requirement("items: health")
def test_with_the_table_gone_nothing_of_the_inside_is_told(broken: Broken, item: dict[str, Any]) -> None:
    # Given that somebody deletes the table: the last that is done in this environment
    broken.session.client("dynamodb").delete_table(TableName=broken.outputs["TableName"])
    # Then every route says that it cannot now, and no more
    _assert_all_unavailable(broken, f"/items/{item['id']}")
    # And what does not reach the table is as it was
    assert_problem(broken.call("POST", "/items", json={}), 400, "/name")


@contextmanager
def denied(broken: Broken, role_arn: str, action: str) -> Iterator[None]:
    """Takes a permission from a role for a while."""
    iam, role = broken.session.client("iam"), role_arn.rpartition("/")[2]
    statement = {"Effect": "Deny", "Action": action, "Resource": "*"}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    iam.put_role_policy(RoleName=role, PolicyName="denied", PolicyDocument=policy)
    try:
        yield
    finally:
        iam.delete_role_policy(RoleName=role, PolicyName="denied")


def _assert_all_unavailable(broken: Broken, path: str) -> None:
    condition = {"If-Match": '"1"'}
    assert unavailable(broken.call("GET", "/health"))
    for response in (
        broken.call("GET", path),
        broken.call("GET", "/items"),
        broken.call("GET", "/items?status=active"),
        broken.call("POST", "/items", json={"name": "kettle"}),
        broken.call("POST", "/items", json={"name": "kettle"}, headers={"Idempotency-Key": "of-a-broken-day"}),
        broken.call("PUT", path, json={"name": "kettle"}, headers=condition),
        broken.call("DELETE", path, headers=condition),
    ):
        assert unavailable(response)
        assert response.headers["retry-after"] == "1"
