"""A proxy on the loopback interface, between functions and the emulator, that fails at random."""

from __future__ import annotations

import http.client
import json
import random
import ssl
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from slipway.emulator.server import LOOPBACK, Emulator

# AWS's errors: https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Programming.Errors.html and
# https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html
_DYNAMODB = (
    (400, "ProvisionedThroughputExceededException"),
    (400, "ThrottlingException"),
    (500, "InternalServerError"),
    (503, "ServiceUnavailable"),
)
_S3 = ((503, "SlowDown"), (500, "InternalError"), (503, "ServiceUnavailable"))


@dataclass
class Faults:
    """Probabilities of the faults.

    Attributes:
        refused: Share of requests that are answered with a throttle or a 5xx and not carried out.
        cut_off: Share of requests that are carried out, but whose answer is lost.
    """

    refused: float
    cut_off: float
    chance: random.Random = field(default_factory=lambda: random.Random(11))  # nosec B311  # which requests fail
    out_until: float = 0.0

    def outage(self, seconds: float) -> None:
        """Refuse everything for some time."""
        self.out_until = time.monotonic() + seconds

    def stop(self) -> None:
        """Stop all faults."""
        self.refused = self.cut_off = self.out_until = 0.0

    def fate(self) -> str:
        """Return what happens to the next request."""
        throw = self.chance.random()
        if time.monotonic() < self.out_until or throw < self.refused:
            return "refused"
        return "cut_off" if throw < self.refused + self.cut_off else "passed"


class FaultyProxy:
    """Forwards requests to an emulator unchanged, so that their signatures stay valid; some of them fail.

    Args:
        emulator: Target of the requests.
        faults: Probabilities of faults, which may change while it runs.
    """

    def __init__(self, emulator: Emulator, faults: Faults) -> None:
        self.counts: Counter[str] = Counter()
        self._server = _Server((LOOPBACK, 0), _Handler)
        self._server.emulator, self._server.faults, self._server.counts = emulator, faults, self.counts
        self._server.tls = ssl.create_default_context(cafile=str(emulator.ca))
        self.url = f"http://{LOOPBACK}:{self._server.server_port}"

    def __enter__(self) -> FaultyProxy:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        for connection in self._server.upstream:
            connection.close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    emulator: Emulator
    faults: Faults
    counts: Counter[str]
    tls: ssl.SSLContext

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.upstream: list[http.client.HTTPSConnection] = []


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server
    upstream: http.client.HTTPSConnection | None = None

    def _serve(self) -> None:
        if self.headers.get("Expect"):
            self.send_response_only(100)
            self.end_headers()
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        fate = self.server.faults.fate()
        self.server.counts[fate] += 1
        if fate == "refused":
            self._refuse()
            return
        status, headers, content = self._pass_on(body)
        if fate == "cut_off":
            self.close_connection = True
            return
        self.send_response_only(status)
        for name, value in headers:
            if name.lower() not in {"content-length", "transfer-encoding", "connection"}:
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    do_GET = do_PUT = do_POST = do_HEAD = do_DELETE = _serve  # noqa: N815 - names that http.server looks for

    def _refuse(self) -> None:
        target = self.headers.get("X-Amz-Target")
        status, code = self.server.faults.chance.choice(_DYNAMODB if target else _S3)
        if target:
            content = json.dumps({"__type": f"com.amazonaws.dynamodb.v20120810#{code}", "message": "busy"}).encode()
        else:
            content = f"<Error><Code>{code}</Code><Message>busy</Message></Error>".encode()
        self.send_response_only(status)
        self.send_header("Content-Type", "application/x-amz-json-1.0" if target else "application/xml")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def _pass_on(self, body: bytes) -> tuple[int, list[tuple[str, str]], bytes]:
        for again in (True, False):
            if self.upstream is None:
                self.upstream = http.client.HTTPSConnection(
                    LOOPBACK, self.server.emulator.port, context=self.server.tls, timeout=30
                )
                self.server.upstream.append(self.upstream)
            try:
                self.upstream.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
                for name, value in self.headers.items():
                    if name.lower() not in {"expect", "connection", "content-length"}:
                        self.upstream.putheader(name, value)
                self.upstream.putheader("Content-Length", str(len(body)))
                self.upstream.endheaders(body)
                answer = self.upstream.getresponse()
                return answer.status, answer.getheaders(), answer.read()
            except (http.client.HTTPException, OSError):
                # The emulator closes a connection that was idle; nothing of the request was carried out then.
                self.upstream.close()
                self.upstream = None
                if not again:
                    raise
        raise AssertionError

    def finish(self) -> None:
        super().finish()
        if self.upstream is not None:
            self.upstream.close()

    def log_message(self, *_: object) -> None:
        """Log nothing: the counts report what happened."""
