"""Faults injected at the edge of an emulated account, and what a service promises under them."""

from __future__ import annotations

import asyncio
from collections.abc import MutableMapping
from pathlib import Path
from typing import Any

import pytest
from botocore.credentials import ReadOnlyCredentials

from slipway.attack.target import AttackTarget
from slipway.emulator.extensions.faults import EdgeFault, FaultyEdge, meet, write_faults
from slipway.emulator.routes import Route
from slipway.resilience.faults import FAULTS
from slipway.resilience.probe import PROBLEM, ProbeAnswer, find_broken_promise

ROUTE = Route("GET", "/things", signed=False)
SERVICE = AttackTarget(
    "things",
    {"paths": {"/things": {"get": {"responses": {"200": {}, "404": {}, "500": {}, "503": {}}}}}},
    (ROUTE,),
    {},
    "us-east-1",
    {},
    ReadOnlyCredentials("id", "secret", None),
)


def headers(service: str, key: str = "ASIA1234") -> dict[bytes, bytes]:
    credential = f"AWS4-HMAC-SHA256 Credential={key}/20261120/us-east-1/{service}/aws4_request, Signature=0"
    return {b"authorization": credential.encode()}


def met(edge: FaultyEdge, service: str, times: int) -> int:
    return sum(edge.find(headers(service)) is not None for _ in range(times))


@pytest.mark.parametrize(("share", "times"), [(0.0, 0), (0.34, 34), (0.5, 50), (1.0, 100)])
def test_a_fault_affects_its_share_of_requests(tmp_path: Path, share: float, times: int) -> None:
    file = tmp_path / "faults.json"
    write_faults(file, {"throttled": EdgeFault(("dynamodb",), share=share, status=400)})
    assert met(FaultyEdge(file), "dynamodb", 100) == times


def test_unaffected_requests_pass(tmp_path: Path) -> None:
    file = tmp_path / "faults.json"
    edge = FaultyEdge(file)
    assert met(edge, "dynamodb", 1) == 0
    write_faults(file, {"throttled": EdgeFault(("dynamodb",), status=400)})
    assert met(edge, "dynamodb", 1) == 1
    assert met(edge, "s3", 1) == 0
    assert edge.find(headers("dynamodb", "AKIA1234")) is None
    assert edge.find({}) is None
    # A removed fault ends immediately
    write_faults(file, {})
    assert met(edge, "dynamodb", 1) == 0


@pytest.mark.parametrize(
    ("fault", "answered"),
    [
        (EdgeFault(("dynamodb",), status=400, code="ThrottlingException"), [400, b"ThrottlingException"]),
        (EdgeFault(("dynamodb",), seconds=0.01), []),
    ],
    ids=["refused", "late"],
)
def test_affected_requests_are_refused_or_late(tmp_path: Path, fault: EdgeFault, answered: list[Any]) -> None:
    write_faults(tmp_path / "faults.json", {"one": fault})
    sent: list[Any] = []

    async def send(message: MutableMapping[str, Any]) -> None:
        sent.append(message.get("status", message.get("body")))

    given = {**headers("dynamodb"), b"X-Amz-Target": b"DynamoDB_20120810.GetItem"}
    scope = {"type": "http", "headers": list(given.items())}
    assert asyncio.run(meet(FaultyEdge(tmp_path / "faults.json"), scope, send)) is bool(answered)
    assert sent[:1] == answered[:1]
    assert [answered[1] in body for body in sent[1:]] == [True] * len(answered[1:])


@pytest.mark.parametrize(
    ("answer", "absorbed", "says"),
    [
        (ProbeAnswer(ROUTE, 200, 0.1), True, None),
        (ProbeAnswer(ROUTE, 404, 0.1, PROBLEM), True, None),
        (ProbeAnswer(ROUTE, 503, 0.1, PROBLEM, "{}"), False, None),
        (ProbeAnswer(ROUTE, 503, 0.1, PROBLEM, "{}"), True, "GET /things answered 503"),
        (ProbeAnswer(ROUTE, 500, 0.1, PROBLEM, "{}"), False, "GET /things answered 500"),
        (ProbeAnswer(ROUTE, 418, 0.1), False, "which its document does not describe"),
        (ProbeAnswer(ROUTE, 503, 0.1, "text/html", "<p>"), False, "as text/html"),
        (ProbeAnswer(ROUTE, 503, 0.1, PROBLEM, "Traceback (most recent call last)"), False, "a Python traceback"),
        (ProbeAnswer(ROUTE, 200, 31.0), False, "took 31 s"),
        (ProbeAnswer(ROUTE, 0, 1.0), False, "was not answered"),
    ],
)
def test_answers_are_held_to_the_document(answer: ProbeAnswer, absorbed: bool, says: str | None) -> None:
    found = find_broken_promise(answer, SERVICE, absorbed=absorbed)
    assert (found is None) is (says is None)
    assert says is None or says in str(found)


@pytest.mark.parametrize(("in_its_place", "kept"), [(True, True), (False, False)])
def test_a_gateway_may_answer_instead_of_a_function(in_its_place: bool, kept: bool) -> None:
    answer = ProbeAnswer(ROUTE, 500, 0.1, "application/json", '{"message":"Internal Server Error"}')
    assert (find_broken_promise(answer, SERVICE, absorbed=False, in_its_place=in_its_place) is None) is kept
    # Not if the service has to absorb the fault
    assert find_broken_promise(answer, SERVICE, absorbed=True, in_its_place=in_its_place) is not None


def test_each_fault_breaks_something() -> None:
    assert len({fault.name for fault in FAULTS}) == len(FAULTS)
    for fault in FAULTS:
        assert fault.kills or (fault.edge and (fault.edge.status or fault.edge.seconds)), fault.name
