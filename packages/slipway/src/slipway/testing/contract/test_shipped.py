"""Shipped code: handlers start from it, and a snapshot contains nothing unique, secret, time-bound or connected."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from slipway.blocks.assets import ASSETS_FOLDER, AssetStore
from slipway.build import build
from slipway.testing.app import Subject
from slipway.testing.contract.reading import functions
from slipway.testing.shipped import KEEP_BYTECODE, LambdaFolder, unpack_beside, unpack_libraries
from slipway.testing.synthesis import scratch

SECRET = "a-temporary-secret-of-the-execution-role"  # noqa: S105  # nosec B105  # a marker to look for
LIBRARY = """
BEFORE, AFTER = [], []
register_before_snapshot, register_after_restore = BEFORE.append, AFTER.append
"""
"""Replacement for the library in Lambda's runtime."""
SCRIPT = Path(__file__).with_name("look_inside.py").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def credentials() -> Iterator[str]:
    """Yield the address at which a function under SnapStart finds its role's credentials."""

    class CredentialsHandler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            expires = (datetime.now(UTC) + timedelta(hours=6)).strftime("%Y-%m-%dT%H:%M:%SZ")
            answer = {"AccessKeyId": "ASIAEXAMPLE", "SecretAccessKey": SECRET, "Token": SECRET, "Expiration": expires}
            body = json.dumps(answer).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), CredentialsHandler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/credentials"
        server.shutdown()


@cache
def _libraries() -> Path:
    build(folder=ASSETS_FOLDER)
    return unpack_libraries(_new_folder(), AssetStore())


@cache
def _unpacked(service: str) -> LambdaFolder:
    libraries = _libraries()
    return unpack_beside(_new_folder(), AssetStore(), service=service, libraries=libraries)


def _new_folder() -> Path:
    return Path(tempfile.mkdtemp(prefix="shipped-", dir=scratch()))


def test_handlers_start_and_nothing_survives_a_snapshot_that_must_not(
    subject: Subject, service: str, credentials: str, tmp_path: Path
) -> None:
    if not subject.ships:
        pytest.skip("nothing is built of this subject")
    # Given every handler of the service in any environment, with the variables that its template sets
    handlers: dict[str, dict[str, str]] = {}
    for environment in (environment for environment, each in subject.cases if each == service):
        deployment = subject.deploy(environment, service)
        for function in functions(deployment):
            names = function.properties["Environment"]["Variables"]
            module = str(function.properties["Handler"]).rpartition(".")[0]
            handlers.setdefault(module, {}).update(
                {name: value if isinstance(value, str) else f"the-{name}" for name, value in names.items()}
            )
    (tmp_path / "snapshot_restore_py.py").write_text(LIBRARY, encoding="utf-8")

    for module, variables in handlers.items():
        # When it is imported in a fresh interpreter that sees the code, the layer and Lambda's own packages
        said = _unpacked(service).run(
            SCRIPT,
            module,
            SECRET,
            variables={
                **variables,
                **KEEP_BYTECODE,
                "AWS_CONTAINER_CREDENTIALS_FULL_URI": credentials,
                "AWS_DEFAULT_REGION": "us-east-1",
            },
            more=(tmp_path,),
        )
        # Then it starts, without the models and the routing that only routes need, and what a snapshot would keep is
        # free of what must not survive
        found = json.loads(said.rpartition("\n")[2])
        assert module.endswith(".api") or found.pop("routing") == [], module
        found.pop("routing", None)
        assert found == {
            "collects": True,
            "hooks": [1, 1],
            "secrets": 0,
            "unique": [],
            "times": [],
            "sockets": 0,
            "reseeded": True,
        }, module
