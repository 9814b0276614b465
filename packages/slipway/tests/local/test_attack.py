"""What an attack from outside finds: faults that are planted in a service on the loopback interface."""

from __future__ import annotations

import json
import threading
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from botocore.credentials import ReadOnlyCredentials

from slipway.attack.command import Attacked, attack_target, write_reports
from slipway.attack.findings import DOOR
from slipway.attack.fuzz import AttackBounds
from slipway.attack.target import AttackTarget
from slipway.emulator.routes import routes
from slipway.errors import SlipwayError

KEY = "the-key-of-the-tests"
BOUNDS = AttackBounds(requests=150, seconds=20, seed=7)
_THING = {
    "type": "object",
    "required": ["name"],
    "properties": {"name": {"type": "string", "maxLength": 20}, "size": {"type": "integer"}},
    "additionalProperties": False,
    "example": {"name": "kettle", "size": 1},
}
_JSON = {"application/json": {"schema": {"type": "object"}}}
DOCUMENT = {
    "openapi": "3.1.0",
    "info": {"title": "Things", "version": "1"},
    "paths": {
        "/things": {
            "post": {
                "operationId": "createThing",
                "security": [{"key": []}],
                "requestBody": {"required": True, "content": {"application/json": {"schema": _THING}}},
                "responses": {str(code): {"description": "-", "content": _JSON} for code in (201, 400, 403)},
            }
        }
    },
    "components": {"securitySchemes": {"key": {"type": "apiKey", "in": "header", "name": "x-api-key"}}},
}

Answer = tuple[int, dict[str, Any]]
Logic = Callable[[dict[str, Any]], Answer]


def careful(thing: dict[str, Any]) -> Answer:
    return 201, {"name": thing["name"]}


def fails_on_large_sizes(thing: dict[str, Any]) -> Answer:
    return (500, {"message": "failed"}) if abs(thing.get("size", 0)) > 10_000 else careful(thing)


def shows_its_trace(thing: dict[str, Any]) -> Answer:
    try:
        return careful({"name": {}[thing["name"]]})
    except KeyError:
        return 400, {"message": traceback.format_exc()}


def _fits(thing: Any) -> bool:
    return (
        isinstance(thing, dict)
        and isinstance(thing.get("name"), str)
        and len(thing["name"]) <= 20
        and not isinstance(thing.get("size", 0), bool)
        and isinstance(thing.get("size", 0), int)
        and thing.keys() <= {"name", "size"}
    )


@contextmanager
def served(logic: Logic, *, guarded: bool = True) -> Iterator[tuple[str, list[str]]]:
    """Yield the address of a service, and the methods of the requests that it got."""
    seen: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _answer(self) -> None:
            seen.append(self.command)
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            status, content = self._decide(body)
            text = json.dumps(content).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        def _decide(self, body: bytes) -> Answer:
            if self.command != "POST" or (guarded and self.headers.get("x-api-key") != KEY):
                return 403, {}
            if self.headers.get_content_type() != "application/json":
                return 400, {}
            try:
                thing = json.loads(body)
            except ValueError:
                return 400, {}
            return logic(thing) if _fits(thing) else (400, {})

        do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = do_TRACE = do_QUERY = _answer  # noqa: N815

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", seen
    finally:
        server.shutdown()
        server.server_close()


def target_at(address: str, folder: Path, *, key: str | None = KEY) -> AttackTarget:
    (folder / "things").mkdir()
    (folder / "things" / "openapi.json").write_text(json.dumps(DOCUMENT), encoding="utf-8")
    return AttackTarget(
        service="things",
        document=DOCUMENT,
        routes=routes("things", services=folder),
        outputs={"ApiEndpoint": address},
        region="us-east-1",
        headers={"x-api-key": key} if key else {},
        credentials=ReadOnlyCredentials("id", "secret", None),
    )


def attacked(logic: Logic, folder: Path, *, guarded: bool = True) -> Attacked:
    with served(logic, guarded=guarded) as (address, _):
        return attack_target(target_at(address, folder), BOUNDS, folder)


def test_a_careful_service_has_no_finding_within_the_bounds(tmp_path: Path) -> None:
    with served(careful) as (address, seen):
        found = attack_target(target_at(address, tmp_path), BOUNDS, tmp_path)
    assert [str(each) for each in found.findings] == []
    assert found.requests > 50
    # The bound, the probes of schemathesis, and the callers without a key
    assert len(seen) <= BOUNDS.requests + 10


@pytest.mark.parametrize(
    ("logic", "guarded", "rule"),
    [
        (fails_on_large_sizes, True, "not_a_server_error"),
        (shows_its_trace, True, "no_leak"),
        (careful, False, DOOR),
    ],
    ids=["500 on odd input", "a trace in the body", "no authorization"],
)
def test_a_planted_fault_is_found(tmp_path: Path, logic: Logic, guarded: bool, rule: str) -> None:
    # When a service with a fault is attacked
    found = attacked(logic, tmp_path, guarded=guarded)
    # Then the fault is the first finding, with a request that shows it
    assert (found.findings[0].rule, found.findings[0].operation) == (rule, "POST /things")
    assert found.findings[0].request.startswith("POST http://127.0.0.1")
    assert found.plain()["failed"] is True

    # And the reports for code scanning and for CodeBuild say so
    json_file, sarif_file = write_reports(found, "staging", tmp_path)
    sarif = json.loads(sarif_file.read_text(encoding="utf-8"))
    assert sarif["version"] == "2.1.0"
    assert sarif["runs"][0]["results"][0]["ruleId"] == rule
    assert sarif["runs"][0]["results"][0]["level"] == "error"
    assert json.loads(json_file.read_text(encoding="utf-8"))["findings"][0]["rule"] == rule
    assert "<failure" in (tmp_path / "attack-staging-things.xml").read_text(encoding="utf-8")


def test_missing_key_is_named_and_not_green(tmp_path: Path) -> None:
    with served(careful) as (address, _), pytest.raises(SlipwayError, match="things was not attacked"):
        attack_target(target_at(address, tmp_path, key=None), BOUNDS, tmp_path)


def test_an_address_that_does_not_answer_is_an_error(tmp_path: Path) -> None:
    with served(careful) as (address, _):
        pass
    with pytest.raises(SlipwayError, match="does not answer"):
        attack_target(target_at(address, tmp_path), BOUNDS, tmp_path)
