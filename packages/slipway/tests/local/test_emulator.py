"""The emulator as a process: where it listens, what it refuses, and what it leaves behind."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path

import httpx
import psutil
import pytest
from botocore.exceptions import ClientError

from slipway.emulator.server import Credentials, Emulator, free_port, holder_of, isolate
from slipway.errors import RehearsalError


@pytest.fixture
def emulator(tmp_path: Path) -> Iterator[Emulator]:
    isolate()
    emulator = Emulator("444444444444", "us-east-1", tmp_path / "emulator", tls=tmp_path / "tls")
    emulator.start()
    try:
        yield emulator
    finally:
        emulator.stop()


def test_it_listens_on_the_loopback_interface_only(emulator: Emulator) -> None:
    process = psutil.Process(emulator.pid)
    listening = {
        (connection.laddr.ip, connection.laddr.port)
        for each in (process, *process.children(recursive=True))
        for connection in each.net_connections()
        if connection.status == psutil.CONN_LISTEN and connection.laddr
    }
    assert listening == {("127.0.0.1", emulator.port), ("127.0.0.1", emulator.plain_port)}


def test_its_certificate_is_checked(emulator: Emulator) -> None:
    assert emulator.healthy()
    with (
        httpx.Client(trust_env=False) as stranger,
        pytest.raises(httpx.ConnectError, match="CERTIFICATE_VERIFY_FAILED"),
    ):
        stranger.get(emulator.endpoint)


def test_role_may_do_only_what_its_policy_allows(emulator: Emulator) -> None:
    # Given a role that may list buckets
    iam = emulator.session().client("iam")
    trust = {"Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::444444444444:root"}, "Action": "sts:AssumeRole"}
    role = iam.create_role(RoleName="reader", AssumeRolePolicyDocument=_policy(trust))["Role"]
    allowed = {"Effect": "Allow", "Action": "s3:ListAllMyBuckets", "Resource": "*"}
    iam.put_role_policy(RoleName="reader", PolicyName="read", PolicyDocument=_policy(allowed))

    # When a session of the role is used
    given = emulator.session().client("sts").assume_role(RoleArn=role["Arn"], RoleSessionName="test")["Credentials"]
    session = emulator.session(Credentials(given["AccessKeyId"], given["SecretAccessKey"], given["SessionToken"]))

    # Then it can do nothing else
    assert session.client("s3").list_buckets()["Buckets"] == []
    with pytest.raises(ClientError, match="AccessDenied"):
        session.client("s3").create_bucket(Bucket="mine")


@pytest.mark.parametrize(("runtime", "handler"), [("java21", "a.B::c"), ("provided.al2023", "bootstrap")])
def test_a_function_with_an_unavailable_runtime_fails(emulator: Emulator, runtime: str, handler: str) -> None:
    # Given a function whose runtime is not available here
    trust = {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}
    role = emulator.session().client("iam").create_role(RoleName="r", AssumeRolePolicyDocument=_policy(trust))["Role"]
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as code:
        code.writestr("code", "none")
    functions = emulator.session().client("lambda")
    functions.create_function(
        FunctionName="orders",
        Runtime=runtime,  # type: ignore[arg-type]  # one of them
        Role=role["Arn"],
        Handler=handler,
        Code={"ZipFile": content.getvalue()},
    )

    # When it is called
    answer = functions.invoke(FunctionName="orders")

    # Then it fails instead of returning a made-up result
    assert answer["FunctionError"] == "Unhandled"
    assert f"orders cannot be rehearsed: its runtime {runtime}" in json.loads(answer["Payload"].read())["errorMessage"]


def test_an_unknown_key_is_refused(emulator: Emulator) -> None:
    with pytest.raises(ClientError, match=r"InvalidClientTokenId|UnrecognizedClient"):
        emulator.session(Credentials("AKIAUNKNOWN000000000", "x")).client("sts").get_caller_identity()


def test_another_command_finds_it_running(emulator: Emulator) -> None:
    found = Emulator.running(emulator.folder, tls=emulator.tls)
    assert found is not None
    assert (found.endpoint, found.pid) == (emulator.endpoint, emulator.pid)
    assert found.healthy()


def test_stopping_leaves_no_process_port_or_file(emulator: Emulator) -> None:
    pid = emulator.pid
    assert pid is not None
    assert emulator.stop()
    assert not psutil.pid_exists(pid)
    assert holder_of(emulator.port) is None
    assert holder_of(emulator.plain_port) is None
    assert Emulator.running(emulator.folder) is None
    assert {file.name for file in emulator.folder.iterdir()} == {"emulator.log"}
    assert not emulator.stop()


def test_a_port_in_use_is_named_with_its_holder(emulator: Emulator, tmp_path: Path) -> None:
    second = Emulator("444444444444", "us-east-1", tmp_path / "second", port=emulator.port, plain_port=free_port())
    with pytest.raises(RehearsalError, match=rf"port {emulator.port} is in use by .*pid {emulator.pid}.*make up PORT="):
        second.start()
    assert second.pid is None


def test_killed_emulator_is_not_running_and_restarts(emulator: Emulator) -> None:
    psutil.Process(emulator.pid).kill()
    psutil.wait_procs([psutil.Process(emulator.pid)] if emulator.pid else [], timeout=5)
    assert Emulator.running(emulator.folder) is None
    emulator.stop()
    emulator.start()
    assert emulator.healthy()


def _policy(statement: Mapping[str, object]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})
