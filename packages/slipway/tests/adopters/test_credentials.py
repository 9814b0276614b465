"""Verbs that only read templates call no AWS service, even with a person's AWS keys in the environment."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from pytest_socket import enable_socket

from adopters.copies import Copy


@pytest.fixture
def calls() -> Iterator[tuple[str, list[str]]]:
    """Start a listener on the loopback interface, and yield its address and the requests that it got."""
    asked: list[str] = []

    class Listener(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked.append(f"{self.command} {self.path} {self.headers.get('Authorization', '')[:60]}")
            self.send_error(403)

        do_GET = do_PUT = do_HEAD = do_POST  # noqa: N815 - as the server looks for them

        def log_message(self, *_: object) -> None:
            """Keep the terminal clean."""

    enable_socket()
    with ThreadingHTTPServer(("127.0.0.1", 0), Listener) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}", asked
        server.shutdown()


@pytest.mark.nightly
@pytest.mark.parametrize("verb", ["synth", "bootstrap", "cost", "detectability", "docs"])
def test_verb_sends_nothing(verb: str, calls: tuple[str, list[str]], tmp_path: Path) -> None:
    address, asked = calls
    copy = Copy.make(tmp_path / "app")
    copy.variables |= {
        "AWS_ACCESS_KEY_ID": "AKIAIOSFODNN7EXAMPLE",
        "AWS_SECRET_ACCESS_KEY": "a-secret-of-nobody",
        "AWS_ENDPOINT_URL": address,
        "AWS_DEFAULT_REGION": "us-east-1",
    }
    # Given a listener that records every call
    script = "import boto3; boto3.client('sts').get_caller_identity()"
    copy.run("python", "-c", script, code=1)
    assert len(asked) >= 1
    asked.clear()
    # When the verb is run, then it makes no call
    copy.run("make", verb)
    assert asked == []
