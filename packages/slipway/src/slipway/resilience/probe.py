"""Call every operation of a service, and judge each answer by its document."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import httpx

from slipway.attack.leaks import find_leak
from slipway.attack.target import AttackTarget
from slipway.emulator.routes import Route, SigV4, target
from slipway.emulator.server import Credentials

_ID = "00000000-0000-4000-8000-000000000000"
PROBLEM = "application/problem+json"
FAILED = 500
"""Statuses that no fault of a dependency excuses: a service that cannot answer must answer 503."""
LONGEST_SECONDS = 30.0
"""An API answers after this time at the latest (https://docs.aws.amazon.com/apigateway/latest/developerguide/limits.html)."""


@dataclass(frozen=True)
class ProbeAnswer:
    """The answer of one operation.

    Attributes:
        route: The operation.
        status: Status of the answer; 0 without an answer.
        seconds: Duration.
        kind: Media type.
        text: Body.
    """

    route: Route
    status: int
    seconds: float
    kind: str = ""
    text: str = ""


def probe(service: AttackTarget, client: httpx.Client) -> Iterator[ProbeAnswer]:
    """Yield the answer of each operation that the caller can reach.

    Args:
        service: The service, with its credentials.
        client: Sends the requests.
    """
    for route in service.reached:
        began = time.monotonic()
        try:
            answer = _call(service, route, client)
        except httpx.HTTPError:
            yield ProbeAnswer(route, 0, time.monotonic() - began)
            continue
        kind = answer.headers.get("content-type", "").partition(";")[0]
        yield ProbeAnswer(route, answer.status_code, time.monotonic() - began, kind, answer.text)


def _call(service: AttackTarget, route: Route, client: httpx.Client) -> httpx.Response:
    key = service.credentials
    path = re.sub(r"{[^}]*}", _ID, route.path)
    is_open = not (route.signed or route.keyed or route.bearer) and route.method == "GET"
    where = target(dict(service.outputs), path, edge=is_open)
    headers = {**dict(route.headers), **({"Host": where.host} if where.host else {})}
    if route.body is not None:
        headers["Content-Type"] = "application/json"
    if route.keyed or route.bearer:
        headers |= service.headers
    auth = SigV4(Credentials(key.access_key or "", key.secret_key or "", key.token), service.region)
    return client.request(
        route.method,
        where.url,
        params=dict(route.query) or None,
        headers=headers,
        content=route.body,
        auth=auth if route.signed else None,
    )


def find_broken_promise(
    answer: ProbeAnswer, service: AttackTarget, *, absorbed: bool, in_its_place: bool = False
) -> str | None:
    """Return the promise of the document that an answer breaks; None if it keeps all.

    Args:
        answer: The answer.
        service: The service.
        absorbed: True if the service must answer as if nothing was broken.
        in_its_place: True if the gateway may answer 500 in the place of a function that did not run, as that of an HTTP
            API does. Default: a 500 counts as the service's own answer, which is never excused.
    """
    operation: dict[str, Any] = service.document["paths"][answer.route.path][answer.route.method.lower()]
    documented = {int(status) for status in operation["responses"]}
    name = f"{answer.route.method} {answer.route.path}"
    if not answer.status:
        return f"{name} was not answered"
    if answer.seconds > LONGEST_SECONDS:
        return f"{name} took {answer.seconds:.0f} s"
    if answer.status not in documented:
        return f"{name} answered {answer.status}, which its document does not describe"
    if (answer.status == FAILED and not in_its_place) or (absorbed and answer.status >= FAILED):
        return f"{name} answered {answer.status}"
    if answer.status >= FAILED and answer.kind not in {PROBLEM, "application/json"}:
        return f"{name} answered {answer.status} as {answer.kind or 'nothing'}"
    leak = find_leak(answer.text) if answer.status >= FAILED else None
    return f"{name} answered with {leak}" if leak else None
