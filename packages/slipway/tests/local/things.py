"""A service on the loopback interface for scans and load tests, whose answers the test defines."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from botocore.credentials import ReadOnlyCredentials

from slipway.attack.target import AttackTarget
from slipway.emulator.routes import routes

KEY = "the-key-of-the-tests"
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
    """Yield the address of a service, and the methods of the requests that it received."""
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
