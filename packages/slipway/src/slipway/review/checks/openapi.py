"""Check APIs that are defined by an OpenAPI document in the template."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, Final

from slipway.review.assembly import Json
from slipway.review.checks.registry import CheckContext, both, fields, on, shown
from slipway.review.destinations import Destinations
from slipway.review.findings import ChangeFinding, Severity, found
from slipway.review.resources import Pair, ReviewedResource, differences

_METHODS: Final = frozenset(
    {"get", "put", "post", "delete", "options", "head", "patch", "trace", "x-amazon-apigateway-any-method"}
)
_INTEGRATION: Final = "x-amazon-apigateway-integration"
_SECURITY: Final = "security"


@on("AWS::ApiGateway::RestApi", "AWS::ApiGatewayV2::Api", judges="Body")
def body(pair: Pair, context: CheckContext) -> Iterator[ChangeFinding]:
    """Check for operations that are removed, redirected, or no longer authenticate callers."""
    after = pair.after
    if after is None or (pair.before is not None and pair.before.get("Body") == after.get("Body")):
        return
    document = _document(after.get("Body"))
    if document is None:
        if after.get("Body") is not None:
            yield found("unjudged", after, "its OpenAPI document cannot be read", detail="Body")
        return
    new = dict(_operations(document))
    if not (sides := both(pair)):
        for name, operation in new.items():
            if _is_open(document, operation) and not _is_preflight(name):
                what = f"{name} is new and has no authorization"
                yield found("open-route", after, what, severity=Severity.HIGH, detail=name)
        return
    old_document = _document(sides[0].get("Body")) or {}
    old = dict(_operations(old_document))
    for name, operation in old.items():
        if name not in new:
            yield found("route-removed", after, f"the operation {name} is removed", detail=name)
            continue
        yield from _security(after, name, (old_document, operation), (document, new[name]))
        yield from _integration(after, name, operation, new[name], context)
        rest = [
            difference.name
            for difference in differences(operation, new[name])
            if difference.path[0] not in {_SECURITY, _INTEGRATION, "x-amazon-apigateway-auth"}
        ]
        if rest:
            what = f"the requests or answers of {name} change: {', '.join(rest[:5])}"
            yield found("interface-changed", after, what, detail=name)
    for name in new.keys() - old.keys():
        if _is_open(document, new[name]) and not _is_preflight(name):
            what = f"{name} is new and has no authorization"
            yield found("open-route", after, what, severity=Severity.HIGH, detail=name)
    yield from _definitions(after, old_document, document)


def _document(value: Json) -> Mapping[str, Any] | None:
    """Return an OpenAPI document; None if it cannot be read."""
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except ValueError:
            return None
    return value if isinstance(value, Mapping) else None


def _operations(document: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for path, item in fields(document.get("paths")).items():
        for method, operation in fields(item).items():
            if method.lower() in _METHODS and isinstance(operation, Mapping):
                yield f"{method.upper()} {path}", operation


def _asked(document: Mapping[str, Any], operation: Mapping[str, Any]) -> Json:
    """Return what an operation requires of its caller: its own security, or the document's."""
    return operation.get(_SECURITY, document.get(_SECURITY))


def _is_open(document: Mapping[str, Any], operation: Mapping[str, Any]) -> bool:
    """Return True if an operation requires nothing, or accepts nothing as one of several options (`{}`)."""
    if fields(operation.get("x-amazon-apigateway-auth")).get("type", "NONE") != "NONE":
        return False
    asked = _asked(document, operation)
    return not isinstance(asked, list) or not asked or {} in asked


def _is_preflight(name: str) -> bool:
    return name.startswith("OPTIONS ")


def _security(
    after: ReviewedResource,
    name: str,
    old: tuple[Mapping[str, Any], Mapping[str, Any]],
    new: tuple[Mapping[str, Any], Mapping[str, Any]],
) -> Iterator[ChangeFinding]:
    if _is_open(*new):
        if not _is_open(*old) and not _is_preflight(name):
            yield found("open-route", after, f"{name} no longer authenticates callers", detail=name)
    elif _asked(*old) != _asked(*new) and not _is_open(*old):
        what = f"{name} requires {shown(_asked(*new))} instead of {shown(_asked(*old))}"
        yield found("authorizer-loosened", after, what, severity=Severity.MEDIUM, detail=name)


def _integration(
    after: ReviewedResource, name: str, old: Mapping[str, Any], new: Mapping[str, Any], context: CheckContext
) -> Iterator[ChangeFinding]:
    ones, others = fields(old.get(_INTEGRATION)), fields(new.get(_INTEGRATION))
    if ones.get("uri") != others.get("uri"):
        what = f"{name} calls {shown(others.get('uri'))} instead of {shown(ones.get('uri'))}"
        severity = Destinations(context.matching).grade(ones.get("uri"), others.get("uri"))
        yield found("destination-changed", after, what, severity=severity, detail=name)
    elif ones != others:
        yield found("interface-changed", after, f"{name} has a different integration", detail=f"{name}-integration")


def _definitions(after: ReviewedResource, old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[ChangeFinding]:
    """Check the document's parts outside the operations: authorizers, validators and policies."""
    one, other = (
        {key: value for key, value in side.items() if key not in {"paths", "info", "openapi"}} for side in (old, new)
    )
    for difference in differences(one, other):
        is_sign_in = "securitySchemes" in difference.path or "securityDefinitions" in difference.path
        kind = "authorizer-loosened" if is_sign_in else "interface-changed"
        if difference.path[0] != _SECURITY:
            what = f"{difference.name} is {shown(difference.after)} instead of {shown(difference.before)}"
            yield found(kind, after, what, detail=difference.name)
