"""APIs defined by an OpenAPI document are reviewed operation by operation."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest

from slipway.review.findings import ChangeFinding, Severity
from unit.review.assemblies import ACCOUNT, STRANGER, found, resource

REST, HTTP = "AWS::ApiGateway::RestApi", "AWS::ApiGatewayV2::Api"


def _uri(account: str) -> str:
    return (
        f"arn:aws:apigateway:us-east-1:lambda:path/functions/arn:aws:lambda:us-east-1:{account}:function:a/invocations"
    )


DOCUMENT: dict[str, Any] = {
    "openapi": "3.0.1",
    "components": {"securitySchemes": {"sigv4": {"type": "apiKey"}}},
    "paths": {
        "/a": {
            "get": {
                "security": [{"sigv4": []}],
                "x-amazon-apigateway-integration": {"uri": _uri(ACCOUNT), "type": "aws_proxy"},
            },
            "options": {"x-amazon-apigateway-integration": {"type": "mock"}},
        }
    },
}


def _changed(*way: str, value: Any = None, document: dict[str, Any] = DOCUMENT) -> dict[str, Any]:
    edited = copy.deepcopy(document)
    place = edited
    for part in way[:-1]:
        place = place[part]
    if value is None:
        del place[way[-1]]
    else:
        place[way[-1]] = value
    return edited


def _found(after: Any, before: Any = DOCUMENT, kind: str = REST) -> list[ChangeFinding]:
    return found({"Api": resource(kind, {"Body": before})}, {"Api": resource(kind, {"Body": after})})


GET = ("paths", "/a", "get")


@pytest.mark.parametrize("kind", [REST, HTTP])
@pytest.mark.parametrize("open_to_all", [None, [], [{}], [{"sigv4": []}, {}]])
def test_an_open_operation_is_critical(kind: str, open_to_all: Any) -> None:
    (finding,) = _found(_changed(*GET, "security", value=open_to_all), kind=kind)

    assert (finding.kind, finding.severity) == ("open-route", Severity.CRITICAL)


def test_security_of_the_document_counts_for_its_operations() -> None:
    # Given a document that requires a signature for every operation
    general = {**_changed(*GET, "security"), "security": [{"sigv4": []}]}

    assert not _found(general)
    assert {finding.kind for finding in _found(_changed("security", document=general), general)} == {"open-route"}


def test_deleted_operation_is_found() -> None:
    (finding,) = _found(_changed(*GET))

    assert finding.kind == "route-removed"


def test_operation_that_leads_to_a_stranger_is_critical() -> None:
    after = _changed(*GET, "x-amazon-apigateway-integration", "uri", value=_uri(STRANGER))

    assert ("destination-changed", Severity.CRITICAL) in {(one.kind, one.severity) for one in _found(after)}


def test_changed_responses_and_security_schemes_are_found() -> None:
    answers = _changed(*GET, "responses", value={"200": {}})
    sign_in = _changed("components", "securitySchemes", "sigv4", "type", value="http")

    assert {finding.kind for finding in _found(answers)} == {"interface-changed"}
    assert {finding.kind for finding in _found(sign_in)} == {"authorizer-loosened"}


def test_changed_title_is_not_a_finding() -> None:
    assert not _found(_changed("info", value={"title": "another"}))


def test_preflight_needs_no_authorization() -> None:
    without = _changed("paths", "/a", "options")

    assert not _found(DOCUMENT, without)


def test_document_as_text_is_read_or_reported_as_damaged() -> None:
    assert {finding.kind for finding in _found(json.dumps(_changed(*GET)), json.dumps(DOCUMENT))} == {"route-removed"}
    assert {finding.kind for finding in _found("no: JSON")} >= {"unjudged"}


def test_a_new_open_api_is_found() -> None:
    after = {"Api": resource(REST, {"Body": _changed(*GET, "security")})}
    findings = found({}, after, "open-route")

    assert [finding.severity for finding in findings] == [Severity.HIGH]
