"""Hooks of schemathesis (`SCHEMATHESIS_HOOKS`): credentials, additional checks, and the record of failures.

They run in a separate process, which `slipway.attack.fuzz` and `slipway.testing.contract.fuzz` start with the
variables.
"""

from __future__ import annotations

import atexit
import json
import os
import signal
from pathlib import Path
from typing import Any

import requests
import schemathesis
from requests.auth import AuthBase

from slipway.attack.leaks import find_leak
from slipway.attack.variables import API, COUNT, EDGE, HEADERS, RECORD, REQUESTS, SIGNED
from slipway.testing.signing import sign_request

READS = frozenset({"GET", "HEAD"})
_LONGEST = 1_000


class Authorised(AuthBase):
    """Adds credentials to a finished request."""

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        """Add the credentials to a request."""
        if EDGE in os.environ and request.method in READS and request.url and not request.url.endswith("/health"):
            request.url = request.url.replace(os.environ[API], os.environ[EDGE], 1)
        for header, variable in HEADERS.items():
            if variable in os.environ:
                request.headers[header] = os.environ[variable]
        if SIGNED in os.environ and request.method not in READS:
            sign_request(request)
        return request


schemathesis.auth.set_from_requests(Authorised())  # type: ignore[attr-defined]  # schemathesis adds it at import


@schemathesis.check
def no_leak(ctx: Any, response: Any, case: Any) -> None:  # noqa: ARG001 - schemathesis's signature
    """Fail if an answer reveals internals of the service."""
    if found := find_leak(response.content.decode("utf-8", "replace")):
        raise AssertionError(f"the body contains {found}")


class _Budget:
    """Counts requests, and interrupts this process, like Ctrl-C, when enough were sent."""

    def __init__(self) -> None:
        self.sent, self.most = 0, int(os.environ.get(REQUESTS, "0"))
        # A shell starts background processes with this signal ignored.
        signal.signal(signal.SIGINT, signal.default_int_handler)
        if COUNT in os.environ:
            atexit.register(self._write)

    def spend(self) -> None:
        """Count one request."""
        self.sent += 1
        if self.sent == self.most:
            os.kill(os.getpid(), signal.SIGINT)

    def _write(self) -> None:
        Path(os.environ[COUNT]).write_text(str(self.sent), encoding="utf-8")


_BUDGET = _Budget()


@schemathesis.hook
def after_call(context: Any, case: Any, response: Any) -> None:  # noqa: ARG001 - schemathesis's signature
    """Count a request."""
    _BUDGET.spend()


@schemathesis.hook
def filter_failure(context: Any, failure: Any, case: Any, response: Any) -> bool:  # noqa: ARG001 - its signature
    """Record a failed check, without suppressing it."""
    if RECORD in os.environ:
        sent = response.request
        body = sent.body.decode("utf-8", "replace") if isinstance(sent.body, bytes) else sent.body
        line = {
            "check": failure.checks[0] if failure.checks else failure.title.partition("`")[2].rstrip("`"),
            "method": case.method.upper(),
            "path": case.operation.path,
            "status": response.status_code,
            "message": f"{failure.title}: {failure.message}"[:_LONGEST],
            "request": f"{sent.method} {sent.url}"[:_LONGEST],
            "body": (body or "")[:_LONGEST],
        }
        with Path(os.environ[RECORD]).open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")
    return True
