"""Faults are injected at the edge of an emulated account, and a service that uses it is judged by its answers."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import boto3
import httpx
import pytest
from botocore.config import Config
from botocore.credentials import ReadOnlyCredentials
from botocore.exceptions import ClientError

from slipway.attack.target import AttackTarget
from slipway.emulator.routes import routes
from slipway.emulator.server import Credentials, Emulator, isolate
from slipway.resilience.command import endure, planted
from slipway.resilience.faults import FAULTS

BY_NAME = {fault.name: fault for fault in FAULTS}
RESPONSES = {str(status): {"description": "-"} for status in (200, 500, 503)}
DOCUMENT = {"openapi": "3.1.0", "paths": {"/things": {"get": {"responses": RESPONSES}}}}
ONCE = Config(retries={"total_max_attempts": 1})
Logic = Callable[[], tuple[int, str, str]]


@pytest.fixture(scope="module")
def emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulator]:
    isolate()
    folder = tmp_path_factory.mktemp("resilience")
    emulator = Emulator("444444444444", "us-east-1", folder / "emulator", tls=folder / "tls")
    emulator.start()
    try:
        root = emulator.session()
        root.client("dynamodb").create_table(
            TableName="things",
            KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
            BillingMode="PAY_PER_REQUEST",
        )
        root.client("s3").create_bucket(Bucket="things")
        yield emulator
    finally:
        emulator.stop()


@pytest.fixture(scope="module")
def role(emulator: Emulator) -> boto3.Session:
    """Return a session of a role, as functions have."""
    root = emulator.session()
    trust = {"Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::444444444444:root"}, "Action": "sts:AssumeRole"}
    allowed = {"Effect": "Allow", "Action": ["dynamodb:*", "s3:*"], "Resource": "*"}
    arn = root.client("iam").create_role(RoleName="works", AssumeRolePolicyDocument=_policy(trust))["Role"]["Arn"]
    root.client("iam").put_role_policy(RoleName="works", PolicyName="all", PolicyDocument=_policy(allowed))
    given = root.client("sts").assume_role(RoleArn=arn, RoleSessionName="test")["Credentials"]
    return emulator.session(Credentials(given["AccessKeyId"], given["SecretAccessKey"], given["SessionToken"]))


def _policy(statement: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def read(session: boto3.Session, config: Config | None = None) -> None:
    session.client("dynamodb", config=config).get_item(TableName="things", Key={"id": {"S": "1"}})


def test_only_roles_are_throttled(emulator: Emulator, role: boto3.Session) -> None:
    read(role, ONCE)
    with planted(emulator, BY_NAME["table-out"]):
        with pytest.raises(ClientError, match="ProvisionedThroughputExceededException"):
            read(role, ONCE)
        read(emulator.session(), ONCE)
    # A removed fault affects nobody
    read(role, ONCE)


def test_some_throttles_are_absorbed_by_the_client(emulator: Emulator, role: boto3.Session) -> None:
    with planted(emulator, BY_NAME["throttled-table"]):
        for _ in range(9):
            read(role)


def test_a_slow_bucket_is_slow(emulator: Emulator, role: boto3.Session) -> None:
    client = role.client("s3")
    client.list_objects_v2(Bucket="things")
    began = time.monotonic()
    with planted(emulator, BY_NAME["slow-bucket"]):
        client.list_objects_v2(Bucket="things")
    assert time.monotonic() - began >= 0.5


@contextmanager
def served(logic: Logic) -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, kind, text = logic()
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.end_headers()
            self.wfile.write(text.encode())

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/"
    finally:
        server.shutdown()
        server.server_close()


@pytest.mark.parametrize(
    ("status", "fault", "broken"),
    [
        (503, "table-out", ()),
        (500, "table-out", ("GET /things answered 500",)),
        # The service could have retried
        (503, "throttled-table", ("GET /things answered 503",)),
    ],
)
def test_a_service_must_keep_its_promises(  # noqa: PLR0917
    emulator: Emulator, role: boto3.Session, tmp_path: Path, status: int, fault: str, broken: tuple[str, ...]
) -> None:
    # Given a service without retries that answers with a status when its table fails
    def logic() -> tuple[int, str, str]:
        try:
            read(role, ONCE)
        except ClientError:
            return status, "application/problem+json", "{}"
        return 200, "application/json", "{}"

    (tmp_path / "things").mkdir()
    (tmp_path / "things" / "openapi.json").write_text(json.dumps(DOCUMENT), encoding="utf-8")
    with served(logic) as address, httpx.Client() as client:
        service = AttackTarget(
            service="things",
            document=DOCUMENT,
            routes=routes("things", services=tmp_path),
            outputs={"ApiEndpoint": address},
            region="us-east-1",
            headers={},
            credentials=ReadOnlyCredentials("id", "secret", None),
        )
        # When the fault is injected, then the broken operations are reported
        assert endure(service, emulator, client, BY_NAME[fault]).broken == broken
        assert client.get(f"{address}things").status_code == 200
