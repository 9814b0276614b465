"""Routes are read from an OpenAPI document, and requests are matched to them."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import httpx
import pytest

from slipway.emulator.routes import Route, SigV4, curl, routes, target
from slipway.emulator.server import Credentials
from slipway.errors import RehearsalError

OUTPUTS = {
    "ApiEndpoint": "https://localhost:4566/restapis/a1/live/_user_request_/",
    "EdgeEndpoint": "https://localhost:4566/",
    "DistributionDomain": "d1.cloudfront.net",
}
CALLER = Credentials("AKIAEXAMPLE", "secret")


@pytest.fixture
def services(tmp_path: Path) -> Path:
    item = {"type": "object", "required": ["name"], "properties": {"name": {"type": "string", "examples": ["kettle"]}}}
    body = {"content": {"application/json": {"schema": {"$ref": "#/components/schemas/Item"}}}}
    document = {
        "paths": {
            "/items": {"get": {}, "post": {"security": [{"sigv4": []}], "requestBody": body}},
            "/items/{id}": {"parameters": [], "put": {"security": [{"iam": []}]}},
        },
        "components": {
            "schemas": {"Item": item},
            "securitySchemes": {"iam": {"type": "apiKey", "x-amazon-apigateway-authtype": "awsSigv4"}},
        },
    }
    (tmp_path / "items").mkdir()
    (tmp_path / "items" / "openapi.json").write_text(json.dumps(document))
    return tmp_path


def test_routes_are_read_with_their_signature_and_an_example(services: Path) -> None:
    assert routes("items", services=services) == (
        Route("GET", "/items", signed=False),
        Route("POST", "/items", signed=True, body='{"name": "kettle"}'),
        Route("PUT", "/items/{id}", signed=True),
    )


def test_a_service_without_a_document_is_reported(tmp_path: Path) -> None:
    with pytest.raises(RehearsalError, match=r"services/items/openapi\.json is missing"):
        routes("items", services=tmp_path)


@pytest.mark.parametrize(
    ("method", "path", "met"),
    [
        ("PUT", "/items/7", True),
        ("put", "/items/7?x=1", True),
        ("PUT", "/items", False),
        ("PUT", "/items/7/8", False),
        ("GET", "/items/7", False),
    ],
)
def test_request_matches_a_route_by_method_and_path(method: str, path: str, *, met: bool) -> None:
    assert Route("PUT", "/items/{id}", signed=True).matches(method, path) is met


def test_reads_use_the_edge_but_health_checks_do_not() -> None:
    assert target(OUTPUTS, "/items?limit=2", edge=True).url == "https://localhost:4566/items?limit=2"
    assert target(OUTPUTS, "/items", edge=True).host == "d1.cloudfront.net"
    assert target(OUTPUTS, "/health", edge=True).url == f"{OUTPUTS['ApiEndpoint']}health"
    assert target(OUTPUTS, "/items", edge=False).host is None


def test_a_command_line_is_quoted_for_the_shell() -> None:
    route = Route("POST", "/items", signed=True, body='{"name": "it\'s"}')
    words = shlex.split(curl(route, OUTPUTS, CALLER, "us-east-1", "ca.pem"))
    assert words[words.index("-d") + 1] == route.body
    assert words[words.index("--user") + 1] == "AKIAEXAMPLE:secret"
    assert words[-1] == f"{OUTPUTS['ApiEndpoint']}items"
    read = shlex.split(curl(Route("GET", "/items", signed=False), OUTPUTS, CALLER, "us-east-1", "ca.pem"))
    assert "Host: d1.cloudfront.net" in read
    assert "--user" not in read


def test_a_token_comes_from_the_shell() -> None:
    route = Route("GET", "/items", signed=False, bearer=True)

    assert '-H "Authorization: Bearer $TOKEN" ' in curl(route, OUTPUTS, CALLER, "us-east-1", "ca.pem")
    line = curl(route, OUTPUTS, CALLER, "us-east-1", "ca.pem", token="$(slipway orders token)")
    assert '-H "Authorization: Bearer $(slipway orders token)" ' in line


def test_signed_request_has_the_checking_services_signature() -> None:
    seen: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return httpx.Response(200)

    with httpx.Client(transport=httpx.MockTransport(answer)) as client:
        client.post("https://localhost:4566/items?a=b c", json={"name": "x"}, auth=SigV4(CALLER, "us-east-1"))
    authorization = seen[0].headers["authorization"]
    assert "/us-east-1/execute-api/aws4_request" in authorization
    assert "SignedHeaders=content-type;host;x-amz-date" in authorization
