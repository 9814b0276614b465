"""The OpenAPI documents of the services, as third-party tools read them."""

from __future__ import annotations

import json
import re
from functools import cache
from http import HTTPStatus
from typing import Any

import pytest
from openapi_spec_validator import validate

from slipway.blocks import rest
from slipway.openapi import texts
from slipway.project import ROOT
from slipway.testing.app import Subject
from slipway.testing.clients import DOCUMENTS, GeneratedClient, generate

pytestmark = pytest.mark.usefixtures("of_this_project")

SERVICES = sorted(file.parent.name for file in DOCUMENTS.glob("*/openapi.json"))


@cache
def document(api: str) -> dict[str, Any]:
    read: dict[str, Any] = json.loads((DOCUMENTS / api / "openapi.json").read_text(encoding="utf-8"))
    return read


def operations(api: str) -> list[tuple[str, dict[str, Any]]]:
    return [(path, each) for path, methods in document(api)["paths"].items() for each in methods.values()]


def is_rest(api: str) -> bool:
    """Return True if the document describes a REST API; an HTTP API accepts tokens."""
    schemes = document(api)["components"].get("securitySchemes", {}).values()
    return all(scheme.get("scheme") != "bearer" for scheme in schemes)


@pytest.fixture(scope="module", params=SERVICES)
def generated(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> GeneratedClient:
    return generate(request.param, tmp_path_factory.mktemp(request.param))


def test_documents_are_those_of_the_routes() -> None:
    for path, text in texts(ROOT).items():
        assert path.read_text(encoding="utf-8") == text, "run `make openapi`"


@pytest.mark.parametrize("api", SERVICES)
def test_routes_are_those_of_the_document(subject: Subject, api: str) -> None:
    documented = {f"{verb.upper()} {path}" for path, verbs in document(api)["paths"].items() for verb in verbs}
    # What can be read is answered for HEAD, too
    heads = {route.replace("GET", "HEAD") for route in documented if route.startswith("GET")}
    for environment in (environment for environment, service in subject.cases if service == api):
        assert set(subject.deploy(environment, api).routes()) == documented | heads


@pytest.mark.parametrize("api", SERVICES)
def test_documents_are_valid(api: str) -> None:
    validate(document(api))


@pytest.mark.parametrize("api", SERVICES)
def test_every_reference_leads_somewhere_and_every_schema_is_used(api: str) -> None:
    used = set(re.findall(r"#/components/schemas/(\w+)", json.dumps(document(api))))
    assert used == set(document(api)["components"]["schemas"])


def test_generated_clients_read_every_documented_answer(generated: GeneratedClient) -> None:
    # Given a client that was generated without a warning
    problem = {
        "type": "about:blank",
        "title": "Forbidden",
        "status": 403,
        "instance": "/live/x",
        "request_id": "1",
        "errors": [{"field": "body", "message": "is wrong"}],
    }
    read = generated.model("Problem").from_dict(problem)
    assert (read.status, read.title, read.errors[0].field) == (403, "Forbidden", "body")
    message = generated.model("GatewayMessage").from_dict({"message": "Unauthorized"})
    assert message.message == "Unauthorized"


@pytest.mark.parametrize("template", [*rest._GATEWAY_PROBLEMS, *rest._GATEWAY_DEFAULTS], ids=lambda each: str(each[0]))
def test_generated_clients_read_what_the_gateway_refuses(
    template: tuple[str, int | None, str | None, str], generated: GeneratedClient
) -> None:
    _, status, title, detail = template
    # Given an answer as API Gateway makes it of its template
    text = re.sub(r"\$context\.(\w+\.)*\w+", "value", rest._problem(status, title, detail))
    # Then a generated client reads it
    read = generated.model("Problem").from_dict(json.loads(text))
    assert read.detail == detail
    if status is not None:
        assert (read.status, read.title) == (status, title)
        assert title == {413: "Content Too Large"}.get(status, HTTPStatus(status).phrase)


@pytest.mark.parametrize("api", SERVICES)
def test_what_the_gateway_answers_is_documented(api: str) -> None:
    # Where the gateway answers a health check itself, nothing behind it fails
    for path, operation in operations(api):
        if is_rest(api):
            if path != "/health":
                _assert_rest_answers(path, operation)
        else:
            _assert_http_answers(path, operation)


def _assert_rest_answers(path: str, operation: dict[str, Any]) -> None:
    # What it may answer of itself to any request, and to one with a body
    always, with_body = {403, 429, 500, 502, 504}, {400, 413, 415}
    documented = {int(status) for status in operation["responses"]}
    assert documented >= (always | with_body if "requestBody" in operation else always), path


def _assert_http_answers(path: str, operation: dict[str, Any]) -> None:
    statuses = {"429", "500", "503"} | ({"401"} if "security" in operation else set())
    statuses |= {"413"} if "requestBody" in operation else set()
    for status in statuses:
        schemas = operation["responses"][status]["content"]["application/problem+json"]["schema"]["anyOf"]
        assert {"$ref": "#/components/schemas/GatewayMessage"} in schemas, f"{path} {status}"


def test_the_services_say_the_same_of_the_same() -> None:
    shared = ("Problem", "ProblemField", "GatewayMessage")
    for name in shared:
        assert len({json.dumps(document(api)["components"]["schemas"][name]) for api in SERVICES}) == 1
