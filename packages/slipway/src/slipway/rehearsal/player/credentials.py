"""Serve a build's credentials in the same way as CodeBuild.

A build on AWS has no keys in its variables: the SDKs call an endpoint that `AWS_CONTAINER_CREDENTIALS_RELATIVE_URI`
names, at an address that only the container can reach. Here it is a port on the loopback interface, which
`AWS_CONTAINER_CREDENTIALS_FULL_URI` names, and which requires the build's token
(https://docs.aws.amazon.com/sdkref/latest/guide/feature-container-credentials.html).
"""

from __future__ import annotations

import json
import secrets
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from slipway.emulator.server import Credentials

LOOPBACK = "127.0.0.1"
_PATH = "/v2/credentials"
_LASTS = timedelta(hours=1)
"""Duration of a session (https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRole.html)."""


@contextmanager
def handed_out(session: Callable[[], Credentials]) -> Iterator[Mapping[str, str]]:
    """Serve a role's credentials while a build runs.

    Args:
        session: Returns a session of the role, a new one if the last one is old.

    Yields:
        The variables through which the build's SDKs find them.
    """
    token = secrets.token_urlsafe(32)
    server = ThreadingHTTPServer((LOOPBACK, 0), _handler(session, token))
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.1}, daemon=True)
    thread.start()
    try:
        yield {
            "AWS_CONTAINER_CREDENTIALS_FULL_URI": f"http://{LOOPBACK}:{server.server_port}{_PATH}",
            "AWS_CONTAINER_AUTHORIZATION_TOKEN": token,
        }
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _handler(session: Callable[[], Credentials], token: str) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:  # The base class's name.
            if self.path != _PATH or not secrets.compare_digest(self.headers.get("Authorization", ""), token):
                self.send_error(HTTPStatus.FORBIDDEN)
                return
            credentials = session()
            content = json.dumps(
                {
                    "AccessKeyId": credentials.access_key_id,
                    "SecretAccessKey": credentials.secret_access_key,
                    "Token": credentials.session_token,
                    "Expiration": (datetime.now(UTC) + _LASTS).strftime("%Y-%m-%dT%H:%M:%SZ"),
                }
            ).encode()
            self.send_response(HTTPStatus.OK)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            """Log nothing, because the answers are secret."""

    return Handler
