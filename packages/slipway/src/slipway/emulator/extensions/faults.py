"""Faults at the edge of an emulated account: functions' calls to AWS fail or are slow, as a file specifies.

Requests of people and tests are not affected: a function is recognised by the key of its role's session. AWS's errors:
https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Programming.Errors.html and
https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/CommonErrors.html.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

FAULTS = "SLIPWAY_FAULTS"
"""Variable with the file of the faults: a JSON object, by name."""

_CREDENTIAL = re.compile(rb"Credential=(\w+)/\d+/[a-z0-9-]+/([a-z0-9-]+)/aws4_request")
_SESSION = b"ASIA"
"""Prefix of sessions' access keys, and so of functions'."""


@dataclass(frozen=True)
class EdgeFault:
    """A way in which some of a function's requests fail.

    Attributes:
        services: The called services, by their names in signatures.
        share: Share of the requests that fail, 0 to 1.
        status: Status of the answer, unless it is only delayed.
        code: Code of the error.
        seconds: Delay before the answer.
    """

    services: tuple[str, ...]
    share: float = 1.0
    status: int = 0
    code: str = ""
    seconds: float = 0.0


def write_faults(file: Path, faults: Mapping[str, EdgeFault]) -> None:
    """Set the faults of an emulator from now on.

    Args:
        file: The file that its variable names.
        faults: Faults by name; empty for none.
    """
    text = json.dumps({name: asdict(fault) for name, fault in faults.items()})
    staging = file.with_suffix(".new")
    staging.write_text(text, encoding="utf-8")
    staging.replace(file)


class FaultyEdge:
    """Applies the faults of a file, which may change, to requests.

    Args:
        file: The file; without it there are no faults.
    """

    def __init__(self, file: Path) -> None:
        self._file, self._read_at = file, 0
        self._faults: dict[str, EdgeFault] = {}
        self._asked: Counter[str] = Counter()

    def find(self, headers: Mapping[bytes, bytes]) -> EdgeFault | None:
        """Return the fault that applies to a request; None if none does.

        Args:
            headers: Headers of the request, names in lower case.
        """
        self._read()
        found = _CREDENTIAL.search(headers.get(b"authorization", b"")) if self._faults else None
        if found is None or not found[1].startswith(_SESSION):
            return None
        service = found[2].decode()
        for name, fault in self._faults.items():
            if service in fault.services:
                self._asked[name] += 1
                # Evenly spread, so that a repeated run has the same faults.
                if int(self._asked[name] * fault.share) > int((self._asked[name] - 1) * fault.share):
                    return fault
        return None

    def _read(self) -> None:
        try:
            changed = self._file.stat().st_mtime_ns
        except FileNotFoundError:
            self._faults, self._read_at = {}, 0
            return
        if changed != self._read_at:
            said = json.loads(self._file.read_text(encoding="utf-8"))
            self._faults = {
                name: EdgeFault(**{**fault, "services": tuple(fault["services"])}) for name, fault in said.items()
            }
            self._read_at = changed
            self._asked.clear()


async def meet(
    edge: FaultyEdge,
    scope: MutableMapping[str, Any],
    send: Callable[[MutableMapping[str, Any]], Awaitable[None]],
) -> bool:
    """Answer a request and return True if a fault applies to it; only delay it if the fault has no status.

    Args:
        edge: Selects the fault of a request.
        scope: ASGI scope of the request.
        send: ASGI `send` of the server.
    """
    if scope["type"] != "http":
        return False
    headers = {name.lower(): value for name, value in scope["headers"]}
    fault = edge.find(headers)
    if fault is None:
        return False
    await asyncio.sleep(fault.seconds)
    if not fault.status:
        return False
    kind, body = error_of(fault, as_json=b"x-amz-target" in headers)
    await send(
        {
            "type": "http.response.start",
            "status": fault.status,
            "headers": [(b"content-type", kind), (b"content-length", str(len(body)).encode())],
        }
    )
    await send({"type": "http.response.body", "body": body})
    return True


def error_of(fault: EdgeFault, *, as_json: bool) -> tuple[bytes, bytes]:
    """Return the media type and the body of a fault's error.

    Args:
        fault: The fault.
        as_json: True if the service uses JSON; otherwise it uses XML.
    """
    if as_json:
        return b"application/x-amz-json-1.0", json.dumps({"__type": fault.code, "message": "planted"}).encode()
    error = f"<Error><Code>{fault.code}</Code><Message>planted</Message></Error>"
    return b"application/xml", f"<ErrorResponse>{error}</ErrorResponse>".encode()
