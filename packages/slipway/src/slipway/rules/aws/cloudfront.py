"""Rules on CloudFront: data sent to the origin that is not part of the cache key."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from slipway.rules.aws.rule import AwsRule
from slipway.rules.model import Found, Resource, Templates, Value, listed

_REQUESTS = "https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/controlling-origin-requests.html"
_CORS = "https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/RequestAndResponseBehaviorCustomOrigin.html"

_DISTRIBUTION = "AWS::CloudFront::Distribution"

# The managed policies, by their ids:
# https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/using-managed-origin-request-policies.html
_MANAGED_REQUESTS: Mapping[str, Mapping[str, Any]] = {
    "216adef6-5c7f-47e4-b989-5492eafa07d3": {"headers": "allViewer", "queries": "all", "cookies": "all"},
    "b689b0a8-53d0-40ab-baf2-68738e2966ac": {"headers": "allExcept", "queries": "all", "cookies": "all"},
    "33f36d7e-f396-46d9-90e0-52428a34d9dc": {
        "headers": "allViewerAndWhitelistCloudFront",
        "queries": "all",
        "cookies": "all",
    },
}
# https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/using-managed-cache-policies.html
_CACHING_DISABLED = "4135ea2d-6df8-44a3-9df3-4b5a84be39ad"

_NONE, _ALL = "none", frozenset({"all", "allViewer", "allExcept", "allViewerAndWhitelistCloudFront"})

METHOD_OVERRIDES = frozenset({"x-http-method-override", "x-http-method", "x-method-override"})
"""Headers with which a viewer overrides the method at the origin."""


@dataclass(frozen=True)
class _Sent:
    """The headers, cookies or query parameters that reach an origin or are in a cache key: names, or all."""

    kind: str
    names: frozenset[str]
    everything: bool = False

    def goes_beyond(self, key: _Sent) -> bool:
        """Return True if something is sent that the key does not distinguish."""
        if key.everything:
            return False
        if self.kind == "headers":
            # A named header is a deliberate choice, except one that overrides the method.
            return self.everything or bool((self.names - key.names) & METHOD_OVERRIDES)
        return self.everything or bool(self.names - key.names)


_NAMES = {
    "headers": ("HeadersConfig", "HeaderBehavior", "Headers"),
    "queries": ("QueryStringsConfig", "QueryStringBehavior", "QueryStrings"),
    "cookies": ("CookiesConfig", "CookieBehavior", "Cookies"),
}


def _behaviors(distribution: Resource) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield the behaviors of a distribution by their paths; `*` is the default one."""
    config = distribution.get("DistributionConfig") or {}
    if isinstance(config.get("DefaultCacheBehavior"), dict):
        yield "*", config["DefaultCacheBehavior"]
    yield from ((str(each.get("PathPattern")), each) for each in config.get("CacheBehaviors") or [])


def _sent(config: Mapping[str, Any], kind: str) -> _Sent:
    section, behavior, names = _NAMES[kind]
    found = config.get(section) or {}
    listed_names = frozenset(str(name).lower() for name in listed(found.get(names) or []))
    how = found.get(behavior, _NONE)
    if how == "allExcept" and kind == "headers" and listed_names >= METHOD_OVERRIDES:
        return _Sent(kind, frozenset())
    return _Sent(kind, listed_names if how == "whitelist" else frozenset(), everything=how in _ALL)


def _requests(templates: Templates, stack_of: Resource, value: Value) -> Mapping[str, _Sent] | None:
    """Return what an origin request policy sends, by kind; None if it is unknown."""
    if isinstance(value, str):
        managed = _MANAGED_REQUESTS.get(value)
        if managed is None:
            return None
        return {kind: _Sent(kind, frozenset(), everything=how in _ALL) for kind, how in managed.items()}
    for policy in templates.referred(stack_of.stack, value):
        if policy.type == "AWS::CloudFront::OriginRequestPolicy":
            config = policy.get("OriginRequestPolicyConfig") or {}
            return {kind: _sent(config, kind) for kind in _NAMES}
    return None


def _key(templates: Templates, stack_of: Resource, value: Value) -> Mapping[str, _Sent] | None:
    """Return the cache key of a cache policy, by kind; None if it is unknown, or if nothing is cached."""
    for policy in templates.referred(stack_of.stack, value):
        if policy.type == "AWS::CloudFront::CachePolicy":
            config = policy.get("CachePolicyConfig") or {}
            if config.get("MaxTTL") == 0:
                return None
            parameters = config.get("ParametersInCacheKeyAndForwardedToOrigin") or {}
            return {kind: _sent(parameters, kind) for kind in _NAMES}
    return None


def _beyond_the_key(templates: Templates) -> Iterator[Found]:
    for distribution in templates.of_type(_DISTRIBUTION):
        for path, behavior in _behaviors(distribution):
            policy, cache = behavior.get("OriginRequestPolicyId"), behavior.get("CachePolicyId")
            if policy is None or cache is None or cache == _CACHING_DISABLED:
                continue
            sent = _requests(templates, distribution, policy)
            key = _key(templates, distribution, cache)
            if isinstance(cache, str):
                # No managed policy that caches has the complete request in its key.
                key = {kind: _Sent(kind, frozenset()) for kind in _NAMES}
            if sent is None:
                if not isinstance(policy, str):
                    yield Found(distribution.stack, distribution.logical_id, f"Unresolved::{path}")
            elif key is not None and any(sent[kind].goes_beyond(key[kind]) for kind in _NAMES):
                yield Found(distribution.stack, distribution.logical_id, f"Behavior::{path}")


def _preflights_refused(templates: Templates) -> Iterator[Found]:
    for distribution in templates.of_type(_DISTRIBUTION):
        origins = {
            origin.get("Id"): origin for origin in (distribution.get("DistributionConfig") or {}).get("Origins") or []
        }
        for path, behavior in _behaviors(distribution):
            origin = origins.get(behavior.get("TargetOriginId"), {})
            apis = templates.referred(distribution.stack, origin.get("DomainName"))
            if "OPTIONS" not in behavior.get("AllowedMethods", ["GET", "HEAD"]) and any(
                _answers_preflights(templates, api) for api in apis
            ):
                yield Found(distribution.stack, distribution.logical_id, f"Behavior::{path}")


def _answers_preflights(templates: Templates, api: Resource) -> bool:
    if api.type == "AWS::ApiGatewayV2::Api":
        return api.get("CorsConfiguration") is not None
    if api.type != "AWS::ApiGateway::RestApi":
        return False
    return any(
        method.get("HttpMethod") == "OPTIONS" and api in list(templates.referred(method.stack, method.get("RestApiId")))
        for method in templates.of_type("AWS::ApiGateway::Method")
    )


_CACHE_POLICY = {
    "Type": "AWS::CloudFront::CachePolicy",
    "Properties": {
        "CachePolicyConfig": {
            "MaxTTL": 60,
            "ParametersInCacheKeyAndForwardedToOrigin": {
                "HeadersConfig": {"HeaderBehavior": "whitelist", "Headers": ["Origin"]},
                "QueryStringsConfig": {"QueryStringBehavior": "none"},
                "CookiesConfig": {"CookieBehavior": "none"},
            },
        }
    },
}

RULES = (
    AwsRule(
        name="EdgeSendsWhatItCachesBy",
        does="CloudFront stores one answer per cache key, whatever else the origin request policy sends. API "
        "Gateway follows X-HTTP-Method-Override: one GET overridden to HEAD leaves an empty page for everybody.",
        says="A behavior that caches sends headers, queries or cookies of the viewer that are not in its cache key.",
        fix="List what the origin needs, and put everything that changes the answer into the cache key.",
        source=_REQUESTS,
        check=_beyond_the_key,
        planted={
            "CachePolicy": _CACHE_POLICY,
            "RequestPolicy": {
                "Type": "AWS::CloudFront::OriginRequestPolicy",
                "Properties": {
                    "OriginRequestPolicyConfig": {
                        "HeadersConfig": {"HeaderBehavior": "allExcept", "Headers": ["Host"]},
                        "QueryStringsConfig": {"QueryStringBehavior": "none"},
                        "CookiesConfig": {"CookieBehavior": "none"},
                    }
                },
            },
            "Distribution": {
                "Type": _DISTRIBUTION,
                "Properties": {
                    "DistributionConfig": {
                        "DefaultCacheBehavior": {
                            "CachePolicyId": {"Ref": "CachePolicy"},
                            "OriginRequestPolicyId": {"Ref": "RequestPolicy"},
                        }
                    }
                },
            },
        },
    ),
    AwsRule(
        name="EdgePassesPreflights",
        does="CloudFront answers a method that a behavior does not allow with 403, without asking the origin.",
        says="A behavior in front of an API that answers CORS preflights does not allow OPTIONS, so browsers "
        "cannot send requests that need a preflight.",
        fix="Allow GET, HEAD and OPTIONS on the behavior.",
        source=_CORS,
        check=_preflights_refused,
        planted={
            "Api": {
                "Type": "AWS::ApiGatewayV2::Api",
                "Properties": {"CorsConfiguration": {"AllowOrigins": ["https://app.example.com"]}},
            },
            "Distribution": {
                "Type": _DISTRIBUTION,
                "Properties": {
                    "DistributionConfig": {
                        "Origins": [
                            {
                                "Id": "api",
                                "DomainName": {
                                    "Fn::Join": ["", [{"Ref": "Api"}, ".execute-api.eu-west-1.amazonaws.com"]]
                                },
                            }
                        ],
                        "DefaultCacheBehavior": {"TargetOriginId": "api", "AllowedMethods": ["GET", "HEAD"]},
                    }
                },
            },
        },
    ),
)
