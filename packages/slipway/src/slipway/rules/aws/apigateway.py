"""Rules on API Gateway: logs, cache, and its own answers."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from slipway.rules.aws.rule import AwsRule
from slipway.rules.model import Found, Resource, Templates, text

_LOGGING = "https://docs.aws.amazon.com/apigateway/latest/developerguide/api-gateway-variables-for-access-logging.html"
_RESPONSES = "https://docs.aws.amazon.com/apigateway/latest/developerguide/supported-gateway-response-types.html"
_CACHING = "https://docs.aws.amazon.com/apigateway/latest/developerguide/api-gateway-caching.html"

_ORIGIN = "method.request.header.Origin"
_ALLOW_ORIGIN = "method.response.header.Access-Control-Allow-Origin"

# The variable `message`, but not `messageString`, within the format's quotation marks.
_UNESCAPED = re.compile(r':\s*"[^"]*\$context\.error\.message(?!\w)')


def _unescaped(templates: Templates) -> Iterator[Found]:
    for stage in templates.of_type("AWS::ApiGateway::Stage", "AWS::ApiGatewayV2::Stage"):
        settings = "AccessLogSetting" if stage.type == "AWS::ApiGateway::Stage" else "AccessLogSettings"
        if _UNESCAPED.search(text(stage.get(settings, "Format"))):
            yield Found(stage.stack, stage.logical_id)
    for response in templates.of_type("AWS::ApiGateway::GatewayResponse"):
        bodies = response.get("ResponseTemplates") or {}
        if any(_UNESCAPED.search(text(body)) for body in bodies.values()):
            yield Found(response.stack, response.logical_id)


def _too_large(templates: Templates) -> Iterator[Found]:
    for response in templates.of_type("AWS::ApiGateway::GatewayResponse"):
        if response.get("ResponseType") == "REQUEST_TOO_LARGE":
            yield Found(response.stack, response.logical_id)


def _cached_for_one_origin(templates: Templates) -> Iterator[Found]:
    methods = list(templates.of_type("AWS::ApiGateway::Method"))
    for stage in templates.of_type("AWS::ApiGateway::Stage"):
        cached = [each for each in stage.get("MethodSettings") or [] if each.get("CachingEnabled") in (True, "true")]
        for api in templates.referred(stage.stack, stage.get("RestApiId")):
            own = [
                method for method in methods if api in list(templates.referred(method.stack, method.get("RestApiId")))
            ]
            for method in own:
                if (
                    method.get("HttpMethod") != "OPTIONS"
                    and any(_covers(setting, method) for setting in cached)
                    and any(_depends_on_origin(each) for each in own if each.get("HttpMethod") == "OPTIONS")
                    and _ORIGIN not in (method.get("Integration", "CacheKeyParameters") or [])
                ):
                    yield Found(method.stack, method.logical_id)


def _covers(setting: dict[str, Any], method: Resource) -> bool:
    """Return True if a setting covers a method. API Gateway caches only GET unless a setting names the method."""
    verb, path = setting.get("HttpMethod"), str(setting.get("ResourcePath"))
    named = verb == method.get("HttpMethod") or (verb == "*" and method.get("HttpMethod") == "GET")
    return named and (path == "/*" or path == _path(method))


def _path(method: Resource) -> str:
    """Return a method's path as method settings write it: `/~1data` for `/data`."""
    parts: list[str] = []
    place = method.get("ResourceId")
    while isinstance(place, dict) and "Ref" in place:
        resource = Resource(method.stack, place["Ref"])
        parts.insert(0, str(resource.get("PathPart")))
        place = resource.get("ParentId")
    return "/~1" + "~1".join(parts) if parts else "/"


def _depends_on_origin(preflight: Resource) -> bool:
    """Return True if an API answers different origins with different headers, as its preflights show."""
    answers = preflight.get("Integration", "IntegrationResponses") or []
    allowed = {str((answer.get("ResponseParameters") or {}).get(_ALLOW_ORIGIN)) for answer in answers}
    return allowed != {"'*'"}


def _unthrottled(templates: Templates) -> Iterator[Found]:
    for stage in templates.of_type("AWS::ApiGatewayV2::Stage"):
        apis = [api for api in templates.referred(stage.stack, stage.get("ApiId")) if api.get("ProtocolType") == "HTTP"]
        if apis and not stage.get("DefaultRouteSettings", "ThrottlingRateLimit"):
            yield Found(stage.stack, stage.logical_id)


def _stage(format_: str) -> dict[str, Any]:
    return {"Type": "AWS::ApiGateway::Stage", "Properties": {"AccessLogSetting": {"Format": format_}}}


RULES = (
    AwsRule(
        name="ErrorMessageEscaped",
        does="API Gateway does not escape $context.error.message, which may repeat what the caller sent: a quotation "
        "mark in it breaks the JSON around it.",
        says="A JSON access log or gateway response puts the message in quotation marks.",
        fix="Use $context.error.responseType, which is one of AWS's own words, or, where there is always an error, "
        "$context.error.messageString, which includes its quotation marks.",
        source=_LOGGING,
        check=_unescaped,
        planted={"Stage": _stage(json.dumps({"error": "$context.error.message"}))},
    ),
    AwsRule(
        name="NoResponseForTooLarge",
        does="API Gateway answers a body that is too large with its own 413, whatever the gateway response says.",
        says="A gateway response for REQUEST_TOO_LARGE promises a body that no caller gets.",
        fix="Remove it, and have clients recognise a 413 by its status.",
        source=_RESPONSES,
        check=_too_large,
        planted={
            "Response": {
                "Type": "AWS::ApiGateway::GatewayResponse",
                "Properties": {"ResponseType": "REQUEST_TOO_LARGE"},
            }
        },
    ),
    AwsRule(
        name="HttpApiThrottled",
        does="AWS WAF does not protect HTTP APIs: only the stage's throttle limits callers, and without one only "
        "the account's quota, which all APIs of the region share.",
        says="A stage of an HTTP API has no throttle.",
        fix="Set ThrottlingRateLimit and ThrottlingBurstLimit in the stage's DefaultRouteSettings.",
        source="https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-vs-rest.html",
        check=_unthrottled,
        planted={
            "Api": {"Type": "AWS::ApiGatewayV2::Api", "Properties": {"ProtocolType": "HTTP"}},
            "Stage": {"Type": "AWS::ApiGatewayV2::Stage", "Properties": {"ApiId": {"Ref": "Api"}}},
        },
    ),
    AwsRule(
        name="CachedByOrigin",
        does="A stage's cache returns an answer with the CORS headers of its first caller to every other origin.",
        says="A cached method of an API with CORS for some origins has no Origin in its cache key.",
        fix="Add method.request.header.Origin to the method's cache key parameters.",
        source=_CACHING,
        check=_cached_for_one_origin,
        planted={
            "Api": {"Type": "AWS::ApiGateway::RestApi"},
            "Data": {"Type": "AWS::ApiGateway::Resource", "Properties": {"PathPart": "data", "ParentId": "root"}},
            "Get": {
                "Type": "AWS::ApiGateway::Method",
                "Properties": {
                    "RestApiId": {"Ref": "Api"},
                    "ResourceId": {"Ref": "Data"},
                    "HttpMethod": "GET",
                    "Integration": {"CacheKeyParameters": ["method.request.querystring.id"]},
                },
            },
            "Options": {
                "Type": "AWS::ApiGateway::Method",
                "Properties": {
                    "RestApiId": {"Ref": "Api"},
                    "ResourceId": {"Ref": "Data"},
                    "HttpMethod": "OPTIONS",
                    "Integration": {
                        "IntegrationResponses": [{"ResponseParameters": {_ALLOW_ORIGIN: "'https://app.example.com'"}}]
                    },
                },
            },
            "Stage": {
                "Type": "AWS::ApiGateway::Stage",
                "Properties": {
                    "RestApiId": {"Ref": "Api"},
                    "MethodSettings": [{"HttpMethod": "GET", "ResourcePath": "/~1data", "CachingEnabled": True}],
                },
            },
        },
    ),
)
