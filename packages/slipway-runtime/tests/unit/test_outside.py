"""The probe: its requests, which answers it accepts as the service's, and its metrics."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest
from botocore.awsrequest import AWSRequest
from botocore.exceptions import EndpointConnectionError

from slipway.testing.functions import Context, Counted
from slipway_runtime import outside
from slipway_runtime.checks import http_request, is_problem, is_refused, lists, rest_request, well
from slipway_runtime.hook import Check
from slipway_runtime.outside import Probe, PublicCheck, probe

PROBLEM = json.dumps({"status": 403})
HEALTH = PublicCheck(Check("health", rest_request("GET", "/health"), well))
LIST = PublicCheck(
    Check("a list", rest_request("GET", "/items", query={"limit": "5"}), lists("items", "id")), edge=True
)
KEYED = PublicCheck(Check("a job", rest_request("POST", "/jobs", body="{}"), is_problem(403)), keyed=True)
TOKEN = PublicCheck(Check("no token", http_request("GET", "/results"), is_refused(401)))


class Service:
    """The service at the public address: statuses and bodies of each path in order, the last one repeated."""

    def __init__(self, **answers: list[tuple[int, str]]) -> None:
        self.answers = answers
        self.requests: list[AWSRequest] = []
        self.pauses: list[float] = []

    def __call__(self, request: AWSRequest) -> tuple[int, Mapping[str, str], str]:
        self.requests.append(request)
        left = self.answers[request.url.rpartition("/")[2].partition("?")[0]]
        status, body = left.pop(0) if len(left) > 1 else left[0]
        if not status:
            raise EndpointConnectionError(endpoint_url=request.url)
        kind = "application/problem+json" if status == 403 else "application/json"
        return status, {"content-type": kind}, body

    def probed(self, *checks: PublicCheck) -> outside.ProbeReport:
        """Run a probe with these checks."""
        return Probe(
            checks=checks,
            addresses={outside.API: "https://api.example/live/", outside.EDGE: "https://edge.example/"},
            api_key=lambda: "the key",
            send=self,
            pause=self.pauses.append,
        ).run()


def _values(counted: Counted, metric: str) -> list[float]:
    return [value for line in counted(metric) for value in line[metric]]


def test_requests_go_to_api_or_edge_as_configured() -> None:
    service = Service(
        health=[(200, '{"status": "ok"}')], items=[(200, '{"items": []}')], jobs=[(403, PROBLEM)], results=[(401, "{}")]
    )

    report = service.probed(HEALTH, LIST, KEYED, TOKEN)

    assert report == {"failures": [], "unanswered": []}
    assert [(request.method, request.url) for request in service.requests] == [
        ("GET", "https://api.example/live/health"),
        ("GET", "https://edge.example/items?limit=5"),
        ("POST", "https://api.example/live/jobs"),
        ("GET", "https://api.example/live/results"),
    ]
    keyed = service.requests[2]
    assert (keyed.headers["x-api-key"], keyed.data) == ("the key", b"{}")
    assert "x-api-key" not in service.requests[0].headers


def test_a_healthy_service_is_a_success_with_latencies(counted: Counted) -> None:
    Service(health=[(200, '{"status": "ok"}')]).probed(HEALTH, HEALTH)

    (line,) = counted("ProbeSuccess")
    assert line["_aws"]["CloudWatchMetrics"][0]["Dimensions"] == [["function_name", "service"]]
    assert (line["function_name"], line["level"]) == ("function", "ERROR")
    assert (line["ProbeSuccess"], line["ProbeUnanswered"], len(line["ProbeLatency"])) == ([1.0], [0.0], 2)


@pytest.mark.parametrize(
    ("status", "body", "reason"),
    [
        (200, '{"status": "fine"}', "the status is 'fine', not 'ok'"),
        (200, "not JSON", "JSONDecodeError"),
        (200, "{}", "KeyError"),
        (404, "{}", "answered 404"),
        # A problem from the service, an error of the edge, and no connection
        (503, '{"status": 503}', "answered 503"),
        (502, "<html>", "answered 502"),
        (0, "", "EndpointConnectionError"),
    ],
)
def test_a_wrong_answer_is_a_failure_even_with_200(status: int, body: str, reason: str, counted: Counted) -> None:
    service = Service(health=[(status, body)])

    assert service.probed(HEALTH) == {"failures": [f"health: {reason}"], "unanswered": []}
    assert _values(counted, "ProbeSuccess") == [0.0]
    # The request was retried once
    assert (len(service.requests), service.pauses) == (2, [2.0])


def test_one_lost_connection_is_not_a_failure(counted: Counted) -> None:
    service = Service(health=[(0, ""), (200, '{"status": "ok"}')])

    assert service.probed(HEALTH) == {"failures": [], "unanswered": []}
    assert _values(counted, "ProbeSuccess") == [1.0]


@pytest.mark.parametrize(("status", "body"), [(429, '{"status": 429}'), (500, '{"message": "Internal server error"}')])
def test_answers_of_the_gateway_itself_are_not_counted(status: int, body: str, counted: Counted) -> None:
    report = Service(health=[(status, body)]).probed(HEALTH)

    assert report == {"failures": [], "unanswered": [f"health: answered {status} by the gateway"]}
    assert counted("ProbeSuccess") == []


def test_a_run_that_is_throttled_in_part_still_fails(counted: Counted) -> None:
    service = Service(health=[(429, "{}")], items=[(200, '{"items": [{"name": "x"}]}')])

    report = service.probed(HEALTH, LIST)

    assert report["failures"] == ["a list: an entry of 'items' has no ['id']"]
    (line,) = counted("ProbeSuccess")
    assert (line["ProbeSuccess"], line["ProbeUnanswered"]) == ([0.0], [1.0])


def test_the_handler_requests_the_configured_addresses(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def send(request: AWSRequest) -> Any:
        asked.append(request.url)
        return 200, {}, '{"status": "ok"}'

    monkeypatch.setenv("PROBE_API", "https://here.example/")
    monkeypatch.setattr(outside, "_send", send)

    assert probe([HEALTH])({}, Context()) == {"failures": [], "unanswered": []}
    assert asked == ["https://here.example/health"]
