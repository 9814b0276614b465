"""A server of known vulnerabilities: `python advisories.py <recorded folder>`.

It answers like OSV's `/v1/query` and npm's registry, with recorded responses, and prints its address.
"""

from __future__ import annotations

import gzip
import json
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any


def handler(recorded: Path) -> type[BaseHTTPRequestHandler]:
    """Create a handler that answers from `osv.json` (by `name version`) and `npm.json` (by name)."""
    osv = json.loads((recorded / "osv.json").read_text(encoding="utf-8"))
    npm = json.loads((recorded / "npm.json").read_text(encoding="utf-8"))

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            content = self.rfile.read(int(self.headers["Content-Length"]))
            if self.headers.get("Content-Encoding") == "gzip":
                content = gzip.decompress(content)
            asked = json.loads(content)
            if self.path == "/v1/query":
                found = osv.get(f"{asked['package']['name']} {asked['version']}", [])
                self._answer({"vulns": found} if found else {})
            elif self.path == "/-/npm/v1/security/advisories/bulk":
                self._answer({name: advisories for name, advisories in npm.items() if name in asked})
            else:
                self.send_error(404)

        def do_GET(self) -> None:
            # Without a package's versions, npm uses the advisory's own range
            self.send_error(404)

        def log_message(self, *_: object) -> None:
            """Log nothing."""

        def _answer(self, content: Any) -> None:
            body = json.dumps(content).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    return Handler


if __name__ == "__main__":
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler(Path(sys.argv[1])))
    print(f"http://127.0.0.1:{server.server_port}", flush=True)  # noqa: T201  # to whoever started it
    server.serve_forever()
