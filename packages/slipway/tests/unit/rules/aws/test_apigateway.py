"""Rules about API Gateway: its logs, its own responses, its cache."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest

from slipway.rules.aws.apigateway import RULES
from unit.rules.aws.judging import broken

CACHED: dict[str, Any] = dict(next(rule.planted for rule in RULES if rule.name == "CachedByOrigin"))


@pytest.mark.parametrize(
    ("kind", "settings"),
    [("AWS::ApiGateway::Stage", "AccessLogSetting"), ("AWS::ApiGatewayV2::Stage", "AccessLogSettings")],
)
def test_access_logs_escape_what_callers_sent(kind: str, settings: str) -> None:
    def stage(format_: Any) -> dict[str, Any]:
        return {"Stage": {"Type": kind, "Properties": {settings: {"Format": format_}}}}

    bad = json.dumps({"id": "$context.requestId", "error": "$context.error.message"})
    assert broken("ErrorMessageEscaped", stage(bad)) == ["Stage"]
    assert broken("ErrorMessageEscaped", stage({"Fn::Sub": bad})) == ["Stage"]
    assert broken("ErrorMessageEscaped", stage(json.dumps({"error": "$context.error.responseType"}))) == []
    assert broken("ErrorMessageEscaped", stage('{"error": $context.error.messageString}')) == []
    assert broken("ErrorMessageEscaped", stage('$context.status "$context.path" $context.error.message')) == []


def test_gateway_responses_escape_what_callers_sent() -> None:
    def response(body: str) -> dict[str, Any]:
        properties = {"ResponseType": "DEFAULT_4XX", "ResponseTemplates": {"application/json": body}}
        return {"Response": {"Type": "AWS::ApiGateway::GatewayResponse", "Properties": properties}}

    assert broken("ErrorMessageEscaped", response('{"message": "$context.error.message"}')) == ["Response"]
    assert broken("ErrorMessageEscaped", response('{"message": $context.error.messageString}')) == []


def test_a_response_for_too_large_bodies_is_rejected() -> None:
    def response(kind: str) -> dict[str, Any]:
        return {"Response": {"Type": "AWS::ApiGateway::GatewayResponse", "Properties": {"ResponseType": kind}}}

    assert broken("NoResponseForTooLarge", response("REQUEST_TOO_LARGE")) == ["Response"]
    assert broken("NoResponseForTooLarge", response("THROTTLED")) == []


def test_an_http_api_is_throttled() -> None:
    def api(protocol: str, **settings: Any) -> dict[str, Any]:
        stage = {"ApiId": {"Ref": "Api"}, "DefaultRouteSettings": settings}
        return {
            "Api": {"Type": "AWS::ApiGatewayV2::Api", "Properties": {"ProtocolType": protocol}},
            "Stage": {"Type": "AWS::ApiGatewayV2::Stage", "Properties": stage},
        }

    assert broken("HttpApiThrottled", api("HTTP")) == ["Stage"]
    assert broken("HttpApiThrottled", api("HTTP", ThrottlingRateLimit=100, ThrottlingBurstLimit=200)) == []
    assert broken("HttpApiThrottled", api("WEBSOCKET")) == []


class TestCachedByOrigin:
    """A cached response is only valid for the origin that it names."""

    @pytest.fixture
    def api(self) -> dict[str, Any]:
        return copy.deepcopy(CACHED)

    def test_the_origin_is_part_of_the_key(self, api: dict[str, Any]) -> None:
        assert broken("CachedByOrigin", api) == ["Get"]
        api["Get"]["Properties"]["Integration"]["CacheKeyParameters"].append("method.request.header.Origin")
        assert broken("CachedByOrigin", api) == []

    def test_a_star_caches_all_methods(self, api: dict[str, Any]) -> None:
        setting = {"HttpMethod": "*", "ResourcePath": "/*", "CachingEnabled": True}
        api["Stage"]["Properties"]["MethodSettings"] = [setting]
        assert broken("CachedByOrigin", api) == ["Get"]

    def test_uncached_methods_need_no_key(self, api: dict[str, Any]) -> None:
        api["Stage"]["Properties"]["MethodSettings"][0]["ResourcePath"] = "/~1other"
        assert broken("CachedByOrigin", api) == []
        api["Stage"]["Properties"]["MethodSettings"] = []
        assert broken("CachedByOrigin", api) == []

    def test_one_header_for_all_origins_needs_no_key(self, api: dict[str, Any]) -> None:
        answer = {"ResponseParameters": {"method.response.header.Access-Control-Allow-Origin": "'*'"}}
        api["Options"]["Properties"]["Integration"]["IntegrationResponses"] = [answer]
        assert broken("CachedByOrigin", api) == []
