"""Try each restricted operation of the document without valid credentials."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Mapping

import httpx

from slipway.attack.findings import DOOR, AttackFinding
from slipway.attack.target import AttackTarget
from slipway.emulator.routes import Route

REFUSALS = frozenset({401, 403})
THROTTLED = 429
ATTEMPTS = 5
"""Tries of a throttled request: throttling says nothing about its authorization."""

_ID = "00000000-0000-4000-8000-000000000000"
_UNSIGNED = (
    "AWS4-HMAC-SHA256 Credential=AKIA0000000000000000/20200101/us-east-1/execute-api/aws4_request, "
    "SignedHeaders=host;x-amz-date, Signature=" + "0" * 64
)


def strangers(route: Route) -> Mapping[str, Mapping[str, str]]:
    """Return the callers that an operation must refuse: name → headers."""
    found: dict[str, Mapping[str, str]] = {"no credentials": {}}
    if route.signed:
        found["an unknown signer"] = {"Authorization": _UNSIGNED, "X-Amz-Date": "20200101T000000Z"}
    if route.keyed:
        found["an unknown key"] = {"x-api-key": "not-a-key-of-anybody-here"}
    if route.bearer:
        # {"alg":"none"} and {}: a token without a signature.
        found["an unsigned token"] = {"Authorization": "Bearer eyJhbGciOiJub25lIn0.e30."}
    return found


def try_doors(target: AttackTarget, client: httpx.Client) -> Iterator[AttackFinding]:
    """Yield a finding for each such caller that an operation doesn't refuse.

    Args:
        target: The service to attack.
        client: Sends the requests.

    Raises:
        HTTPError: The address does not answer.
    """
    for route in target.routes:
        if not (route.signed or route.keyed or route.bearer):
            continue
        for who, headers in strangers(route).items():
            answer = _send(client, target, route, headers)
            if answer.status_code not in REFUSALS:
                yield AttackFinding(
                    rule="not_a_server_error" if answer.is_server_error else DOOR,
                    method=route.method,
                    path=route.path,
                    message=f"answered {answer.status_code} to {who}",
                    request=f"{answer.request.method} {answer.request.url}",
                    body=route.body or "",
                )


def _send(client: httpx.Client, target: AttackTarget, route: Route, headers: Mapping[str, str]) -> httpx.Response:
    url = target.api + re.sub(r"{[^}]*}", _ID, route.path).removeprefix("/")
    kind = {"Content-Type": "application/json"} if route.body is not None else {}
    sent = {**dict(route.headers), **kind, **headers}
    for attempt in range(1, ATTEMPTS + 1):
        answer = client.request(route.method, url, params=dict(route.query) or None, headers=sent, content=route.body)
        if answer.status_code != THROTTLED:
            break
        time.sleep(attempt)
    return answer
