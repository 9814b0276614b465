"""Call every operation of a service, and judge each answer by what the document promises."""

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
"""What no fault of something else excuses: a service that cannot answer says 503."""
LONGEST_SECONDS = 30.0
"""An API answers after this time at the latest (https://docs.aws.amazon.com/apigateway/latest/developerguide/limits.html)."""


@dataclass(frozen=True)
class ProbeAnswer:
    """What one operation answered.

    Attributes:
        route: the operation.
        status: of the answer; 0 if nothing was answered.
        seconds: how long it took.
        kind: its media type.
        text: its body.
    """

    route: Route
    status: int
    seconds: float
    kind: str = ""
    text: str = ""


def probe(service: AttackTarget, client: httpx.Client) -> Iterator[ProbeAnswer]:
    """Yield the answer of each operation that the caller reaches.

    Args:
        service: what is called, and by whom.
        client: sends the requests.
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
    """Return what an answer breaks of what the document promises; None if it keeps it.

    Args:
        answer: the answer.
        service: whose.
        absorbed: whether the service has to answer as if nothing was broken.
        in_its_place: whether the gateway may answer 500 in the place of a function that did not run, as that of an HTTP
            API does. Default: a 500 is the service's own, which nothing excuses.
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
