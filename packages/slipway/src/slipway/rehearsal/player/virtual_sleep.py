"""The program `sleep` in a build: it lets virtual time pass, with the events in it.

A build that watches for half an hour would take half an hour here. So the builds' PATH contains a `sleep` that asks the
player to let the time pass.
"""

from __future__ import annotations

import secrets
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

LOOPBACK = "127.0.0.1"
CLOCK = "SLIPWAY_CLOCK"
"""Variable of a build with the address that lets time pass."""

_PROGRAM = f"""#!{sys.executable}
import os, re, sys, urllib.error, urllib.request

units = {{"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400}}
spans = [re.fullmatch(r"([0-9.]+)([smhd]?)", word) for word in sys.argv[1:]]
clock = os.environ.get("{CLOCK}")
if clock is None or not spans or None in spans:
    os.execv("/bin/sleep", ["sleep", *sys.argv[1:]])
seconds = sum(float(span[1]) * units[span[2]] for span in spans)
opener = urllib.request.build_opener(urllib.request.ProxyHandler({{}}))
try:
    opener.open(f"{{clock}}/{{seconds}}", data=b"").read()
except urllib.error.HTTPError as error:
    sys.exit(f"sleep: {{error.read().decode()}}")
"""


def install(folder: Path) -> None:
    """Write the program into the first folder of the builds' PATH.

    Args:
        folder: The folder.
    """
    file = folder / "sleep"
    if not file.is_file() or file.read_text(encoding="utf-8") != _PROGRAM:
        file.write_text(_PROGRAM, encoding="utf-8")
        file.chmod(0o755)


@contextmanager
def passing(wait: Callable[[float], None]) -> Iterator[Mapping[str, str]]:
    """Let time pass for the `sleep` of a build while it runs.

    Args:
        wait: Lets virtual time pass, seconds.

    Yields:
        The variable through which the program finds the player.
    """
    token = secrets.token_urlsafe(32)
    server = ThreadingHTTPServer((LOOPBACK, 0), _handler(wait, token))
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.1}, daemon=True)
    thread.start()
    try:
        yield {CLOCK: f"http://{LOOPBACK}:{server.server_port}/{token}"}
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _handler(wait: Callable[[float], None], token: str) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:  # The base class's name.
            said, _, seconds = self.path.removeprefix("/").partition("/")
            if not secrets.compare_digest(said, token):
                self._answer(HTTPStatus.FORBIDDEN, "not of this build")
                return
            try:
                wait(float(seconds))
            except Exception as error:  # noqa: BLE001  # reported to the build, which fails
                self._answer(HTTPStatus.INTERNAL_SERVER_ERROR, f"{type(error).__name__}: {error}")
                return
            self._answer(HTTPStatus.OK, "")

        def _answer(self, status: HTTPStatus, text: str) -> None:
            content = text.encode()
            # A build that has been stopped meanwhile does not wait for the answer.
            with suppress(ConnectionError):
                self.send_response(status)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            """Log nothing, because the path contains the build's token."""

    return Handler
