"""What a snapshot of an imported handler holds: nothing unique, secret, bound to a time, or connected."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from slipway.blocks.assets import AssetStore
from slipway.build import build
from slipway.project import ROOT
from tests.bench.__main__ import ENVIRONMENT, HANDLERS
from tests.bench.runtime import LambdaFolder, unpack

SECRET = "a-temporary-secret-of-the-execution-role"
LIBRARY = """
BEFORE, AFTER = [], []
register_before_snapshot, register_after_restore = BEFORE.append, AFTER.append
"""
"""Stands in for the library that Lambda's runtime has."""
SCRIPT = Path(__file__).with_name("look_inside.py").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, LambdaFolder]:
    folder = tmp_path_factory.mktemp("snapshots")
    build(ROOT, folder / "assets")
    store = AssetStore(folder / "assets")
    return {name: unpack(folder / name, store, service=name, compiled=False) for name in HANDLERS}


@pytest.fixture(scope="module")
def credentials() -> Iterator[str]:
    """Where a function under SnapStart finds the credentials of its role."""

    class Role(BaseHTTPRequestHandler):
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

    with ThreadingHTTPServer(("127.0.0.1", 0), Role) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/credentials"
        server.shutdown()


@pytest.mark.parametrize(
    "handler", [f"services.{service}.runtime.{module}" for service, modules in HANDLERS.items() for module in modules]
)
def test_nothing_survives_that_must_not(
    folders: dict[str, LambdaFolder], credentials: str, tmp_path: Path, handler: str
) -> None:
    (tmp_path / "snapshot_restore_py.py").write_text(LIBRARY, encoding="utf-8")
    variables = {**ENVIRONMENT, "AWS_CONTAINER_CREDENTIALS_FULL_URI": credentials}
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        variables.pop(name, None)

    said = folders[handler.split(".")[1]].run(SCRIPT, handler, SECRET, variables=variables, more=(tmp_path,))

    assert json.loads(said.rpartition("\n")[2]) == {
        "hooks": [1, 1],
        "secrets": 0,
        "unique": [],
        "times": [],
        "sockets": 0,
        "reseeded": True,
    }
