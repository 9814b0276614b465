"""Rules about the edge: its cache key and preflight requests."""

from __future__ import annotations

from typing import Any

import pytest

from slipway.rules.aws.rule import planted_stack
from unit.rules.aws.judging import broken

NONE: dict[str, Any] = {"HeaderBehavior": "none"}


def _sections(headers: Any, queries: Any, cookies: Any) -> dict[str, Any]:
    return {
        "HeadersConfig": {"HeaderBehavior": headers} if isinstance(headers, str) else headers,
        "QueryStringsConfig": {"QueryStringBehavior": queries} if isinstance(queries, str) else queries,
        "CookiesConfig": {"CookieBehavior": cookies} if isinstance(cookies, str) else cookies,
    }


def _cache(headers: Any = "none", queries: Any = "none", cookies: Any = "none", **config: Any) -> dict[str, Any]:
    parameters = _sections(headers, queries, cookies)
    return {
        "Type": "AWS::CloudFront::CachePolicy",
        "Properties": {"CachePolicyConfig": {"ParametersInCacheKeyAndForwardedToOrigin": parameters, **config}},
    }


def _requests(headers: Any = "none", queries: Any = "none", cookies: Any = "none") -> dict[str, Any]:
    return {
        "Type": "AWS::CloudFront::OriginRequestPolicy",
        "Properties": {"OriginRequestPolicyConfig": _sections(headers, queries, cookies)},
    }


def _distribution(**behavior: Any) -> dict[str, Any]:
    config = {"DefaultCacheBehavior": behavior}
    return {"Type": "AWS::CloudFront::Distribution", "Properties": {"DistributionConfig": config}}


def _edge(cache: dict[str, Any], requests: dict[str, Any]) -> list[str | None]:
    return broken(
        "EdgeSendsWhatItCachesBy",
        {
            "Cache": cache,
            "Requests": requests,
            "Edge": _distribution(CachePolicyId={"Ref": "Cache"}, OriginRequestPolicyId={"Ref": "Requests"}),
        },
    )


@pytest.mark.parametrize(
    "headers",
    [
        "allViewer",
        {"HeaderBehavior": "allExcept", "Headers": ["Host"]},
        {"HeaderBehavior": "allViewerAndWhitelistCloudFront", "Headers": ["CloudFront-Viewer-Country"]},
        {"HeaderBehavior": "whitelist", "Headers": ["X-HTTP-Method-Override"]},
    ],
)
def test_headers_outside_the_key_do_not_reach_the_origin(headers: Any) -> None:
    assert _edge(_cache(), _requests(headers)) == ["Edge"]


def test_named_headers_may_reach_the_origin() -> None:
    named = {"HeaderBehavior": "whitelist", "Headers": ["User-Agent"]}
    override = {"HeaderBehavior": "whitelist", "Headers": ["X-HTTP-Method-Override"]}
    overrides = ["Host", "X-HTTP-Method-Override", "X-HTTP-Method", "X-Method-Override"]

    assert _edge(_cache(), _requests(named)) == []
    assert _edge(_cache(override), _requests(override)) == []
    assert _edge(_cache(), _requests({"HeaderBehavior": "allExcept", "Headers": overrides})) == []


def test_queries_and_cookies_outside_the_key_are_dropped() -> None:
    page = {"QueryStringBehavior": "whitelist", "QueryStrings": ["page"]}
    more = {"QueryStringBehavior": "whitelist", "QueryStrings": ["page", "user"]}

    assert _edge(_cache(queries=page), _requests(queries="all")) == ["Edge"]
    assert _edge(_cache(queries=page), _requests(queries=more)) == ["Edge"]
    assert _edge(_cache(queries=page), _requests(queries=page)) == []
    assert _edge(_cache(queries="all"), _requests(queries="all")) == []
    assert _edge(_cache(), _requests(cookies="all")) == ["Edge"]


def test_uncached_requests_may_send_everything() -> None:
    everything = _requests("allViewer", "all", "all")
    uncached = _distribution(
        CachePolicyId="4135ea2d-6df8-44a3-9df3-4b5a84be39ad", OriginRequestPolicyId={"Ref": "Requests"}
    )

    assert _edge(_cache(MaxTTL=0), everything) == []
    assert broken("EdgeSendsWhatItCachesBy", {"Edge": uncached, "Requests": everything}) == []
    assert broken("EdgeSendsWhatItCachesBy", {"Edge": _distribution(CachePolicyId={"Ref": "Cache"})}) == []


def test_managed_policies_are_known() -> None:
    # Given AllViewerExceptHostHeader with CachingOptimized
    edge = _distribution(
        CachePolicyId="658327ea-f89d-4fab-a63d-7e88639e58f6",
        OriginRequestPolicyId="b689b0a8-53d0-40ab-baf2-68738e2966ac",
    )

    assert broken("EdgeSendsWhatItCachesBy", {"Edge": edge}) == ["Edge"]


def test_policies_of_other_stacks_are_read_or_reported() -> None:
    shared = planted_stack(
        {"Resources": {"Requests": _requests("allViewer")}, "Outputs": {"Id": {"Value": {"Ref": "Requests"}}}},
        name="shared",
    )
    reference = {"Fn::GetStackOutput": {"StackName": "shared", "OutputName": "Id"}}
    edge = _distribution(CachePolicyId={"Ref": "Cache"}, OriginRequestPolicyId=reference)

    assert broken("EdgeSendsWhatItCachesBy", {"Edge": edge, "Cache": _cache()}, shared) == ["Edge"]
    assert broken("EdgeSendsWhatItCachesBy", {"Edge": edge, "Cache": _cache()}) == ["Edge"]


REST: dict[str, Any] = {
    "Api": {"Type": "AWS::ApiGateway::RestApi"},
    "Preflight": {
        "Type": "AWS::ApiGateway::Method",
        "Properties": {"RestApiId": {"Ref": "Api"}, "HttpMethod": "OPTIONS"},
    },
}
HTTP: dict[str, Any] = {"Api": {"Type": "AWS::ApiGatewayV2::Api", "Properties": {"CorsConfiguration": {}}}}
WITHOUT_CORS: dict[str, Any] = {"Api": {"Type": "AWS::ApiGatewayV2::Api"}}


def _before(methods: list[str] | None) -> dict[str, Any]:
    behavior = {"TargetOriginId": "api", **({"AllowedMethods": methods} if methods else {})}
    origin = {"Id": "api", "DomainName": {"Fn::Join": ["", [{"Ref": "Api"}, ".execute-api.eu-west-1.amazonaws.com"]]}}
    config = {"Origins": [origin], "DefaultCacheBehavior": behavior}
    return {"Edge": {"Type": "AWS::CloudFront::Distribution", "Properties": {"DistributionConfig": config}}}


@pytest.mark.parametrize("api", [REST, HTTP])
def test_preflights_pass_the_edge(api: dict[str, Any]) -> None:
    rule = "EdgePassesPreflights"

    assert broken(rule, {**api, **_before(["GET", "HEAD"])}) == ["Edge"]
    assert broken(rule, {**api, **_before(None)}) == ["Edge"]
    assert broken(rule, {**api, **_before(["GET", "HEAD", "OPTIONS"])}) == []
    assert broken(rule, {**WITHOUT_CORS, **_before(["GET", "HEAD"])}) == []
