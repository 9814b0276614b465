"""Send the requests of a function's own contract checks to its versions."""

from __future__ import annotations

import base64
import json
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path
from typing import Any

from botocore.config import Config
from botocore.exceptions import ClientError

from slipway import process
from slipway.emulator.server import Emulator
from slipway.errors import RehearsalError
from slipway.rehearsal.player.embedded import Counted, counted

_READ = (
    "import importlib, json, sys; module, name = sys.argv[1:];"
    "print(json.dumps([check.event for check in getattr(importlib.import_module(module), name)]))"
)


FAULTS = "Faults"
"""Metric of the failures that a version reports itself (slipway_runtime.telemetry)."""


@dataclass(frozen=True)
class RequestOutcome:
    """Outcome of a request, as counted by Lambda's metrics and by the function itself."""

    failed: bool
    throttled: bool
    milliseconds: float
    cold: bool
    """True if it may have started an environment; the start is not part of Lambda's Duration."""
    counted: tuple[Counted, ...] = ()
    """Metrics that the function counted in the last 4 KB of its log, which is all that Lambda returns."""
    server_error: bool | None = None
    """True if an API answers it with 5xx; None if it is not an API's request."""

    @property
    def bad(self) -> bool:
        """Return True if a caller is affected: the function failed, or counted a fault."""
        return self.failed or any(each.metric.name == FAULTS for each in self.counted)


def events(handler: str, source: Path, variables: Mapping[str, str]) -> list[dict[str, Any]]:
    """Return the events of a function's contract check.

    Args:
        handler: Handler of the hook, such as `services.<service>.runtime.hooks.api_handler`; its checks are
            `API_CHECKS` there.
        source: Checkout of the delivered commit.
        variables: Environment of the process that reads them.

    Raises:
        RehearsalError: They cannot be read.
    """
    module, _, function = handler.rpartition(".")
    name = f"{function.removesuffix('_handler').upper()}_CHECKS"
    command = [sys.executable, "-c", _READ, module, name]
    done = process.run(command, folder=source, environment=variables)
    if done.returncode != 0:
        raise RehearsalError(f"the contract checks {module}.{name} cannot be read: {done.last_error}")
    found: list[dict[str, Any]] = json.loads(done.stdout)
    return found


class PlayedTraffic:
    """Sends requests to two versions of a function, by weight.

    Args:
        emulator: Emulator of the account.
        function: Name of the function.
        requests: Events to send, in turn.
        stopping: Set when everything must stop.
    """

    def __init__(
        self, emulator: Emulator, function: str, requests: Sequence[dict[str, Any]], stopping: threading.Event
    ) -> None:
        # Lambda does not retry synchronous calls. The function's own time-out ends a hanging call; this client waits
        # longer, since a busy machine may take a minute to start a function.
        config = Config(retries={"total_max_attempts": 1}, read_timeout=300, max_pool_connections=1)
        self._lambda = emulator.session().client("lambda", config=config)
        self._function = function
        self._payloads: Iterator[bytes] = cycle([json.dumps(request).encode() for request in requests])
        self._any = bool(requests)
        self._met: set[str] = set()
        self._owed = 0.0
        self._stopping = stopping

    def send(self, number: int, *, old: str, new: str, weight: float) -> list[tuple[str, RequestOutcome]]:
        """Send some requests.

        Args:
            number: Number of requests.
            old: Version that receives the rest.
            new: Version that receives the share `weight`.
            weight: Share for the new version, 0 to 1.

        Returns:
            The version and the outcome of each request, in the order in which they were sent.
        """
        versions = []
        # Without requests, the function is not called.
        for _ in range(number if self._any else 0):
            # Evenly spread, so that a small share is kept even with few requests.
            self._owed += weight
            versions.append(new if self._owed >= 1 - 1e-9 else old)
            if versions[-1] == new:
                self._owed -= 1
        work = [(version, next(self._payloads)) for version in versions]
        # One after the other, because each concurrent request would need another execution environment, which is a
        # process here.
        return [(version, self._one(version, payload)) for version, payload in work]

    def _one(self, version: str, payload: bytes) -> RequestOutcome:
        if self._stopping.is_set():
            raise RehearsalError("interrupted")
        cold = version not in self._met
        begin = time.perf_counter()
        try:
            answer = self._lambda.invoke(
                FunctionName=self._function, Qualifier=version, Payload=payload, LogType="Tail"
            )
            said = answer["Payload"].read()
            failed, throttled = "FunctionError" in answer, False
            found = counted(base64.b64decode(answer.get("LogResult", "")).decode("utf-8", "replace"))
            server_error = _is_server_error(payload, said, failed=failed)
        except ClientError as error:
            throttled = error.response["Error"]["Code"] == "TooManyRequestsException"
            if not throttled:
                raise RehearsalError(f"{self._function}:{version} cannot be called: {error}") from error
            failed, found, server_error = False, (), None
        if failed:
            # After a failure the emulator starts a new environment, whereas Lambda keeps the same one.
            self._met.discard(version)
        else:
            self._met.add(version)
        return RequestOutcome(failed, throttled, (time.perf_counter() - begin) * 1000, cold, found, server_error)


def _is_server_error(payload: bytes, said: bytes, *, failed: bool) -> bool | None:
    """Return True if an API turns a function's answer into a 5xx; None if the event was not a proxy event."""
    if "requestContext" not in json.loads(payload):
        return None
    # Anything but a proxy answer becomes a 502.
    return failed or int(json.loads(said).get("statusCode", 502)) >= 500
